/* Live transcription with Whisper, see docs/live.md: stt_live.c reads the options, stt_live_hear.c divides sound into utterances,
 * stt_live_step.c computes, stt_live_text.c commits text, stt_live_decode.c verifies drafts. */
#ifndef SN_SPEECH_STT_LIVE_H
#define SN_SPEECH_STT_LIVE_H

#include "speech/stt_live_decode.h"
#include "speech/stt_whisper.h"

#define STT_LIVE_CHUNK 512                       /* samples that the detector judges */
#define STT_LIVE_MOST (28 * SN_STT_RATE)         /* of an utterance: a window less what a chunk and a margin take */
#define STT_LIVE_CHUNKS (STT_LIVE_MOST / STT_LIVE_CHUNK + 2)

#define STT_LIVE_PAST 8                          /* utterances before this one that are kept, */
#define STT_LIVE_PAST_TOKENS 96                  /* with so many tokens in all, and as many of the text before: each costs a row of every decoding */

/* What an ear is busy with. A pass that is LIVE_TOLD has given what it can but stays, as it may be the utterance's last. */
typedef enum stt_live_stage { LIVE_IDLE, LIVE_ENCODING, LIVE_ENCODED, LIVE_DECODING, LIVE_DONE, LIVE_TOLD } stt_live_stage;
typedef struct stt_live_task {
	stt_live_stage stage;
	sn_ear *ear;
	int64_t from, until;         /* samples that it hears */
	int context;                 /* tokens before the utterance's: the end of the decoding's prompt */
	int language;                /* that it is decoded in */
	stt_decode decode;
} stt_live_task;

/* Where the next pass ends. An utterance ends there, too, and with LIVE_CUT the next one begins. */
typedef enum stt_live_mark { LIVE_UNMARKED, LIVE_PASS, LIVE_END, LIVE_CUT } stt_live_mark;

/* An utterance before this one. Heard together with it, as far as a window goes, it tells what the speech is about. */
typedef struct stt_live_past {
	int64_t start, end;
	int first, count;            /* of the tokens of all of them */
} stt_live_past;

typedef struct stt_live {
	stt_whisper whisper;         /* options and the detector */
	float threshold, quiet;      /* probability from which on it is speech, below which it is silence */
	int64_t min_speech, min_silence, pad, interval; /* samples; interval 0: no partials */

	/* the utterance: samples of the source */
	int speaking;
	int64_t heard;               /* by the detector, and looked at */
	int64_t floor;               /* none begins before */
	int64_t start, speech, speech_end; /* speech: samples of it */
	int64_t partialed, passed;   /* up to which the last partial and the last pass hear */
	float likely[STT_LIVE_CHUNKS]; /* probability of speech of the chunks from `first_chunk` on */
	int64_t first_chunk;
	int likely_count;
	stt_live_mark mark;
	int64_t marked;

	stt_live_task partial, pass;
	stt_live_past past[STT_LIVE_PAST]; /* the last ones, oldest first */
	int past_count, past_tokens, most_past; /* most_past: tokens of these, and of the text before, that a prompt has room for */
	int32_t past_token[STT_LIVE_PAST_TOKENS];
	stt_tokens committed;        /* text of the utterance */
	stt_tokens before;           /* of the pass before, from the utterance's beginning, and up to which it hears */
	int64_t before_until;
	int64_t agreed;              /* committed words lie before it */
	int32_t latest[STT_DECODE_TOKENS]; /* behind the committed text: the last partial or pass */
	int latest_count;
	int64_t latest_until;
	sn_word *words;              /* [SN_ALIGN_MAX_TOKENS] of the committed text; texts at word_at[] of word_text */
	size_t *word_at;
	int word_count;
	sn_buf word_text;

	int sure;                    /* of the language */
	float evidence;              /* for it: its probability times the seconds of speech, less with time */
	int utterances, silent, looped, echoed;
} stt_live;

/* stt_live_hear.c: takes new audio and looks at it up to the next mark. SN_AGAIN: nothing changed. */
int stt_live_hear(stt_live *live);
/* The utterance that ends at the mark is over. */
void stt_live_forget(stt_live *live);
/* The first of the utterances before this one that a window up to `until` has room for; past_count: none. */
int stt_live_context(const stt_live *live, int64_t until);
/* Shorter silences end longer utterances. */
int64_t stt_live_patience(const stt_live *live);

/* stt_live_step.c */
int stt_live_work(sn_stt *stt, int full);
void stt_live_leave(sn_stt *stt);

/* stt_live_text.c */
void stt_live_guard(stt_live *live);                            /* cuts what the pass repeats beyond what can have been said */
int stt_live_align(stt_live *live);                             /* times of the words that the pass wrote, while it has its ear */
int stt_live_show(stt_live *live, const stt_live_task *task);   /* PARTIAL: what the task wrote behind the committed text */
int stt_live_agree(stt_live *live);                             /* COMMIT of what the pass and the one before agree on */
int stt_live_finish(stt_live *live);                            /* COMMIT of the rest that the pass wrote, SEGMENT */
int stt_live_say_language(stt_live *live, int language, float confidence);

#endif
