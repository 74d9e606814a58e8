/* Log lines go to one sink that the program installs; without one they are dropped. The library itself never prints.
 *
 * Install the sink before other threads start; it may be called from any thread. */
#ifndef OBERTA_LOG_H
#define OBERTA_LOG_H

#include <oberta/api.h>
#include <oberta/error.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum ob_log_level { OB_LOG_WARN, OB_LOG_INFO, OB_LOG_DEBUG } ob_log_level;

/* `text` is one line without its end. `topic` names the room: "cache", "gemm", "tokenizer". */
typedef void (*ob_log_sink)(void *user, ob_log_level level, const char *topic, const char *text);

/* `sink` NULL drops everything. Lines above `max_level` are not even formatted. */
OB_API void ob_log_set_sink(ob_log_sink sink, void *user, ob_log_level max_level);

OB_API bool ob_log_enabled(ob_log_level level);

OB_API void ob_log(ob_log_level level, const char *topic, const char *format, ...) OB_PRINTF(3, 4);

#ifdef __cplusplus
}
#endif
#endif
