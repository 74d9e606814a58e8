/* The layout of ob_result, once: sizes of its arrays, and one sequence's part of each. */
#include "results.h"

#include <oberta/memory.h>
#include <string.h>

ob__result_widths ob__result_widths_of(const ob__task_needs *needs, const ob_roberta_config *config)
{
    return (ob__result_widths){.want = needs->want,
                               .head = needs->head,
                               .top_k = needs->top_k,
                               .hidden_size = config->hidden_size,
                               .vocab_size = config->vocab_size,
                               .label_count = needs->head == OB_HEAD_MULTIPLE_CHOICE ? 1 : config->label_count,
                               .num_hidden_layers = config->num_hidden_layers,
                               .num_attention_heads = config->num_attention_heads};
}

/* An array of a result: `count` rows of a sequence's, `width` floats each, after `first` rows of other sequences. */
typedef struct part {
    const float *from;
    float **to;
    size_t first, count, width;
} part;

#define PART_COUNT 9

/* The parts of a sequence that are wanted, but for top_ids, which goes with top_scores. */
static size_t list_parts(const ob__result_widths *w, const ob_result *from, ob_result *to, const ob__result_cursor *at,
                         size_t tokens, size_t positions, size_t encoder_tokens, part parts[PART_COUNT])
{
    size_t hidden = w->hidden_size, heads = w->num_hidden_layers * w->num_attention_heads, count = 0;
    unsigned want = w->want;
#define PART(bit, field, first, rows, width)                                            \
    do {                                                                                \
        if ((want & (bit)) != 0)                                                        \
            parts[count++] = (part){from->field, &to->field, (first), (rows), (width)}; \
    } while (0)
    PART(OB_WANT_HIDDEN, hidden, at->token, tokens, hidden);
    PART(OB_WANT_HIDDEN_STATES, hidden_states, at->token, tokens, (w->num_hidden_layers + 1) * hidden);
    PART(OB_WANT_ATTENTIONS, attentions, at->token_squares, tokens * tokens, heads);
    PART(OB_WANT_CROSS_ATTENTIONS, cross_attentions, at->encoder_pairs, tokens * encoder_tokens, heads);
    PART(OB_WANT_POOLER, pooler, at->sequence, 1, hidden);
    PART(OB_WANT_POOLED, pooled, at->sequence, 1, ob_want_pooled_count(want) * hidden);
    PART(OB_WANT_TOP_K, top_scores, at->position, positions, w->top_k);
    PART(OB_WANT_TARGET_SCORES, target_scores, at->position, positions, 1);
    if (w->head == OB_HEAD_LM)
        PART(OB_WANT_LOGITS, logits, at->position, positions, w->vocab_size);
    else if (w->head == OB_HEAD_TOKEN_CLASSIFICATION || w->head == OB_HEAD_QUESTION_ANSWERING)
        PART(OB_WANT_LOGITS, logits, at->token, tokens, w->label_count);
    else
        PART(OB_WANT_LOGITS, logits, at->sequence, 1, w->label_count);
#undef PART
    return count;
}

size_t ob__result_bytes(const ob__result_widths *widths, size_t tokens, size_t positions, size_t encoder_tokens)
{
    static const ob_result none;
    ob_result unused;
    ob__result_cursor begin = {0};
    part parts[PART_COUNT];
    size_t count = list_parts(widths, &none, &unused, &begin, tokens, positions, encoder_tokens, parts), total;
    if (!ob_size_mul((widths->want & OB_WANT_TOP_K) != 0 ? positions : 0, widths->top_k * sizeof(int32_t), &total))
        return SIZE_MAX;
    for (size_t i = 0; i < count; i++) {
        size_t bytes;
        if (!ob_size_mul(parts[i].count, parts[i].width, &bytes) || !ob_size_mul(bytes, sizeof(float), &bytes) ||
            !ob_size_add(total, bytes, &total))
            return SIZE_MAX;
    }
    return total;
}

/* Grows *array to (count, row_bytes) and fills it; an empty one stays as it is. */
static void *copied(void *array, const void *from, size_t first, size_t count, size_t row_bytes)
{
    void *grown = ob_realloc_array(array, count, row_bytes);
    if (grown != NULL)
        memcpy(grown, (const char *)from + first * row_bytes, count * row_bytes);
    return grown;
}

bool ob__result_copy(const ob__result_widths *widths, const ob_result *from, ob__result_cursor *at,
                     const ob__sequence *sequence, ob_result *to)
{
    size_t tokens = sequence->token_count, positions = sequence->position_count;
    part parts[PART_COUNT];
    size_t count = list_parts(widths, from, to, at, tokens, positions, sequence->encoder_count, parts);
    for (size_t i = 0; i < count; i++) {
        if (parts[i].count == 0)
            continue;
        float *floats =
            copied(*parts[i].to, parts[i].from, parts[i].first, parts[i].count, parts[i].width * sizeof(float));
        if (floats == NULL)
            return false;
        *parts[i].to = floats;
    }
    if ((widths->want & OB_WANT_TOP_K) != 0 && positions > 0) {
        int32_t *ids = copied(to->top_ids, from->top_ids, at->position, positions, widths->top_k * sizeof(int32_t));
        if (ids == NULL)
            return false;
        to->top_ids = ids;
    }
    at->sequence++;
    at->token += tokens;
    at->position += positions;
    at->token_squares += tokens * tokens;
    at->encoder_pairs += tokens * sequence->encoder_count;
    return true;
}
