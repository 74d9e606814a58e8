/* Truncation and windows with the rules of the fast tokenizer (tokenizers up to 0.22). */
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

static ob_status only_one(size_t remove, bool has_pair, bool first, size_t *keep, ob_error *err)
{
    if (!first && !has_pair)
        return ob_error_set(err, OB_ERR_INPUT, "truncation 'only_second' needs a second text");
    if (*keep <= remove)
        return ob_error_set(err, OB_ERR_INPUT, "the %s text has %zu tokens, too few to cut %zu of them",
                            first ? "first" : "second", *keep, remove);
    *keep -= remove;
    return OB_OK;
}

/* Windows advance by what they hold less the stride. */
static ob_status check_stride(size_t length, size_t keep, size_t stride, ob_error *err)
{
    if (keep > 0 && keep < length && stride >= keep)
        return ob_error_set(err, OB_ERR_INPUT, "a stride of %zu leaves nothing new in windows of %zu tokens of text",
                            stride, keep);
    return OB_OK;
}

ob_status ob__truncate_lengths(size_t first, size_t second, bool has_pair, const ob_encode_options *options,
                               size_t added, size_t around, size_t *keep_first, size_t *keep_second, ob_error *err)
{
    *keep_first = first;
    *keep_second = second;
    if (options->truncation == OB_TRUNCATION_NONE)
        return OB_OK;
    if (options->max_length >= around && options->stride > options->max_length - around)
        return ob_error_set(err, OB_ERR_INPUT, "a stride of %zu is more than a window of %zu tokens has room for",
                            options->stride, options->max_length);
    if (first + second + added <= options->max_length)
        return OB_OK;
    if (options->max_length < added)
        return OB_OK; /* no room even for the special tokens: the reference leaves the text alone, and so do we */
    size_t budget = options->max_length - added, remove = first + second - budget;
    ob_status status = OB_OK;
    if (budget == 0)
        *keep_first = *keep_second = 0;
    else if (options->truncation == OB_TRUNCATION_LONGEST_FIRST && has_pair)
        longest_first(first, second, budget, keep_first, keep_second);
    else if (options->truncation == OB_TRUNCATION_LONGEST_FIRST)
        *keep_first = budget;
    else if (options->truncation == OB_TRUNCATION_ONLY_FIRST)
        status = only_one(remove, has_pair, true, keep_first, err);
    else
        status = only_one(remove, has_pair, false, keep_second, err);
    if (status != OB_OK || (status = check_stride(first, *keep_first, options->stride, err)) != OB_OK)
        return status;
    return check_stride(second, *keep_second, options->stride, err);
}

size_t ob__window_count(size_t length, size_t keep, size_t stride)
{
    if (keep >= length)
        return 1;
    return keep == 0 ? 2 : 1 + (length - keep - 1) / (keep - stride) + 1;
}

ob__range ob__window_range(size_t length, size_t keep, size_t stride, bool left, size_t index)
{
    if (keep == 0 || keep >= length)
        return (ob__range){0, keep == 0 && index == 0 ? 0 : length};
    size_t passed = index * (keep - stride);
    if (left)
        return (ob__range){length - passed > keep ? length - passed - keep : 0, length - passed};
    return (ob__range){passed, length - passed > keep ? passed + keep : length};
}
