/* One transcription that a request asks for, whatever route it came by: the audio and options as the engine wants them, the keys of both
 * caches, and the transcript out of the audio cache or out of a model. */
#ifndef SN_SERVER_STT_CALL_H
#define SN_SERVER_STT_CALL_H

#include "server/models.h"
#include "server/server.h"
#include "store/cache.h"

#define SV_FORM 160 /* bytes of a form's name, its NUL counted */

typedef struct sv_stt_call {
	/* set by sv_stt_init and the route */
	sv_request *request;
	const char *model;               /* name, alias or "auto" */
	sn_stt_options o;
	const char *retry[SN_MAX_RETRIES];
	char *text;                      /* that an option points to; free()d with the call */
	char form[SV_FORM];              /* names what is made of the transcript: part of the result's key */
	void (*segment)(void *payload, const sn_segment *segment); /* may be NULL: each segment, in order, as it is ready */
	void *payload;
	/* what came of it */
	const char *field;               /* after a failure: the parameter to blame, or NULL */
	int keyed;                       /* the keys below hold: it may be cached */
	uint8_t audio_key[32], result_key[32];
	/* inside */
	const sv_upload *upload;
	void *decoded;                   /* audio_data's bytes */
	size_t decoded_size;
	json_t *names;                   /* of retry models and the punctuation's, as the list of models says them */
	sv_model_use use;
	double began, length;            /* seconds of audio beyond the limit, 0: within */
} sv_stt_call;

void sv_stt_init(sv_stt_call *call, sv_request *request);
void sv_stt_close(sv_stt_call *call);

/* io thread: the keys, where they can be had in no time. SN_OK or SN_AGAIN. */
int sv_stt_peek(sv_stt_call *call);
/* Finds the audio and takes a use of the model; makes the keys. The options must stand. */
int sv_stt_open(sv_stt_call *call, char *err);

typedef struct sv_transcript {
	sn_transcript *t;
	int is_record;                   /* of the audio cache */
} sv_transcript;

/* After sv_stt_open. Fills in the request's facts. Errors: SN_E_LIMIT (longer than max_duration), those of sn_transcribe_file. */
int sv_stt_transcribe(sv_stt_call *call, sv_transcript *out, char *err);
void sv_transcript_release(sv_transcript *transcript);

/* A parameter as a field of sn_vad_settings: absent the default, 0 none. */
int sv_stt_milliseconds(const sv_request *request, const char *name);
/* The native options of a request's parameters; field and message where one is wrong. */
int sv_stt_options(sv_stt_call *call, char *err);

#endif
