/* What sockets.c (all sessions, their threads) and ws_session.c (one session) share. */
#ifndef SN_SERVER_WS_INNER_H
#define SN_SERVER_WS_INNER_H

#include "server/config.h"
#include "server/connection.h"
#include "server/http.h"
#include "server/ws_session.h"

typedef struct ws_out {
	struct ws_out *next;
	int kind;                /* ws_kind; 0: a closing frame */
	int code;
	size_t size;
	char data[];
} ws_out;

struct ws_session {
	sv_sockets *sockets;
	const ws_protocol *protocol;
	sv_connection *connection;
	/* io thread */
	ws_session *next, **link;
	struct MHD_UpgradeResponseHandle *handle;
	sv_watch watch;
	uint32_t polled;
	ws_frames *frames;
	char *early;             /* bytes that came with the handshake */
	size_t early_at, early_size;
	size_t budget;           /* bytes that may still be read in this turn */
	size_t flying;           /* bytes of the message that the frames have */
	double heard, pinged, active, progress, ending;
	enum { WS_OPEN, WS_CLOSING, WS_LINGERING, WS_LOST, WS_OVER } phase;
	/* the strands' lock */
	ws_session *queued;
	enum { WS_IDLE, WS_QUEUED, WS_RUNNING, WS_AGAIN, WS_ENDED } strand;
	/* strand */
	int begun, ended, failures;
	void *state;
	/* the session's lock */
	pthread_mutex_t lock;
	ws_message *first, **last;
	size_t inbox;
	ws_out *out, **out_last;
	size_t outbox;
	int closing;             /* nothing more is taken or sent */
	int stalled, posted;
	atomic_int gone;         /* the connection is lost: the strand ends */
	void (*cancel)(void *payload);
	void *cancel_payload;
	sv_watch aux;            /* the descriptor of ws_watch_fd */
	int aux_new, aux_write;
	int64_t bytes_in, bytes_out;
};

struct sv_sockets {
	sv_server *server;
	sv_watch timer;
	ws_session *sessions;    /* io thread */
	pthread_mutex_t lock;    /* the strands */
	pthread_cond_t news;
	ws_session *first, **last;
	int stopping, thread_count;
	pthread_t *threads;
	atomic_int count[3], listening;
	atomic_llong opened, bytes_in, bytes_out;
};

/* ws_session.c */
void ws_session_tick(ws_session *s, double now);
void ws_session_stop(ws_session *s, int code, const char *reason);
void ws_session_run(ws_session *s);             /* strand */
void ws_session_free(ws_session *s);            /* no thread runs strands any more */
void ws_session_turn(void *session);
/* sockets.c */
void ws_schedule(ws_session *s);

#endif
