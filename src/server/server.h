/* What the files of the server share: the request as a handler sees it, the reply that it makes, and the parts of the server with
 * their owners' contracts. Design: docs/server.md. Handlers run on worker threads unless their route is marked inline; they get only
 * what api/openapi.json allows. */
#ifndef SN_SERVER_SERVER_H
#define SN_SERVER_SERVER_H

#include <sonant/sonant.h>

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define SV_ID 33                         /* bytes of a request id with its NUL */
#define SV_NAME 64

typedef struct sv_server sv_server;
typedef struct sv_request sv_request;
typedef struct sv_reply sv_reply;
typedef void (*sv_handler)(sv_request *request, sv_reply *reply);

/* ---- request ---- */

/* A file that came in a form field: in memory (data) or, beyond SV_MEMORY_UPLOAD, in an unlinked file (fd >= 0, data NULL). */
#define SV_MEMORY_UPLOAD ((size_t)1 << 20)
#define SV_MAX_UPLOADS 1024
typedef struct sv_upload {
	char field[SV_NAME];
	char *file_name;                     /* the client's, only for replies; never opened */
	void *data;
	size_t size;
	int fd;
	uint8_t hash[32];                    /* SHA-256 of the content */
} sv_upload;

typedef struct sv_key {                  /* who asks; anonymous on the loopback: id 0 */
	int64_t id;
	char name[SV_NAME];
	int use, manage;                     /* scopes */
	int per_minute, sessions;            /* limits, 0: the server's */
} sv_key;

/* What a handler has found out about its request, for metrics, usage and the access log; never a text or audio itself. Zero: not known. */
typedef struct sv_facts {
	double audio;                        /* seconds of audio that came in */
	int64_t characters;                  /* of text that came in */
	double speech;                       /* seconds of speech that went out */
	double first;                        /* seconds from the request's arrival to the first piece of its result */
	double processing;                   /* seconds of the engine's session, from opening to end */
	char model[SV_NAME], task[16];       /* "transcribe", "speak", ... */
	float quality, confidence;           /* 1..5; 0..1; 0: none */
	int retries, guards;                 /* other models asked; guards that fired */
	enum { SV_UNCACHED, SV_RESULT_HIT, SV_AUDIO_HIT } cached;
} sv_facts;

struct sv_request {
	sv_server *server;
	const struct sv_route *route;
	char id[SV_ID];
	sv_key key;
	json_t *params;                      /* object: path and query parameters and the body's fields, checked, defaults in */
	sv_upload *uploads;
	int upload_count;
	const char *accept;                  /* header, "" when absent */
	double received, queued, started;    /* monotonic seconds: its first line came, its last byte, a worker took it */
	atomic_int gone;                     /* the client went or the time is over: give up, SN_E_CANCELLED */
	/* what to call from the io thread when the client goes: see sv_request_watch; under the lock */
	pthread_mutex_t *lock;
	void (*cancel)(void *payload);
	void *cancel_payload;
	sn_priority priority;                /* for the engine's sessions; jobs: batch */
	sv_facts facts;
	struct sv_connection *connection;    /* NULL: an item of a job */
};

/* While a session runs: `cancel(payload)` is called (at most once, from another thread) as soon as the client goes or the time is over.
 * NULL ends it; after that it is not called any more. */
void sv_request_watch(sv_request *request, void (*cancel)(void *payload), void *payload);

/* The one upload of a field, or NULL. */
const sv_upload *sv_request_file(const sv_request *request, const char *field);
/* Typed reading of params; absent: the fallback. */
const char *sv_text(const sv_request *request, const char *name, const char *fallback);
double sv_number(const sv_request *request, const char *name, double fallback);
int64_t sv_integer(const sv_request *request, const char *name, int64_t fallback);
int sv_flag(const sv_request *request, const char *name, int fallback);
/* "auto" for OpenAI's names of models, which stand for the server's default; others as they are. */
const char *sv_openai_model(const char *name);
/* The key of a request's result: SHA-256 of its operation, params, uploads, what it accepts, and the model's version (sv_models_version). */
int sv_request_key(const sv_request *request, const uint8_t version[32], uint8_t key[32]);
/* Whether the client would rather have `type` ("audio/") than JSON. */
int sv_accepts(const sv_request *request, const char *type);

/* ---- reply ---- */

/* Exactly one of json, bytes, fail or a stream ends a handler; each may be called once. They take what they are given. */
void sv_reply_header(sv_reply *reply, const char *name, const char *value);
void sv_reply_json(sv_reply *reply, int status, json_t *value);           /* takes the reference; adds request_id to objects */
void sv_reply_bytes(sv_reply *reply, int status, const char *type, void *data, size_t size, void (*release)(void *));
/* Bytes that someone else keeps, and a text behind them (copied, may be ""): release(payload) once they are sent or not wanted. */
void sv_reply_shared(sv_reply *reply, int status, const char *type, const void *data, size_t size, const char *tail,
                     void (*release)(void *payload), void *payload);
/* Takes the descriptor, and sends so many bytes from its beginning. */
void sv_reply_file(sv_reply *reply, int status, const char *type, int fd, int64_t size);
/* A problem, in the shape of the route. code: an sn_result; field: the parameter to blame, or NULL. */
void sv_reply_fail(sv_reply *reply, int code, const char *field, const char *message);
/* The same with a status of its own (401, 405, 415, ...). */
void sv_reply_status(sv_reply *reply, int status, int code, const char *field, const char *message);
void sv_reply_retry(sv_reply *reply, int code, int seconds, const char *message); /* 429 or 503 with Retry-After */
/* A reply in pieces. write waits while the client is slow and returns SN_E_CANCELLED once it has gone. */
int sv_reply_begin(sv_reply *reply, const char *type);
int sv_reply_write(sv_reply *reply, const void *data, size_t size);
void sv_reply_end(sv_reply *reply, int complete);                          /* 0: cut the connection, so that nobody takes it for whole */

/* ---- routes (api.c) ---- */

typedef struct sv_route {
	char method[8], path[96], operation[48];
	enum { SV_SCOPE_NONE, SV_SCOPE_USE, SV_SCOPE_MANAGE } scope;
	int openai;                          /* errors in OpenAI's shape */
	sv_handler handler;
	int runs_inline;                     /* on the io thread: takes no time */
	int (*peek)(sv_request *request, sv_reply *reply);
	json_t *operation_json;              /* of the document */
} sv_route;

/* The handlers, by operationId: each routes_*.c has a table that ends with an empty entry. */
typedef struct sv_operation {
	const char *id;
	sv_handler handler;
	int runs_inline;
	/* On the io thread before the request is queued: 1, and it has replied (a hit of the result cache), or 0. May be NULL. */
	int (*peek)(sv_request *request, sv_reply *reply);
} sv_operation;
extern const sv_operation sv_operations_stt[], sv_operations_tts[], sv_operations_audio[], sv_operations_models[], sv_operations_voices[],
	sv_operations_jobs[], sv_operations_openai_stt[], sv_operations_openai_tts[], sv_operations_health[], sv_operations_page[],
	sv_operations_sockets[];

/* ---- what jobs share with the routes ---- */

/* One item of a batch, as /stt/transcribe and /tts/synthesize would compute it: params are what the API allows, in an upload "file" or in
 * "text". *result is the reply's JSON without request_id. synthesize: *audio (free() it) and its media type beside it; the JSON then has no
 * audio_data. r->priority and r->key decide about its turn. On failure err says why and nothing is given. */
int sv_transcribe_item(sv_request *r, json_t **result, char *err);
int sv_synthesize_item(sv_request *r, json_t **result, void **audio, size_t *size, const char **type, char *err);

/* ---- the server's parts; each is opened by server.c and closed in the reverse order ---- */

struct sv_server {
	const struct sv_config *_Atomic config; /* config.h; a reload puts another in its place, old ones live until the server ends */
	sn_engine *engine;
	struct sv_api *api;
	struct sv_auth_table *auth;
	struct sv_http *http;
	struct sv_workers *workers;
	struct sv_models *models;
	struct sv_metrics *metrics;          /* metrics.h */
	struct sv_log *log;                  /* log.h */
	struct sv_sockets *sockets;          /* sockets.h */
	struct sv_batch *batch;              /* batch.h */
	struct sn_db *db;                    /* store/db.h */
	struct sn_blobs *blobs;              /* store/blobs.h */
	struct sn_cache *results, *audio;    /* store/cache.h */
	struct sn_usage *usage;              /* store/usage.h */
	atomic_int stopping;
	double started;
};

#endif
