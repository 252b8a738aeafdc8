/* What the routes that speak share: the wish read from a request, the speech made or taken from the audio cache, and what is told of
 * it. */
#ifndef SN_SERVER_TTS_SPEECH_H
#define SN_SERVER_TTS_SPEECH_H

#include "server/models.h"

#define TTS_MOST_KEPT ((size_t)16 << 20)       /* samples of one speech that the audio cache takes */
#define TTS_MOST_REPLY ((size_t)512 << 20)     /* bytes of audio that are not streamed */
#define TTS_PIECE 2048                         /* bytes of text pushed at once, so that the first sound waits for no long text */

/* Borrows from the request. */
typedef struct tts_wish {
	const char *text, *model, *format;
	size_t size;
	int rate, bitrate;         /* of the audio; 0: the model's, the encoder's choice */
	int rates;                 /* the speech is to be rated */
	sn_tts_options options;
	const char *field;         /* of the request that an error is about, or NULL */
} tts_wish;

/* How audio leaves: begin is called once, when the first samples are there, with the rate of the audio; then bytes as they are encoded. */
typedef struct tts_way {
	int (*begin)(void *payload, const sn_speech *so_far, int rate);
	int (*write)(void *payload, const void *data, size_t size);
	void *payload;
} tts_way;

typedef struct tts_result {
	sn_speech speech;
	const char *format, *type; /* static */
	int rate;                  /* of the audio */
	void *audio;               /* free() it; NULL where it left on a way */
	size_t size;
} tts_result;

/* tts_wish.c */
/* Media type of a format and the other way round: the first audio type that a header Accept names, NULL where it names none we write. */
const char *tts_type_of(const char *format);
const char *tts_format_of(const char *accept);
/* The parameters of /tts/synthesize. */
int tts_wish_read(const sv_request *request, tts_wish *wish, char *err);
/* Vocoder and verifying model by names of the catalogue or the home, never as paths. */
int tts_wish_check(const sv_request *request, tts_wish *wish, char *err);
/* Whether the model or the bank has a voice of that name. */
int tts_has_voice(const sv_server *server, const sn_model *model, const char *voice);
/* SN_E_NOT_FOUND, with the names of the model's speakers. */
int tts_no_voice(const sn_model *model, const char *voice, char *err);
/* Mixes in what the bank's voices that the wish may use are now, so that no replaced voice is heard from a cache. Takes no time. */
void tts_bank_version(const sv_server *server, const char *voice, const char *text, uint8_t version[32]);

/* tts_make.c */
/* Speaks, or takes the samples from the audio cache, and fills the request's facts. way NULL: result->audio. On failure nothing is to be
 * freed, and wish->field may say what was wrong. */
int tts_make(sv_request *request, tts_wish *wish, const tts_way *way, tts_result *result, char *err);

/* tts_facts.c */
/* The reply of /tts/synthesize without audio_data and request_id; NULL: no memory. */
json_t *tts_facts_json(const tts_result *result);
/* The same as X- headers: { "X-Duration": "1.5", ... }. */
json_t *tts_facts_headers(const tts_result *result);
void tts_send_headers(sv_reply *reply, const json_t *headers);

/* routes_tts.c */
/* The whole of a streamed reply: audio as it is made, an error as a problem where nothing has left yet. */
void tts_reply_stream(sv_request *request, sv_reply *reply, tts_wish *wish);
/* As sv_reply_fail; an engine that is too busy asks to come again. */
void tts_reply_fail(sv_reply *reply, int code, const char *field, const char *message);

#endif
