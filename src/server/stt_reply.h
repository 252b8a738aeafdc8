/* What becomes of a transcript on its way out: bytes in a format, the result cache round them, events of a stream, failures. */
#ifndef SN_SERVER_STT_REPLY_H
#define SN_SERVER_STT_REPLY_H

#include "server/stt_call.h"

/* What a route makes of a transcript. */
typedef struct sv_stt_body {
	char *data;                      /* free() it */
	size_t size;
	const char *type;                /* media type, static */
	int open;                        /* a JSON object whose processing_time and request_id are added to each reply */
} sv_stt_body;

typedef int (*sv_stt_write)(const sv_stt_call *call, const sn_transcript *t, sv_stt_body *body, char *err);

/* io thread: the reply, where the result cache has it in memory: 1. The call is closed either way. */
int sv_stt_answer_at_once(sv_stt_call *call, sv_reply *reply);
/* The whole way from a prepared call to the reply; closes the call. */
void sv_stt_answer(sv_stt_call *call, sv_reply *reply, sv_stt_write write);
/* The same for what is no reply: the object, with processing_time; closes the call. write makes an open body. */
int sv_stt_result(sv_stt_call *call, json_t **result, sv_stt_write write, char *err);

/* A failure in the shape and with the status that the route's clients expect. */
void sv_stt_fail(const sv_stt_call *call, sv_reply *reply, int code, const char *message);

/* Codes of a transcript's notes: "no_speech, clipped". */
void sv_stt_note_codes(const sn_transcript *t, char *text, size_t size);

/* Server-sent events; the reply begins with the first one. */
typedef struct sv_events { sv_reply *reply; int begun; } sv_events;
/* name: NULL for none. Takes data; a client that has gone is found out elsewhere. */
void sv_events_send(sv_events *events, const char *name, json_t *data);
void sv_events_text(sv_events *events, const char *text);

#endif
