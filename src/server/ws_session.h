/* A WebSocket session: its frames belong to the io thread, its work is a strand that one worker thread at a time runs. A protocol (ws_stt.c,
 * ws_tts.c, ws_realtime.c) sees messages and sends messages, and never waits: what cannot go on now is run again when it can. */
#ifndef SN_SERVER_WS_SESSION_H
#define SN_SERVER_WS_SESSION_H

#include "server/server.h"
#include "server/sockets.h"
#include "server/ws_frames.h"

#define WS_MAX_TEXT ((size_t)64 << 10)     /* bytes of a control message */
#define WS_MAX_BINARY ((size_t)1 << 20)    /* bytes of a piece of audio */
#define WS_MAX_EVENT ((size_t)16 << 20)    /* bytes of a message of OpenAI's, which holds its audio */
#define WS_MAX_INBOX ((size_t)256 << 10)   /* bytes that wait for their turn, beyond which nothing is read */
#define WS_MAX_OUTBOX ((size_t)256 << 10)  /* bytes that wait for a slow client, beyond which nothing is pulled from the engine */

typedef struct ws_session ws_session;

typedef struct ws_message {
	struct ws_message *next;
	int is_text;
	double came;             /* when; monotonic */
	size_t size, at;         /* at: the protocol's, what of it was taken */
	json_t *json;            /* of a text, once ws_message_json was asked */
	char data[];             /* size bytes, and a NUL */
} ws_message;

typedef struct ws_protocol {
	enum { WS_TRANSCRIBE, WS_SPEAK, WS_REALTIME } kind;
	const char *subprotocol;               /* that the client may ask for; NULL: none */
	int openai;                            /* errors in OpenAI's shape */
	size_t max_text, max_binary, state_size;
	void (*begin)(ws_session *s, void *state);
	/* SN_OK: it was taken; SN_AGAIN: the same again later. A failure was told by ws_fail. */
	int (*take)(ws_session *s, void *state, ws_message *message);
	int (*run)(ws_session *s, void *state); /* fetches and sends results; 1: there were some */
	void (*end)(ws_session *s, void *state);
} ws_protocol;
extern const ws_protocol ws_stt_protocol, ws_tts_protocol, ws_realtime_protocol;

/* ---- for protocols; in the strand ---- */

sv_request *ws_request(const ws_session *s); /* who asks, and the facts to be filled in */
sv_server *ws_server(const ws_session *s);

/* The object of a text message, borrowed from it, with a "type". NULL: it is none, and that was told. */
json_t *ws_message_json(ws_session *s, ws_message *message);

void ws_send(ws_session *s, json_t *value);            /* takes the reference */
void ws_send_audio(ws_session *s, const void *data, size_t size);
void ws_drop_audio(ws_session *s);                     /* what of it has not been sent */
int ws_has_room(ws_session *s);                        /* 0: the client is slow; the strand runs again when there is room */
/* An error message; fatal: the session ends with 4000 and the code's HTTP status. field: what is to blame, or NULL. Returns code. */
int ws_fail(ws_session *s, int code, const char *field, const char *message, int fatal);
void ws_close(ws_session *s, int code, const char *reason); /* behind what was sent */

void ws_wake(void *session);                           /* from any thread: runs the strand soon */
/* While an engine's session runs: called at most once, from another thread, when the client is gone. NULL ends it. */
void ws_watch(ws_session *s, void (*cancel)(void *payload), void *payload);
/* Runs the strand once the descriptor can be read, or written, too. -1: none. Before it is closed. */
void ws_watch_fd(ws_session *s, int fd, int write_too);

/* A transcription begins (1) or ends (-1); how many there are then. */
int ws_listening(ws_session *s, int change);

/* ---- for upgrade.c and sockets.c; io thread ---- */

struct MHD_UpgradeResponseHandle;
/* The connection is the session's from now on, with the bytes that came too early. */
void ws_session_open(sv_sockets *sockets, sv_request *request, const ws_protocol *protocol, struct MHD_UpgradeResponseHandle *handle, int fd,
                     const char *early, size_t early_size);

#endif
