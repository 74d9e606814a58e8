/* How alike texts are: the cosine of the angle between their vectors, through liboberta.
 *
 *     cc -std=c11 embed.c $(pkg-config --cflags --libs oberta) -lm -o embed
 *     ./embed MODEL_FOLDER DEVICE TEXT TEXT...
 *
 * The vectors are means over the tokens of the last hidden states, of length 1, so a cosine is a dot product. The first
 * text is then embedded once more from its ids, as a program does that has ids, or wants the model's raw outputs. */
#include <math.h>
#include <oberta/cache.h>
#include <oberta/memory.h>
#include <oberta/oberta.h>
#include <stdio.h>
#include <string.h>

static double dot(const float *a, const float *b, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

static void show_similarities(const ob_results *results)
{
    for (size_t i = 0; i < ob_results_count(results); i++) {
        const ob_record *a = ob_results_get(results, i);
        for (size_t j = 0; j <= i; j++) {
            const ob_record *b = ob_results_get(results, j);
            printf("%8.4f", dot(a->arrays[0].data, b->arrays[0].data, a->arrays[0].shape[0]));
        }
        printf("  %s\n", a->input);
    }
}

/* Tokenise, forward, read the pooled vector: what ob_model_run does for a text, step by step. */
static ob_status embed_ids(ob_model *model, const char *text, const float *expected, ob_error *err)
{
    ob_encode_options encode;
    ob_tokenizer_options(ob_model_tokenizer(model), &encode);
    ob_encoding encoding = OB_ENCODING_INIT;
    ob_batch batch;
    ob_result result;
    memset(&batch, 0, sizeof batch);
    memset(&result, 0, sizeof result);
    ob_status status =
        ob_tokenizer_encode(ob_model_tokenizer(model), NULL, text, strlen(text), NULL, 0, &encode, &encoding, err);
    if (status == OB_OK) {
        batch.want = OB_WANT_MEAN;
        batch.sequence_count = 1;
        batch.token_count = encoding.count;
        batch.input_ids = encoding.ids;
        status = ob_model_forward(model, &batch, &result, err);
    }
    if (status == OB_OK) {
        size_t width = ob_model_get_info(model)->config->hidden_size;
        double length = sqrt(dot(result.pooled, result.pooled, width));
        printf("%zu tokens, again from ids: %.4f\n", encoding.count, dot(result.pooled, expected, width) / length);
    }
    ob_result_release(&result);
    ob_encoding_release(&encoding);
    return status;
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: embed MODEL_FOLDER DEVICE TEXT...\n");
        return 2;
    }
    static const char *const settings[] = {"feature_extraction.pooling=mean", "feature_extraction.normalize=true"};
    ob_error err;
    ob_error_clear(&err);
    char *cache = ob_cache_default_folder(NULL);
    ob_model_options options;
    ob_model_options_default(&options);
    options.device = argv[2];
    options.task = "feature-extraction";
    options.settings = settings;
    options.setting_count = 2;
    options.pipeline.cache_folder = cache;

    ob_model *model = NULL;
    ob_results *results = NULL;
    ob_status status = ob_model_open(argv[1], &options, &model, &err);
    if (status == OB_OK)
        status = ob_model_run(model, (const char *const *)&argv[3], NULL, (size_t)argc - 3, &results, &err);
    if (status == OB_OK) {
        show_similarities(results);
        status = embed_ids(model, argv[3], ob_results_get(results, 0)->arrays[0].data, &err);
    }
    if (status != OB_OK)
        fprintf(stderr, "embed: %s\n", err.text);

    ob_results_destroy(results);
    ob_model_close(model);
    ob_free(cache);
    return ob_status_exit_code(status);
}
