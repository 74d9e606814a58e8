/* What a decoder's rows attend to: a safetensors file with a tensor for each row. Internal to host/schedule. */
#ifndef OBERTA_SCHEDULE_ENCODER_STATES_H
#define OBERTA_SCHEDULE_ENCODER_STATES_H

#include <oberta/checkpoint.h>
#include <oberta/job.h>
#include <stdint.h>

typedef struct ob__encoder_states ob__encoder_states;

/* Opens the file of every input that names one and checks all of it: encoder_hidden_states.<row>
 * (length, hidden_size) of floats, encoder_attention_mask.<row> (length) of zeros and ones; rows are counted over all
 * inputs. *longest: the greatest length. Defects are listed (OB_ERR_INPUT). *out is NULL where no input names one. */
ob_status ob__encoder_states_open(const ob_input_spec *inputs, size_t count, size_t hidden_size,
                                  ob__encoder_states **out, size_t *longest, ob_error *err);
void ob__encoder_states_close(ob__encoder_states *states); /* NULL is fine */

/* A row's tensors, read-only and valid until close; *mask is NULL where all is kept. False: none of the files has it.
 */
bool ob__encoder_states_find(const ob__encoder_states *states, uint64_t row, const ob_tensor **hidden,
                             const ob_tensor **mask);

/* How many elements, in row-major order, come before the first one that is no finite number; all: hidden->count. */
size_t ob__encoder_states_finite(const ob_tensor *hidden);

/* A value of a mask tensor, 0 or 1. */
int32_t ob__encoder_mask_value(const ob_tensor *mask, size_t index);

#endif
