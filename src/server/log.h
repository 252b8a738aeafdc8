/* The access log (one JSON line a request, with its id; no audio, no text, no file names, no keys) and the server's own remarks, JSON lines
 * on standard error. Lines are handed to a thread that writes them: nobody waits for a disk. Where it cannot keep up, lines are dropped
 * and counted. */
#ifndef SN_SERVER_LOG_H
#define SN_SERVER_LOG_H

#include "server/server.h"

#define SV_LOG_LINE 2048                  /* bytes of a line */
#define SV_LOG_WAITING ((size_t)4 << 20)  /* bytes that wait to be written, beyond which lines are dropped */

typedef struct sv_log sv_log;

/* Opens the file that the configuration names; takes the library's remarks too (sn_log_set). SN_E_IO: the file cannot be opened. */
int sv_log_open(sv_log **out, sv_server *server, char *err);
void sv_log_close(sv_log **log);          /* what waits is written */
/* Opens the file anew (after a rotation or a reload) and takes over a changed level. Never waits; NULL log: nothing. */
void sv_log_reopen(sv_log *log);
/* A remark; NULL log: nothing. It must not hold a client's audio or text. */
void sv_log_say(sv_log *log, sn_log_level level, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Asking for health or metrics is logged at level debug only. Any thread. */
void sv_log_request(sv_log *log, const sv_request *request, int status, int64_t bytes_in, int64_t bytes_out);
int64_t sv_log_dropped(sv_log *log);      /* lines; NULL: 0 */

#endif
