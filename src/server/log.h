/* The access log (one JSON line a request, with its id; no audio, no text, no keys) and the server's own remarks. */
#ifndef SN_SERVER_LOG_H
#define SN_SERVER_LOG_H

#include "server/server.h"

typedef struct sv_log sv_log;

/* Opens the files that the configuration names; takes the library's remarks too (sn_log_set). */
int sv_log_open(sv_log **out, sv_server *server, char *err);
void sv_log_close(sv_log **log);
/* Opens the files anew (after a rotation), and takes over a changed level. */
void sv_log_reopen(sv_log *log);
/* A remark; NULL log: nothing. */
void sv_log_say(sv_log *log, sn_log_level level, const char *format, ...) __attribute__((format(printf, 3, 4)));
void sv_log_request(sv_log *log, const sv_request *request, int status, int64_t bytes_in, int64_t bytes_out);

#endif
