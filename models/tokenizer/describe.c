/* What a tokenizer's files say of it, for those who show it. */
#include "tokenizer_internal.h"

bool ob_tokenizer_adds_prefix_space(const ob_tokenizer *t)
{
    return t->add_prefix_space;
}

bool ob_tokenizer_trims_offsets(const ob_tokenizer *t)
{
    return t->layout.trim_offsets;
}

size_t ob_tokenizer_added_count(const ob_tokenizer *t)
{
    return t->added_count;
}
