/* Tokens to entities. Time is linear in tokens x labels and in the text; words are only made of what is kept. */
#include "entities.h"

#include "softmax.h"

#include <oberta/memory.h>
#include <stdlib.h>
#include <string.h>

static ob_status no_memory(ob_error *err)
{
    return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the entities of a row");
}

ob_status ob__entities_init(ob__entities *e, const ob__entity_options *options, const char *text, size_t bytes,
                            ob_error *err)
{
    *e = (ob__entities){.options = options};
    e->scores = ob_realloc_array(NULL, options->label_count, 2 * sizeof *e->scores);
    if (e->scores == NULL || !ob__char_index_init(&e->text, text, bytes))
        return no_memory(err);
    return OB_OK;
}

void ob__entities_release(ob__entities *e)
{
    ob__char_index_release(&e->text);
    ob_strbuf_release(&e->group.bytes);
    ob_strbuf_release(&e->word_bytes);
    ob_strbuf_release(&e->word);
    ob_strbuf_release(&e->words);
    ob_free(e->scores);
    ob_free(e->found);
    ob_free(e->word_ends);
    *e = (ob__entities){0};
}

static size_t arg_max(const float *values, size_t count)
{
    size_t best = 0;
    for (size_t i = 1; i < count; i++)
        if (values[i] > values[best])
            best = i;
    return best;
}

static void score_token(ob__entities *e, const float *logits)
{
    memcpy(e->scores, logits, e->options->label_count * sizeof *logits);
    ob__softmax(e->scores, e->options->label_count);
}

static bool is_ignored(const ob__entity_options *o, const char *name)
{
    for (size_t i = 0; i < o->ignore_label_count; i++)
        if (strcmp(o->ignore_labels[i], name) == 0)
            return true;
    return false;
}

static ob_status add_entity(ob__entities *e, const ob_entity *entity, ob_error *err)
{
    if (!ob_array_reserve((void **)&e->found, &e->capacity, e->count + 1, sizeof *e->found) ||
        !ob_array_reserve((void **)&e->word_ends, &e->end_capacity, e->count + 1, sizeof *e->word_ends))
        return no_memory(err);
    e->found[e->count] = *entity;
    e->word_ends[e->count++] = e->words.length;
    return OB_OK;
}

/* The vocabulary's string of a token; an unknown one stands for its piece of text. */
static const char *token_string(const ob__entities *e, const ob_encoding *encoding, size_t i, size_t *bytes)
{
    const ob_tokenizer *tokenizer = e->options->tokenizer;
    int32_t id = encoding->ids[i];
    const char *token = ob_tokenizer_token(tokenizer, id);
    if (id == ob_tokenizer_special_id(tokenizer, OB_TOKEN_UNK) || token == NULL) {
        size_t start = ob__char_index_byte(&e->text, encoding->offsets[i][0]);
        *bytes = ob__char_index_byte(&e->text, encoding->offsets[i][1]) - start;
        return e->text.text + start;
    }
    *bytes = strlen(token);
    return token;
}

static ob_status add_token(ob__entities *e, const ob_encoding *encoding, size_t i, const char *label, float score,
                           ob_error *err)
{
    size_t bytes;
    if (is_ignored(e->options, label))
        return OB_OK;
    const char *token = token_string(e, encoding, i, &bytes);
    ob_strbuf_append(&e->words, token, bytes);
    const ob_entity entity = {
        .entity = label, .score = score, .index = i, .start = encoding->offsets[i][0], .end = encoding->offsets[i][1]};
    return add_entity(e, &entity, err);
}

/* The type of a label, and whether it begins an entity: "B-PER" does, "I-PER" and "PER" go on. */
static const char *label_type(const char *label, bool *begins)
{
    *begins = strncmp(label, "B-", 2) == 0;
    return *begins || strncmp(label, "I-", 2) == 0 ? label + 2 : label;
}

static ob_status close_group(ob__entities *e, ob_error *err)
{
    ob__entity_group *g = &e->group;
    if (!g->open || g->ignored) {
        g->open = false;
        return OB_OK;
    }
    g->open = false;
    ob_tokenizer_bytes_to_text(g->bytes.data, g->bytes.length, &e->words);
    if (g->bytes.failed)
        return no_memory(err);
    const ob_entity entity = {
        .entity = g->name, .score = (float)(g->score_sum / (double)g->score_count), .start = g->start, .end = g->end};
    return add_entity(e, &entity, err);
}

/* Adds a token or word to the open group, or closes that and opens another. What it adds to the group's word is the
 * caller's, where the group is not ignored. */
static ob_status join_group(ob__entities *e, const char *label, float score, size_t start, size_t end, ob_error *err)
{
    ob__entity_group *g = &e->group;
    bool begins, unused;
    const char *type = label_type(label, &begins);
    if (!g->open || begins || strcmp(type, label_type(g->label, &unused)) != 0) {
        if (close_group(e, err) != OB_OK)
            return ob_error_status(err);
        const char *dash = strchr(label, '-');
        g->name = dash != NULL ? dash + 1 : label;
        g->ignored = is_ignored(e->options, g->name);
        g->open = true;
        g->score_sum = 0;
        g->score_count = 0;
        g->start = start;
        ob_strbuf_clear(&g->bytes);
    }
    g->label = label;
    g->score_sum += (double)score;
    g->score_count++;
    g->end = end;
    return OB_OK;
}

/* aggregation none and simple: every token has its own label. */
static ob_status add_tokens(ob__entities *e, const ob_encoding *encoding, const float *logits, ob_error *err)
{
    const ob__entity_options *o = e->options;
    bool grouped = o->aggregation != OB_AGGREGATION_NONE;
    ob_status status = OB_OK;
    for (size_t i = 0; i < encoding->count && status == OB_OK; i++) {
        if (encoding->special_tokens_mask[i] != 0)
            continue;
        score_token(e, logits + i * o->label_count);
        size_t best = arg_max(e->scores, o->label_count), bytes;
        const size_t *span = encoding->offsets[i];
        if (!grouped) {
            status = add_token(e, encoding, i, o->labels[best], e->scores[best], err);
            continue;
        }
        status = join_group(e, o->labels[best], e->scores[best], span[0], span[1], err);
        if (status == OB_OK && !e->group.ignored) {
            const char *token = token_string(e, encoding, i, &bytes);
            ob_tokenizer_token_to_bytes(token, bytes, &e->group.bytes);
        }
    }
    return status;
}

/* The pipeline's guess: a token goes on with a word unless white space, U+0020 alone, stands before or at its start. */
static bool is_subword(const ob__entities *e, const ob_encoding *encoding, size_t i)
{
    size_t start = encoding->offsets[i][0];
    if (start == 0 || encoding->ids[i] == ob_tokenizer_special_id(e->options->tokenizer, OB_TOKEN_UNK))
        return false;
    size_t before = ob__char_index_byte(&e->text, start - 1), at = ob__char_index_byte(&e->text, start);
    return !(before < e->text.bytes && e->text.text[before] == ' ') && !(at < e->text.bytes && e->text.text[at] == ' ');
}

/* Scores of a word from those of its tokens so far, `count` of them, and of one more. */
static void join_scores(ob_aggregation aggregation, const float *token, float *word, size_t count, size_t label_count)
{
    bool replace = count == 0;
    if (aggregation == OB_AGGREGATION_MAX && !replace)
        replace = token[arg_max(token, label_count)] > word[arg_max(word, label_count)];
    if (replace)
        memcpy(word, token, label_count * sizeof *word);
    else if (aggregation == OB_AGGREGATION_AVERAGE)
        for (size_t i = 0; i < label_count; i++)
            word[i] += token[i];
}

/* The tokens from `begin` to `end` are one word, whose scores stand behind those of a token. */
static ob_status add_word(ob__entities *e, const ob_encoding *encoding, size_t begin, size_t end, size_t count,
                          ob_error *err)
{
    const ob__entity_options *o = e->options;
    float *scores = e->scores + o->label_count;
    size_t best = arg_max(scores, o->label_count), bytes;
    float score = o->aggregation == OB_AGGREGATION_AVERAGE ? scores[best] / (float)count : scores[best];
    if (join_group(e, o->labels[best], score, encoding->offsets[begin][0], encoding->offsets[end - 1][1], err) != OB_OK)
        return ob_error_status(err);
    if (e->group.ignored)
        return OB_OK;
    ob_strbuf_clear(&e->word_bytes);
    ob_strbuf_clear(&e->word);
    for (size_t i = begin; i < end; i++) {
        if (encoding->special_tokens_mask[i] != 0)
            continue;
        const char *token = token_string(e, encoding, i, &bytes);
        ob_tokenizer_token_to_bytes(token, bytes, &e->word_bytes);
    }
    ob_tokenizer_bytes_to_text(e->word_bytes.data, e->word_bytes.length, &e->word);
    /* The pipeline decodes the decoded words once more, which changes those whose characters all map a byte. */
    ob_tokenizer_token_to_bytes(ob_strbuf_text(&e->word), e->word.length, &e->group.bytes);
    return e->word_bytes.failed || e->word.failed ? no_memory(err) : OB_OK;
}

/* aggregation first, average and max: a word has the label that its tokens agree on. */
static ob_status add_words(ob__entities *e, const ob_encoding *encoding, const float *logits, ob_error *err)
{
    const ob__entity_options *o = e->options;
    size_t begin = 0, end = 0, count = 0; /* of the word under way */
    for (size_t i = 0; i < encoding->count; i++) {
        if (encoding->special_tokens_mask[i] != 0)
            continue;
        if (count > 0 && !is_subword(e, encoding, i)) {
            if (add_word(e, encoding, begin, end, count, err) != OB_OK)
                return ob_error_status(err);
            count = 0;
        }
        score_token(e, logits + i * o->label_count);
        join_scores(o->aggregation, e->scores, e->scores + o->label_count, count, o->label_count);
        begin = count == 0 ? i : begin;
        end = i + 1;
        count++;
    }
    return count > 0 ? add_word(e, encoding, begin, end, count, err) : OB_OK;
}

ob_status ob__entities_add_window(ob__entities *e, const ob_encoding *encoding, const float *logits, ob_error *err)
{
    ob_aggregation aggregation = e->options->aggregation;
    bool by_token = aggregation == OB_AGGREGATION_NONE || aggregation == OB_AGGREGATION_SIMPLE;
    e->window_count++;
    ob_status status = by_token ? add_tokens(e, encoding, logits, err) : add_words(e, encoding, logits, err);
    return status == OB_OK ? close_group(e, err) : status;
}

typedef struct place {
    size_t start, index;
} place;

static int compare_places(const void *a, const void *b)
{
    const place *x = a, *y = b;
    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

static bool is_better(const ob_entity *a, const ob_entity *b)
{
    size_t length = a->end - a->start, other = b->end - b->start;
    return length > other || (length == other && a->score > b->score);
}

/* Keeps one of several that overlap, as the pipeline does: each is compared with the last one kept; one at the very
 * beginning that is empty is kept twice. `found` must have room for one more. */
static void resolve_overlaps(ob__entities *e, place *places, ob_entity *resolved)
{
    for (size_t i = 0; i < e->count; i++)
        places[i] = (place){e->found[i].start, i};
    qsort(places, e->count, sizeof *places, compare_places);
    size_t kept = 0;
    const ob_entity *previous = &e->found[places[0].index];
    for (size_t i = 0; i < e->count; i++) {
        const ob_entity *entity = &e->found[places[i].index];
        if (entity->start >= previous->start && entity->start < previous->end) {
            if (is_better(entity, previous))
                previous = entity;
        } else {
            resolved[kept++] = *previous;
            previous = entity;
        }
    }
    resolved[kept++] = *previous;
    e->count = kept;
}

static ob_status finish_windows(ob__entities *e, ob_error *err)
{
    place *places = ob_realloc_array(NULL, e->count, sizeof *places);
    ob_entity *resolved = ob_realloc_array(NULL, e->count + 1, sizeof *resolved);
    if (places == NULL || resolved == NULL) {
        ob_free(places);
        ob_free(resolved);
        return no_memory(err);
    }
    resolve_overlaps(e, places, resolved);
    ob_free(places);
    ob_free(e->found);
    e->found = resolved;
    return OB_OK;
}

ob_status ob__entities_finish(ob__entities *e, const ob_entity **out, size_t *count, ob_error *err)
{
    if (e->words.failed)
        return no_memory(err);
    for (size_t i = 0; i < e->count; i++) {
        size_t begin = i > 0 ? e->word_ends[i - 1] : 0;
        e->found[i].word = ob_strbuf_text(&e->words) + begin;
        e->found[i].word_bytes = e->word_ends[i] - begin;
    }
    if (e->window_count > 1 && e->count > 0 && finish_windows(e, err) != OB_OK)
        return ob_error_status(err);
    *out = e->found;
    *count = e->count;
    return OB_OK;
}
