/* Names from files made fit for a message: they may hold terminal escapes, line ends, or megabytes. */
#ifndef OBERTA_CHECKPOINT_PRINTABLE_H
#define OBERTA_CHECKPOINT_PRINTABLE_H

#define OB_PRINTABLE_BYTES 128

typedef struct ob__printable {
    char text[OB_PRINTABLE_BYTES];
} ob__printable;

/* `text` is NUL-terminated. Control characters and what is not UTF-8 become '?'; a long text ends in "...". */
ob__printable ob__printable_make(const char *text);

#endif
