/* One live transcription inside a WebSocket: bytes of audio in, events of the engine out. No call waits (but for a model to load): SN_AGAIN, and
 * the session's strand runs again when it may go on. */
#ifndef SN_SERVER_WS_EAR_H
#define SN_SERVER_WS_EAR_H

#include "server/models.h"
#include "server/ws_session.h"

#define WS_ARRIVALS 64 /* pieces of audio whose arrival is remembered */

typedef struct ws_ear_options {
	const char *model;
	sn_stt_options o;              /* language, task, ...; live, priority, share and ready are filled in */
	sn_reader_options reader;
	int live;                      /* wanted */
} ws_ear_options;

typedef struct ws_ear {
	ws_session *session;
	ws_ear_options options;
	json_t *owner;                 /* of the options' texts */
	sv_model_use use;
	sn_model_info info;
	int live, awake;               /* it is; counts among those who listen */
	sn_reader *reader;
	sn_stt *stt;                   /* NULL, as are reader and block: no audio came yet */
	float *block;                  /* decoded, not yet taken by the engine */
	size_t at, count;
	int finishing, finished;       /* no more bytes come; the engine knows it */
	int64_t samples;               /* the engine has */
	double began, first_came, last_came;
	double first;                  /* seconds from the first audio to the first text */
	float confidence;              /* of the first segment */
	int failed;
	struct { double until, came; } arrivals[WS_ARRIVALS]; /* a ring: audio up to `until` seconds came at `came` */
	int arrival;
} ws_ear;

/* Loads the model where needed and checks the options; what costs memory waits for the first audio. owner: holds the options' texts, or NULL:
 * they outlive the ear. *field: the option to blame, or NULL. */
int ws_ear_open(ws_ear **out, ws_session *session, const ws_ear_options *options, json_t *owner, const char **field, char *err);
void ws_ear_close(ws_ear **ear);      /* fills in the request's facts */

/* Takes of data what it can: *taken bytes. SN_OK: all of it. came: when it came. */
int ws_ear_push(ws_ear *ear, const void *data, size_t size, size_t *taken, double came, char *err);
int ws_ear_finish(ws_ear *ear, char *err);
/* The next event; SN_AGAIN, SN_END, or an error. latency: seconds since the audio that it rests on came; below 0: not known. */
int ws_ear_pull(ws_ear *ear, sn_event *event, double *latency, char *err);
double ws_ear_seconds(const ws_ear *ear); /* of audio that came */

#endif
