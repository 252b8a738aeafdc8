/* The files of a checkpoint that stay as they are where its weights are written anew. */
#ifndef SN_SPEECH_CHECKPOINT_H
#define SN_SPEECH_CHECKPOINT_H

#include "store/whole.h"

#include <jansson.h>

#define SN_EXPORT_MANIFEST "manifest.json"       /* of an export: no file of that name is copied */
#define SN_QUANTIZED_MANIFEST "quantized.json"   /* of a quantised checkpoint, likewise */

/* Copies configuration, tokenizer, licence and voices (.npy, .npz) of the model at `path` (a directory, or a file whose name theirs
 * begin with), and adds each to names: { "name", "bytes" }. parts: 1 for the weights, too, that a model of that kind reads beside its
 * own: adapters of languages, speakers and their encoder. Links are followed. Errors: SN_E_LIMIT (files too large, too many, or too
 * deep), SN_E_IO, ... */
int sn_checkpoint_copy(const sn_whole *to, const char *path, const char *label, int parts, json_t *names, char *err);

#endif
