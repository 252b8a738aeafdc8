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

int sv_request_key(const sv_request *r, const uint8_t version[32], uint8_t key[32]) {
	char *const params = json_dumps(r->params, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(9));
	gnutls_hash_hd_t hash;
	if (!params || gnutls_hash_init(&hash, GNUTLS_DIG_SHA256) != 0) {
		free(params);
		return SN_E_MEMORY;
	}
	/* every text ends with its NUL, so that no two requests write the same bytes */
	int bad = gnutls_hash(hash, r->route->operation, strlen(r->route->operation) + 1);
	bad |= gnutls_hash(hash, r->accept, strlen(r->accept) + 1);
	bad |= gnutls_hash(hash, params, strlen(params) + 1);
	bad |= gnutls_hash(hash, version, 32);
	for (int i = 0; i < r->upload_count; i++) {
		bad |= gnutls_hash(hash, r->uploads[i].field, strlen(r->uploads[i].field) + 1);
		bad |= gnutls_hash(hash, r->uploads[i].hash, sizeof r->uploads[i].hash);
	}
	gnutls_hash_deinit(hash, key);
	free(params);
	return bad ? SN_E_INTERNAL : SN_OK;
}
