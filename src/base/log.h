/* The logger: the library's one piece of global state. Silent unless a sink is set. */
#ifndef SN_BASE_LOG_H
#define SN_BASE_LOG_H

#include <sonant/sonant.h>

void sn_log(sn_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
