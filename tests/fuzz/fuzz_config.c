/* A config.json of any bytes gives a checked config, or a message. */
#include <oberta/roberta_config.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static ob_error err;
    ob_roberta_config config;
    ob_error_clear(&err);
    if (ob_roberta_config_parse((const char *)data, size, "config.json", &config, &err) == OB_OK) {
        if (config.hidden_size % config.num_attention_heads != 0 || ob_roberta_config_max_length(&config) == 0)
            __builtin_trap();
        for (size_t i = 0; i < config.label_count; i++)
            if (config.labels[i] == NULL)
                __builtin_trap();
        ob_roberta_config_release(&config);
    } else if (err.text[0] == '\0') {
        __builtin_trap();
    }
    return 0;
}
