/* Tables of measured choices: which provider, and which of its variants, computes a matrix product on a device.
 *
 * A table is a text file that `oberta tune` writes and that people may share. '#' begins a comment, up to the line's
 * end. The first line that is neither empty nor comment is the version; every other is an entry, one a shape, with
 * fields between '|' and values of the classes of m between blanks:
 *
 *     oberta-tuning 1
 *     # platform | device | driver | operator | n k | provider | a variant for each class of m | GFLOPS | gain
 *     Vendor CL | Vendor GPU 9 | 550.54 | gemm | 2304 768 | block | 16x32 16x32 auto auto 128x128 | 90 300 - - 9e3 |
 * ...
 *
 * `auto` leaves a class to the provider's own rule. GFLOPS and gain (the default's time over the choice's) are there
 * for people, '-' where nothing was measured. Device texts stand as OpenCL reports them, but that runs of blanks,
 * control characters, '|' and '#' are one blank.
 *
 * Classes of m are m <= 16, <= 64, <= 256, <= 1024 and above. One line names one provider, so a choice of provider
 * cannot depend on m; variants may, since all variants of a provider give the same bits (op_gemm.h).
 *
 * Look-up: first an entry for platform, device and driver, then one for platform and device; among equals the file read
 * last. Without one the operator's own order of preference holds. */
#ifndef OBERTA_TUNING_H
#define OBERTA_TUNING_H

#include <oberta/context.h>
#include <oberta/strbuf.h>

#define OB_TUNING_VERSION    1
#define OB_TUNING_M_CLASSES  5
#define OB_TUNING_AUTO       "auto"
#define OB_TUNING_MAX_BYTES  ((size_t)4 << 20) /* of a file */
#define OB_TUNING_UNMEASURED (-1.0)

/* The class of m, and the largest m of a class (SIZE_MAX for the last). */
size_t ob_tuning_m_class(size_t m);
size_t ob_tuning_m_limit(size_t m_class);

typedef struct ob_tuning_entry {
    const char *platform, *device, *driver;
    const char *op; /* "gemm": float32 weights, whatever the epilogue */
    size_t n, k;
    const char *provider;
    const char *variants[OB_TUNING_M_CLASSES];
    double gflops[OB_TUNING_M_CLASSES], gain[OB_TUNING_M_CLASSES]; /* below 0: not measured */
    const char *file;                                              /* where it was read; NULL: not from a file */
    size_t line;
} ob_tuning_entry;

/* An empty table. NULL: no memory. */
ob_tuning *ob_tuning_create(void);
void ob_tuning_destroy(ob_tuning *tuning);

/* Adds a file's entries. Every line that is malformed or given twice is listed as "name:line: rule" (OB_ERR_CONFIG),
 * and then nothing is added. A file of another version, and entries of operators that this build lacks, are ignored
 * with a line in the log; *known (may be NULL) tells whether the version is ours. */
ob_status ob_tuning_parse(ob_tuning *tuning, const char *text, size_t bytes, const char *name, bool *known,
                          ob_error *err);

size_t ob_tuning_count(const ob_tuning *tuning);
/* By the order of the head of this file, NULL where there is none or `tuning` is NULL. The result lives as long as the
 * table. */
const ob_tuning_entry *ob_tuning_find(const ob_tuning *tuning, const ob_device_info *device, const char *op, size_t n,
                                      size_t k);
/* The same for platform, device and driver alone. */
const ob_tuning_entry *ob_tuning_find_exact(const ob_tuning *tuning, const ob_device_info *device, const char *op,
                                            size_t n, size_t k);

/* Appends one entry as a line, and what a new file begins with. */
void ob_tuning_print(const ob_tuning_entry *entry, ob_strbuf *out);
void ob_tuning_print_head(ob_strbuf *out);

#endif
