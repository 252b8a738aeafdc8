/* A speaking session: tts.c makes ids of text in the caller's thread, tts_step.c makes sound of ids. */
#ifndef SN_SPEECH_TTS_H
#define SN_SPEECH_TTS_H

#include "base/buf.h"
#include "speech/engine.h"

#define SN_TTS_CHUNK_FRAMES 256 /* most spectrogram frames of one chunk */

/* A sentence that waits to be spoken. */
typedef struct tts_sentence {
	struct tts_sentence *next;
	size_t bytes;              /* of the text it came from */
	int index, count;
	int32_t ids[];
} tts_sentence;

typedef struct tts_chunk {
	float *pcm;                /* [SN_TTS_CHUNK_FRAMES * hop] */
	size_t count;
	int sentence;
} tts_chunk;

struct sn_tts {
	sn_job job;
	sn_engine *engine;
	sn_model *model;
	const sn_vits_config *config;
	sn_vits_options options;
	uint64_t seed;
	float speed;
	int64_t pause;             /* samples between sentences */
	double opened;

	/* the caller's */
	sn_buf text;               /* not yet cut into sentences */
	int sentences;             /* made so far */
	int missing;               /* characters and phonemes that the voice does not know */
	char nothing[SN_ERRLEN];   /* why there is nothing to speak so far */

	/* between caller and conductor, under the scheduler's lock */
	tts_sentence *first, **last;
	size_t waiting;            /* bytes of text in that queue */
	int finished, cancelled, done, error;
	char message[SN_ERRLEN];
	tts_chunk chunks[SN_TTS_MAX_CHUNKS];
	int chunk_first, chunk_count, borrowed; /* borrowed: the caller holds the first one */
	int64_t samples, clipped;
	double first_audio, ended;

	/* the conductor's */
	sn_vits_stream *stream;
	int speaking, spoken;      /* inside a sentence; sentences begun */
	int chunk_frames, sentence;
	int64_t pause_left;
};

int sn_tts_step(sn_job *job);
void sn_tts_leave(sn_job *job);

#endif
