/* 2 TILE_M sums, two vectors and a broadcast have to fit the registers: 16 of 8 floats with AVX2, 32 of 16 floats with
 * AVX-512, 32 of 4 floats with NEON. */
#include "tile.h"

static const struct {
    uint32_t vector_width; /* the device's native one, at least */
    ob__tile tile;
} tiles[] = {{16, {12, 16}}, {8, {6, 8}}, {0, {8, 4}}};

bool ob__tile_suits(const ob_device_info *device)
{
    return device->type == OB_DEVICE_CPU && device->vector_width > 1;
}

ob__tile ob__tile_for(const ob_device_info *device)
{
    size_t i = 0;
    while (tiles[i].vector_width > device->vector_width)
        i++;
    return tiles[i].tile;
}

void ob__tile_define(const ob__tile *tile, const ob_device_info *device, ob_defines *defines)
{
    ob_defines_int(defines, "TILE_M", (long)tile->rows);
    ob_defines_int(defines, "VEC_N", (long)tile->vector);
    if ((device->capabilities & OB_CAP_PREFETCH) != 0)
        ob_defines_int(defines, "HAS_PREFETCH", 1);
}
