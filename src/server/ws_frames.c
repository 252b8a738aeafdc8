#include "server/ws_frames.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <wslay/wslay.h>

#define MAX_REASON 123 /* bytes that a closing frame has room for */

struct ws_frames {
	ws_port port;
	void *payload;
	wslay_event_context_ptr context;
	sn_buf message;      /* the one that comes in */
	ws_kind kind;
	int is_control;      /* the frame that comes in */
	int gone;            /* receive or send said so */
	int failed;          /* the code of a mistake that is ours to tell */
	int ended;           /* a closing frame of ours is queued or sent */
	int raw_sent;        /* the closing frame went around wslay */
};

static ssize_t receive(wslay_event_context_ptr context, uint8_t *to, size_t size, int flags, void *payload) {
	ws_frames *const f = payload;
	(void)flags;
	const ssize_t got = f->port.receive(f->payload, to, size);
	if (got > 0)
		return got;
	f->gone |= got == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
	wslay_event_set_error(context, f->gone ? WSLAY_ERR_CALLBACK_FAILURE : WSLAY_ERR_WOULDBLOCK);
	return -1;
}

static ssize_t send_bytes(wslay_event_context_ptr context, const uint8_t *from, size_t size, int flags, void *payload) {
	ws_frames *const f = payload;
	(void)flags;
	const ssize_t sent = f->port.send(f->payload, from, size);
	if (sent > 0)
		return sent;
	f->gone |= sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR;
	wslay_event_set_error(context, f->gone ? WSLAY_ERR_CALLBACK_FAILURE : WSLAY_ERR_WOULDBLOCK);
	return -1;
}

static void fail(ws_frames *f, int code, const char *reason) {
	f->failed = code;
	ws_frames_end(f, code, reason);
	wslay_event_shutdown_read(f->context);
}

/* Messages are put together here and not by wslay, whose cost for each of many tiny fragments is large. */
static void frame_begins(wslay_event_context_ptr context, const struct wslay_event_on_frame_recv_start_arg *frame, void *payload) {
	ws_frames *const f = payload;
	(void)context;
	if (frame->opcode == WSLAY_CONNECTION_CLOSE && frame->payload_length == 1)
		fail(f, WS_PROTOCOL, "a closing frame of one byte");
	f->is_control = wslay_is_ctrl_frame(frame->opcode);
	if (f->is_control)
		return;
	if (frame->opcode != WSLAY_CONTINUATION_FRAME) {
		f->kind = frame->opcode == WSLAY_TEXT_FRAME ? WS_TEXT : WS_BINARY;
		sn_buf_clear(&f->message);
	}
	const size_t most = f->kind == WS_TEXT ? f->port.max_text : f->port.max_binary;
	if (frame->payload_length > most || f->message.size + frame->payload_length > most)
		fail(f, WS_TOO_BIG, f->kind == WS_TEXT ? "the text message is too long" : "the binary message is too long");
}

static void frame_goes_on(wslay_event_context_ptr context, const struct wslay_event_on_frame_recv_chunk_arg *chunk, void *payload) {
	ws_frames *const f = payload;
	if (f->failed || f->is_control || !chunk->data_length || !wslay_event_get_read_enabled(context))
		return;
	if (sn_buf_add(&f->message, chunk->data, chunk->data_length) != SN_OK)
		fail(f, WS_TRY_LATER, "no memory for the message");
}

static void message_is_there(wslay_event_context_ptr context, const struct wslay_event_on_msg_recv_arg *message, void *payload) {
	ws_frames *const f = payload;
	(void)context;
	if (f->failed)
		return;
	if (message->opcode == WSLAY_PING || message->opcode == WSLAY_PONG) {
		f->port.message(f->payload, message->opcode == WSLAY_PING ? WS_PING : WS_PONG, NULL, 0);
	} else if (message->opcode == WSLAY_TEXT_FRAME || message->opcode == WSLAY_BINARY_FRAME) {
		f->port.message(f->payload, f->kind, f->message.data ? f->message.data : "", f->message.size);
		sn_buf_free(&f->message); /* an idle session holds none */
		sn_buf_init(&f->message, f->port.max_text > f->port.max_binary ? f->port.max_text : f->port.max_binary);
	}
}

int ws_frames_open(ws_frames **out, const ws_port *port, void *payload, char *err) {
	static const struct wslay_event_callbacks callbacks = { receive, send_bytes, NULL, frame_begins, frame_goes_on, NULL, message_is_there };
	const size_t most = port->max_text > port->max_binary ? port->max_text : port->max_binary;
	ws_frames *const f = *out = calloc(1, sizeof *f);
	if (!f || wslay_event_context_server_init(&f->context, &callbacks, f) != 0) {
		free(f);
		*out = NULL;
		return sn_fail(err, SN_E_MEMORY, "no memory for a WebSocket");
	}
	f->port = *port;
	f->payload = payload;
	sn_buf_init(&f->message, most);
	wslay_event_config_set_no_buffering(f->context, 1);
	wslay_event_config_set_max_recv_msg_length(f->context, INT64_MAX); /* frame_begins knows better */
	return SN_OK;
}

void ws_frames_close(ws_frames **held) {
	ws_frames *const f = *held;
	*held = NULL;
	if (!f)
		return;
	wslay_event_context_free(f->context);
	sn_buf_free(&f->message);
	free(f);
}

/* wslay queues a closing frame without a code for malformed headers. Where nothing else is on its way, one with the code is sent instead. */
static void tell_protocol_error(ws_frames *f) {
	static const uint8_t frame[4] = { 0x88, 2, WS_PROTOCOL >> 8, WS_PROTOCOL & 0xff };
	if (wslay_event_get_queued_msg_count(f->context) != 1)
		return;
	f->raw_sent = f->port.send(f->payload, frame, sizeof frame) == sizeof frame;
	if (f->raw_sent)
		wslay_event_shutdown_write(f->context);
}

int ws_frames_read(ws_frames *f) {
	const int result = wslay_event_recv(f->context);
	if (result != 0 && !f->gone && !f->failed)
		tell_protocol_error(f);
	return f->gone ? SN_END : SN_OK;
}

int ws_frames_write(ws_frames *f) {
	const int result = wslay_event_send(f->context);
	if (f->gone || result != 0)
		return SN_END;
	return wslay_event_want_write(f->context) ? SN_AGAIN : SN_OK;
}

int ws_frames_queue(ws_frames *f, ws_kind kind, const void *data, size_t size) {
	const struct wslay_event_msg message = { .opcode = (uint8_t)kind, .msg = data, .msg_length = size };
	const int result = wslay_event_queue_msg(f->context, &message);
	return result == 0 ? SN_OK : result == WSLAY_ERR_NOMEM ? SN_E_MEMORY : SN_E_CLOSED;
}

void ws_frames_end(ws_frames *f, int code, const char *reason) {
	const size_t size = reason ? strlen(reason) : 0;
	f->ended = 1;
	wslay_event_queue_close(f->context, (uint16_t)code, (const uint8_t *)reason, size < MAX_REASON ? size : MAX_REASON);
}

int ws_frames_pending(const ws_frames *f) { return wslay_event_want_write(f->context); }

int ws_frames_reading(const ws_frames *f) { return !f->gone && !f->failed && !f->raw_sent && wslay_event_want_read(f->context); }

int ws_frames_answered(const ws_frames *f) { return wslay_event_get_close_received(f->context); }

int ws_frames_ended(const ws_frames *f) {
	return f->raw_sent || f->ended || wslay_event_get_close_received(f->context) || wslay_event_get_close_sent(f->context);
}
