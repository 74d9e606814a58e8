/* Folders of sentence-transformers: what modules.json makes of a model's hidden states. Internal to host. */
#ifndef OBERTA_TASKS_SENTENCE_H
#define OBERTA_TASKS_SENTENCE_H

#include <oberta/error.h>
#include <oberta/strbuf.h>
#include <stdbool.h>

#define OB__MODULE_NAME_BYTES 64

typedef struct ob__sentence {
    bool found;                              /* the folder has a modules.json */
    char transformer[OB__MODULE_NAME_BYTES]; /* the folder of the encoder inside; "": the folder itself */
    unsigned poolings;                       /* of OB_WANT_POOLED */
    bool normalize;
    size_t width;          /* the pooling's word_embedding_dimension; 0: not given */
    size_t max_seq_length; /* 0: the tokenizer's */
} ob__sentence;

/* Reads modules.json, the pooling's config.json and sentence_bert_config.json. A folder without modules.json is no
 * error: found is false. Errors: OB_ERR_MODEL with file and rule; OB_ERR_UNSUPPORTED for modules other than
 * Transformer, Pooling and Normalize, in any other order, and for do_lower_case; OB_ERR_IO, OB_ERR_OUT_OF_MEMORY. */
ob_status ob__sentence_load(const char *folder, ob__sentence *out, ob_error *err);

/* What Python's str.strip leaves: a view of `text`, which must outlive it; its data is not NUL-terminated. */
ob_strbuf ob__strip(const ob_strbuf *text);

#endif
