/* Activations of the feed-forward layers, by the names of config.json's hidden_act (formulas: common/activation.clh).
 */
#ifndef OBERTA_ACTIVATION_H
#define OBERTA_ACTIVATION_H

#include <stdbool.h>

/* X(code, define for kernels, name) ; further names of the same function are in activation.c */
#define OB_ACTIVATION_MAP(X)                                                  \
    X(OB_ACT_NONE, ACT_NONE, "linear")                                        \
    X(OB_ACT_GELU, ACT_GELU, "gelu") /* exact: 0.5 x (1 + erf(x / sqrt 2)) */ \
    X(OB_ACT_GELU_TANH, ACT_GELU_TANH, "gelu_new")                            \
    X(OB_ACT_GELU_10, ACT_GELU_10, "gelu_10")                                 \
    X(OB_ACT_QUICK_GELU, ACT_QUICK_GELU, "quick_gelu")                        \
    X(OB_ACT_RELU, ACT_RELU, "relu")                                          \
    X(OB_ACT_RELU2, ACT_RELU2, "relu2")                                       \
    X(OB_ACT_RELU6, ACT_RELU6, "relu6")                                       \
    X(OB_ACT_LEAKY_RELU, ACT_LEAKY_RELU, "leaky_relu")                        \
    X(OB_ACT_SILU, ACT_SILU, "silu")                                          \
    X(OB_ACT_MISH, ACT_MISH, "mish")                                          \
    X(OB_ACT_TANH, ACT_TANH, "tanh")                                          \
    X(OB_ACT_SIGMOID, ACT_SIGMOID, "sigmoid")                                 \
    X(OB_ACT_LAPLACE, ACT_LAPLACE, "laplace")

typedef enum ob_activation {
#define OB_ACTIVATION_ENUM(code, define, name) code,
    OB_ACTIVATION_MAP(OB_ACTIVATION_ENUM)
#undef OB_ACTIVATION_ENUM
        OB_ACTIVATION_COUNT
} ob_activation;

/* False for a name that is unknown. Takes every alias ("gelu_python", "swish", "gelu_pytorch_tanh", ...). */
bool ob_activation_from_name(const char *name, ob_activation *out);
const char *ob_activation_name(ob_activation activation);
/* The integer that common/activation.clh knows it by is the enum's own value. */

#endif
