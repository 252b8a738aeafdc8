/* Transcribing with Whisper: stt_whisper.c reads the options, stt_whisper_step.c computes, stt_whisper_text.c makes segments. */
#ifndef SN_SPEECH_STT_WHISPER_H
#define SN_SPEECH_STT_WHISPER_H

#include "speech/align.h"
#include "speech/guards.h"
#include "speech/stt.h"
#include "speech/vad.h"

#define SN_STT_MAX_PIECES 256    /* stretches of speech in one window */
#define SN_STT_MAX_PAUSES 64     /* kept for choosing the cut of a window */
#define SN_STT_MAX_HISTORY 448   /* tokens of earlier text that are kept */
#define SN_STT_VAD_CHUNKS 128    /* chunks that the detector hears at once */
#define SN_STT_VOICE (SN_STT_TAPE_MAX / SN_GUARD_CHUNK) /* probabilities that are kept: of all samples that the tape may hold */
/* Of a window's pieces, each of which may begin and end inside a chunk. */
#define SN_STT_STAGED_VOICE (SN_GUARD_CHUNKS + 2 * SN_STT_MAX_PIECES)

/* A stretch of the source inside a window. */
typedef struct stt_piece {
	int64_t at, source, samples; /* where in the window, where in the source */
	int voice;                   /* its first chunk in staged_voice, while it is staged */
} stt_piece;

/* A pause in the speech, where a window may be cut. */
typedef struct stt_pause {
	int64_t middle, samples;     /* in the source */
} stt_pause;

typedef enum stt_stage { STT_FREE, STT_ENCODING, STT_ENCODED, STT_DETECTING, STT_SEARCHING, STT_DONE } stt_stage;

/* Where words are wanted: of one window. */
typedef struct stt_words {
	sn_align_levels levels;
	int count;
	sn_aligned_word word[SN_ALIGN_MAX_TOKENS];
} stt_words;

/* What guards think of a try to decode a window. */
typedef struct stt_try {
	float compression_ratio;
	int alone;                   /* without the text before the window */
	int looped, loop_first, loop_end; /* repeats itself without speech for it: tokens after the first time */
	int echoed;                  /* repeats the text before the window */
	int early;                   /* its last words were not heard, and there is speech behind them */
} stt_try;

/* What is next: the kept result stays, the window is decoded without the text before it, or at the next temperature. */
typedef enum stt_verdict { STT_KEPT, STT_ALONE, STT_WARMER } stt_verdict;

/* A window that is being decoded. */
typedef struct stt_window {
	stt_stage stage;
	sn_place *place;
	int index;                   /* 0, 1, ... in the session */
	int64_t frames;              /* of audio in it; the rest is padding */
	int until;                   /* text goes on at least to this time, see sn_search_options */
	int tries;                   /* temperatures used before this one */
	int alone;                   /* this try is without the text before the window */
	sn_search_result result;     /* the best so far; without guards the last */
	stt_try best;                /* of the result */
	int weighed, changed;        /* there is a result; it took the place of another text */
	stt_words *words;            /* NULL: not wanted */
	float voice[SN_GUARD_CHUNKS]; /* speech probability of each 512 samples of the window; below 0: not known */
	int voice_count;
	int piece_count;
	stt_piece pieces[SN_STT_MAX_PIECES];
} stt_window;

typedef struct stt_whisper {
	sn_stt base;
	sn_model *vad_model;         /* NULL: sequential windows */
	sn_model *ear;               /* the detector that guards ask: vad_model, or without it one of their own; NULL: none */
	const sn_whisper_config *config;
	/* options */
	int language, translate;     /* language: index in the configuration, -1: not known yet */
	int beam, fallback, guards, condition, previous_tokens, timestamps, batch, words;
	float temperature;
	uint64_t seed;
	int32_t prompt[SN_STT_MAX_HISTORY];
	int prompt_count;
	sn_hotwords *hotwords;       /* NULL: none */


	/* the conductor's */
	int64_t seek;                /* sequential: frame at which the next window begins */
	sn_vad vad;
	sn_silero_stream vad_stream;
	int64_t heard;               /* samples that the detector has seen */
	float probabilities[SN_STT_VAD_CHUNKS]; /* of chunks that the state machine has not seen */
	int probability_count, probability_next;
	int vad_ended;
	float voice[SN_STT_VOICE];   /* what the detector said of the last chunks: chunk i of the source at i % SN_STT_VOICE */
	stt_pause pauses[SN_STT_MAX_PAUSES]; /* the last ones, a ring */
	int pause_count;             /* ever */
	int64_t quiet;               /* samples of the pause that lasts */
	sn_vad_segment speech;       /* found, not yet in a window */
	int has_speech;
	sn_vad_segment carried[SN_STT_MAX_PIECES]; /* cut off the window before: goes before `speech` */
	int carried_next, carried_count;
	int64_t window_frames, window_samples; /* of a whole window */
	float *staged;               /* vad: the window being filled, [window_samples] */
	int64_t staged_count, staged_speech; /* the latter: up to the end of the last speech */
	stt_piece pieces[SN_STT_MAX_PIECES];
	int piece_count, sealed;     /* sealed: waits for the encoder */
	float staged_voice[SN_STT_STAGED_VOICE]; /* what the detector said of the pieces: they may lie further apart than `voice` reaches */
	int staged_voices;
	int window_first, window_count, window_room, places; /* places: windows that hold one */
	stt_window *windows;         /* [window_room], a ring in the order of time */
	sn_word *listed;             /* words of the segment being emitted */
	sn_buf listed_text;
	int32_t history[SN_STT_MAX_HISTORY]; /* text before the window, for conditioning */
	int history_count;
	int begun, silent, purged, repeated, limited; /* windows: all, skipped as silence, with text dropped, decoded again, ended by the
	                                               * most tokens */
	float language_confidence;
} stt_whisper;

/* stt_whisper.c: memory for windows */
int sn_stt_whisper_begin(sn_stt *stt, char *err);
/* 0: English of other languages is not to be had; 1: it is. */
int sn_stt_whisper_translates(const sn_whisper_config *config);

/* stt_whisper_step.c */
int sn_stt_whisper_work(sn_stt *stt, int full);
int sn_stt_whisper_hear(stt_whisper *stt); /* lets the detector hear what is new on the tape. SN_AGAIN: less than a chunk */
/* Of the chunk that the piece's sample of the source lies in, while the piece is staged. */
static inline float sn_stt_whisper_voice(const stt_whisper *stt, const stt_piece *piece, int64_t source) {
	const int64_t last = piece->source + piece->samples - 1, at = source < last ? source : last;
	return stt->staged_voice[piece->voice + at / SN_GUARD_CHUNK - piece->source / SN_GUARD_CHUNK];
}
void sn_stt_whisper_leave(sn_stt *stt);

/* stt_whisper_words.c: times of words. Each does nothing where they are not wanted: a window takes words when the session begins, hears
 * how loud its audio is, and what the detector said of it, when it begins, and is aligned when its text is chosen, before its place is
 * given back. */
int sn_stt_words_open(stt_whisper *stt, char *err);
void sn_stt_words_close(stt_whisper *stt);
void sn_stt_words_hear(stt_whisper *stt, stt_window *window, const sn_mel_view *view);
int sn_stt_words_align(stt_whisper *stt, stt_window *window);
/* The words of tokens [first, end), which are a segment of the window that lies in [start, stop] of the source: fills *words, borrowed
 * until the next call, and returns how many. */
int sn_stt_words_list(stt_whisper *stt, const stt_window *window, int first, int end, double start, double stop, const sn_word **words);

/* stt_whisper_text.c: segments of a finished window. Returns the frames by which a sequential reading goes on. */
int64_t sn_stt_whisper_segments(stt_whisper *stt, const stt_window *window);
/* Seconds in the source of a sample of the window. A stretch's end is not the next one's beginning. */
double sn_stt_whisper_time(const stt_window *window, int64_t sample, int is_end);

/* stt_whisper_guard.c */
/* After a search: keeps its result where it is the window's best, and says what is next. */
int sn_stt_guard_weigh(stt_whisper *stt, stt_window *window, const sn_search_result *result, stt_verdict *verdict);
/* Takes out of the kept text what was not said, and notes it. *advance: as sn_stt_whisper_segments gives it for the whole text.
 * Returns how many tokens went. */
int sn_stt_guard_purge(stt_whisper *stt, stt_window *window, int64_t *advance);
int sn_stt_guard_is_silent(const sn_search_result *result); /* by the reference's thresholds */

/* Length of the text of the tokens against its zlib-compressed length. */
int sn_stt_whisper_ratio(const stt_whisper *stt, const int32_t *tokens, int count, float *ratio);

#endif
