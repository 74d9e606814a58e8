/* Texts that are too long for one sequence. */
#include "item.h"

ob_status ob__item_encode_windows(ob__item *item, ob__item_encoder *encoder, const ob__item_limits *limits,
                                  const ob_strbuf *text, const ob_strbuf *pair, const ob_encode_options *options,
                                  bool *taken, ob_error *err)
{
    ob_encode_options detailed = *options;
    ob_error row_error;
    ob_error_clear(&row_error);
    detailed.details = true;
    *taken = false;
    ob_status status =
        ob_tokenizer_encode_windows(limits->tokenizer, encoder->cache, ob_strbuf_text(text), text->length,
                                    pair != NULL ? ob_strbuf_text(pair) : NULL, pair != NULL ? pair->length : 0,
                                    &detailed, &encoder->windows, &row_error);
    if (status == OB_ERR_INPUT) {
        ob__item_reject(item, "%s", row_error.text);
        return OB_OK;
    }
    if (status != OB_OK)
        return ob_error_set(err, status, "%s", row_error.text);
    for (size_t i = 0; i < encoder->windows.count && status == OB_OK; i++) {
        ob__sequence *sequence = ob__item_add_sequence(item);
        status =
            sequence != NULL
                ? ob__sequence_take_encoding(sequence, &encoder->windows.windows[i], true, limits->pad_token_id, err)
                : ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for a row of %zu windows", encoder->windows.count);
    }
    *taken = status == OB_OK;
    return status;
}
