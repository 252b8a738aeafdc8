/* The files of a checkpoint that are no weights. */
#ifndef SN_SPEECH_CHECKPOINT_H
#define SN_SPEECH_CHECKPOINT_H

#include "store/whole.h"

#include <jansson.h>

#define SN_EXPORT_MANIFEST "manifest.json"       /* of an export: no file of that name is copied */
#define SN_QUANTIZED_MANIFEST "quantized.json"   /* of a quantised checkpoint, likewise */

/* Copies configuration, tokenizer and licence of the model at `path` (a directory, or a file whose name theirs begin with), and adds each to
 * names: { "name", "bytes" }. */
int sn_checkpoint_copy(const sn_whole *to, const char *path, json_t *names, char *err);

#endif
