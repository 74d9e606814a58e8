/* fill-mask: the best tokens for each <mask>, with the fields of the transformers pipeline.
 *
 * A row without a mask gets the best token at every position, as when the masked-LM model is called on plain text. */
#include "task.h"

#include <math.h>
#include <oberta/log.h>
#include <oberta/memory.h>
#include <stdlib.h>
#include <string.h>

/* The targets as ids, without repetitions. */
typedef struct fill_mask {
    size_t target_count;
    int32_t targets[];
} fill_mask;

static bool has_targets(const ob__task_context *ctx)
{
    return ctx->job->fill_mask.target_count > 0;
}

/* Predictions of each mask: with targets there are never more than those. */
static size_t predictions_per_mask(const ob__task_context *ctx)
{
    size_t k = ctx->job->fill_mask.top_k;
    const fill_mask *state = ctx->state;
    return state != NULL && state->target_count < k ? state->target_count : k;
}

/* A target is a token of the vocabulary as it stands there; else the one token that truncation leaves of its text
 * stands for it, with a warning. */
static ob_status find_target(const ob__task_context *ctx, const char *target, int32_t *out, ob_error *err)
{
    *out = ob_tokenizer_id(ctx->tokenizer, target);
    if (*out >= 0 || target[0] == '\0')
        return OB_OK;
    ob_encode_options options;
    ob_tokenizer_options(ctx->tokenizer, &options);
    options.add_special_tokens = false;
    options.truncation = OB_TRUNCATION_LONGEST_FIRST;
    options.max_length = 1;
    ob_encoding encoding = OB_ENCODING_INIT;
    ob_status status =
        ob_tokenizer_encode(ctx->tokenizer, NULL, target, strlen(target), NULL, 0, &options, &encoding, err);
    if (status == OB_OK && encoding.count > 0) {
        *out = encoding.ids[0];
        const char *token = ob_tokenizer_token(ctx->tokenizer, *out);
        ob_log(OB_LOG_WARN, "fill-mask", "target '%s' is not in the vocabulary; '%s' stands for it", target,
               token != NULL ? token : "?");
    }
    ob_encoding_release(&encoding);
    return status;
}

static ob_status find_targets(ob__task_context *ctx, ob_error *err)
{
    size_t count = ctx->job->fill_mask.target_count;
    size_t bytes;
    fill_mask *state = ob_size_mul(count, sizeof *state->targets, &bytes) && ob_size_add(bytes, sizeof *state, &bytes)
                           ? ob_malloc(bytes)
                           : NULL;
    if (state == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for %zu targets", count);
    ctx->state = state;
    state->target_count = 0;
    for (size_t i = 0; i < count; i++) {
        int32_t id = -1;
        if (find_target(ctx, ctx->job->fill_mask.targets[i], &id, err) != OB_OK) {
            ob_error_prefix(err, "fill_mask.targets[%zu]", i);
            return ob_error_status(err);
        }
        bool known = id < 0;
        for (size_t j = 0; j < state->target_count && !known; j++)
            known = state->targets[j] == id;
        if (!known)
            state->targets[state->target_count++] = id;
    }
    if (state->target_count == 0)
        return ob_error_set(err, OB_ERR_CONFIG, "fill_mask.targets: none of them gives a token");
    return OB_OK;
}

static ob_status open_task(ob__task_context *ctx, ob_error *err)
{
    size_t top_k = ctx->job->fill_mask.top_k, vocab_size = ctx->config->vocab_size;
    if (top_k == 0 || top_k > vocab_size)
        return ob_error_set(err, OB_ERR_CONFIG, "fill_mask.top_k: %zu is not between 1 and the vocabulary's size (%zu)",
                            top_k, vocab_size);
    if (ob__task_check_format(ctx->job, OB_RECORD_MASKS, "predictions", err) != OB_OK)
        return ob_error_status(err);
    if (ctx->mask_id < 0)
        return ob_error_set(err, OB_ERR_MODEL, "%s: the tokenizer has no mask token", ctx->model_path);
    /* Targets need probabilities of arbitrary tokens, so whole rows of logits come to the host for them. */
    ctx->needs = (ob__task_needs){.head = OB_HEAD_LM,
                                  .want = has_targets(ctx) ? OB_WANT_TOP_K | OB_WANT_LOGITS : OB_WANT_TOP_K,
                                  .top_k = has_targets(ctx) ? 1 : top_k};
    if (ctx->job->fill_mask.attentions)
        ctx->needs.want |= OB_WANT_ATTENTIONS;
    return has_targets(ctx) ? find_targets(ctx, err) : OB_OK;
}

static bool contains(const ob_strbuf *text, const char *needle)
{
    size_t length = strlen(needle);
    for (size_t i = 0; i + length <= text->length; i++)
        if (memcmp(text->data + i, needle, length) == 0)
            return true;
    return false;
}

/* A mask that truncation cut away must not silently turn the row into one without masks. */
static bool mask_was_cut(const ob__task_context *ctx, const ob__item *item)
{
    const char *mask = ob_tokenizer_token(ctx->tokenizer, ctx->mask_id);
    return !item->row.tokenised && mask != NULL && item->sequences[0].token_count >= ctx->limits.max_length &&
           (contains(&item->row.text, mask) || (item->row.has_pair && contains(&item->row.pair, mask)));
}

static ob_status prepare(const ob__task_context *ctx, ob__item *item, ob_error *err)
{
    ob__sequence *sequence = &item->sequences[0];
    size_t masks = 0, count = sequence->token_count;
    for (size_t i = 0; i < count; i++)
        masks += sequence->input_ids[i] == ctx->mask_id;
    item->has_mask_tokens = masks > 0;
    if (masks == 0 && mask_was_cut(ctx, item)) {
        ob__item_reject(item, "its mask lies beyond the %zu tokens that are taken", count);
        return OB_OK;
    }
    if (masks == 0 && ctx->job->fill_mask.without_mask_error) {
        ob__item_reject(item, "no %s in the text (fill_mask.without_mask: error)",
                        ob_tokenizer_token(ctx->tokenizer, ctx->mask_id));
        return OB_OK;
    }
    if (!ob__sequence_reserve_positions(sequence, masks > 0 ? masks : count))
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for a row of %zu tokens", count);
    size_t next = 0;
    for (size_t i = 0; i < count; i++)
        if (masks == 0 || sequence->input_ids[i] == ctx->mask_id)
            sequence->positions[next++] = (int32_t)i;
    return OB_OK;
}

typedef struct scored_target {
    float score;
    int32_t id;
} scored_target;

static int compare_scored(const void *a, const void *b)
{
    const scored_target *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

/* Probabilities of the targets, not renormalised, best first. */
static void score_targets(const fill_mask *state, size_t vocab_size, const float *logits, scored_target *scored)
{
    float maximum = logits[0];
    for (size_t i = 1; i < vocab_size; i++)
        maximum = logits[i] > maximum ? logits[i] : maximum;
    double sum = 0;
    for (size_t i = 0; i < vocab_size; i++)
        sum += exp((double)(logits[i] - maximum));
    for (size_t i = 0; i < state->target_count; i++) {
        int32_t id = state->targets[i];
        float logit = (size_t)id < vocab_size ? logits[id] : -INFINITY;
        scored[i] = (scored_target){(float)(exp((double)(logit - maximum)) / sum), id};
    }
    qsort(scored, state->target_count, sizeof *scored, compare_scored);
}

static ob_status collect(const ob__task_context *ctx, ob__item *item, ob__sequence *sequence, ob_error *err)
{
    const fill_mask *state = ctx->state;
    if (state == NULL)
        return OB_OK;
    ob_result *result = &sequence->result;
    if (item->has_mask_tokens) {
        size_t k = predictions_per_mask(ctx), masks = sequence->position_count, vocab_size = ctx->config->vocab_size;
        scored_target *scored = ob_realloc_array(NULL, state->target_count, sizeof *scored);
        int32_t *ids = ob_realloc_array(result->top_ids, masks * k, sizeof *ids);
        result->top_ids = ids != NULL ? ids : result->top_ids;
        float *scores = ob_realloc_array(result->top_scores, masks * k, sizeof *scores);
        result->top_scores = scores != NULL ? scores : result->top_scores;
        if (scored == NULL || ids == NULL || scores == NULL) {
            ob_free(scored);
            return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for %zu targets", state->target_count);
        }
        for (size_t m = 0; m < masks; m++) {
            score_targets(state, vocab_size, result->logits + m * vocab_size, scored);
            for (size_t i = 0; i < k; i++) {
                ids[m * k + i] = scored[i].id;
                scores[m * k + i] = scored[i].score;
            }
        }
        ob_free(scored);
    }
    ob_free(result->logits);
    result->logits = NULL;
    return OB_OK;
}

/* Strings of one record, one after the other; pointers into the buffer are taken when it is complete. */
typedef struct strings {
    ob_strbuf buffer;
    size_t *ends;
    size_t count;
} strings;

static ob_status add_decoded(const ob__task_context *ctx, strings *s, const int32_t *ids, size_t count,
                             bool skip_special_tokens, ob_error *err)
{
    if (ob_tokenizer_decode(ctx->tokenizer, ids, count, skip_special_tokens,
                            ob_tokenizer_cleans_up_spaces(ctx->tokenizer), &s->buffer, err) != OB_OK)
        return ob_error_status(err);
    s->ends[s->count++] = s->buffer.length;
    return OB_OK;
}

static const char *string_at(const strings *s, size_t index, size_t *bytes)
{
    size_t begin = index == 0 ? 0 : s->ends[index - 1];
    *bytes = s->ends[index] - begin;
    return ob_strbuf_text(&s->buffer) + begin;
}

/* The row's ids with `token` at `position`, without padding, whether it was there or is predicted. Returns how many. */
static size_t fill_in(const ob__task_context *ctx, const ob__sequence *sequence, int32_t position, int32_t token,
                      int32_t *ids)
{
    const int32_t pad = ob_tokenizer_special_id(ctx->tokenizer, OB_TOKEN_PAD);
    size_t count = 0;
    for (size_t i = 0; i < sequence->token_count; i++) {
        int32_t id = (size_t)position == i ? token : sequence->input_ids[i];
        if (id != pad)
            ids[count++] = id;
    }
    return count;
}

/* Hands the record on, with the row's own tokens and attention maps where they are wanted. */
static ob_status write_record(const ob__task_context *ctx, const ob__sequence *sequence, ob_record *record,
                              const ob_record_sink *sink, ob_error *err)
{
    if (!ctx->job->fill_mask.attentions)
        return sink->write(sink->user, record, err);
    size_t count = sequence->token_count;
    const ob_named_array maps = {"attentions",
                                 4,
                                 {ctx->config->num_hidden_layers, ctx->config->num_attention_heads, count, count},
                                 sequence->result.attentions};
    const char **tokens = ob_realloc_array(NULL, count, sizeof *tokens);
    if (tokens == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for %zu tokens", count);
    for (size_t i = 0; i < count; i++) {
        tokens[i] = ob_tokenizer_token(ctx->tokenizer, sequence->input_ids[i]);
        tokens[i] = tokens[i] != NULL ? tokens[i] : "";
    }
    record->input_token_count = count;
    record->input_tokens = tokens;
    record->attentions = &maps;
    ob_status status = sink->write(sink->user, record, err);
    ob_free(tokens);
    return status;
}

static ob_status emit_masks(const ob__task_context *ctx, const ob__item *item, const ob_record_sink *sink,
                            ob_error *err)
{
    const ob__sequence *sequence = &item->sequences[0];
    size_t masks = sequence->position_count, k = predictions_per_mask(ctx), total = masks * k;
    strings s = {OB_STRBUF_INIT, ob_realloc_array(NULL, total * 2, sizeof *s.ends), 0};
    ob_prediction *predictions = ob_realloc_array(NULL, total, sizeof *predictions);
    int32_t *ids = ob_realloc_array(NULL, sequence->token_count, sizeof *ids);
    ob_status status = OB_OK;
    if (s.ends == NULL || predictions == NULL || ids == NULL) {
        status = ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for %zu predictions", total);
        goto done;
    }
    for (size_t i = 0; i < total && status == OB_OK; i++) {
        int32_t token = sequence->result.top_ids[i];
        size_t count = fill_in(ctx, sequence, sequence->positions[i / k], token, ids);
        status = add_decoded(ctx, &s, &token, 1, false, err);
        if (status == OB_OK)
            status = add_decoded(ctx, &s, ids, count, masks == 1, err);
    }
    if (status != OB_OK)
        goto done;
    for (size_t i = 0; i < total; i++) {
        predictions[i].score = sequence->result.top_scores[i];
        predictions[i].token = sequence->result.top_ids[i];
        predictions[i].token_str = string_at(&s, 2 * i, &predictions[i].token_str_bytes);
        predictions[i].sequence = string_at(&s, 2 * i + 1, &predictions[i].sequence_bytes);
    }
    ob_record record = ob__item_record(item, OB_RECORD_MASKS);
    record.mask_count = masks;
    record.top_k = k;
    record.predictions = predictions;
    status = write_record(ctx, sequence, &record, sink, err);
done:
    ob_strbuf_release(&s.buffer);
    ob_free(s.ends);
    ob_free(predictions);
    ob_free(ids);
    return status;
}

static ob_status emit_prediction(const ob__task_context *ctx, const ob__item *item, const ob_record_sink *sink,
                                 ob_error *err)
{
    const ob__sequence *sequence = &item->sequences[0];
    size_t count = sequence->position_count, stride = ctx->needs.top_k;
    int32_t *ids = ob_realloc_array(NULL, count, sizeof *ids);
    const char **tokens = ob_realloc_array(NULL, count, sizeof *tokens);
    ob_strbuf text = OB_STRBUF_INIT;
    ob_status status = OB_OK;
    if (ids == NULL || tokens == NULL) {
        status = ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for %zu predictions", count);
        goto done;
    }
    for (size_t i = 0; i < count; i++) {
        ids[i] = sequence->result.top_ids[i * stride];
        const char *token = ob_tokenizer_token(ctx->tokenizer, ids[i]);
        tokens[i] = token != NULL ? token : ""; /* the model's vocabulary may be larger than the tokenizer's */
    }
    status = ob_tokenizer_decode(ctx->tokenizer, ids, count, true, ob_tokenizer_cleans_up_spaces(ctx->tokenizer), &text,
                                 err);
    if (status != OB_OK)
        goto done;
    ob_record record = ob__item_record(item, OB_RECORD_PREDICTION);
    record.token_count = count;
    record.token_ids = ids;
    record.tokens = tokens;
    record.text = ob_strbuf_text(&text);
    record.text_bytes = text.length;
    status = write_record(ctx, sequence, &record, sink, err);
done:
    ob_strbuf_release(&text);
    ob_free(ids);
    ob_free(tokens);
    return status;
}

static ob_status emit(const ob__task_context *ctx, const ob__item *item, const ob_record_sink *sink, ob_error *err)
{
    return item->has_mask_tokens ? emit_masks(ctx, item, sink, err) : emit_prediction(ctx, item, sink, err);
}

const ob__task ob__task_fill_mask = {
    .open = open_task, .row_tokens = NULL, .tokenise = NULL, .prepare = prepare, .collect = collect, .emit = emit};
