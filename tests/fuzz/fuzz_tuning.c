/* A tuning table of any bytes gives entries or a message; entries that are printed read back as they were. */
#include <oberta/tuning.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static ob_error err;
    ob_error_clear(&err);
    ob_tuning *tuning = ob_tuning_create(), *again = ob_tuning_create();
    const ob_device_info device = {.platform = "P", .name = "D", .driver_version = "1"};
    ob_strbuf text = OB_STRBUF_INIT;
    if (ob_tuning_parse(tuning, (const char *)data, size, "t", NULL, &err) != OB_OK && err.text[0] == '\0')
        __builtin_trap(); /* a refusal without a reason */
    const ob_tuning_entry *entry = ob_tuning_find(tuning, &device, "gemm", 384, 128);
    if (entry != NULL) {
        ob_tuning_print_head(&text);
        ob_tuning_print(entry, &text);
        if (ob_tuning_parse(again, ob_strbuf_text(&text), text.length, "t", NULL, &err) != OB_OK ||
            ob_tuning_find(again, &device, "gemm", 384, 128) == NULL)
            __builtin_trap();
    }
    ob_strbuf_release(&text);
    ob_tuning_destroy(tuning);
    ob_tuning_destroy(again);
    return 0;
}
