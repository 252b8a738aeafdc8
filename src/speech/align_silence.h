/* Where in a window there is speech, by how loud it is and by a voice activity detector where there is one. */
#ifndef SN_SPEECH_ALIGN_SILENCE_H
#define SN_SPEECH_ALIGN_SILENCE_H

#include "speech/align.h"

/* Of each step of 0.02 s: speech[steps], 0 silence to 1; onset[steps], 0 to 1: the sound gets louder there. NULL levels: all is speech. */
void sn_align_hear(const sn_align_levels *levels, int steps, float *speech, float *onset);

/* Takes silence from the ends of words[0..count), keeps them off the joints of what was cut out, and makes times rise. */
void sn_align_trim(const sn_align_sequence *sequence, sn_aligned_word *words, int count);

#endif
