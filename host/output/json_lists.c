/* Lists of a record as JSON, with the fields of the transformers pipelines. */
#include "writer_internal.h"

#include <string.h>

static void append_field(ob_strbuf *out, const char *before, const char *text, size_t bytes)
{
    ob_strbuf_puts(out, before);
    ob_json_append_string(out, text, bytes);
}

void ob__json_append_labels(ob_strbuf *out, const ob_record *record)
{
    ob_strbuf_putc(out, '[');
    for (size_t i = 0; i < record->label_count; i++) {
        const ob_label_score *l = &record->labels[i];
        append_field(out, i > 0 ? ",{\"label\":" : "{\"label\":", l->label, strlen(l->label));
        ob_strbuf_puts(out, ",\"score\":");
        ob_json_append_float(out, l->score);
        ob_strbuf_putc(out, '}');
    }
    ob_strbuf_putc(out, ']');
}

void ob__json_append_entities(ob_strbuf *out, const ob_record *record)
{
    const char *label = record->grouped ? "{\"entity_group\":" : "{\"entity\":";
    ob_strbuf_putc(out, '[');
    for (size_t i = 0; i < record->entity_count; i++) {
        const ob_entity *e = &record->entities[i];
        if (i > 0)
            ob_strbuf_putc(out, ',');
        append_field(out, label, e->entity, strlen(e->entity));
        ob_strbuf_puts(out, ",\"score\":");
        ob_json_append_float(out, e->score);
        if (!record->grouped)
            ob_strbuf_printf(out, ",\"index\":%zu", e->index);
        append_field(out, ",\"word\":", e->word, e->word_bytes);
        ob_strbuf_printf(out, ",\"start\":%zu,\"end\":%zu}", e->start, e->end);
    }
    ob_strbuf_putc(out, ']');
}

void ob__json_append_answers(ob_strbuf *out, const ob_record *record)
{
    ob_strbuf_putc(out, '[');
    for (size_t i = 0; i < record->answer_count; i++) {
        const ob_answer *a = &record->answers[i];
        ob_strbuf_puts(out, i > 0 ? ",{\"score\":" : "{\"score\":");
        ob_json_append_float(out, a->score);
        ob_strbuf_printf(out, ",\"start\":%zu,\"end\":%zu", a->start, a->end);
        append_field(out, ",\"answer\":", a->answer, a->answer_bytes);
        ob_strbuf_putc(out, '}');
    }
    ob_strbuf_putc(out, ']');
}

void ob__json_append_tokens(ob_strbuf *out, const ob_record *record)
{
    ob_strbuf_putc(out, '[');
    for (size_t i = 0; i < record->token_count; i++)
        append_field(out, i > 0 ? "," : "", record->tokens[i], strlen(record->tokens[i]));
    ob_strbuf_putc(out, ']');
}

static void append_floats(ob_strbuf *out, const float *values, size_t count)
{
    ob_strbuf_putc(out, '[');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            ob_strbuf_putc(out, ',');
        ob_json_append_float(out, values[i]);
    }
    ob_strbuf_putc(out, ']');
}

void ob__json_append_token_scores(ob_strbuf *out, const ob_record *record)
{
    append_floats(out, record->token_scores, record->token_scores != NULL ? record->token_count : 0);
}

void ob__json_append_choice_scores(ob_strbuf *out, const ob_record *record)
{
    append_floats(out, record->choice_scores, record->choice_count);
}

void ob__json_append_choice_logits(ob_strbuf *out, const ob_record *record)
{
    append_floats(out, record->choice_logits, record->choice_count);
}

size_t ob__best_choice(const ob_record *record)
{
    size_t best = 0;
    for (size_t i = 1; i < record->choice_count; i++)
        if (record->choice_scores[i] > record->choice_scores[best])
            best = i;
    return best;
}
