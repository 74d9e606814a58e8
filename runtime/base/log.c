/* The log sink is the library's only global. */
#include <oberta/log.h>
#include <stdio.h>

static struct {
    ob_log_sink sink;
    void *user;
    ob_log_level max_level;
} log_state;

void ob_log_set_sink(ob_log_sink sink, void *user, ob_log_level max_level)
{
    log_state.sink = sink;
    log_state.user = user;
    log_state.max_level = max_level;
}

bool ob_log_enabled(ob_log_level level)
{
    return log_state.sink != NULL && level <= log_state.max_level;
}

void ob_log(ob_log_level level, const char *topic, const char *format, ...)
{
    if (!ob_log_enabled(level))
        return;
    char text[2048];
    va_list args;
    va_start(args, format);
    int written = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (written >= 0)
        log_state.sink(log_state.user, level, topic, text);
}
