/* Marks the functions that liboberta.so exports; everything is compiled with hidden visibility. */
#ifndef OBERTA_API_H
#define OBERTA_API_H

#if defined(__GNUC__)
#define OB_API __attribute__((visibility("default")))
#else
#define OB_API
#endif

#endif
