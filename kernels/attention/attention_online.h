/* The work-groups that attention_online.cl can have. Internal to kernels, their tests and tools. */
#ifndef OBERTA_ATTENTION_ONLINE_H
#define OBERTA_ATTENTION_ONLINE_H

#include <oberta/device.h>
#include <oberta/op_attention.h>
#include <oberta/program.h>

#define OB__ONLINE_VARIANT_COUNT 3
extern const size_t ob__online_queries[OB__ONLINE_VARIANT_COUNT]; /* of a work-group; largest first */

/* Work-items of a group: those along its keys and channels, and along its queries. */
size_t ob__online_items_n(size_t head_size);
size_t ob__online_items_m(size_t queries);
size_t ob__online_local_bytes(size_t head_size, size_t queries);

/* The largest that fits the device's work-groups and local memory; desc.queries where that is set and fits. 0: none. */
size_t ob__online_pick(const ob_device_info *device, const ob_attention_desc *desc);

void ob__online_define(const ob_attention_desc *desc, size_t queries, ob_defines *defines);

#endif
