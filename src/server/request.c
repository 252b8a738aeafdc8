/* What handlers ask of a request. */
#include "server/connection.h"

#include <stdio.h>
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
	pthread_mutex_lock(&r->connection->lock);
	r->cancel = cancel;
	r->cancel_payload = payload;
	if (cancel && atomic_load(&r->gone))
		cancel(payload);
	pthread_mutex_unlock(&r->connection->lock);
}
