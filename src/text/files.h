/* Files of a tokenizer's directory. */
#ifndef SN_TEXT_FILES_H
#define SN_TEXT_FILES_H

#include "base/json.h"
#include "base/path.h"

/* Writes "dir/name" to path: SN_E_LIMIT when it is too long. */
int sn_text_path(char path[SN_PATH_MAX], const char *dir, const char *name, char *err);
int sn_text_has(const char *dir, const char *name);

/* Parses dir/name; a missing file is success with *out NULL where `optional` is set. Integers become reals where `loose` is
 * set: published tokenizer_config.json files hold a "model_max_length" of 10^30, which no integer can be. */
int sn_text_json(json_t **out, const char *dir, const char *name, int optional, int loose, char *err);

/* The text of a special token, which files write as a text or as an object with its content; `fallback` when it is
 * missing or null. */
const char *sn_text_token(const json_t *config, const char *key, const char *fallback);

#endif
