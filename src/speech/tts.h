/* A speaking session: tts.c makes ids of text in the caller's thread, tts_step.c makes sound of ids. It knows no architecture: all that
 * a model can do is in its facts. */
#ifndef SN_SPEECH_TTS_H
#define SN_SPEECH_TTS_H

#include "base/buf.h"
#include "speech/chain.h"
#include "speech/notes.h"

/* A sentence that waits to be spoken. */
typedef struct tts_sentence {
	struct tts_sentence *next;
	size_t bytes;              /* of the text it came from */
	int index, count;
	int32_t ids[];
} tts_sentence;

typedef struct tts_chunk {
	float *pcm;                /* [sn_chain_room] */
	size_t count;
	int sentence;
} tts_chunk;

struct sn_tts {
	sn_job job;
	sn_engine *engine;
	sn_model *model, *vocoder; /* vocoder NULL: the model makes sound */
	sn_synth_options options;  /* its texts are the model's, its voice the next field */
	sn_voice voice;
	uint64_t seed;
	int rate;
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
	sn_notes notes;

	/* the conductor's */
	sn_chain *chain;
	sn_synth_options now;      /* of the sentence that is spoken */
	int speaking, spoken;      /* inside a sentence; sentences begun */
	int sentence;
	int64_t pause_left;
};

/* Checks the options against what the model can do and takes them over; chooses voice and vocoder. tts->model is set. */
int sn_tts_configure(sn_tts *tts, const sn_tts_options *options, char *err);

int sn_tts_step(sn_job *job);
void sn_tts_leave(sn_job *job);

#endif
