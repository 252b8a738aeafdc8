/* Inside of analysis. */
#ifndef SN_SPEECH_ANALYSIS_INTERNAL_H
#define SN_SPEECH_ANALYSIS_INTERNAL_H

#include "audio/levels.h"
#include "audio/mel.h"
#include "audio/pitch.h"
#include "speech/notes.h"
#include "speech/quality_internal.h"

#define ANALYSIS_MELS 80
#define ANALYSIS_TAPE 8192             /* samples at 16 kHz that wait for their mel frames */
#define ANALYSIS_LANGUAGE (60 * 16000) /* samples that the language is heard in, at most */
#define ANALYSIS_PITCHES 512           /* bins of the pitches' count, of equal width in octaves */

/* Values over time, `merged` frames of 10 ms a column; when all columns are taken, pairs become one. */
typedef enum track_kind { TRACK_WAVE /* least, largest, mean power */, TRACK_PITCH, TRACK_MEAN } track_kind;
typedef struct track {
	track_kind kind;
	int width;                         /* values of a column */
	float *values;                     /* [SN_ANALYSIS_MAX_POINTS, width] */
	int64_t merged;
	int count, filled;                 /* whole columns; frames of the one after them */
} track;

typedef struct analysis {
	sn_analysis a;                     /* first: callers see only this */
	sn_analysis_point points[SN_ANALYSIS_MAX_POINTS];
	sn_interval speech[SN_ANALYSIS_MAX_SPEECH];
	sn_band bands[SN_LEVELS_BANDS];
	sn_note note_list[SN_MAX_NOTES];
	sn_notes notes;
	char format[32], language[64];
	track waves, pitches, mels, voices; /* mels: log10 power; voices: the conductor's until the rater is finished */
	/* while it hears: the caller's thread */
	float low, high;                   /* of the frame that is not whole */
	double square_sum;
	int wave_count;
	sn_pitch pitch;
	int64_t pitch_counts[ANALYSIS_PITCHES], pitched, pitch_frames;
	sn_mel *mel;
	float tape[ANALYSIS_TAPE];
	int64_t tape_first, tape_count, mel_next; /* sample at its begin; samples; next mel frame */
	float *heard;                      /* [ANALYSIS_LANGUAGE], NULL: nobody asks */
	size_t heard_count;
	/* the conductor's */
	int64_t voice_frames;
	size_t speech_left_out;
} analysis;

/* SN_E_MEMORY. */
int sn_analysis_open_tracks(analysis *a, char *err);
void sn_analysis_close_tracks(analysis *a);

/* What the rater tells: samples at 16 kHz, probabilities, stretches of speech. */
void sn_analysis_hear(void *analysis, const float *pcm, size_t count);
void sn_analysis_voice(void *analysis, int64_t first, const float *probabilities, int chunks);
void sn_analysis_speech(void *analysis, int64_t start, int64_t end);
/* Behind the last sample: the tracks become points, the counts of pitches figures. */
void sn_analysis_settle(analysis *a);

#endif
