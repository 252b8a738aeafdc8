/* The quality gate of the one-call helpers: when a transcript is too doubtful, another model tries. What decides, and no more:
 * transcribe.c runs the attempts. */
#ifndef SN_SPEECH_RETRY_H
#define SN_SPEECH_RETRY_H

#include "base/error.h"

#include <sonant/sonant.h>

/* Ranges of min_confidence and the list of models. Returns SN_OK or SN_E_ARGUMENT. */
int sn_retry_check(const sn_stt_options *options, char *err);

/* Is the transcript too doubtful to be left alone? One without text is, unless its notes say that there was nothing to hear: another
 * model would hear nothing either. */
int sn_retry_wanted(const sn_transcript *transcript, const sn_stt_options *options);

/* Is `other` the better one of two transcripts of the same audio? Text before none, then the higher confidence. */
int sn_retry_better(const sn_transcript *other, const sn_transcript *than);

#endif
