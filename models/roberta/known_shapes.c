/* Sizes of published models, for programs that measure without a download. */
#include <oberta/roberta_config.h>
#include <oberta/strbuf.h>
#include <oberta/utf8.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    size_t layers, hidden, heads, inner, vocabulary;
} shapes[] = {{"roberta-base", 12, 768, 12, 3072, 50265},
              {"roberta-large", 24, 1024, 16, 4096, 50265},
              {"distilroberta-base", 6, 768, 12, 3072, 50265},
              {"codebert-base", 12, 768, 12, 3072, 50265},
              {"xlm-roberta-base", 12, 768, 12, 3072, 250002}};
#define SHAPE_COUNT (sizeof shapes / sizeof *shapes)

static ob_status unknown_shape(const char *name, ob_error *err)
{
    const char *names[SHAPE_COUNT];
    ob_strbuf list = OB_STRBUF_INIT;
    for (size_t i = 0; i < SHAPE_COUNT; i++) {
        names[i] = shapes[i].name;
        ob_strbuf_printf(&list, "%s%s", i > 0 ? ", " : "", names[i]);
    }
    const char *nearest = ob_text_nearest(name, names, SHAPE_COUNT);
    ob_error_set(err, OB_ERR_USAGE, "shape '%s': not one of %s%s%s%s", name, ob_strbuf_text(&list),
                 nearest != NULL ? "; did you mean '" : "", nearest != NULL ? nearest : "",
                 nearest != NULL ? "'?" : "");
    ob_strbuf_release(&list);
    return OB_ERR_USAGE;
}

ob_status ob_roberta_config_known(const char *name, ob_roberta_config *out, ob_error *err)
{
    for (size_t i = 0; i < SHAPE_COUNT; i++) {
        if (strcmp(name, shapes[i].name) != 0)
            continue;
        char text[512];
        int length =
            snprintf(text, sizeof text,
                     "{\"model_type\":\"roberta\",\"architectures\":[\"RobertaForMaskedLM\"],"
                     "\"vocab_size\":%zu,\"max_position_embeddings\":514,\"type_vocab_size\":1,"
                     "\"num_hidden_layers\":%zu,\"hidden_size\":%zu,\"num_attention_heads\":%zu,"
                     "\"intermediate_size\":%zu,\"layer_norm_eps\":1e-05,\"pad_token_id\":1}",
                     shapes[i].vocabulary, shapes[i].layers, shapes[i].hidden, shapes[i].heads, shapes[i].inner);
        return ob_roberta_config_parse(text, (size_t)length, name, out, err);
    }
    return unknown_shape(name, err);
}
