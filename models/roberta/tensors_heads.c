/* Pooler, masked-LM head and classifiers. A part that the file lacks is an error: transformers would fill in random
 * numbers, and its predictions with them.
 *
 * "classifier" means three things, of which the class in config.json's architectures decides. */
#include "tensor_finder.h"

#include <oberta/log.h>
#include <stdio.h>

/* Files of 2019 call the decoder's weight lm_head.weight. */
static const char *const decoder_names[] = {"lm_head.decoder.weight", "lm_head.weight"};

const ob_tensor *ob__peek_decoder(const ob__finder *f)
{
    const ob_tensor *decoder = ob__peek(f, decoder_names[0]);
    return decoder != NULL ? decoder : ob__peek(f, decoder_names[1]);
}

static const char *decoder_name(const ob__finder *f)
{
    bool old = ob__peek(f, decoder_names[0]) == NULL && ob__peek(f, decoder_names[1]) != NULL;
    return decoder_names[old ? 1 : 0];
}

/* The output bias is one parameter with two names; a file may hold either, or both if they agree. */
static const ob_tensor *find_decoder_bias(ob__finder *f)
{
    size_t vocab = f->config->vocab_size;
    if (ob__peek(f, "lm_head.decoder.bias") == NULL)
        return ob__find(f, vocab, 0, "lm_head.bias");
    const ob_tensor *decoder_bias = ob__find(f, vocab, 0, "lm_head.decoder.bias");
    uint64_t counted_once = f->parameter_count;
    const ob_tensor *bias = ob__find_optional(f, vocab, 0, "lm_head.bias");
    f->parameter_count = counted_once;
    if (bias != NULL && decoder_bias != NULL && !ob__same_bytes(bias, decoder_bias)) {
        ob_error_add(f->err, OB_ERR_MODEL,
                     "%s: tensors 'lm_head.bias' and 'lm_head.decoder.bias' differ, but they are one parameter",
                     bias->file);
        f->defect = true;
    }
    return decoder_bias;
}

/* Tied (the default): the word embedding decodes, whatever else the file holds, as transformers 4 does. */
static const ob_tensor *find_decoder_weight(ob__finder *f, const ob_tensor *word)
{
    size_t vocab = f->config->vocab_size, hidden = f->config->hidden_size;
    if (!f->config->tie_word_embeddings)
        return ob__find(f, vocab, hidden, decoder_name(f));
    uint64_t counted_once = f->parameter_count;
    const ob_tensor *own = ob__find_optional(f, vocab, hidden, decoder_name(f));
    f->parameter_count = counted_once;
    if (own != NULL && word != NULL && own != word && !ob__same_bytes(own, word))
        ob_log(OB_LOG_WARN, "model",
               "%s: '%s' differs from the word embeddings, but config.json ties them: the word embeddings are used for "
               "both",
               own->file, own->name);
    return word;
}

static void find_lm_head(ob__finder *f, ob__roberta_tensors *out)
{
    size_t hidden = f->config->hidden_size;
    out->lm_dense = ob__find_pair(f, hidden, hidden, "lm_head.dense");
    out->lm_norm = ob__find_pair(f, hidden, 0, "lm_head.layer_norm");
    out->decoder.weight = find_decoder_weight(f, out->word);
    out->decoder.bias = find_decoder_bias(f);
}

/* Token classification and multiple choice call theirs alike, so only the class says which of them it is. */
static void check_meaning(ob__finder *f, ob_head head)
{
    ob_head other = head == OB_HEAD_TOKEN_CLASSIFICATION ? OB_HEAD_MULTIPLE_CHOICE : OB_HEAD_TOKEN_CLASSIFICATION;
    if (f->config->head != other)
        return;
    ob_error_add(f->err, OB_ERR_MODEL, "config.json: architectures: %s: its 'classifier' is not that of %s",
                 f->config->architecture,
                 head == OB_HEAD_TOKEN_CLASSIFICATION ? "token classification" : "multiple choice");
    f->defect = true;
}

void ob__find_heads(ob__finder *f, ob_head head, bool pooler, ob__roberta_tensors *out)
{
    size_t hidden = f->config->hidden_size, labels = f->config->label_count;
    out->head = head;
    if (pooler)
        out->pooler = ob__find_encoder_pair(f, hidden, hidden, "pooler.dense");
    switch (head) {
    case OB_HEAD_NONE:
        break;
    case OB_HEAD_LM:
        find_lm_head(f, out);
        break;
    case OB_HEAD_SEQUENCE_CLASSIFICATION:
        out->classifier_dense = ob__find_pair(f, hidden, hidden, "classifier.dense");
        out->classifier = ob__find_pair(f, labels, hidden, "classifier.out_proj");
        break;
    case OB_HEAD_TOKEN_CLASSIFICATION:
        check_meaning(f, head);
        out->classifier = ob__find_pair(f, labels, hidden, "classifier");
        break;
    case OB_HEAD_QUESTION_ANSWERING:
        out->classifier = ob__find_pair(f, 2, hidden, "qa_outputs");
        break;
    case OB_HEAD_MULTIPLE_CHOICE:
        check_meaning(f, head);
        out->classifier = ob__find_pair(f, 1, hidden, "classifier");
        break;
    }
}

void ob__explain_missing_heads(const ob__finder *f, ob_head head, bool pooler)
{
    static const struct {
        const char *name, *tensor;
    } parts[] = {
        [OB_HEAD_LM] = {"masked-LM head", "lm_head.dense.weight"},
        [OB_HEAD_SEQUENCE_CLASSIFICATION] = {"sequence-classification head", "classifier.out_proj.weight"},
        [OB_HEAD_TOKEN_CLASSIFICATION] = {"token-classification head", "classifier.weight"},
        [OB_HEAD_QUESTION_ANSWERING] = {"question-answering head", "qa_outputs.weight"},
        [OB_HEAD_MULTIPLE_CHOICE] = {"multiple-choice head", "classifier.weight"},
    };
    if (head != OB_HEAD_NONE && ob__peek(f, parts[head].tensor) == NULL)
        ob_error_add(f->err, OB_ERR_MODEL, "the file has no %s, which %s", parts[head].name,
                     head == f->config->head ? "config.json's architectures name" : "this task needs");
    char name[64];
    snprintf(name, sizeof name, "%spooler.dense.weight", f->prefix);
    if (pooler && ob__peek(f, name) == NULL)
        ob_error_add(f->err, OB_ERR_MODEL, "the file has no pooler, which %s needs",
                     head == OB_HEAD_MULTIPLE_CHOICE ? "multiple choice" : "pooler_output");
}
