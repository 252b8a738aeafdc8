/* Jobs of the batch routes: accepted into the store (SQLite, blobs), worked on by threads of their own at the lowest priority, taken up
 * again after a restart. */
#ifndef SN_SERVER_BATCH_H
#define SN_SERVER_BATCH_H

#include "server/server.h"

typedef struct sv_batch sv_batch;

int sv_batch_open(sv_batch **out, sv_server *server, char *err);
void sv_batch_close(sv_batch **batch);   /* items in work are cancelled and stay queued */
void sv_batch_tick(sv_batch *batch);     /* io thread, every second: starts the removal of what is kept no longer */
typedef struct sv_batch_facts { int64_t queued, running, done, failed; } sv_batch_facts;
void sv_batch_describe(sv_batch *batch, sv_batch_facts *facts);

#endif
