/* Copies records, each into one block of memory: a first pass over its fields adds up their sizes, a second copies. */
#include "results.h"

#include <oberta/memory.h>
#include <string.h>

struct ob_results {
    ob_record **records; /* (count) each the beginning of its block */
    size_t count, capacity;
};

/* In the first pass `base` is NULL and only `used` grows. */
typedef struct block {
    char *base;
    size_t used;
    bool overflow;
} block;

/* A copy of count * element_bytes bytes, aligned for any type; NULL in the first pass, and for NULL. */
static void *put(block *b, const void *data, size_t count, size_t element_bytes)
{
    size_t bytes, end, at = b->used;
    if (data == NULL)
        return NULL;
    if (!ob_size_mul(count, element_bytes, &bytes) || !ob_size_add(at, bytes, &end) ||
        !ob_size_align(end, _Alignof(max_align_t), &b->used)) {
        b->overflow = true;
        return NULL;
    }
    return b->base != NULL ? memcpy(b->base + at, data, bytes) : NULL;
}

/* Text with its length; NUL-terminated in the copy. */
static const char *put_text(block *b, const char *text, size_t bytes)
{
    static const char end = '\0';
    size_t at = b->used;
    if (text == NULL)
        return NULL;
    put(b, text, bytes, 1);
    if (b->overflow)
        return NULL;
    b->used = at + bytes; /* the NUL stands right behind, not at the next alignment */
    put(b, &end, 1, 1);
    ob_size_align(b->used, _Alignof(max_align_t), &b->used);
    return b->base != NULL ? b->base + at : NULL;
}

static const char *put_string(block *b, const char *text)
{
    return text != NULL ? put_text(b, text, strlen(text)) : NULL;
}

static void put_predictions(block *b, const ob_record *from, ob_record *to)
{
    size_t count = from->mask_count * from->top_k;
    ob_prediction *copies = put(b, from->predictions, count, sizeof *copies);
    to->predictions = copies;
    for (size_t i = 0; from->predictions != NULL && i < count; i++) {
        const ob_prediction *p = &from->predictions[i];
        const char *token_str = put_text(b, p->token_str, p->token_str_bytes);
        const char *sequence = put_text(b, p->sequence, p->sequence_bytes);
        if (copies != NULL) {
            copies[i].token_str = token_str;
            copies[i].sequence = sequence;
        }
    }
}

static const char *const *put_strings(block *b, const char *const *strings, size_t count)
{
    const char **copies = put(b, strings, count, sizeof *copies);
    for (size_t i = 0; strings != NULL && i < count; i++) {
        const char *copy = put_string(b, strings[i]);
        if (copies != NULL)
            copies[i] = copy;
    }
    return copies;
}

static void put_tokens(block *b, const ob_record *from, ob_record *to)
{
    to->token_ids = put(b, from->token_ids, from->token_count, sizeof *from->token_ids);
    to->tokens = put_strings(b, from->tokens, from->token_count);
    to->token_scores = put(b, from->token_scores, from->token_count, sizeof *from->token_scores);
    to->text = put_text(b, from->text, from->text_bytes);
}

static void put_labels(block *b, const ob_record *from, ob_record *to)
{
    ob_label_score *copies = put(b, from->labels, from->label_count, sizeof *copies);
    to->labels = copies;
    for (size_t i = 0; from->labels != NULL && i < from->label_count; i++) {
        const char *label = put_string(b, from->labels[i].label);
        if (copies != NULL)
            copies[i].label = label;
    }
}

static void put_entities(block *b, const ob_record *from, ob_record *to)
{
    ob_entity *copies = put(b, from->entities, from->entity_count, sizeof *copies);
    to->entities = copies;
    for (size_t i = 0; from->entities != NULL && i < from->entity_count; i++) {
        const char *entity = put_string(b, from->entities[i].entity);
        const char *word = put_text(b, from->entities[i].word, from->entities[i].word_bytes);
        if (copies != NULL) {
            copies[i].entity = entity;
            copies[i].word = word;
        }
    }
}

static void put_answers(block *b, const ob_record *from, ob_record *to)
{
    ob_answer *copies = put(b, from->answers, from->answer_count, sizeof *copies);
    to->answers = copies;
    for (size_t i = 0; from->answers != NULL && i < from->answer_count; i++) {
        const char *answer = put_text(b, from->answers[i].answer, from->answers[i].answer_bytes);
        if (copies != NULL)
            copies[i].answer = answer;
    }
}

static const ob_named_array *put_arrays(block *b, const ob_named_array *arrays, size_t array_count)
{
    ob_named_array *copies = put(b, arrays, array_count, sizeof *copies);
    for (size_t i = 0; arrays != NULL && i < array_count; i++) {
        size_t count = 1;
        for (size_t d = 0; d < arrays[i].rank; d++)
            b->overflow |= !ob_size_mul(count, arrays[i].shape[d], &count);
        const char *name = put_string(b, arrays[i].name);
        const float *data = put(b, arrays[i].data, count, sizeof *data);
        if (copies != NULL) {
            copies[i].name = name;
            copies[i].data = data;
        }
    }
    return copies;
}

/* The record itself first, so that the block is freed by its address. NULL in the first pass. */
static ob_record *put_record(block *b, const ob_record *from)
{
    ob_record counted, *copy = put(b, from, 1, sizeof *from), *to = copy != NULL ? copy : &counted;
    to->id = put_string(b, from->id);
    to->input = put_text(b, from->input, from->input_bytes);
    to->error_code = put_string(b, from->error_code);
    to->error_message = put_string(b, from->error_message);
    put_predictions(b, from, to);
    put_tokens(b, from, to);
    put_labels(b, from, to);
    put_entities(b, from, to);
    put_answers(b, from, to);
    to->choice_scores = put(b, from->choice_scores, from->choice_count, sizeof(float));
    to->choice_logits = put(b, from->choice_logits, from->choice_count, sizeof(float));
    to->arrays = put_arrays(b, from->arrays, from->array_count);
    to->input_tokens = put_strings(b, from->input_tokens, from->input_token_count);
    to->attentions = put_arrays(b, from->attentions, 1);
    return copy;
}

ob_results *ob__results_create(void)
{
    return ob_calloc(1, sizeof(ob_results));
}

ob_status ob__results_add(ob_results *results, const ob_record *record, ob_error *err)
{
    block b = {NULL, 0, false};
    put_record(&b, record);
    if (!b.overflow)
        b.base = ob_malloc(b.used);
    if (b.base == NULL || !ob_array_reserve((void **)&results->records, &results->capacity, results->count + 1,
                                            sizeof *results->records)) {
        ob_free(b.base);
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for the result of row %llu",
                            (unsigned long long)record->row);
    }
    b.used = 0;
    results->records[results->count++] = put_record(&b, record);
    return OB_OK;
}

size_t ob_results_count(const ob_results *results)
{
    return results->count;
}

const ob_record *ob_results_get(const ob_results *results, size_t index)
{
    return index < results->count ? results->records[index] : NULL;
}

void ob_results_destroy(ob_results *results)
{
    if (results == NULL)
        return;
    for (size_t i = 0; i < results->count; i++)
        ob_free(results->records[i]);
    ob_free(results->records);
    ob_free(results);
}
