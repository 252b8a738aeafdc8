/* One HTTP request inside the server: http.c drives it on the io thread, upload.c takes its body, workers.c runs its handler, reply.c makes
 * its answer. It lives until the io thread has sent the last byte (or lost the client) and the handler has returned. */
#ifndef SN_SERVER_CONNECTION_H
#define SN_SERVER_CONNECTION_H

#include "base/buf.h"
#include "server/form.h"
#include "server/http.h"

#include <gnutls/crypto.h>
#include <microhttpd.h>
#include <pthread.h>

#define SV_MAX_HEADERS 16
#define SV_HEADER 512             /* bytes of a header's value, its NUL counted */
#define SV_STREAM_BUFFER 65536   /* bytes of a streamed reply that wait for the client */
#define SV_MAX_FIELDS 256        /* of a form */
#define SV_MAX_VALUES (1 << 20)   /* of a JSON body */
#define SV_DRAIN ((int64_t)1 << 20) /* bytes of a refused body that are read and forgotten, so that the client reads its answer */

typedef enum sv_stage { SV_RECEIVING, SV_WORKING, SV_REPLYING, SV_UPGRADED } sv_stage; /* UPGRADED: a WebSocket now; no deadline */

struct sv_reply {
	struct sv_connection *connection;
	int answered;                /* json, bytes, fail or begin was called */
	int status, code;            /* code: of a failure, an sn_result */
	struct MHD_Response *response;
	int header_count;
	struct { char name[SV_NAME], value[SV_HEADER]; } header[SV_MAX_HEADERS];
	/* in pieces; under the connection's lock */
	int streaming, ended, complete, waiting; /* waiting: the io thread has suspended the connection for want of bytes */
	char *ring;                  /* [SV_STREAM_BUFFER] */
	size_t first, fill;
	int64_t sent;                /* bytes of the body that were given to the library */
};

typedef struct sv_connection {
	sv_request request;          /* first */
	sv_reply reply;
	struct sv_connection *next, **link; /* all of the server's, io thread */
	struct sv_connection *queued;       /* workers' queue */
	struct MHD_Connection *mhd;
	sv_http *http;
	sv_watch peer;               /* tells that the client went while the connection is suspended */
	sv_stage stage;
	int seen;                    /* the headers were looked at */
	int references;              /* io thread, worker; under the lock */
	int lost;                    /* mhd is not to be used any more; under the lock */
	int timed_out, stopped, went; /* why it was given up: too long, a stop, the client */
	int delivered;               /* the whole reply was handed to the network */
	int entered;                 /* counted by auth.c */
	int closing;                 /* nothing may follow on this connection */
	pthread_mutex_t lock;
	pthread_cond_t room;         /* of the ring */
	char *url;                   /* raw target: path, '?', query */
	/* body */
	enum { SV_BODY_NONE, SV_BODY_JSON, SV_BODY_FORM } body_kind;
	char content_type[64];
	int64_t body_bytes;
	sn_buf body, field;          /* of JSON; of the form field that comes in */
	char field_name[SV_NAME];
	size_t form_bytes;           /* of all fields that are no files, with what each costs */
	json_t *form, *files;
	sv_form *parts;              /* of a form */
	gnutls_hash_hd_t hash;       /* of the upload that comes in */
	/* a mistake found before the handler: reported once the body is through */
	int refused;                 /* an sn_result */
	char refusal[SN_ERRLEN], refused_field[SV_NAME];
	int fd;
	char address[46];            /* the client's; "": not known */
	struct sv_socket *socket;
} sv_connection;

/* A TCP connection, which carries one request after another. */
typedef struct sv_socket {
	struct sv_socket *next, **link;
	int fd;
	double since;                /* it was opened or its last request ended */
	sv_connection *request;
} sv_socket;

/* reply.c */
void sv_reply_open(sv_reply *reply, sv_connection *connection);
void sv_reply_close(sv_reply *reply);
/* Makes a refusal or "the handler has forgotten" an answer. */
void sv_reply_refusal(sv_connection *connection);
enum MHD_Result sv_reply_queue(sv_connection *connection); /* io thread: hands the answer to the library */
/* io thread: how long the client may neither send nor take anything. */
void sv_let_wait(struct MHD_Connection *mhd, double seconds);

/* upload.c */
int sv_open_spool(void); /* an unlinked file below TMPDIR, for reading and writing; -1: errno */
int sv_upload_open(sv_connection *connection, char *err);   /* content type and length: SN_OK or a refusal */
/* A piece of the body. Refusals go to connection->refused; 0: cut the connection. */
int sv_upload_take(sv_connection *connection, const char *data, size_t size);
int sv_upload_finish(sv_connection *connection, char *err); /* checks it against the API */
void sv_upload_close(sv_connection *connection);
int sv_refuse(sv_connection *connection, int code, const char *field, const char *format, ...) __attribute__((format(printf, 4, 5)));

/* workers.c */
typedef struct sv_workers sv_workers;
int sv_workers_open(sv_workers **out, sv_server *server, int count, char *err);
void sv_workers_close(sv_workers **workers); /* those that wait are answered 503 */
/* SN_OK; SN_E_BUSY: the queue is full. */
int sv_workers_add(sv_workers *workers, sv_connection *connection, char *err);
/* Answers those that have waited too long, and lets go of those whose client has gone. */
void sv_workers_expire(sv_workers *workers);
int sv_workers_waiting(sv_workers *workers);
/* 1: the calling worker waits for its client, and another may work meanwhile; -1: it goes on. */
void sv_workers_lend(sv_workers *workers, int change);

/* auth.c: who asks, and whether the route allows it. SN_OK, or the reply is made. */
int sv_auth(sv_connection *connection);

/* http.c: for the others */
void sv_connection_retain(sv_connection *connection);
void sv_connection_release(sv_connection *connection); /* any thread; the last one ends it on the io thread */
void sv_connection_done(sv_connection *connection);  /* worker: the answer is there, or a stream has ended */
void sv_connection_resume(sv_connection *connection); /* any thread */
void sv_connection_resume_locked(sv_connection *connection);

#endif
