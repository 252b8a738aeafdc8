/* Bytes after the handshake: the frames, their messages, and what is parsed of them. The first byte says how the rest is cut into reads. */
#include "server/base64.h"
#include "server/ws_frames.h"
#include "server/ws_realtime.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct wire {
	const uint8_t *data;
	size_t size, at, piece;
	int hungry;              /* the last read was refused */
	size_t sent, seen;
	ws_frames *frames;
} wire;

static ssize_t receive(void *payload, void *to, size_t size) {
	wire *const w = payload;
	w->hungry = !w->hungry;
	if (w->hungry && w->piece & 1) { /* nothing there just now */
		errno = EAGAIN;
		return -1;
	}
	size_t count = w->size - w->at < w->piece ? w->size - w->at : w->piece;
	count = count < size ? count : size;
	memcpy(to, w->data + w->at, count);
	w->at += count;
	return (ssize_t)count;
}

static ssize_t send_bytes(void *payload, const void *from, size_t size) {
	wire *const w = payload;
	w->sent += ((const uint8_t *)from)[size - 1] & 1;
	return (ssize_t)(size < w->piece ? size : w->piece);
}

static void parse(const char *text, size_t size) {
	json_error_t error;
	ws_realtime_options options;
	char field[SV_NAME], err[SN_ERRLEN];
	void *bytes = NULL;
	size_t count;
	json_t *const json = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
	const json_t *const session = json_object_get(json, "session"), *const audio = json_object_get(json, "audio");
	ws_realtime_defaults(&options, "auto");
	if (json && ws_realtime_read(&options, session, field, err) == SN_OK)
		json_decref(ws_realtime_json(&options, "sess", 0));
	if (json && ws_realtime_read_old(&options, session, field, err) == SN_OK)
		json_decref(ws_realtime_json(&options, "sess", 1));
	if (json_is_string(audio) && sv_base64_decode(&bytes, &count, json_string_value(audio), json_string_length(audio), "audio", err) == SN_OK)
		free(bytes);
	json_decref(json);
}

static void take(void *payload, ws_kind kind, const void *data, size_t size) {
	wire *const w = payload;
	if (kind != WS_TEXT && kind != WS_BINARY)
		return;
	for (size_t i = 0; i < size; i++)
		w->seen += ((const uint8_t *)data)[i];
	if (kind == WS_TEXT)
		parse(data, size);
	ws_frames_queue(w->frames, kind, data, size);
	ws_frames_write(w->frames);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	const ws_port port = { receive, send_bytes, take, 4096, 65536 };
	wire w = { .data = data + 1, .size = size ? size - 1 : 0, .piece = size ? (size_t)data[0] + 1 : 1 };
	char err[SN_ERRLEN];
	if (!size || ws_frames_open(&w.frames, &port, &w, err) != SN_OK)
		return 0;
	while (ws_frames_read(w.frames) == SN_OK && ws_frames_reading(w.frames) && w.at < w.size)
		while (ws_frames_write(w.frames) == SN_AGAIN)
			;
	ws_frames_end(w.frames, WS_NORMAL, "done");
	while (ws_frames_write(w.frames) == SN_AGAIN)
		;
	ws_frames_close(&w.frames);
	return 0;
}
