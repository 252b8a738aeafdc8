/* The bank of voices: HOME/voices/NAME/ holds voice.json and, unless the voice is a speaker inside a model, one file of data. A voice
 * appears and goes by renaming a whole directory. Files in the bank are read as hostile data. */
#ifndef SN_STORE_VOICES_H
#define SN_STORE_VOICES_H

#include "base/error.h"
#include "store/models.h"

#define SN_BANK_FACT (SN_MAX_VOICE_FACT + 1)
#define SN_BANK_MAX_DATA ((size_t)64 << 20)  /* bytes of a voice's file */
#define SN_BANK_MAX_EMBEDDING 262144         /* values */

typedef struct sn_bank_voice {
	char name[SN_MAX_VOICE_NAME + 1];
	sn_voice_kind kind;
	char speaker[SN_BANK_FACT], model[SN_BANK_FACT], architecture[32];
	int embedding;                         /* values; 0: not of that kind */
	char language[SN_BANK_FACT], licence[SN_BANK_FACT], source[SN_BANK_FACT], created[32];
	char path[SN_STORE_PATH];              /* its directory */
	char data[SN_STORE_PATH];              /* its file; "" for a speaker */
} sn_bank_voice;

/* SN_E_ARGUMENT: says what a name may be. */
int sn_bank_check_name(const char *name, char *err);

/* SN_E_NOT_FOUND (lists the first few that there are), SN_E_FORMAT (a damaged voice.json). */
int sn_bank_read(const sn_store *store, const char *name, sn_bank_voice *out, char *err);
/* The same for a directory that was exported. */
int sn_bank_read_directory(const char *dir, sn_bank_voice *out, char *err);

/* All voices by name; free() *out. Damaged ones are left out and logged. SN_E_LIMIT: more than SN_MAX_VOICES. */
int sn_bank_list(const sn_store *store, sn_bank_voice **out, size_t *count, char *err);

/* Writes a voice: its name, kind and facts, and its data (NULL for a speaker). Its paths are not read; `created` "" becomes now.
 * SN_E_ARGUMENT: the name is taken. */
int sn_bank_add(const sn_store *store, const sn_bank_voice *voice, const void *data, size_t size, char *err);
int sn_bank_remove(const sn_store *store, const char *name, char *err);
int sn_bank_export(const sn_store *store, const char *name, const char *path, char *err);

#endif
