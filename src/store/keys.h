/* API keys: 256 random bits, of which only the SHA-256 is kept. */
#ifndef SN_STORE_KEYS_H
#define SN_STORE_KEYS_H

#include "store/db.h"

#define SN_KEY_TEXT 48  /* bytes of a key as text: "sn_" and 43 characters, its NUL counted */
#define SN_KEY_NAME 64
#define SN_MAX_KEYS 4096

typedef struct sn_key {
	int64_t id;
	char name[SN_KEY_NAME];
	uint8_t hash[32];
	int use, manage;         /* scopes */
	int per_minute, sessions; /* limits, 0: the server's */
	char created[24];        /* "2026-01-31T12:00:00Z" */
	int revoked;
} sn_key;

/* Makes a key of a name that is not taken; text receives it, once and never again. key->id, hash and created are filled in.
 * SN_E_ARGUMENT (name), SN_E_LIMIT (SN_MAX_KEYS), SN_E_IO. */
int sn_keys_add(sn_db *db, sn_key *key, char text[SN_KEY_TEXT], char *err);
/* SN_E_NOT_FOUND; a key that is revoked already is fine. */
int sn_keys_revoke(sn_db *db, const char *name, char *err);
/* All of them; free() *out. */
int sn_keys_list(sn_db *db, sn_key **out, int *count, char *err);
/* The name of an id, for reports: "" for 0 and for one that is not there. */
int sn_keys_name(sn_db *db, int64_t id, char name[SN_KEY_NAME], char *err);
/* The hash that a text has as a key. */
int sn_keys_hash(const char *text, uint8_t hash[32]);

#endif
