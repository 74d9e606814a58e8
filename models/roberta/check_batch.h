/* Everything below the host trusts a batch's numbers, so they are all looked at once. Internal to models/roberta. */
#ifndef OBERTA_ROBERTA_CHECK_BATCH_H
#define OBERTA_ROBERTA_CHECK_BATCH_H

#include <oberta/batch.h>
#include <oberta/roberta_config.h>

/* What the model was built for. */
typedef struct ob__batch_limits {
    size_t max_tokens, max_sequences, max_length, max_encoder_tokens, max_encoder_length;
    size_t max_top_k, max_pooled;
    unsigned want; /* that memory was planned for */
    ob_head head;
    bool pooler;
} ob__batch_limits;

/* OB_ERR_INPUT for numbers that a row can bring, OB_ERR_INTERNAL for a batch that was not planned for. */
ob_status ob__check_batch(const ob_roberta_config *config, const ob__batch_limits *limits, const ob_batch *batch,
                          ob_error *err);

#endif
