/* The best tokens for each <mask> of a text, through liboberta.
 *
 *     cc -std=c11 fill_mask.c $(pkg-config --cflags --libs oberta) -o fill_mask
 *     ./fill_mask MODEL_FOLDER DEVICE TEXT...          DEVICE as oberta --device takes it: auto, cpu, gpu, 1, ... */
#include <oberta/cache.h>
#include <oberta/memory.h>
#include <oberta/oberta.h>
#include <stdio.h>

/* Lines of the library's log: which driver misbehaves, which target is no token, ... */
static void show_warning(void *user, ob_log_level level, const char *topic, const char *text)
{
    (void)user;
    (void)level;
    fprintf(stderr, "%s: %s\n", topic, text);
}

static void show(const ob_record *record)
{
    printf("%s\n", record->input);
    if (record->kind == OB_RECORD_PREDICTION) { /* a text without a mask: the best token at every position */
        printf("  -> %s\n", record->text);
        return;
    }
    for (size_t mask = 0; mask < record->mask_count; mask++)
        for (size_t i = 0; i < record->top_k; i++) {
            const ob_prediction *prediction = &record->predictions[mask * record->top_k + i];
            printf("  %.3f  %s\n", (double)prediction->score, prediction->sequence);
        }
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: fill_mask MODEL_FOLDER DEVICE TEXT...\n");
        return 2;
    }
    static const char *const settings[] = {"fill_mask.top_k=3"};
    ob_error err;
    ob_error_clear(&err);
    ob_log_set_sink(show_warning, NULL, OB_LOG_WARN);

    char *cache = ob_cache_default_folder(NULL); /* kernels are compiled at the first start, not at each */
    ob_model_options options;
    ob_model_options_default(&options);
    options.device = argv[2];
    options.settings = settings;
    options.setting_count = 1;
    options.pipeline.cache_folder = cache;

    ob_model *model = NULL;
    ob_results *results = NULL;
    ob_status status = ob_model_open(argv[1], &options, &model, &err);
    if (status == OB_OK) {
        const ob_device_info *device = ob_model_get_info(model)->device;
        fprintf(stderr, "device %d: %s, %s\n", device->index, device->platform, device->name);
        status = ob_model_run(model, (const char *const *)&argv[3], NULL, (size_t)argc - 3, &results, &err);
    }
    if (status == OB_OK)
        for (size_t i = 0; i < ob_results_count(results); i++)
            show(ob_results_get(results, i));
    else
        fprintf(stderr, "fill_mask: %s\n", err.text);

    ob_results_destroy(results);
    ob_model_close(model);
    ob_free(cache);
    return ob_status_exit_code(status);
}
