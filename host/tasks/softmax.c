/* Softmax of a few labels or choices; that of a vocabulary is the device's. */
#include "softmax.h"

#include <math.h>

void ob__softmax(float *values, size_t count)
{
    float maximum = -INFINITY;
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        maximum = values[i] > maximum ? values[i] : maximum;
    for (size_t i = 0; i < count; i++)
        sum += exp((double)values[i] - (double)maximum);
    for (size_t i = 0; i < count; i++)
        values[i] = (float)(exp((double)values[i] - (double)maximum) / sum);
}
