/* The structs that cross the door between host and device. */
#include <oberta/batch.h>
#include <oberta/memory.h>

void ob_result_release(ob_result *result)
{
    ob_free(result->hidden);
    ob_free(result->hidden_states);
    ob_free(result->attentions);
    ob_free(result->cross_attentions);
    ob_free(result->pooler);
    ob_free(result->pooled);
    ob_free(result->logits);
    ob_free(result->top_ids);
    ob_free(result->top_scores);
    ob_free(result->target_scores);
    *result = (ob_result){0};
}

size_t ob_want_pooled_count(unsigned want)
{
    size_t count = 0;
    for (unsigned bits = want & OB_WANT_POOLED; bits != 0; bits &= bits - 1)
        count++;
    return count;
}

void ob_position_ids(const int32_t *input_ids, size_t count, int32_t pad_token_id, int32_t *position_ids)
{
    int32_t next = pad_token_id;
    for (size_t i = 0; i < count; i++)
        position_ids[i] = input_ids[i] == pad_token_id ? pad_token_id : ++next;
}
