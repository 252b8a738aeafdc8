#include "store/keys.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

/* Base64 of URLs, without padding. */
static void spell(const uint8_t *bits, size_t size, char *out) {
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	unsigned pending = 0;
	int held = 0;
	for (size_t i = 0; i < size; i++) {
		pending = pending << 8 | bits[i];
		for (held += 8; held >= 6; held -= 6)
			*out++ = letters[pending >> (held - 6) & 63];
	}
	if (held)
		*out++ = letters[pending << (6 - held) & 63];
	*out = 0;
}

int sn_keys_hash(const char *text, uint8_t hash[32]) {
	return gnutls_hash_fast(GNUTLS_DIG_SHA256, text, strlen(text), hash) == 0 ? SN_OK : SN_E_INTERNAL;
}

static int check_name(const char *name, char *err) {
	const size_t size = strlen(name);
	const size_t plain = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.@");
	if (size && size < SN_KEY_NAME && !name[plain])
		return SN_OK;
	return sn_fail(err, SN_E_ARGUMENT, "\"%.80s\" is no name of a key; 1 to %d letters, digits or -_.@ are", name, SN_KEY_NAME - 1);
}

static int count_keys(sn_db *db, const char *name, int64_t *all, int64_t *same, char *err) {
	sn_query q;
	int result = sn_db_begin(db, &q, "SELECT count(*), total(name = ?1) FROM keys", "t", err, name);
	if (result == SN_OK)
		result = sn_db_row(&q, err);
	if (result == SN_OK) {
		*all = sqlite3_column_int64(q.statement, 0);
		*same = sqlite3_column_int64(q.statement, 1);
	}
	sn_db_end(&q);
	return result;
}

int sn_keys_add(sn_db *db, sn_key *key, char text[SN_KEY_TEXT], char *err) {
	uint8_t bits[32];
	int64_t all = 0, same = 0;
	const time_t now = time(NULL);
	struct tm day;
	int result = check_name(key->name, err);
	if (result == SN_OK)
		result = count_keys(db, key->name, &all, &same, err);
	if (result != SN_OK)
		return result;
	if (same)
		return sn_fail(err, SN_E_ARGUMENT, "there is a key \"%s\" already; a revoked one keeps its name for the usage", key->name);
	if (all >= SN_MAX_KEYS)
		return sn_fail(err, SN_E_LIMIT, "there are %d keys already", SN_MAX_KEYS);
	if (getrandom(bits, sizeof bits, 0) != sizeof bits)
		return sn_fail_errno(err, "no random bits for a key");
	strcpy(text, "sn_");
	spell(bits, sizeof bits, text + 3);
	strftime(key->created, sizeof key->created, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &day));
	if (sn_keys_hash(text, key->hash) != SN_OK)
		return sn_fail(err, SN_E_INTERNAL, "the key's hash failed");
	result = sn_db_transaction(db, err);
	if (result != SN_OK)
		return result;
	result = sn_db_do(db, NULL, "INSERT INTO keys(name, hash, use, manage, per_minute, sessions, created) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
	                  "tbiiiit", err, key->name, key->hash, sizeof key->hash, (int64_t)key->use, (int64_t)key->manage,
	                  (int64_t)key->per_minute, (int64_t)key->sessions, key->created);
	sn_query q;
	int read = sn_db_begin(db, &q, "SELECT id FROM keys WHERE name = ?1", "t", err, key->name);
	if (read == SN_OK && sn_db_row(&q, err) == SN_OK)
		key->id = sqlite3_column_int64(q.statement, 0);
	sn_db_end(&q);
	if (result == SN_OK)
		return sn_db_commit(db, err);
	sn_db_rollback(db);
	return result;
}

int sn_keys_revoke(sn_db *db, const char *name, char *err) {
	int64_t changed = 0;
	const int result = sn_db_do(db, &changed, "UPDATE keys SET revoked = coalesce(revoked, datetime('now')) WHERE name = ?1", "t", err, name);
	return result == SN_OK && !changed ? sn_fail(err, SN_E_NOT_FOUND, "there is no key \"%.80s\"", name) : result;
}

static void take_text(char *out, size_t room, const unsigned char *text) { snprintf(out, room, "%s", text ? (const char *)text : ""); }

int sn_keys_list(sn_db *db, sn_key **out, int *count, char *err) {
	sn_query q;
	*count = 0;
	*out = calloc(SN_MAX_KEYS, sizeof **out);
	if (!*out)
		return sn_fail(err, SN_E_MEMORY, "no memory for the keys");
	int result = sn_db_begin(db, &q, "SELECT id, name, hash, use, manage, per_minute, sessions, created, revoked IS NOT NULL FROM keys"
	                         " ORDER BY name LIMIT 4096", "", err);
	while (result == SN_OK && (result = sn_db_row(&q, err)) == SN_OK) {
		sqlite3_stmt *const s = q.statement;
		sn_key *const k = &(*out)[(*count)++];
		k->id = sqlite3_column_int64(s, 0);
		take_text(k->name, sizeof k->name, sqlite3_column_text(s, 1));
		if (sqlite3_column_bytes(s, 2) == sizeof k->hash)
			memcpy(k->hash, sqlite3_column_blob(s, 2), sizeof k->hash);
		k->use = sqlite3_column_int(s, 3);
		k->manage = sqlite3_column_int(s, 4);
		k->per_minute = sqlite3_column_int(s, 5);
		k->sessions = sqlite3_column_int(s, 6);
		take_text(k->created, sizeof k->created, sqlite3_column_text(s, 7));
		k->revoked = sqlite3_column_int(s, 8);
	}
	sn_db_end(&q);
	if (result == SN_END)
		return SN_OK;
	free(*out);
	*out = NULL;
	return result;
}

int sn_keys_name(sn_db *db, int64_t id, char name[SN_KEY_NAME], char *err) {
	sn_query q;
	*name = 0;
	int result = sn_db_begin(db, &q, "SELECT name FROM keys WHERE id = ?1", "i", err, id);
	if (result == SN_OK && (result = sn_db_row(&q, err)) == SN_OK)
		take_text(name, SN_KEY_NAME, sqlite3_column_text(q.statement, 0));
	sn_db_end(&q);
	return result == SN_END ? SN_OK : result;
}
