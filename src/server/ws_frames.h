/* The frames of one WebSocket (RFC 6455) by wslay: bytes in, whole messages out, and the other way. It knows no sockets: bytes come and go
 * by two functions that never wait. Masking, fragments, UTF-8, sizes and closing are checked here. */
#ifndef SN_SERVER_WS_FRAMES_H
#define SN_SERVER_WS_FRAMES_H

#include "base/buf.h"

#include <stdint.h>
#include <sys/types.h>

/* What a closing frame says (RFC 6455, 7.4.1). Errors of a session are 4000 and their HTTP status. */
enum { WS_NORMAL = 1000, WS_GOING_AWAY = 1001, WS_PROTOCOL = 1002, WS_NOT_UTF8 = 1007, WS_POLICY = 1008, WS_TOO_BIG = 1009, WS_TRY_LATER = 1013 };

typedef enum ws_kind { WS_TEXT = 1, WS_BINARY = 2, WS_PING = 9, WS_PONG = 10 } ws_kind;

typedef struct ws_port {
	/* As recv and send with MSG_DONTWAIT: -1 and EAGAIN where there is nothing to read or no room; receive: 0 at the end. */
	ssize_t (*receive)(void *payload, void *to, size_t size);
	ssize_t (*send)(void *payload, const void *from, size_t size);
	/* A whole message; the data is the frames' until the function returns. Pings are answered, pongs are told (size 0). */
	void (*message)(void *payload, ws_kind kind, const void *data, size_t size);
	size_t max_text, max_binary; /* bytes of a message */
} ws_port;

typedef struct ws_frames ws_frames;

int ws_frames_open(ws_frames **out, const ws_port *port, void *payload, char *err);
void ws_frames_close(ws_frames **frames);

/* Reads and hands over what there is. SN_OK; SN_END: the peer has gone without a closing frame. What breaks the protocol queues a closing
 * frame and ends the reading. */
int ws_frames_read(ws_frames *frames);
/* Writes what is queued, as far as there is room. SN_OK: all of it; SN_AGAIN: more when there is room; SN_END: the peer has gone. */
int ws_frames_write(ws_frames *frames);

/* Queues a message (copied) or a closing frame, which is sent behind the message that is on its way. SN_E_CLOSED after a closing frame. */
int ws_frames_queue(ws_frames *frames, ws_kind kind, const void *data, size_t size);
void ws_frames_end(ws_frames *frames, int code, const char *reason);

int ws_frames_pending(const ws_frames *frames); /* something is queued */
int ws_frames_reading(const ws_frames *frames); /* no closing frame was received, nothing was malformed */
int ws_frames_answered(const ws_frames *frames); /* the peer has sent its closing frame */
int ws_frames_ended(const ws_frames *frames);   /* a closing frame is queued or sent */

#endif
