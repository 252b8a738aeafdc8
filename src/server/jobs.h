/* Jobs in the store: rows of jobs and items, blobs of what came in and went out. A function's changes happen together or not at all, and
 * are on disk when it returns. Any thread; they wait for the disk. */
#ifndef SN_SERVER_JOBS_H
#define SN_SERVER_JOBS_H

#include "server/server.h"

#define SV_JOB_ID 33                     /* 128 random bits as text, its NUL counted */
#define SV_JOB_NAME 256                  /* bytes of an item's name */
#define SV_JOB_ATTEMPTS 8                /* times an item is begun and never ended before it is given up: it seems to end the server */
#define SV_JOB_PAGE 1000                 /* items of one reply */
#define SV_JOB_PAGE_BYTES ((size_t)16 << 20)
#define SV_JOB_EVERY ((int64_t)-1)       /* for a key: jobs of all keys */

typedef enum sv_job_kind { SV_JOB_TRANSCRIBE, SV_JOB_SYNTHESIZE } sv_job_kind;

/* An item that is to be accepted: its options as JSON, and a staged blob (blobs.h) or none. */
typedef struct sv_job_item {
	const char *name;                    /* NULL: none */
	char *params;
	int has_input;
	uint8_t input[32];
	int64_t input_size;
} sv_job_item;

/* SN_E_BUSY: the configuration's max_jobs are waiting or in work. */
int sv_jobs_add(sv_server *server, sv_job_kind kind, int64_t key, const sv_job_item *items, int count, char id[SV_JOB_ID], char *err);
/* Job objects of the API. key: whose jobs are looked for; another's is SN_E_NOT_FOUND. */
int sv_jobs_json(sv_server *server, const char *id, int64_t key, json_t **out, char *err);
int sv_jobs_list(sv_server *server, int64_t key, int limit, json_t **out, char *err);
/* { job, results, next? } with items from `from` on, as many as `limit` and SV_JOB_PAGE_BYTES allow. */
int sv_jobs_results(sv_server *server, const char *id, int64_t key, int64_t from, int limit, json_t **out, char *err);
/* One JobItem; where it has audio, *has_audio, its blob and media type. */
int sv_jobs_result(sv_server *server, const char *id, int64_t key, int64_t at, json_t **out, int *has_audio, uint8_t audio[32], char type[64],
                   char *err);
/* What waits is cancelled at once; what runs by whoever runs it. A job that has ended stays as it is. */
int sv_jobs_cancel(sv_server *server, const char *id, int64_t key, char *err);
/* Cancels, and removes all that is kept of it. */
int sv_jobs_remove(sv_server *server, const char *id, int64_t key, char *err);
/* Removes jobs that ended before a time (seconds since 1970); *count: how many. */
int sv_jobs_retain(sv_server *server, double before, int *count, char *err);

/* ---- for those who do the work ---- */

typedef struct sv_claim {
	char job[SV_JOB_ID];
	sv_job_kind kind;
	int64_t at, attempts;
	sv_key key;
	char name[SV_JOB_NAME];
	json_t *params;                      /* NULL: the row is damaged */
	int has_input;
	uint8_t input[32];
} sv_claim;

/* When nobody works on them any more: items that were in work wait again. orderly: the server ends on purpose, so nothing is held against
 * them. */
int sv_jobs_recover(sv_server *server, int orderly, char *err);
/* How many items wait. */
int sv_jobs_waiting(sv_server *server, int64_t *count, char *err);
/* The next item: of the key that was served least (`served`: the keys of `count` items in work or of late), its oldest job. SN_END: none
 * waits. */
int sv_jobs_claim(sv_server *server, const int64_t *served, int count, sv_claim *out, char *err);
void sv_claim_free(sv_claim *claim);
/* Ends an item: state "done" with its result, or "failed" with a problem; audio (size 0: none) is kept, too. Where the job was cancelled or
 * removed meanwhile, nothing of it is kept. *kept: whether it was. */
int sv_jobs_finish(sv_server *server, const sv_claim *claim, const char *state, const char *result, const void *audio, size_t size,
                   const char *type, int *kept, char *err);

#endif
