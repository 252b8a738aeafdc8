/* Batches and their jobs. */
#include "server/batch.h"

#include "base/error.h"
#include "base/json.h"
#include "server/api.h"
#include "server/config.h"
#include "server/jobs.h"
#include "store/blobs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RETRY 60 /* seconds, where there are too many jobs */

/* Whose jobs the caller sees. */
static int64_t seen_by(const sv_request *r) { return r->key.manage ? SV_JOB_EVERY : r->key.id; }

static void reply_job(sv_request *r, sv_reply *reply, int status, const char *id) {
	char err[SN_ERRLEN];
	sv_batch_facts facts;
	json_t *job;
	const int result = sv_jobs_json(r->server, id, seen_by(r), &job, err);
	if (result != SN_OK) {
		sv_reply_fail(reply, result, "job", err);
		return;
	}
	const char *const state = json_string_value(json_object_get(job, "state"));
	sv_batch_describe(r->server->batch, &facts);
	if (facts.full && state && (strcmp(state, "queued") == 0 || strcmp(state, "running") == 0))
		json_object_set_new(job, "waiting", json_string("no space left: items wait until their results can be stored"));
	sv_reply_json(reply, status, job);
}

/* ---- acceptance ---- */

static void accept_items(sv_request *r, sv_reply *reply, sv_job_kind kind, const sv_job_item *items, int count) {
	char err[SN_ERRLEN], id[SV_JOB_ID], place[SV_JOB_ID + 8];
	const int result = sv_jobs_add(r->server, kind, r->key.id, items, count, id, err);
	if (result == SN_E_BUSY) {
		sv_reply_retry(reply, 503, RETRY, err);
	} else if (result != SN_OK) {
		sv_reply_fail(reply, result, NULL, err);
	} else {
		sv_batch_wake(r->server->batch);
		snprintf(place, sizeof place, "/jobs/%s", id);
		sv_reply_header(reply, "Location", place);
		reply_job(r, reply, 202, id);
	}
}

static int check_count(sv_request *r, sv_reply *reply, size_t count, const char *field) {
	char err[SN_ERRLEN];
	const int64_t most = r->server->config->max_job_items;
	if (count && (int64_t)count <= most)
		return 1;
	if (!count)
		sv_reply_fail(reply, SN_E_ARGUMENT, field, "there is no item; a file with a name, or a text, would be one");
	else {
		snprintf(err, sizeof err, "the job has %zu items; at most %lld are taken", count, (long long)most);
		sv_reply_fail(reply, SN_E_LIMIT, field, err);
	}
	return 0;
}

/* A file's name as it is shown: cut where it is long; NULL: it is no UTF-8. */
static char *name_of(const char *given) {
	size_t size = strlen(given);
	if (size >= SV_JOB_NAME)
		for (size = SV_JOB_NAME - 1; size && ((unsigned char)given[size] & 0xc0) == 0x80; size--)
			continue;
	json_t *const checked = json_stringn(given, size);
	char *const name = checked && size ? strdup(json_string_value(checked)) : NULL;
	json_decref(checked);
	return name;
}

static int stage_upload(sv_request *r, const sv_upload *u, sv_job_item *item, char *err) {
	item->input_size = (int64_t)u->size;
	const int result = u->fd < 0 ? sn_blobs_stage(r->server->blobs, u->data ? u->data : "", u->size, 1, item->input, err)
	                             : sn_blobs_stage_file(r->server->blobs, u->fd, 1, item->input, &item->input_size, err);
	item->has_input = result == SN_OK;
	return result;
}

static void free_items(sv_request *r, sv_job_item *items, int count) {
	for (int i = 0; i < count; i++) {
		if (items[i].has_input)
			sn_blobs_unstage(r->server->blobs, items[i].input);
		free((char *)items[i].name);
		free(items[i].params);
	}
	free(items);
}

static void handle_transcribe_batch(sv_request *r, sv_reply *reply) {
	char err[SN_ERRLEN];
	const int count = r->upload_count;
	if (!check_count(r, reply, (size_t)count, "file"))
		return;
	sv_job_item *const items = calloc((size_t)count, sizeof *items);
	int result = items ? SN_OK : sn_fail(err, SN_E_MEMORY, "no memory for the job");
	for (int i = 0; i < count && result == SN_OK; i++) {
		items[i].name = name_of(r->uploads[i].file_name);
		items[i].params = sn_json_dumps(r->params, JSON_COMPACT);
		result = !items[i].params ? sn_fail(err, SN_E_MEMORY, "no memory for the job")
			: !r->uploads[i].size ? sn_fail(err, SN_E_ARGUMENT, "file %d of the form is empty", i) : stage_upload(r, &r->uploads[i], &items[i], err);
	}
	if (result == SN_OK)
		accept_items(r, reply, SV_JOB_TRANSCRIBE, items, count);
	else
		sv_reply_fail(reply, result, "file", err);
	free_items(r, items, items ? count : 0);
}

/* An item's own options over the batch's, checked as /tts/synthesize checks them. */
static int merge_item(sv_request *r, const json_t *defaults, json_t *given, sv_job_item *item, char field[SV_NAME], char *err) {
	const char *const name = json_string_value(json_object_get(given, "name")), *const text = json_string_value(json_object_get(given, "text"));
	json_t *const merged = defaults ? json_deep_copy(defaults) : json_object();
	item->name = name ? name_of(name) : NULL;
	int result = merged && json_object_update(merged, given) == 0 ? SN_OK : sn_fail(err, SN_E_MEMORY, "no memory for the job");
	if (result == SN_OK && text && (int64_t)strlen(text) > r->server->config->max_text) {
		snprintf(field, SV_NAME, "text");
		result = sn_fail(err, SN_E_LIMIT, "the text has %zu bytes; at most %lld are taken", strlen(text), (long long)r->server->config->max_text);
	}
	if (result == SN_OK) {
		json_object_del(merged, "name");
		result = sv_api_check_schema(r->server->api, "SynthesizeRequest", merged, field, err);
	}
	if (result == SN_OK && !(item->params = sn_json_dumps(merged, JSON_COMPACT | JSON_REAL_PRECISION(9))))
		result = sn_fail(err, SN_E_MEMORY, "no memory for the job");
	json_decref(merged);
	return result;
}

static void handle_synthesize_batch(sv_request *r, sv_reply *reply) {
	json_t *const list = json_object_get(r->params, "items"), *const defaults = json_object_get(r->params, "defaults");
	const size_t count = json_array_size(list);
	char err[SN_ERRLEN], field[SV_NAME] = "", blamed[2 * SV_NAME] = "";
	if (!check_count(r, reply, count, "items"))
		return;
	sv_job_item *const items = calloc(count, sizeof *items);
	int result = items ? SN_OK : sn_fail(err, SN_E_MEMORY, "no memory for the job");
	for (size_t i = 0; i < count && result == SN_OK; i++) {
		result = merge_item(r, defaults, json_array_get(list, i), &items[i], field, err);
		if (result != SN_OK)
			snprintf(blamed, sizeof blamed, *field ? "items.%zu.%s" : "items.%zu", i, field);
	}
	if (result == SN_OK)
		accept_items(r, reply, SV_JOB_SYNTHESIZE, items, (int)count);
	else
		sv_reply_fail(reply, result, *blamed ? blamed : NULL, err);
	free_items(r, items, items ? (int)count : 0);
}

/* ---- looking ---- */

static void handle_jobs(sv_request *r, sv_reply *reply) {
	char err[SN_ERRLEN];
	json_t *list;
	const int result = sv_jobs_list(r->server, seen_by(r), (int)sv_integer(r, "limit", 100), &list, err);
	if (result == SN_OK)
		sv_reply_json(reply, 200, list);
	else
		sv_reply_fail(reply, result, NULL, err);
}

static void handle_job(sv_request *r, sv_reply *reply) { reply_job(r, reply, 200, sv_text(r, "job", "")); }

static void handle_results(sv_request *r, sv_reply *reply) {
	char err[SN_ERRLEN];
	json_t *page;
	const int result = sv_jobs_results(r->server, sv_text(r, "job", ""), seen_by(r), sv_integer(r, "from", 0), (int)sv_integer(r, "limit", 100),
	                                   &page, err);
	if (result == SN_OK)
		sv_reply_json(reply, 200, page);
	else
		sv_reply_fail(reply, result, "job", err);
}

static void reply_audio(sv_request *r, sv_reply *reply, const uint8_t hash[32], const char *type) {
	char err[SN_ERRLEN];
	int64_t size;
	const int fd = sn_blobs_open_blob(r->server->blobs, hash, &size, err);
	if (fd >= 0)
		sv_reply_file(reply, 200, type, fd, size);
	else
		sv_reply_fail(reply, SN_E_IO, NULL, err);
}

static void handle_result(sv_request *r, sv_reply *reply) {
	char err[SN_ERRLEN], type[64];
	uint8_t audio[32];
	int has_audio;
	json_t *item;
	const int result = sv_jobs_result(r->server, sv_text(r, "job", ""), seen_by(r), sv_integer(r, "index", 0), &item, &has_audio, audio, type,
	                                  err);
	if (result != SN_OK) {
		sv_reply_fail(reply, result, "index", err);
	} else if (!sv_accepts(r, "audio/")) {
		sv_reply_json(reply, 200, item);
	} else if (has_audio) {
		reply_audio(r, reply, audio, type);
		json_decref(item);
	} else {
		snprintf(err, sizeof err, "the item is %.16s and has no audio", json_string_value(json_object_get(item, "state")));
		sv_reply_fail(reply, SN_E_NOT_FOUND, "index", err);
		json_decref(item);
	}
}

static void handle_cancel(sv_request *r, sv_reply *reply) {
	const char *const id = sv_text(r, "job", "");
	const int remove = sv_flag(r, "remove", 0);
	char err[SN_ERRLEN];
	json_t *job = NULL;
	int result = sv_jobs_cancel(r->server, id, seen_by(r), err);
	if (result == SN_OK)
		sv_batch_stop_job(r->server->batch, id);
	if (result == SN_OK && remove)
		result = sv_jobs_json(r->server, id, seen_by(r), &job, err);
	if (result == SN_OK && remove)
		result = sv_jobs_remove(r->server, id, seen_by(r), err);
	if (result != SN_OK)
		sv_reply_fail(reply, result, "job", err);
	else if (remove)
		sv_reply_json(reply, 200, json_incref(job));
	else
		reply_job(r, reply, 200, id);
	json_decref(job);
}

const sv_operation sv_operations_jobs[] = {
	{ "transcribeBatch", handle_transcribe_batch, 0, NULL }, { "synthesizeBatch", handle_synthesize_batch, 0, NULL },
	{ "jobs", handle_jobs, 0, NULL }, { "job", handle_job, 0, NULL }, { "jobResults", handle_results, 0, NULL },
	{ "jobResult", handle_result, 0, NULL }, { "cancelJob", handle_cancel, 0, NULL }, { 0 },
};
