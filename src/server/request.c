/* What handlers ask of a request. */
#include "server/connection.h"

#include <gnutls/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const sv_upload *sv_request_file(const sv_request *r, const char *field) {
	for (int i = 0; i < r->upload_count; i++)
		if (strcmp(r->uploads[i].field, field) == 0)
			return &r->uploads[i];
	return NULL;
}

const char *sv_text(const sv_request *r, const char *name, const char *fallback) {
	const char *const text = json_string_value(json_object_get(r->params, name));
	return text ? text : fallback;
}

double sv_number(const sv_request *r, const char *name, double fallback) {
	const json_t *const value = json_object_get(r->params, name);
	return json_is_number(value) ? json_number_value(value) : fallback;
}

int64_t sv_integer(const sv_request *r, const char *name, int64_t fallback) { return (int64_t)sv_number(r, name, (double)fallback); }

int sv_flag(const sv_request *r, const char *name, int fallback) {
	const json_t *const value = json_object_get(r->params, name);
	return json_is_boolean(value) ? json_is_true(value) : fallback;
}

int sv_accepts(const sv_request *r, const char *type) {
	if (!r->accept)
		return 0;
	const char *const json = strstr(r->accept, "application/json"), *const found = strstr(r->accept, type);
	return found && (!json || found < json);
}

void sv_request_watch(sv_request *r, void (*cancel)(void *payload), void *payload) {
	pthread_mutex_lock(r->lock);
	r->cancel = cancel;
	r->cancel_payload = payload;
	if (cancel && atomic_load(&r->gone))
		cancel(payload);
	pthread_mutex_unlock(r->lock);
}

/* New ones appear often, so the family's name decides. */
const char *sv_openai_model(const char *name) {
	const int known = strncmp(name, "gpt-", 4) == 0 || strcmp(name, "whisper-1") == 0 || strcmp(name, "tts-1") == 0 || strcmp(name, "tts-1-hd") == 0;
	return known ? "auto" : name;
}

/* ---- the key of a result ---- */

static int add_text(gnutls_hash_hd_t hash, char kind, const char *text, size_t size) {
	char head[32];
	const int n = snprintf(head, sizeof head, "%c%zu:", kind, size); /* so that no two values write the same bytes */
	return gnutls_hash(hash, head, (size_t)n) | (size ? gnutls_hash(hash, text, size) : 0);
}

static int by_name(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static int add_value(gnutls_hash_hd_t hash, const json_t *value);

static int add_object(gnutls_hash_hd_t hash, const json_t *object) {
	const size_t count = json_object_size(object);
	const char **const names = malloc((count + 1) * sizeof *names);
	const char *name;
	json_t *part;
	size_t n = 0;
	if (!names)
		return -1;
	json_object_foreach((json_t *)object, name, part)
		names[n++] = name;
	qsort(names, n, sizeof *names, by_name);
	int bad = add_text(hash, '{', NULL, 0);
	for (size_t i = 0; i < n; i++)
		bad |= add_text(hash, 'k', names[i], strlen(names[i])) | add_value(hash, json_object_get(object, names[i]));
	free(names);
	return bad | add_text(hash, '}', NULL, 0);
}

/* Long texts go in as they are: no copy of a base64 field is made. */
static int add_value(gnutls_hash_hd_t hash, const json_t *value) {
	char number[40];
	size_t i;
	json_t *one;
	int bad = 0;
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return add_object(hash, value);
	case JSON_ARRAY:
		bad = add_text(hash, '[', NULL, 0);
		json_array_foreach((json_t *)value, i, one)
			bad |= add_value(hash, one);
		return bad | add_text(hash, ']', NULL, 0);
	case JSON_STRING:
		return add_text(hash, 's', json_string_value(value), json_string_length(value));
	case JSON_INTEGER:
	case JSON_REAL:
		return add_text(hash, 'n', number, (size_t)snprintf(number, sizeof number, "%.17g", json_number_value(value)));
	default:
		return add_text(hash, json_is_true(value) ? 't' : json_is_false(value) ? 'f' : '0', NULL, 0);
	}
}

int sv_request_key(const sv_request *r, const uint8_t version[32], uint8_t key[32]) {
	const char *const operation = r->route ? r->route->operation : "", *const accept = r->accept ? r->accept : "";
	gnutls_hash_hd_t hash;
	if (gnutls_hash_init(&hash, GNUTLS_DIG_SHA256) != 0)
		return SN_E_MEMORY;
	int bad = add_text(hash, 'o', operation, strlen(operation)) | add_text(hash, 'a', accept, strlen(accept));
	bad |= add_value(hash, r->params) | gnutls_hash(hash, version, 32);
	for (int i = 0; i < r->upload_count; i++) {
		bad |= add_text(hash, 'u', r->uploads[i].field, strlen(r->uploads[i].field));
		bad |= gnutls_hash(hash, r->uploads[i].hash, sizeof r->uploads[i].hash);
	}
	gnutls_hash_deinit(hash, key);
	return bad ? SN_E_INTERNAL : SN_OK;
}
