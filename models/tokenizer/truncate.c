/* Truncation with the rules of the fast tokenizer (tokenizers up to 0.22). */
#include "tokenizer_internal.h"

static void longest_first(size_t first, size_t second, size_t budget, size_t *keep_first, size_t *keep_second)
{
    /* n1 is for the shorter one; of two equally long the first counts as the shorter. */
    bool swapped = first > second;
    size_t n1 = swapped ? second : first, n2;
    if (n1 > budget)
        n2 = n1;
    else
        n2 = budget - n1 > n1 ? budget - n1 : n1;
    if (n1 + n2 > budget) {
        n1 = budget / 2;
        n2 = n1 + budget % 2;
    }
    *keep_first = swapped ? n2 : n1;
    *keep_second = swapped ? n1 : n2;
}

ob_status ob__truncate_lengths(size_t first, size_t second, bool has_pair, const ob_encode_options *options,
                               size_t added, size_t *keep_first, size_t *keep_second, ob_error *err)
{
    *keep_first = first;
    *keep_second = second;
    if (options->truncation == OB_TRUNCATION_NONE || first + second + added <= options->max_length)
        return OB_OK;
    if (options->max_length < added)
        return OB_OK; /* no room even for the special tokens: the reference leaves the text alone, and so do we */
    size_t budget = options->max_length - added, remove = first + second - budget;
    if (options->truncation == OB_TRUNCATION_LONGEST_FIRST && has_pair) {
        longest_first(first, second, budget, keep_first, keep_second);
        return OB_OK;
    }
    if (budget == 0) {
        *keep_first = *keep_second = 0;
        return OB_OK;
    }
    if (options->truncation == OB_TRUNCATION_LONGEST_FIRST) {
        *keep_first = budget;
        return OB_OK;
    }
    bool only_first = options->truncation == OB_TRUNCATION_ONLY_FIRST;
    if (!only_first && !has_pair)
        return ob_error_set(err, OB_ERR_INPUT, "truncation 'only_second' needs a second text");
    size_t *keep = only_first ? keep_first : keep_second;
    if (*keep <= remove)
        return ob_error_set(err, OB_ERR_INPUT, "the %s text has %zu tokens, too few to cut %zu of them",
                            only_first ? "first" : "second", *keep, remove);
    *keep -= remove;
    return OB_OK;
}
