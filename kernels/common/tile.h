/* The register tile that fits a CPU device; the host's side of tile.clh. Internal to kernels. */
#ifndef OBERTA_KERNELS_TILE_H
#define OBERTA_KERNELS_TILE_H

#include <oberta/device.h>
#include <oberta/program.h>

typedef struct ob__tile {
    size_t rows;   /* TILE_M */
    size_t vector; /* VEC_N; the tile is 2 vectors wide */
} ob__tile;

/* Whether the device wants such tiles: a CPU whose driver gives a work-item vectors. One that names a native width of 1
 * makes lanes of its work-items, as GPUs do, and is served like them (llvmpipe: seven to ten times faster, and compiled
 * in 43 s instead of 185 s). */
bool ob__tile_suits(const ob_device_info *device);
ob__tile ob__tile_for(const ob_device_info *device);
/* TILE_M, VEC_N, and HAS_PREFETCH where the device has it. */
void ob__tile_define(const ob__tile *tile, const ob_device_info *device, ob_defines *defines);

#endif
