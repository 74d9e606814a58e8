/* oberta_bench_tokenizer FOLDER FILE: MB/s on one core, and the time of a megabyte without a space. */
#include <oberta/file.h>
#include <oberta/memory.h>
#include <oberta/tokenizer.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double encode_seconds(const ob_tokenizer *tokenizer, ob_tokenizer_cache *cache, const char *text, size_t bytes,
                             size_t *tokens)
{
    static ob_error err;
    ob_encode_options options;
    ob_encode_options_default(&options);
    ob_encoding encoding = OB_ENCODING_INIT;
    double begin = now();
    if (ob_tokenizer_encode(tokenizer, cache, text, bytes, NULL, 0, &options, &encoding, &err) != OB_OK)
        fprintf(stderr, "%s\n", err.text);
    double seconds = now() - begin;
    *tokens = encoding.count;
    ob_encoding_release(&encoding);
    return seconds;
}

static void bench_run(const ob_tokenizer *tokenizer, const char *name, const char *unit, size_t bytes)
{
    size_t length = strlen(unit), tokens;
    char *text = ob_malloc(bytes);
    for (size_t i = 0; text != NULL && i < bytes; i++)
        text[i] = unit[i % length];
    if (text == NULL)
        return;
    bytes -= bytes % length;
    double half = encode_seconds(tokenizer, NULL, text, bytes / 2 / length * length, &tokens);
    double whole = encode_seconds(tokenizer, NULL, text, bytes, &tokens);
    printf("%-14s %zu bytes in %.3f s, %zu tokens; twice as long takes %.2f x\n", name, bytes, whole, tokens,
           whole / half);
    ob_free(text);
}

int main(int argc, char **argv)
{
    static ob_error err;
    ob_tokenizer *tokenizer;
    ob_strbuf file = OB_STRBUF_INIT;
    if (argc != 3) {
        fprintf(stderr, "usage: oberta_bench_tokenizer FOLDER FILE\n");
        return 2;
    }
    double begin = now();
    if (ob_tokenizer_open(argv[1], &tokenizer, &err) != OB_OK ||
        ob_file_read(argv[2], (size_t)1 << 30, &file, &err) != OB_OK) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    printf("open           %.3f s\n", now() - begin);
    ob_tokenizer_cache *cache = ob_tokenizer_cache_create();
    for (int round = 0; round < 3; round++) {
        size_t tokens;
        double seconds = encode_seconds(tokenizer, cache, file.data, file.length, &tokens);
        printf("%s  %.1f MB, %zu tokens: %.1f MB/s\n", round == 0 ? "cold cache   " : "warm cache   ",
               (double)file.length * 1e-6, tokens, (double)file.length * 1e-6 / seconds);
    }
    bench_run(tokenizer, "a", "a", 1 << 20);
    bench_run(tokenizer, "_", "_", 1 << 20);
    bench_run(tokenizer, "space", " ", 1 << 20);
    bench_run(tokenizer, "letters", "thequickbrownfoxjumpsoverthelazydog", 1 << 20);
    bench_run(tokenizer, "emoji", "\xF0\x9F\x98\x80", 1 << 20);
    bench_run(tokenizer, "letters 8 MB", "thequickbrownfoxjumpsoverthelazydog", 8 << 20);
    ob_tokenizer_cache_destroy(cache);
    ob_strbuf_release(&file);
    ob_tokenizer_close(tokenizer);
    return 0;
}
