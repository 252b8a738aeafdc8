/* Those who work on jobs (jobs.h): threads of their own at the lowest priority, `batch_sessions` items at once. After a restart they go on
 * with what was not finished. */
#ifndef SN_SERVER_BATCH_H
#define SN_SERVER_BATCH_H

#include "server/server.h"

#define SV_BATCH_MOST 64                 /* items at once */

typedef struct sv_batch sv_batch;

int sv_batch_open(sv_batch **out, sv_server *server, char *err);
void sv_batch_close(sv_batch **batch);   /* items in work are cancelled and stay queued */
/* Every second, from a thread that may wait: removes what is kept no longer, takes over a changed number of items. */
void sv_batch_tick(sv_batch *batch);
/* Jobs have come or gone. */
void sv_batch_wake(sv_batch *batch);
/* A job was cancelled or removed: its items in work are stopped. */
void sv_batch_stop_job(sv_batch *batch, const char *id);

/* queued: items that wait; done, failed: since the start. full: results wait for room on the disk. From memory. */
typedef struct sv_batch_facts { int64_t queued, running, done, failed; int full; } sv_batch_facts;
void sv_batch_describe(sv_batch *batch, sv_batch_facts *facts);

#endif
