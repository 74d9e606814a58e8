/* Runs a fuzz target without libFuzzer: every file of a corpus, then seeded mutations of them. For each run of the
 * tests; the long search is libFuzzer's (tools/test --fuzz SECONDS).
 *
 *     fuzz_<name> CORPUS...        OB_FUZZ_RUNS mutations (3000), from seed OB_FUZZ_SEED (1) */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_INPUTS 256
#define MAX_BYTES  65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct input {
    uint8_t *data;
    size_t size;
} input;

static input inputs[MAX_INPUTS];
static size_t input_count;

static void read_input(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL || input_count == MAX_INPUTS)
        return;
    uint8_t *data = malloc(MAX_BYTES);
    size_t size = fread(data, 1, MAX_BYTES, file);
    fclose(file);
    inputs[input_count++] = (input){data, size};
}

static uint64_t state;

static uint64_t next_random(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

/* One to eight changes: a byte, a bit, a cut, a repetition, a piece of another input, a number of note. */
static size_t mutate(uint8_t *data, size_t size)
{
    static const char *const words[] = {
        "18446744073709551615", "-1", "{", "[", "\"", "\\u0000", "\xFF\xFE", ": ", "\n", "\0"};
    for (uint64_t changes = next_random() % 8 + 1; changes > 0; changes--) {
        size_t at = size > 0 ? next_random() % size : 0;
        const input *other = &inputs[next_random() % input_count];
        const char *word = words[next_random() % 10];
        size_t length = strlen(word);
        switch (next_random() % 6) {
        case 0:
            if (size > 0)
                data[at] = (uint8_t)next_random();
            break;
        case 1:
            if (size > 0)
                data[at] ^= (uint8_t)(1u << next_random() % 8);
            break;
        case 2:
            size = at;
            break;
        case 3:
            if (size > 0 && 2 * size <= MAX_BYTES) {
                memcpy(data + size, data, size);
                size *= 2;
            }
            break;
        case 4:
            if (other->size > at && other->size <= MAX_BYTES) {
                memcpy(data + at, other->data + at, other->size - at);
                size = other->size;
            }
            break;
        default:
            if (at + length <= MAX_BYTES) {
                memcpy(data + at, word, length);
                size = at + length > size ? at + length : size;
            }
        }
    }
    return size;
}

int main(int argc, char **argv)
{
    const char *runs_text = getenv("OB_FUZZ_RUNS"), *seed_text = getenv("OB_FUZZ_SEED");
    unsigned long runs = runs_text != NULL ? strtoul(runs_text, NULL, 10) : 3000;
    state = (seed_text != NULL ? strtoull(seed_text, NULL, 10) : 1) * 2654435769u + 1;
    for (int i = 1; i < argc; i++) {
        DIR *directory = opendir(argv[i]);
        char path[4096];
        for (struct dirent *item; directory != NULL && (item = readdir(directory)) != NULL;)
            if (item->d_name[0] != '.') {
                snprintf(path, sizeof path, "%s/%s", argv[i], item->d_name);
                read_input(path);
            }
        if (directory != NULL)
            closedir(directory);
    }
    if (input_count == 0) {
        fprintf(stderr, "no inputs in the corpus\n");
        return 1;
    }
    for (size_t i = 0; i < input_count; i++)
        LLVMFuzzerTestOneInput(inputs[i].data, inputs[i].size);
    uint8_t *data = malloc(MAX_BYTES);
    for (unsigned long run = 0; run < runs; run++) {
        const input *base = &inputs[next_random() % input_count];
        memcpy(data, base->data, base->size);
        size_t size = mutate(data, base->size);
        uint8_t *exact = malloc(size > 0 ? size : 1); /* its end is the end: AddressSanitizer sees a byte too far */
        memcpy(exact, data, size);
        LLVMFuzzerTestOneInput(exact, size);
        free(exact);
    }
    free(data);
    printf("%zu inputs and %lu mutations, seed %s\n", input_count, runs, seed_text != NULL ? seed_text : "1");
    return 0;
}
