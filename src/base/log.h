/* The logger: the library's one piece of global state. Silent unless a sink is set. */
#ifndef SN_BASE_LOG_H
#define SN_BASE_LOG_H

typedef enum sn_log_level { SN_LOG_ERROR, SN_LOG_WARN, SN_LOG_INFO, SN_LOG_DEBUG } sn_log_level;

/* The sink may be called from any thread, one call at a time. NULL silences. */
typedef void (*sn_log_sink)(sn_log_level level, const char *text, void *payload);
void sn_log_set(sn_log_level most, sn_log_sink sink, void *payload);

void sn_log(sn_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
