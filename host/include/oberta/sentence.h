/* Folders of sentence-transformers: what modules.json makes of a model's hidden states. */
#ifndef OBERTA_SENTENCE_H
#define OBERTA_SENTENCE_H

#include <oberta/api.h>
#include <oberta/error.h>
#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define OB_MODULE_NAME_BYTES 64

typedef struct ob_sentence {
    bool found;                             /* the folder has a modules.json */
    char transformer[OB_MODULE_NAME_BYTES]; /* the folder of the encoder inside; "": the folder itself */
    unsigned poolings;                      /* of OB_WANT_POOLED (batch.h) */
    bool normalize;
    size_t width;          /* the pooling's word_embedding_dimension; 0: not given */
    size_t max_seq_length; /* 0: the tokenizer's */
} ob_sentence;

/* Reads modules.json, the pooling's config.json and sentence_bert_config.json. A folder without modules.json is no
 * error: found is false. Errors: OB_ERR_MODEL with file and rule; OB_ERR_UNSUPPORTED for modules other than
 * Transformer, Pooling and Normalize, in any other order, and for do_lower_case; OB_ERR_IO, OB_ERR_OUT_OF_MEMORY. */
OB_API ob_status ob_sentence_load(const char *folder, ob_sentence *out, ob_error *err);

/* The name of one pooling of OB_WANT_POOLED ("mean"); "?" for anything else. */
OB_API const char *ob_sentence_pooling_name(unsigned pooling);

/* Where config.json, weights and tokenizer of a model folder lie: in the folder itself, or, in old ones of
 * sentence-transformers, in one inside ("0_Transformer"), which modules.json names. ob_free the path. A folder without
 * either is its own; later modules need not be right. Errors as ob_sentence_load, with the folder's name. */
OB_API ob_status ob_model_folder_find(const char *folder, char **out, ob_error *err);

#ifdef __cplusplus
}
#endif
#endif
