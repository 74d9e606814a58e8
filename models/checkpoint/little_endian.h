/* Little-endian numbers at any alignment. The caller has checked that the bytes are there. */
#ifndef OBERTA_CHECKPOINT_LITTLE_ENDIAN_H
#define OBERTA_CHECKPOINT_LITTLE_ENDIAN_H

#include <stdint.h>

static inline uint32_t ob__le16(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static inline uint32_t ob__le32(const unsigned char *p)
{
    return ob__le16(p) | ob__le16(p + 2) << 16;
}

static inline uint64_t ob__le64(const unsigned char *p)
{
    return (uint64_t)ob__le32(p) | (uint64_t)ob__le32(p + 4) << 32;
}

#endif
