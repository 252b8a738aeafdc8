/* Words out of silence: what dynamic time warping cannot know. */
#ifndef SN_SPEECH_ALIGN_SILENCE_H
#define SN_SPEECH_ALIGN_SILENCE_H

#include "speech/align.h"

/* Moves the times of words[0..count), which follow each other, to where there is sound by s->levels, off the joints, into the audio, and
 * makes them rise. */
void sn_align_silence(const sn_align_sequence *s, sn_aligned_word *words, int count);

#endif
