/* Bodies of requests: JSON as a whole, forms field by field, files of forms to memory or to an unlinked file. Nothing is kept twice. */
#include "server/connection.h"

#include "base/json.h"
#include "base/temporary.h"
#include "server/api.h"
#include "server/config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIELD_COST ((size_t)64) /* bytes of memory beside a form field's own */

int sv_refuse(sv_connection *c, int code, const char *field, const char *format, ...) {
	va_list args;
	if (c->refused)
		return c->refused;
	va_start(args, format);
	vsnprintf(c->refusal, sizeof c->refusal, format, args);
	va_end(args);
	snprintf(c->refused_field, sizeof c->refused_field, "%s", field ? field : "");
	return c->refused = code;
}

/* ---- files ---- */

int sv_open_spool(void) {
	const char *const dir = getenv("TMPDIR");
	return sn_temporary_file_in(dir && *dir ? dir : "/tmp");
}

static int write_all(int fd, const void *data, size_t size) {
	for (const char *at = data; size;) {
		const ssize_t wrote = write(fd, at, size);
		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote <= 0)
			return errno == ENOSPC || errno == EDQUOT ? SN_E_NO_SPACE : SN_E_IO;
		at += wrote;
		size -= (size_t)wrote;
	}
	return SN_OK;
}

static int append_memory(sv_upload *u, const char *data, size_t size) {
	/* grows by doubling; the capacity is the power of two that holds the size */
	size_t room = 4096, wanted = u->size + size;
	while (room < u->size)
		room *= 2;
	if (!u->data || wanted > room) {
		while (room < wanted)
			room *= 2;
		void *const grown = realloc(u->data, room);
		if (!grown)
			return SN_E_MEMORY;
		u->data = grown;
	}
	memcpy((char *)u->data + u->size, data, size);
	return SN_OK;
}

static int append(sv_connection *c, sv_upload *u, const char *data, size_t size) {
	int result = SN_OK;
	if (u->fd < 0 && u->size + size <= SV_MEMORY_UPLOAD) {
		result = append_memory(u, data, size);
	} else {
		if (u->fd < 0) {
			u->fd = sv_open_spool();
			result = u->fd < 0 ? SN_E_IO : write_all(u->fd, u->data, u->size);
			free(u->data);
			u->data = NULL;
		}
		if (result == SN_OK)
			result = write_all(u->fd, data, size);
	}
	if (result != SN_OK)
		return sv_refuse(c, result, u->field, "the upload \"%s\" cannot be kept: %s", u->field,
		                 result == SN_E_MEMORY ? "no memory" : strerror(errno));
	u->size += size;
	if (gnutls_hash(c->hash, data, size) != 0)
		return sv_refuse(c, SN_E_INTERNAL, u->field, "the upload's hash failed");
	return SN_OK;
}

static void end_upload(sv_connection *c) {
	if (!c->hash)
		return;
	gnutls_hash_deinit(c->hash, c->request.uploads[c->request.upload_count - 1].hash);
	c->hash = NULL;
}

static int begin_upload(sv_connection *c, const char *field, const char *file_name) {
	sv_request *const r = &c->request;
	if (r->upload_count == SV_MAX_UPLOADS)
		return sv_refuse(c, SN_E_LIMIT, field, "more than %d files came in one request", SV_MAX_UPLOADS);
	if ((r->upload_count & (r->upload_count - 1)) == 0) {
		sv_upload *const grown = realloc(r->uploads, (size_t)(r->upload_count ? 2 * r->upload_count : 1) * sizeof *grown);
		if (!grown)
			return sv_refuse(c, SN_E_MEMORY, field, "no memory for the upload");
		r->uploads = grown;
	}
	sv_upload *const u = &r->uploads[r->upload_count];
	*u = (sv_upload){ .fd = -1, .file_name = strdup(file_name) };
	snprintf(u->field, sizeof u->field, "%s", field);
	r->upload_count++;
	if (!u->file_name || gnutls_hash_init(&c->hash, GNUTLS_DIG_SHA256) != 0)
		return sv_refuse(c, SN_E_MEMORY, field, "no memory for the upload");
	json_array_append_new(c->files, json_string(u->field));
	return SN_OK;
}

/* ---- fields of a form ---- */

/* "timestamp_granularities[]" is the list of that name without the brackets. */
static void plain_name(char out[SV_NAME], const char *name) {
	snprintf(out, SV_NAME, "%.*s", SV_NAME - 1, name);
	const size_t size = strlen(out);
	if (size > 2 && strcmp(out + size - 2, "[]") == 0)
		out[size - 2] = 0;
}

static void end_field(sv_connection *c) {
	if (!*c->field_name)
		return;
	json_t *const value = json_stringn(c->field.data ? c->field.data : "", c->field.size);
	json_t *const before = json_object_get(c->form, c->field_name);
	if (!value || memchr(c->field.data ? c->field.data : "", 0, c->field.size))
		sv_refuse(c, SN_E_FORMAT, c->field_name, "\"%s\" is no UTF-8 text", c->field_name);
	else if (json_object_size(c->form) >= SV_MAX_FIELDS)
		sv_refuse(c, SN_E_LIMIT, c->field_name, "the form has more than %d fields", SV_MAX_FIELDS);
	else if ((c->form_bytes += c->field.size + FIELD_COST) > c->field.max + SV_MAX_FIELDS * FIELD_COST)
		sv_refuse(c, SN_E_LIMIT, c->field_name, "the form's fields are longer than %zu bytes together", c->field.max);
	else if (json_is_array(before))
		json_array_append(before, value);
	else if (before)
		json_object_set_new(c->form, c->field_name, json_pack("[O, O]", before, value));
	else
		json_object_set(c->form, c->field_name, value);
	json_decref(value);
	sn_buf_clear(&c->field);
	*c->field_name = 0;
}

static int begin_part(void *payload, const sv_form_part *part) {
	sv_connection *const c = payload;
	const char *const encoding = part->encoding;
	char name[SV_NAME];
	plain_name(name, part->name);
	if (*encoding && strcasecmp(encoding, "binary") != 0 && strcasecmp(encoding, "8bit") != 0 && strcasecmp(encoding, "7bit") != 0)
		return sv_refuse(c, SN_E_FORMAT, name, "\"%s\" is encoded as \"%.40s\"; send it as it is", name, encoding);
	if (part->is_file)
		return begin_upload(c, name, part->file_name);
	memcpy(c->field_name, name, sizeof name);
	return SN_OK;
}

static int take_part(void *payload, const void *data, size_t size) {
	sv_connection *const c = payload;
	if (c->hash)
		return append(c, &c->request.uploads[c->request.upload_count - 1], data, size);
	if (sn_buf_add(&c->field, data, size) == SN_OK)
		return SN_OK;
	return sv_refuse(c, SN_E_LIMIT, c->field_name, "\"%s\" is longer than %zu bytes", c->field_name, c->field.max);
}

static int end_part(void *payload) {
	sv_connection *const c = payload;
	end_upload(c);
	end_field(c);
	return c->refused;
}

/* ---- the body ---- */

static int take_type(sv_connection *c, char *err) {
	const char *const given = MHD_lookup_connection_value(c->mhd, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_TYPE);
	const char *const coding = MHD_lookup_connection_value(c->mhd, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_ENCODING);
	int none;
	if (coding && strcasecmp(coding, "identity") != 0)
		return sn_fail(err, SN_E_UNSUPPORTED, "a body with Content-Encoding \"%.40s\" is not taken; send it as it is", coding);
	for (size_t i = 0; given && given[i] && given[i] != ';' && given[i] != ' ' && i + 1 < sizeof c->content_type; i++)
		c->content_type[i] = (char)(given[i] >= 'A' && given[i] <= 'Z' ? given[i] | 0x20 : given[i]);
	const int takes = sv_api_takes(c->request.server->api, c->request.route, c->content_type, &none);
	if (none || takes)
		return none ? SN_OK : (c->body_kind = strncmp(c->content_type, "multipart/", 10) == 0 ? SV_BODY_FORM : SV_BODY_JSON, SN_OK);
	char kinds[160] = "";
	const char *kind;
	json_t *one;
	json_object_foreach(json_object_get(json_object_get(c->request.route->operation_json, "requestBody"), "content"), kind, one)
		snprintf(kinds + strlen(kinds), sizeof kinds - strlen(kinds), "%s%s", *kinds ? " or " : "", kind);
	return sn_fail(err, SN_E_UNSUPPORTED, "the content type is \"%.60s\"; %s would be right", c->content_type, kinds);
}

int sv_upload_open(sv_connection *c, char *err) {
	const sv_config *const config = c->request.server->config;
	const char *const length = MHD_lookup_connection_value(c->mhd, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
	int result = take_type(c, err);
	if (result != SN_OK)
		return result;
	const int64_t most = c->body_kind == SV_BODY_FORM ? config->max_body : c->body_kind == SV_BODY_JSON ? config->max_json : SV_DRAIN;
	if (length && strtoll(length, NULL, 10) > most)
		return sn_fail(err, SN_E_LIMIT, "the body has %.20s bytes; at most %lld are taken here", length, (long long)most);
	sn_buf_init(&c->body, (size_t)config->max_json);
	sn_buf_init(&c->field, (size_t)config->max_json);
	c->form = json_object();
	c->files = json_array();
	if (!c->form || !c->files)
		return sn_fail(err, SN_E_MEMORY, "no memory for the request");
	const char *const type = MHD_lookup_connection_value(c->mhd, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_TYPE);
	const sv_form_sink sink = { begin_part, take_part, end_part };
	return c->body_kind == SV_BODY_FORM ? sv_form_open(&c->parts, type, &sink, c, err) : SN_OK;
}

int sv_upload_take(sv_connection *c, const char *data, size_t size) {
	const sv_config *const config = c->request.server->config;
	char err[SN_ERRLEN];
	c->body_bytes += (int64_t)size;
	if (c->refused)
		return c->body_bytes <= config->max_body + SV_DRAIN;
	if (c->body_kind == SV_BODY_NONE) {
		sv_refuse(c, SN_E_ARGUMENT, NULL, "%s %s takes no body", c->request.route->method, c->request.route->path);
	} else if (c->body_kind == SV_BODY_JSON) {
		if (sn_buf_add(&c->body, data, size) != SN_OK)
			sv_refuse(c, SN_E_LIMIT, NULL, "the body is longer than %zu bytes", c->body.max);
	} else if (c->body_bytes > config->max_body) {
		sv_refuse(c, SN_E_LIMIT, NULL, "the body is longer than %lld bytes", (long long)config->max_body);
	} else {
		const int result = sv_form_take(c->parts, data, size, err);
		if (result != SN_OK)
			sv_refuse(c, result, NULL, "%s", err);
	}
	return 1;
}

static int parse_json(sv_connection *c, json_t **out, char *err) {
	json_error_t error;
	*out = NULL;
	if (sn_json_values(c->body.data, c->body.size) > SV_MAX_VALUES)
		return sn_fail(err, SN_E_LIMIT, "the JSON has more than %d values", SV_MAX_VALUES);
	*out = json_loadb(c->body.data ? c->body.data : "", c->body.size, JSON_REJECT_DUPLICATES, &error);
	if (!*out)
		return sn_fail(err, SN_E_FORMAT, "the JSON is malformed: line %d, column %d: %s", error.line, error.column, error.text);
	return json_is_object(*out) ? SN_OK : sn_fail(err, SN_E_FORMAT, "the JSON is no object");
}

/* OpenAI's clients write fields that were not set as empty ones. */
static void drop_empty_fields(json_t *form) {
	const char *name;
	json_t *value;
	void *next;
	json_object_foreach_safe(form, next, name, value)
		if (json_is_string(value) && !json_string_length(value))
			json_object_del(form, name);
}

int sv_upload_finish(sv_connection *c, char *err) {
	const sv_api *const api = c->request.server->api;
	char field[SV_NAME] = "";
	json_t *body = NULL;
	int result = SN_OK;
	if (c->body_kind == SV_BODY_FORM) {
		result = sv_form_end(c->parts, err);
		if (result != SN_OK)
			sv_refuse(c, result, NULL, "%s", err);
		if (c->request.route->openai)
			drop_empty_fields(c->form);
		body = json_incref(c->form);
	} else if (c->body_kind == SV_BODY_JSON && !c->refused) {
		result = parse_json(c, &body, err);
		sn_buf_free(&c->body);
	}
	if (c->refused)
		result = sn_fail(err, c->refused, "%s", c->refusal);
	else if (result == SN_OK && c->body_kind != SV_BODY_NONE)
		result = sv_api_check_body(api, c->request.route, c->content_type, body, c->body_kind == SV_BODY_FORM, c->files, c->request.params,
		                           field, err);
	json_decref(body);
	if (result != SN_OK)
		sv_refuse(c, result, field, "%s", err);
	return result;
}

void sv_upload_close(sv_connection *c) {
	sv_form_close(&c->parts);
	end_upload(c);
	for (int i = 0; i < c->request.upload_count; i++) {
		sv_upload *const u = &c->request.uploads[i];
		free(u->data);
		free(u->file_name);
		if (u->fd >= 0)
			close(u->fd);
	}
	free(c->request.uploads);
	json_decref(c->form);
	json_decref(c->files);
	sn_buf_free(&c->body);
	sn_buf_free(&c->field);
}
