/* A speaking session. In the caller's thread tts_text.c and tts_ssml.c make sentences of text, tts_words.c makes ids of sentences; on the
 * conductor tts_step.c makes sound of ids; in the caller's again tts_take.c looks at sentences before they are given out. None knows an
 * architecture: all that a model can do is in its facts. */
#ifndef SN_SPEECH_TTS_H
#define SN_SPEECH_TTS_H

#include "base/buf.h"
#include "speech/chain.h"
#include "speech/check.h"
#include "speech/notes.h"
#include "speech/quality.h"
#include "speech/stt.h"
#include "text/normalise.h"
#include "text/ssml.h"

#define TTS_VOICES 16      /* that one document may name */
#define TTS_NORMALISERS 4  /* languages at hand at once */
#define TTS_MARKS 4096     /* waiting in text */
#define TTS_TAKE_MARKS 32  /* of a held sentence; more are passed at its end */
#define TTS_NAME (SN_SSML_NAME + 1)

/* How a sentence is spoken. */
typedef struct tts_style {
	float speed, pitch, gain;
	const char *language;      /* one of the model's, or NULL */
	const sn_voice *voice;     /* NULL: the model's default */
	char reading[16];          /* language of numbers and the like */
	char espeak[16];           /* of its phonemes where that is not the model's; "" */
} tts_style;

typedef struct tts_mark {
	float share;               /* of the sentence that comes before it */
	char name[TTS_NAME];
} tts_mark;

/* WARM: speech that nobody hears, so that what the first sentence needs is at hand. */
typedef enum tts_kind { TTS_SPEECH, TTS_SILENCE, TTS_MARK, TTS_ERROR, TTS_WARM } tts_kind;

/* What waits to be spoken, in one block. */
typedef struct tts_item {
	struct tts_item *next;
	tts_kind kind;
	size_t bytes;              /* of text */
	int index;                 /* of the sentence */
	int ends;                  /* a pause may follow */
	int strange;               /* written in letters that the language lacks: how long it takes is anyone's guess */
	int64_t silence;           /* SILENCE: samples */
	int error;                 /* ERROR */
	tts_style style;
	int count, mark_count;
	const tts_mark *marks;     /* MARK: one */
	const char *words;         /* that are spoken; ERROR: the message */
	int32_t ids[];
} tts_item;

typedef struct tts_chunk {
	float *pcm;                /* [sn_chain_room] */
	size_t count;
	int sentence;
	int is_mark, held;         /* held: of a sentence that is looked at first */
	char mark[TTS_NAME];
} tts_chunk;

/* Text on its way to sentences; the caller's. */
typedef struct tts_text {
	sn_buf text;               /* not yet cut; with what text/inline.h says */
	sn_buf marks;              /* names of the marks in it, TTS_NAME bytes each */
	enum { TTS_UNDECIDED, TTS_PLAIN, TTS_SSML } kind;
	sn_buf head;               /* while undecided */
	sn_ssml *ssml;
	sn_ssml_style written;     /* style of the text as the document says it, */
	tts_style style;           /* and what this model makes of it */
	struct { char language[16]; sn_normaliser *normaliser; } readers[TTS_NORMALISERS];
	int last_reader;
	struct { char name[TTS_NAME]; sn_voice voice; } voices[TTS_VOICES];
	int voice_count;
	int normalise, stream;
	int sentences, items;      /* queued so far */
	int missing;               /* characters and phonemes that the voice does not know */
	int romanised;             /* some of the text was written in Latin letters for the voice */
	size_t unspoken;           /* characters without a reading, */
	char sample[64];           /* some of them */
	char nothing[SN_ERRLEN];   /* why there is nothing to speak so far */
	int broken;                /* the error that ended the text */
	char message[SN_ERRLEN];
} tts_text;

typedef struct tts_place { size_t at; char name[TTS_NAME]; } tts_place;

/* One speaking of a sentence. */
typedef struct tts_take {
	float *pcm;
	size_t count, room;
	int64_t clipped;           /* samples */
	tts_place marks[TTS_TAKE_MARKS];
	int mark_count;
	sn_check check;
} tts_take;

/* Sentences that are looked at before they are given out; the caller's, but for `clipped`. */
typedef struct tts_hold {
	int holds;
	tts_take now, best;        /* being made; the best so far */
	int attempts;              /* of this sentence */
	int64_t clipped;           /* samples of this take */
	int ready;                 /* `best` is to be given out, */
	size_t given;              /* so much of it was */
	int marks_given, sentence;
	double made, expected;     /* seconds of good sentences, and what was expected of them */
	int judging;               /* the sentence that is over is being looked at, */
	sn_stt *reading;           /* and read back: `heard` samples, of which so many were pushed, */
	float *heard;
	size_t heard_count, heard_pushed;
	int heard_ended;
	sn_buf text;               /* and what was understood */
} tts_hold;

struct sn_tts {
	sn_job job;
	sn_engine *engine;
	sn_model *model, *vocoder; /* vocoder NULL: the model makes sound */
	sn_synth_options options;  /* its texts are the model's, its voice the next field */
	sn_voice voice;
	uint64_t seed;
	int rate;
	int64_t pause;             /* samples between sentences */
	double opened, patience;   /* patience: as sn_stt's */

	/* the caller's */
	tts_text in;
	tts_hold take;
	int retries, most_attempts;
	sn_model *verifier;
	int64_t verified_words, word_errors;
	sn_rater *rater;
	const float *unrated;      /* of what was given out last */
	size_t unrated_count;
	int rated;                 /* the rating is done: its result */
	float quality, background; /* scores */

	/* between caller and conductor, under the scheduler's lock */
	tts_item *first, **last;
	size_t waiting;            /* bytes of text in that queue */
	int finished, cancelled, done, error;
	char message[SN_ERRLEN];
	tts_chunk chunks[SN_TTS_MAX_CHUNKS];
	int chunk_first, chunk_count, borrowed; /* borrowed: the caller holds the first one */
	int awaits;                /* a held sentence is over; the caller says whether it is spoken again */
	int again;
	int64_t samples, clipped;  /* given out, or held and accepted */
	double first_audio, ended;
	sn_notes notes;
	sn_speech_mark marks[SN_SPEECH_MARKS];
	int mark_count;

	/* the conductor's; `now` also the caller's while `awaits` */
	sn_chain *chain;
	tts_item *now;             /* that is spoken */
	sn_synth_options how;      /* of it */
	int speaking, spoken;      /* inside a sentence; sentences begun */
	int marks_passed, over;    /* over: all its sound was made */
	int64_t within;            /* samples of this sentence so far */
	uint64_t attempt;
	int64_t pause_left, silence_left;
	int sentence;
};

/* Checks the options against what the model can do and takes them over; chooses voice and vocoder. tts->model is set. */
int sn_tts_configure(sn_tts *tts, const sn_tts_options *options, char *err);
/* Makes the sentences of a session be looked at before they are given out, and all of them be rated. Before the first push. */
void sn_tts_hold(sn_tts *tts);
/* The most seconds that a call of the session may wait; then it returns SN_AGAIN. */
void sn_tts_be_patient(sn_tts *tts, double seconds);
/* The caller is to be told of what happens from here on. */
void sn_tts_hunger(sn_tts *tts);
void sn_tts_signal_end(sn_tts *tts); /* nothing more will happen; lock held */
/* The model's name of a language, or NULL where it has none that fits. */
const char *sn_tts_language(const sn_tts *tts, const char *language);

/* tts_text.c */
void sn_tts_text_open(sn_tts *tts, const sn_tts_options *options);
void sn_tts_text_close(tts_text *in);
int sn_tts_text_push(sn_tts *tts, const char *text, size_t size, char *err);
int sn_tts_text_finish(sn_tts *tts, char *err);
/* Stream: the listener may run out of speech, so a clause that waits is spoken. 1: something was queued. */
int sn_tts_text_hurry(sn_tts *tts);

/* Language that text without a language of its own is read in; "": not known. */
const char *sn_tts_reading(const sn_tts *tts);

/* tts_words.c. An item in one block with `ids` places for ids; NULL: no memory. */
tts_item *sn_tts_item(tts_kind kind, int ids, const tts_mark *marks, int mark_count, const char *words, size_t size, char *err);
/* Hands an item over, which the queue frees. */
void sn_tts_queue(sn_tts *tts, tts_item *item);
int sn_tts_queue_mark(sn_tts *tts, const char *name, char *err);
/* Bytes of a sentence beyond which it is cut; slow speech needs more frames for as many. */
size_t sn_tts_most_bytes(const sn_tts *tts);
/* Queues a sentence with the marks in it; ends: a pause may follow. */
int sn_tts_speak(sn_tts *tts, const char *text, size_t size, int ends, char *err);
int sn_tts_text_silence(sn_tts *tts, double seconds, char *err);
sn_normaliser *sn_tts_reader(sn_tts *tts, const char *language, char *err);
/* Stream: readies what makes phonemes and sound, before the text comes. */
void sn_tts_text_warm(sn_tts *tts);

/* tts_ssml.c: what a document says, into the session's text. */
int sn_tts_ssml_event(void *tts, const sn_ssml_event *event, char *err);
/* tts_text.c, for it */
int sn_tts_text_flush(sn_tts *tts, int sentence_end, char *err);
int sn_tts_text_add(sn_tts *tts, const char *text, size_t size, char *err);
int sn_tts_text_mark(sn_tts *tts, const char *name, char *err);
void sn_tts_note(sn_tts *tts, const char *code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* tts_take.c */
void sn_tts_take_close(sn_tts *tts);
/* The next chunk of a session that holds sentences; as sn_tts_pull. */
int sn_tts_take_pull(sn_tts *tts, sn_audio *audio, char *err);
/* The next chunk as it was made; SN_E_BUSY: none, since a held sentence is over. */
int sn_tts_pull_made(sn_tts *tts, tts_chunk **chunk, char *err);

int sn_tts_step(sn_job *job);
int sn_tts_make_buffers(sn_tts *tts, char *err); /* for speech, with the first item */
/* Given out, or about to be; lock held. */
void sn_tts_count(sn_tts *tts, size_t samples);
void sn_tts_count_mark(sn_tts *tts, const char name[TTS_NAME]);
_Static_assert(TTS_NAME == sizeof((sn_speech_mark *)0)->name, "names of marks fit");
void sn_tts_leave(sn_job *job);

#endif
