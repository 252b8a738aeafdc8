/* Speech segments from the probabilities of a voice activity detector, chunk by chunk, exact to silero-vad's get_speech_timestamps
 * and, with the other defaults, to faster-whisper's. A plain state machine: no memory of its own, one segment of delay. */
#ifndef SN_SPEECH_VAD_H
#define SN_SPEECH_VAD_H

#include <stdint.h>

typedef struct sn_vad_options {
	double threshold;          /* a chunk at or above it is speech */
	double neg_threshold;      /* inside speech a chunk below it is silence; < 0: max(threshold - 0.15, 0.01) */
	int min_speech_ms;         /* shorter segments are dropped */
	int min_silence_ms;        /* silence that ends a segment */
	int speech_pad_ms;         /* added on both sides, at most half of the gap to a neighbour */
	double max_speech_s;       /* longer segments are cut; 0: never */
	int max_cut_silence_ms;    /* silence longer than this may be the place of such a cut (98) */
	int cut_at_longest;        /* cut at the longest silence of the segment (silero) or at the last one (faster-whisper) */
} sn_vad_options;

/* threshold 0.5, speech 250 ms, silence 100 ms, pad 30 ms, never cut */
sn_vad_options sn_vad_silero_defaults(void);
/* threshold 0.5, speech 0 ms, silence 2000 ms, pad 400 ms, cut at the last silence before `max_speech_s` (0: never). Batched decoding
 * there uses silence 160 ms and max_speech_s 30. */
sn_vad_options sn_vad_whisper_defaults(double max_speech_s);

typedef struct sn_vad_segment {
	int64_t start, end; /* samples */
} sn_vad_segment;

typedef struct sn_vad {
	sn_vad_options options;
	int64_t window, sample;               /* samples of a chunk; where the next one starts */
	double neg_threshold, min_speech, min_silence, max_cut_silence, pad, max_speech; /* samples, as the reference rounds them */
	int triggered;                        /* inside speech, which began at `start` */
	int64_t start, temp_end, prev_end, next_start; /* marks inside the segment, 0: none */
	int64_t best_end, best_silence;       /* its longest silence, best_silence 0: none */
	int waiting;                          /* `held` is finished but for its end, which a close neighbour may share */
	sn_vad_segment held;
	sn_vad_segment ready[4];
	int ready_count;
} sn_vad;

/* rate: 16000 (chunks of 512 samples) or 8000 (256). */
void sn_vad_init(sn_vad *vad, const sn_vad_options *options, int rate);
/* The next chunk's probability. Take what sn_vad_next has before the next push. */
void sn_vad_push(sn_vad *vad, float probability);
/* After the last chunk of `samples` samples in all. */
void sn_vad_finish(sn_vad *vad, int64_t samples);
/* Returns 1 and the next finished segment, or 0. */
int sn_vad_next(sn_vad *vad, sn_vad_segment *out);
/* No segment to come begins before this sample: audio before it need not be kept. */
int64_t sn_vad_settled(const sn_vad *vad);

#endif
