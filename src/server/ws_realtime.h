/* What a realtime session is set to, in OpenAI's names of today and of before. */
#ifndef SN_SERVER_WS_REALTIME_H
#define SN_SERVER_WS_REALTIME_H

#include "server/ws_ear.h"

#define WS_ITEM 40

typedef struct ws_realtime_options {
	char model[256], language[32];
	char prompt[1025], keywords[1025]; /* SN_MAX_PROMPT is more than each of a thousand idle sessions should hold */
	const char *format;                /* of sn_reader */
	int rate, detects;                 /* detects: ends of speech, else the client commits */
	float threshold;
	int padding, silence;              /* ms */
	int denoise;
	const char *noise;                 /* static: near_field, far_field, or NULL */
} ws_realtime_options;

typedef struct ws_realtime {
	ws_realtime_options options;
	ws_ear *ear;                       /* NULL: the buffer is empty */
	char id[SV_ID + 8];
	int64_t events, item;              /* numbers: of the last event, of the item that comes next */
	int speaking, committed;           /* the item's speech has begun; its audio is complete */
	double base, heard;                /* seconds before the ear's; of the ear's that belong to items */
	sn_buf text;                       /* of the item */
	void *bytes;                       /* of the piece that is being taken */
	size_t size, at;
} ws_realtime;

void ws_realtime_defaults(ws_realtime_options *options, const char *model);
/* The `session` of session.update, and of transcription_session.update. On failure nothing has changed. */
int ws_realtime_read(ws_realtime_options *options, const json_t *session, char field[SV_NAME], char *err);
int ws_realtime_read_old(ws_realtime_options *options, const json_t *session, char field[SV_NAME], char *err);
json_t *ws_realtime_json(const ws_realtime_options *options, const char *id, int old);

#endif
