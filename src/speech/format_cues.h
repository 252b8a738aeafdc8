/* Subtitles' cues and their lines: where a segment's text is cut. */
#ifndef SN_SPEECH_FORMAT_CUES_H
#define SN_SPEECH_FORMAT_CUES_H

#include "base/buf.h"

#include <sonant/sonant.h>

/* How a cue is laid out; 0: the default. */
typedef struct sn_cue_layout {
	int width;                       /* columns of a line; a wide character takes two, a mark on another none */
	int lines;                       /* at most, of one cue */
} sn_cue_layout;

/* The layout with its defaults filled in. Returns SN_OK or SN_E_ARGUMENT. */
int sn_cue_layout_check(sn_cue_layout *layout, int width, int lines, char *err);

/* Takes a cue; its text has no newline at its end and lives until the call returns. */
typedef void (*sn_cue_ready)(void *payload, double start, double end, const char *text);

/* Cuts a segment whose words have times into cues that fit the layout, where its text holds all of them; else all of the segment is one
 * cue, with as many lines as it needs. A word that is too wide by itself is not cut. Returns SN_OK, SN_E_LIMIT, SN_E_MEMORY. */
int sn_cues(const sn_segment *segment, const sn_cue_layout *layout, sn_cue_ready ready, void *payload);

#endif
