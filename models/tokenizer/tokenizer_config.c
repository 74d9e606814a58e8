/* tokenizer_config.json: which kind of tokenizer this is, and the defaults of its options. */
#include "tokenizer_internal.h"

#include <string.h>

/* One algorithm under several names. */
static const char *const roberta_classes[] = {"RobertaTokenizer", "BartTokenizer", "LongformerTokenizer",
                                              "LEDTokenizer", "MvpTokenizer"};
/* What tokenizer.json says, without a model's own defaults. */
static const char *const plain_classes[] = {"PreTrainedTokenizer", "TokenizersBackend"};

/* True for a class of the list, with or without "Fast". */
static bool is_class(const char *class, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(list[i]);
        if (strncmp(class, list[i], length) == 0 && (class[length] == '\0' || strcmp(class + length, "Fast") == 0))
            return true;
    }
    return false;
}

static void read_class(ob__token_files *files, ob__notes *notes)
{
    const char *class = ob__json_text(files->config, "tokenizer_class", notes);
    files->roberta = true;
    if (class == NULL || is_class(class, roberta_classes, sizeof roberta_classes / sizeof *roberta_classes))
        return;
    if (!is_class(class, plain_classes, sizeof plain_classes / sizeof *plain_classes))
        ob__note(notes, OB_ERR_UNSUPPORTED,
                 "tokenizer_class: '%.60s' is not a byte-level BPE with RoBERTa's special tokens", class);
    else if (files->root == NULL)
        ob__note(notes, OB_ERR_MODEL, "tokenizer_class: '%.60s' needs tokenizer.json, which is missing", class);
    files->roberta = false;
}

static size_t read_limit(const json_t *config, ob__notes *notes)
{
    const char *key = json_object_get(config, "model_max_length") != NULL ? "model_max_length" : "max_len";
    const json_t *limit = json_object_get(config, key);
    double value = json_number_value(limit);
    if (limit == NULL || json_is_null(limit))
        return 0;
    if (!json_is_number(limit) || !(value >= 1))
        ob__note(notes, OB_ERR_MODEL, "%s: a positive number is expected", key);
    return value >= 1 && value < 1e15 ? (size_t)value : 0; /* 1e30 stands for none */
}

/* "left" or "right"; `saved` is what tokenizer.json saved of such an option, NULL for nothing. */
static bool read_side(const json_t *config, const char *key, const json_t *saved, ob__notes *notes)
{
    const char *side = ob__json_text(config, key, notes), *direction;
    direction = json_string_value(json_object_get(saved, "direction"));
    if (side == NULL)
        return direction != NULL && strcmp(direction, "Left") == 0;
    if (strcmp(side, "left") != 0 && strcmp(side, "right") != 0)
        ob__note(notes, OB_ERR_MODEL, "%s: '%.60s' is neither left nor right", key, side);
    return strcmp(side, "left") == 0;
}

ob_status ob__tokenizer_read_config(ob_tokenizer *t, ob__token_files *files, ob_error *err)
{
    const json_t *config = files->config;
    ob__notes notes = {.file = "tokenizer_config.json", .err = err};
    ob_error_clear(err);
    read_class(files, &notes);
    if (ob__json_flag(config, "do_lower_case", false, &notes))
        ob__note(&notes, OB_ERR_UNSUPPORTED, "do_lower_case: true; RoBERTa's tokenizer leaves texts as they are");
    t->model_max_length = read_limit(config, &notes);
    t->truncate_left = read_side(config, "truncation_side", json_object_get(files->root, "truncation"), &notes);
    t->pad_left = read_side(config, "padding_side", json_object_get(files->root, "padding"), &notes);
    t->split_special_tokens = ob__json_flag(config, "split_special_tokens", false, &notes);
    t->clean_up_spaces = ob__json_flag(config, "clean_up_tokenization_spaces", false, &notes);
    return ob__notes_end(&notes);
}

static bool is_type(const json_t *component, const char *type)
{
    const char *own = json_string_value(json_object_get(component, "type"));
    return own != NULL && strcmp(own, type) == 0;
}

ob_status ob__tokenizer_apply_config(ob_tokenizer *t, const ob__token_files *files, ob_error *err)
{
    ob__notes notes = {.file = "tokenizer_config.json", .err = err};
    ob_error_clear(err);
    bool add_prefix_space = ob__json_flag(files->config, "add_prefix_space", false, &notes);
    bool trim_offsets = ob__json_flag(files->config, "trim_offsets", true, &notes);
    const json_t *processor = json_object_get(files->root, "post_processor");
    if (files->root == NULL || is_type(json_object_get(files->root, "pre_tokenizer"), "ByteLevel"))
        t->add_prefix_space = add_prefix_space;
    if (files->roberta &&
        (files->root == NULL || is_type(processor, "RobertaProcessing") || is_type(processor, "ByteLevel"))) {
        t->layout.trim_offsets = trim_offsets;
        t->layout.keeps_inserted_space = add_prefix_space;
    }
    return ob__notes_end(&notes);
}
