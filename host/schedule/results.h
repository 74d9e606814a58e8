/* From a batch's result to the sequences' own. Internal to host/schedule. */
#ifndef OBERTA_SCHEDULE_RESULTS_H
#define OBERTA_SCHEDULE_RESULTS_H

#include "tasks/task.h"

/* Numbers that say how wide each array of a result is. */
typedef struct ob__result_widths {
    unsigned want;
    ob_head head;
    size_t top_k, hidden_size, vocab_size, label_count, num_hidden_layers, num_attention_heads;
} ob__result_widths;

ob__result_widths ob__result_widths_of(const ob__task_needs *needs, const ob_roberta_config *config);

/* Host bytes of a sequence's results; SIZE_MAX where that is more than there can be. */
size_t ob__result_bytes(const ob__result_widths *widths, size_t tokens, size_t positions, size_t encoder_tokens);

/* Where the next sequence's part begins in the arrays of a batch's result. Begins as {0}. */
typedef struct ob__result_cursor {
    size_t sequence, token, position;
    size_t token_squares; /* sum of length * length */
    size_t encoder_pairs; /* sum of length * encoder length */
} ob__result_cursor;

/* Copies the part of `sequence` and moves the cursor behind it. False: no memory. */
bool ob__result_copy(const ob__result_widths *widths, const ob_result *from, ob__result_cursor *at,
                     const ob__sequence *sequence, ob_result *to);

#endif
