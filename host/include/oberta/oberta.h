/* liboberta: RoBERTa on any OpenCL device, for programs in C and C++. This header is the way in.
 *
 *   model.h           start here: a handle for device, folder, tokenizer and task; texts in, records out; raw batches
 *   device.h          the devices there are, what each can do, and the selectors that choose among them
 *   tokenizer.h       text to ids and back; needs no device
 *   batch.h           arrays that go into a forward pass, and those that come out
 *   writer.h          records, which are the results of tasks, and files of them
 *   job.h             job files as `oberta run` reads them
 *   pipeline.h        a whole job; or its task between a source and a sink of one's own
 *   reader.h          rows of text, JSONL, CSV and TSV files
 *   roberta_config.h  config.json
 *   log.h, error.h    what goes wrong
 *   sentence.h        what a folder of sentence-transformers makes of hidden states
 *   version.h
 *
 * Not included, for programs that go deeper: checkpoint.h, context.h and roberta.h (weights, an open device and a model
 * on it, without a task), cache.h (compiled kernels on disk), attention_page.h (maps to look at), tune.h, bench.h,
 * profile.h, and the small helpers dtype.h, file.h, memory.h, strbuf.h, utf8.h.
 *
 * Errors. What can fail returns an ob_status and takes an ob_error last, whose text names file, place, value and rule;
 * NULL where neither matters (the status may then be OB_ERR_INTERNAL, but is never OB_OK). On failure nothing is
 * returned that would have to be freed. The library never prints, exits or aborts, and leaves signals, locale and
 * environment alone; log lines go to a sink (log.h).
 *
 * Ownership. What a *_create or *_open gives is the caller's, for the matching *_destroy or *_close, which take NULL.
 * Other pointers that a function returns belong to the object that it was asked of and live as long as it does, unless
 * the declaration says "ob_free". Strings that go in are copied, unless it says "must outlive".
 *
 * Threads. The log sink is the only global state; install it first. An object belongs to one thread at a time, but for
 * devices and tokenizers, which are read-only once open. A call may start threads of its own, and ends them.
 *
 * OpenCL drivers. PoCL needs PATH to be set, and compiles into a cache of its own ($POCL_CACHE_DIR, else below $HOME)
 * that has to be on a file system from which libraries may be loaded: without these it aborts the process. With
 * POCL_WORK_GROUP_SPECIALIZATION=0 in the environment, as the program sets it, it compiles each kernel once rather than
 * twice when oberta's cache is empty. */
#ifndef OBERTA_OBERTA_H
#define OBERTA_OBERTA_H

#include <oberta/batch.h>
#include <oberta/device.h>
#include <oberta/error.h>
#include <oberta/job.h>
#include <oberta/log.h>
#include <oberta/model.h>
#include <oberta/pipeline.h>
#include <oberta/reader.h>
#include <oberta/roberta_config.h>
#include <oberta/sentence.h>
#include <oberta/tokenizer.h>
#include <oberta/version.h>
#include <oberta/writer.h>

#endif
