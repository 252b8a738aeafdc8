/* From overlapping windows of frames to one track without seams, and from there to segments between pauses.
 *
 * Two windows heard the frames of their overlap, each with less context towards its own end. They are joined inside it, at least
 * `margin` frames from either end, where both read the same: in the middle of the longest stretch in which their likeliest letters
 * agree, a stretch of blanks before others. So no letter is lost or written twice where the windows agree anywhere. */
#ifndef SN_SPEECH_CTC_TRACK_H
#define SN_SPEECH_CTC_TRACK_H

#include "base/error.h"

typedef struct sn_ctc_track sn_ctc_track;

typedef struct sn_ctc_track_options {
	int size;                 /* values of a frame */
	int32_t blank, delimiter; /* delimiter -1: none */
	int window, overlap;      /* most frames of a window, and those that it shares with the next */
	int margin;
	int pause, most;          /* frames of a pause that ends a segment, and most frames of a segment */
} sn_ctc_track_options;

/* A stretch of the track to decode. */
typedef struct sn_ctc_cut {
	int64_t first;            /* frame of the track */
	int frames;
	const float *logprobs;    /* [frames, size], borrowed until the next call */
	int spaces;               /* delimiters between the segment before and this one */
} sn_ctc_cut;

int sn_ctc_track_open(sn_ctc_track **out, const sn_ctc_track_options *options, char *err);
void sn_ctc_track_close(sn_ctc_track **track);

/* Adds log probabilities rows[frames, size] of a window that begins at frame `at`: 0, then window - overlap later each time. Call next
 * until it returns 0 before. is_last: no window follows. */
void sn_ctc_track_add(sn_ctc_track *track, int64_t at, const float *rows, int frames, int is_last);
/* No window will follow after all. */
void sn_ctc_track_end(sn_ctc_track *track);
/* The next segment that is complete, from its first letter to its last frame before the pause. Returns 0 when there is none yet. */
int sn_ctc_track_next(sn_ctc_track *track, sn_ctc_cut *cut);

#endif
