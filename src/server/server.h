/* What the files of the server share: the request as a handler sees it, the reply that it makes, and the parts of the server with
 * their owners' contracts. Design: docs/server.md. Handlers run on worker threads unless their route is marked inline; they get only
 * what api/openapi.json allows. */
#ifndef SN_SERVER_SERVER_H
#define SN_SERVER_SERVER_H

#include <sonant/sonant.h>

#include <jansson.h>
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

struct sv_request {
	sv_server *server;
	const struct sv_route *route;
	char id[SV_ID];
	sv_key key;
	json_t *params;                      /* object: path and query parameters and the body's fields, checked, defaults in */
	sv_upload *uploads;
	int upload_count;
	const char *accept;                  /* header, "" when absent */
	uint8_t hash[32];                    /* of route, params and uploads: the result cache's key before the model's version is known */
	double received, started;            /* monotonic seconds */
	atomic_int gone;                     /* the client went or the time is over: give up, SN_E_CANCELLED */
	/* what to call from the io thread when the client goes: see sv_request_watch */
	void (*cancel)(void *payload);
	void *cancel_payload;
	struct sv_connection *connection;
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
/* Whether the client would rather have `type` ("audio/") than JSON. */
int sv_accepts(const sv_request *request, const char *type);

/* ---- reply ---- */

/* Exactly one of json, bytes, fail or a stream ends a handler; each may be called once. They take what they are given. */
void sv_reply_header(sv_reply *reply, const char *name, const char *value);
void sv_reply_json(sv_reply *reply, int status, json_t *value);           /* takes the reference; adds request_id to objects */
void sv_reply_bytes(sv_reply *reply, int status, const char *type, void *data, size_t size, void (*release)(void *));
/* A problem, in the shape of the route. code: an sn_result; field: the parameter to blame, or NULL. */
void sv_reply_fail(sv_reply *reply, int code, const char *field, const char *message);
/* The same with a status of its own (401, 405, 415, ...). */
void sv_reply_status(sv_reply *reply, int status, int code, const char *field, const char *message);
void sv_reply_retry(sv_reply *reply, int code, int seconds, const char *message); /* 429 or 503 with Retry-After */
/* A reply in pieces. write waits while the client is slow and returns SN_E_CANCELLED once it has gone. */
int sv_reply_begin(sv_reply *reply, const char *type);
int sv_reply_write(sv_reply *reply, const void *data, size_t size);
void sv_reply_end(sv_reply *reply, int complete);                          /* 0: cut the connection, so that nobody takes it for whole */
/* The final bytes of this reply may be kept by the result cache under that key (32 bytes). */
void sv_reply_cache(sv_reply *reply, const uint8_t key[32]);


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
	sv_operations_jobs[], sv_operations_openai[], sv_operations_health[], sv_operations_page[];

/* ---- the server's parts; each is opened by server.c and closed in the reverse order ---- */

struct sv_server {
	const struct sv_config *_Atomic config; /* config.h; a reload puts another in its place, old ones live until the server ends */
	sn_engine *engine;
	struct sv_api *api;
	struct sv_auth_table *auth;
	struct sv_http *http;
	struct sv_workers *workers;
	struct sv_models *models;
	struct sv_metrics *metrics;
	struct sv_log *log;
	struct sv_sockets *sockets;
	struct sv_batch *batch;
	struct sn_db *db;                    /* store/db.h */
	struct sn_cache *results, *audio;    /* store/cache.h */
	atomic_int stopping;
	double started;
};

#endif
