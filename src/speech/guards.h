/* What a decoder writes without having heard it: loops, text on silence, echoes of its prompt, words where none fit. Pure functions over
 * tokens, log probabilities, times and the probabilities of a voice activity detector; stt_whisper_guard.c asks them and acts.
 * Ideas: openai-whisper transcribe.py (compression, log probability, no speech), faster-whisper (words that are improbable, too short
 * or too long beside silence). */
#ifndef SN_SPEECH_GUARDS_H
#define SN_SPEECH_GUARDS_H

#include <stdint.h>

#define SN_GUARD_CHUNK 512        /* samples of one probability */
#define SN_GUARD_CHUNKS 944       /* in a window of 30 s, and a little */
#define SN_GUARD_RATE 16000

/* The detector's probabilities between two times. */
typedef struct sn_guard_voice {
	float mean, peak;
	double seconds, speech;       /* in all; of chunks that are speech more likely than not */
	int known;                    /* 0: nobody listened, and it is not silent either */
} sn_guard_voice;

/* voice: of chunks of SN_GUARD_CHUNK samples, below 0 where it is not known. Chunks that touch [from, to] seconds count. */
sn_guard_voice sn_guards_listen(const float *voice, int count, double from, double to);

/* The same `period` tokens `repeats` times from `first` on; the last time may be cut short by the end of the run, `end`. */
typedef struct sn_guard_run {
	int first, end, period, repeats;
} sn_guard_run;

/* The longest repetition that is worth a thought: three times or more, and eight tokens or more. Returns 0 where there is none. */
int sn_guards_repetition(const int32_t *text, int count, sn_guard_run *run);

/* How often the run's tokens can have been said in so many seconds of speech; at least once. */
int sn_guards_room(const sn_guard_run *run, double speech);

/* Do the tokens stand in `before` as they are? Fewer than six count only as all of `before`. */
int sn_guards_is_echo(const int32_t *text, int count, const int32_t *before, int before_count);

/* What models write for noise that they know from subtitles: "Thanks for watching!", "Subtitles by ...". A weak sign: people say
 * some of it. */
int sn_guards_is_stock(const char *text);

#define SN_GUARD_WORDS 8          /* words that tell what a stretch is like */

typedef struct sn_guard_word {
	double start, end;
	float probability;
} sn_guard_word;

/* Words that are improbable, too short or too long: a sum over the first eight, see is_anomaly in faster-whisper. */
int sn_guards_is_anomaly(const sn_guard_word *words, int count);

/* A stretch of text between two timestamps. */
typedef struct sn_guard_segment {
	sn_guard_voice voice, near;   /* in it; and a little round it, since timestamps are not exact */
	float logprob;                /* mean of its tokens */
	float no_speech;              /* probability, of the window */
	int stock;                    /* sn_guards_is_stock */
} sn_guard_segment;

/* Was the text written on silence or noise? The less speech the detector hears, the likelier the text must be. */
int sn_guards_is_silence(const sn_guard_segment *segment);

#endif
