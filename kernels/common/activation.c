/* Names of activations, with every alias that transformers knows. */
#include <oberta/activation.h>

#include <stddef.h>
#include <string.h>

static const struct {
    const char *name;
    ob_activation activation;
} names[] = {
#define ACTIVATION_NAME(code, define, label) {label, code},
    OB_ACTIVATION_MAP(ACTIVATION_NAME)
#undef ACTIVATION_NAME
        {"gelu_python", OB_ACT_GELU},
    {"gelu_pytorch_tanh", OB_ACT_GELU_TANH},
    {"gelu_python_tanh", OB_ACT_GELU_TANH},
    {"gelu_accurate", OB_ACT_GELU_TANH},
    {"gelu_fast", OB_ACT_GELU_TANH},
    {"swish", OB_ACT_SILU},
};

bool ob_activation_from_name(const char *name, ob_activation *out)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i].name, name) == 0) {
            *out = names[i].activation;
            return true;
        }
    return false;
}

const char *ob_activation_name(ob_activation activation)
{
    return (size_t)activation < OB_ACTIVATION_COUNT ? names[activation].name : "?";
}
