// The installed headers in a program in C++: devices, tokenizer, a forward pass, and errors.
#include <cmath>
#include <cstdio>
#include <memory>
#include <oberta/oberta.h>
#include <string>
#include <vector>

struct close_model {
    void operator()(ob_model *model) const
    {
        ob_model_close(model);
    }
};
using model_pointer = std::unique_ptr<ob_model, close_model>;

static int fail(const char *what, const char *why)
{
    std::fprintf(stderr, "%s: %s\n", what, why);
    return 1;
}

static int count_devices()
{
    ob_error err;
    ob_error_clear(&err);
    ob_device_list *devices = nullptr;
    if (ob_device_list_create(&devices, &err) != OB_OK)
        return fail("devices", err.text);
    for (size_t i = 0; i < ob_device_list_count(devices); i++)
        std::printf("device %d: %s\n", ob_device_get_info(ob_device_list_get(devices, i))->index,
                    ob_device_get_info(ob_device_list_get(devices, i))->platform);
    ob_device_list_destroy(devices);
    return 0;
}

// The text of the ids of a text is the text.
static int round_trip(const ob_tokenizer *tokenizer, const std::string &text, std::vector<int32_t> &ids)
{
    ob_error err;
    ob_error_clear(&err);
    ob_encode_options options;
    ob_encode_options_default(&options);
    ob_encoding encoding = OB_ENCODING_INIT;
    ob_strbuf decoded = OB_STRBUF_INIT;
    int failed = 1;
    if (ob_tokenizer_encode(tokenizer, nullptr, text.data(), text.size(), nullptr, 0, &options, &encoding, &err) ==
            OB_OK &&
        ob_tokenizer_decode(tokenizer, encoding.ids, encoding.count, true, false, &decoded, &err) == OB_OK)
        failed = text == ob_strbuf_text(&decoded) ? 0 : fail("decoded", ob_strbuf_text(&decoded));
    else
        fail("tokenizer", err.text);
    ids.assign(encoding.ids, encoding.ids + encoding.count);
    ob_encoding_release(&encoding);
    ob_strbuf_release(&decoded);
    return failed;
}

// Two sequences, all that the batch leaves out filled in; logits of one token of each.
static int forward(ob_model *model, std::vector<int32_t> ids)
{
    ob_error err;
    ob_error_clear(&err);
    const size_t length = ids.size(), vocabulary = ob_model_get_info(model)->config->vocab_size;
    ids.insert(ids.end(), ids.begin(), ids.end());
    std::vector<int32_t> cu_seqlens = {0, static_cast<int32_t>(length), static_cast<int32_t>(2 * length)};
    std::vector<int32_t> positions = {1, static_cast<int32_t>(length) + 1};
    ob_batch batch = {};
    ob_result result = {};
    batch.want = OB_WANT_LOGITS;
    batch.sequence_count = 2;
    batch.token_count = ids.size();
    batch.cu_seqlens = cu_seqlens.data();
    batch.input_ids = ids.data();
    batch.position_count = positions.size();
    batch.positions = positions.data();
    int failed = 0;
    if (ob_model_forward(model, &batch, &result, &err) != OB_OK)
        failed = fail("forward", err.text);
    for (size_t i = 0; failed == 0 && i < vocabulary; i++)
        if (!std::isfinite(result.logits[i]) || result.logits[i] != result.logits[vocabulary + i])
            failed = fail("forward", "the same sequence has other logits");
    ob_result_release(&result);
    return failed;
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return fail("usage", "cplusplus MODEL_FOLDER");
    ob_error err;
    ob_error_clear(&err);
    ob_model_options options;
    ob_model_options_default(&options);
    ob_model *opened = nullptr;
    if (ob_model_open("/dev/null/none", &options, &opened, &err) != OB_ERR_MODEL)
        return fail("a folder that is not there", err.text);
    if (ob_model_open(argv[1], &options, &opened, &err) != OB_OK)
        return fail("open", err.text);
    model_pointer model(opened);
    std::vector<int32_t> ids;
    int failed = count_devices() + round_trip(ob_model_tokenizer(opened), "for i in range(10):", ids);
    if (failed == 0)
        failed = forward(opened, ids);
    std::printf("liboberta %s, %zu tokens\n", ob_version(), ids.size());
    return failed;
}
