/* What both reports on a model folder say. */
#include "inspect_report.h"

#include <oberta/file.h>
#include <oberta/memory.h>

const char *const cli_special_names[OB_SPECIAL_TOKEN_COUNT] = {[OB_TOKEN_BOS] = "bos",
                                                               [OB_TOKEN_PAD] = "pad",
                                                               [OB_TOKEN_EOS] = "eos",
                                                               [OB_TOKEN_UNK] = "unk",
                                                               [OB_TOKEN_MASK] = "mask"};

const char *cli_head_name(const ob_roberta_config *config, size_t head)
{
    static const char *const names[CLI_HEAD_COUNT] = {[OB_HEAD_SEQUENCE_CLASSIFICATION] = "sequence-classification",
                                                      [OB_HEAD_TOKEN_CLASSIFICATION] = "token-classification",
                                                      [OB_HEAD_QUESTION_ANSWERING] = "question-answering",
                                                      [OB_HEAD_MULTIPLE_CHOICE] = "multiple-choice"};
    if (head == OB_HEAD_LM)
        return config->is_decoder ? "causal-lm" : "masked-lm";
    return names[head];
}

uint64_t cli_count_parameters(const cli_folder *f)
{
    uint64_t total = 0;
    for (size_t i = 0; i < ob_checkpoint_count(f->checkpoint); i++)
        if (f->used[i])
            total += ob_checkpoint_get(f->checkpoint, i)->count;
    return total;
}

static bool has_file(const cli_folder *f, const char *name)
{
    char *path = ob_path_join(f->model_path, name);
    bool exists = path != NULL && ob_file_exists(path);
    ob_free(path);
    return exists;
}

/* vocab.json and merges.txt count where there is no tokenizer.json. */
size_t cli_list_tokenizer_files(const cli_folder *f, const char *files[CLI_TOKENIZER_FILES])
{
    static const char *const others[] = {"tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"};
    size_t count = 0;
    if (has_file(f, "tokenizer.json")) {
        files[count++] = "tokenizer.json";
    } else {
        files[count++] = "vocab.json";
        files[count++] = "merges.txt";
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (has_file(f, others[i]))
            files[count++] = others[i];
    return count;
}

size_t cli_count_dtype(const cli_folder *f, int dtype)
{
    size_t count = 0;
    for (size_t i = 0; i < ob_checkpoint_count(f->checkpoint); i++)
        count += ob_checkpoint_get(f->checkpoint, i)->dtype == (ob_dtype)dtype;
    return count;
}

/* A causal model can fill masks, too, as the masked-LM head is the same; forward writes the encoder's states at least.
 */
bool cli_runs_task(const cli_folder *f, ob_task task)
{
    static const ob_head heads[CLI_TASK_COUNT] = {[OB_TASK_FILL_MASK] = OB_HEAD_LM,
                                                  [OB_TASK_FEATURE_EXTRACTION] = OB_HEAD_NONE,
                                                  [OB_TASK_FORWARD] = OB_HEAD_NONE,
                                                  [OB_TASK_TEXT_CLASSIFICATION] = OB_HEAD_SEQUENCE_CLASSIFICATION,
                                                  [OB_TASK_TOKEN_CLASSIFICATION] = OB_HEAD_TOKEN_CLASSIFICATION,
                                                  [OB_TASK_QUESTION_ANSWERING] = OB_HEAD_QUESTION_ANSWERING,
                                                  [OB_TASK_MULTIPLE_CHOICE] = OB_HEAD_MULTIPLE_CHOICE,
                                                  [OB_TASK_PSEUDO_LOG_LIKELIHOOD] = OB_HEAD_LM};
    ob_head head = heads[task];
    bool masked = head != OB_HEAD_LM || ob_tokenizer_special_id(f->tokenizer, OB_TOKEN_MASK) >= 0;
    bool pooled = head != OB_HEAD_MULTIPLE_CHOICE || f->pooler;
    bool two = head != OB_HEAD_QUESTION_ANSWERING || f->config.label_count == 2;
    return (head == OB_HEAD_NONE || f->heads[head] == CLI_HEAD_FOUND) && masked && pooled && two;
}
