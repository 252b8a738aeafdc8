/* Facts of audio written down, for ratings and analyses. */
#ifndef SN_SPEECH_QUALITY_FORMAT_H
#define SN_SPEECH_QUALITY_FORMAT_H

#include <sonant/sonant.h>

#include "base/buf.h"

#include <jansson.h>

/* NULL when out of memory. */
json_t *sn_quality_json(const sn_quality *quality);
/* A line a fact. */
void sn_quality_text(sn_buf *buf, const sn_quality *quality);

/* A text or path, which may not be UTF-8: such bytes become '?'. */
json_t *sn_facts_name(const char *text);

/* One line of JSON, `file` first where it is not NULL. Takes facts. *text: free() it. */
int sn_facts_write(char **text, size_t *size, json_t *facts, const char *file, char *err);

#endif
