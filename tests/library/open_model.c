/* Models for the tests of the library. */
#include "open_model.h"

const char *demo_folder(void)
{
    static char path[1024];
    const char *models = getenv("OB_TEST_MODELS");
    assert_non_null(models);
    snprintf(path, sizeof path, "%s/demo", models);
    return path;
}

static ob_model *open_folder(const char *folder, const char *task, const char *const *settings, size_t count)
{
    static ob_error err;
    ob_error_clear(&err);
    ob_model_options options;
    ob_model_options_default(&options);
    options.task = task;
    options.settings = settings;
    options.setting_count = count;
    options.pipeline.cache_folder = getenv("OBERTA_CACHE_DIR");
    options.pipeline.max_encoder_tokens = 8;
    ob_model *model = NULL;
    test_ok(ob_model_open(folder, &options, &model, &err), &err);
    return model;
}

ob_model *open_demo(const char *task, const char *const *settings, size_t count)
{
    return open_folder(demo_folder(), task, settings, count);
}

ob_model *open_golden(const char *name, const char *task)
{
    char folder[1024];
    snprintf(folder, sizeof folder, "%s/goldens/%s/model", test_data(), name);
    return open_folder(folder, task, NULL, 0);
}

ob_results *run_texts(ob_model *model, const char *const *texts, const char *const *pairs, size_t count)
{
    static ob_error err;
    ob_error_clear(&err);
    ob_results *results = NULL;
    test_ok(ob_model_run(model, texts, pairs, count, &results, &err), &err);
    assert_int_equal(ob_results_count(results), count);
    return results;
}

void encode(const ob_model *model, const char *text, ob_encoding *out)
{
    static ob_error err;
    ob_error_clear(&err);
    ob_encode_options options;
    ob_encode_options_default(&options);
    test_ok(ob_tokenizer_encode(ob_model_tokenizer(model), NULL, text, strlen(text), NULL, 0, &options, out, &err),
            &err);
}
