#include "server/jobs.h"

#include "base/clock.h"
#include "base/error.h"
#include "server/config.h"
#include "store/blobs.h"
#include "store/keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

static const char *const kinds[] = { "transcribe", "synthesize" };

static double wall(void) {
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void date(char out[24]) {
	const time_t now = time(NULL);
	struct tm t;
	strftime(out, 24, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &t));
}

/* Ends a transaction by its result so far. */
static int settle(sn_db *db, int result, char *err) {
	if (result == SN_OK)
		return sn_db_commit(db, err);
	sn_db_rollback(db);
	return result;
}

static int no_job(const char *id, char *err) { return sn_fail(err, SN_E_NOT_FOUND, "there is no job \"%.40s\"", id); }

/* ---- acceptance ---- */

static int make_id(char id[SV_JOB_ID], char *err) {
	uint8_t bits[16];
	if (getrandom(bits, sizeof bits, 0) != sizeof bits)
		return sn_fail_errno(err, "no random bits for a job");
	for (int i = 0; i < 16; i++)
		snprintf(id + 2 * i, 3, "%02x", bits[i]);
	return SN_OK;
}

static int count_active(sv_server *s, char *err) {
	sn_query q;
	int64_t count = 0;
	int result = sn_db_begin(s->db, &q, "SELECT count(*) FROM jobs WHERE state IN ('queued', 'running')", "", err);
	if (result == SN_OK && (result = sn_db_row(&q, err)) == SN_OK)
		count = sqlite3_column_int64(q.statement, 0);
	sn_db_end(&q);
	if (result == SN_OK && count >= s->config->max_jobs)
		result = sn_fail(err, SN_E_BUSY, "%lld jobs are waiting or in work already", (long long)count);
	return result;
}

static int add_item(sv_server *s, const char *id, int at, const sv_job_item *item, char *err) {
	const size_t hash = item->has_input ? sizeof item->input : 0;
	int result = sn_db_do(s->db, NULL, "INSERT INTO items(job, at, name, state, params, input) VALUES(?1, ?2, ?3, 'queued', ?4, ?5)",
	                      "tittb", err, id, (int64_t)at, item->name, item->params, hash ? item->input : NULL, hash);
	return result == SN_OK && item->has_input ? sn_blobs_keep(s->blobs, item->input, item->input_size, err) : result;
}

int sv_jobs_add(sv_server *s, sv_job_kind kind, int64_t key, const sv_job_item *items, int count, char id[SV_JOB_ID], char *err) {
	char created[24];
	date(created);
	int result = make_id(id, err);
	if (result == SN_OK)
		result = sn_db_transaction(s->db, err);
	if (result != SN_OK)
		return result;
	result = count_active(s, err);
	if (result == SN_OK)
		result = sn_db_do(s->db, NULL, "INSERT INTO jobs(id, kind, key, state, created, created_at, items)"
		                  " VALUES(?1, ?2, ?3, 'queued', ?4, ?5, ?6)",
		                  "ttitri", err, id, kinds[kind], key, created, wall(), (int64_t)count);
	for (int i = 0; i < count && result == SN_OK; i++)
		result = add_item(s, id, i, &items[i], err);
	return settle(s->db, result, err);
}

/* ---- what is told of them ---- */

/* Columns of a Job: id, kind, state, created, finished, items, done, failed. */
#define JOB "id, kind, state, created, finished, items, done, failed"

static json_t *text_at(sqlite3_stmt *s, int column) {
	const char *const text = (const char *)sqlite3_column_text(s, column);
	return text ? json_string(text) : NULL;
}

static json_t *job_of(sqlite3_stmt *s) {
	const int64_t items = sqlite3_column_int64(s, 5), done = sqlite3_column_int64(s, 6), failed = sqlite3_column_int64(s, 7);
	json_t *const job = json_object();
	json_object_set_new(job, "id", text_at(s, 0));
	json_object_set_new(job, "kind", text_at(s, 1));
	json_object_set_new(job, "state", text_at(s, 2));
	json_object_set_new(job, "created", text_at(s, 3));
	json_object_set_new(job, "finished", text_at(s, 4)); /* absent while it is NULL */
	json_object_set_new(job, "items", json_integer(items));
	json_object_set_new(job, "done", json_integer(done));
	json_object_set_new(job, "failed", json_integer(failed));
	json_object_set_new(job, "progress", json_real(items ? (double)(done + failed) / (double)items : 1));
	return job;
}

int sv_jobs_json(sv_server *s, const char *id, int64_t key, json_t **out, char *err) {
	sn_query q;
	*out = NULL;
	int result = sn_db_begin(s->db, &q, "SELECT " JOB " FROM jobs WHERE id = ?1 AND (?2 < 0 OR key = ?2)", "ti", err, id, key);
	if (result == SN_OK && (result = sn_db_row(&q, err)) == SN_OK)
		*out = job_of(q.statement);
	sn_db_end(&q);
	return result == SN_END ? no_job(id, err) : result;
}

int sv_jobs_list(sv_server *s, int64_t key, int limit, json_t **out, char *err) {
	sn_query q;
	json_t *const list = json_array();
	int result = sn_db_begin(s->db, &q, "SELECT " JOB " FROM jobs WHERE ?1 < 0 OR key = ?1 ORDER BY created_at DESC LIMIT ?2", "ii", err, key,
	                         (int64_t)limit);
	while (result == SN_OK && (result = sn_db_row(&q, err)) == SN_OK)
		json_array_append_new(list, job_of(q.statement));
	sn_db_end(&q);
	*out = json_pack("{s:o}", "jobs", list);
	return result == SN_END ? SN_OK : result;
}

/* Columns of a JobItem: at, name, state, result, output, output_type. */
#define ITEM "at, name, state, result, output, output_type"

static json_t *item_of(sqlite3_stmt *s) {
	const char *const state = (const char *)sqlite3_column_text(s, 2), *const result = (const char *)sqlite3_column_text(s, 3);
	json_t *const item = json_object();
	json_object_set_new(item, "index", json_integer(sqlite3_column_int64(s, 0)));
	json_object_set_new(item, "name", text_at(s, 1)); /* absent where it is no UTF-8 */
	json_object_set_new(item, "state", text_at(s, 2));
	if (result && state)
		json_object_set_new(item, strcmp(state, "failed") == 0 ? "error" : "result", json_loads(result, 0, NULL));
	if (sqlite3_column_bytes(s, 4) == SN_BLOB_HASH)
		json_object_set_new(item, "audio_type", text_at(s, 5));
	return item;
}

int sv_jobs_results(sv_server *s, const char *id, int64_t key, int64_t from, int limit, json_t **out, char *err) {
	sn_query q;
	json_t *job, *const list = json_array();
	size_t bytes = 0;
	int64_t next = -1;
	int result = sv_jobs_json(s, id, key, &job, err);
	*out = NULL;
	if (result != SN_OK) {
		json_decref(list);
		return result;
	}
	result = sn_db_begin(s->db, &q, "SELECT " ITEM " FROM items WHERE job = ?1 AND at >= ?2 ORDER BY at LIMIT ?3", "tii", err, id, from,
	                     (int64_t)limit + 1);
	while (result == SN_OK && (result = sn_db_row(&q, err)) == SN_OK) {
		if ((int)json_array_size(list) == limit || bytes > SV_JOB_PAGE_BYTES) {
			next = sqlite3_column_int64(q.statement, 0);
			result = SN_END;
			break;
		}
		bytes += (size_t)sqlite3_column_bytes(q.statement, 3);
		json_array_append_new(list, item_of(q.statement));
	}
	sn_db_end(&q);
	*out = json_pack("{s:o, s:o}", "job", job, "results", list);
	if (*out && next >= 0)
		json_object_set_new(*out, "next", json_integer(next));
	return result == SN_END ? SN_OK : result;
}

int sv_jobs_result(sv_server *s, const char *id, int64_t key, int64_t at, json_t **out, int *has_audio, uint8_t audio[32], char type[64],
                   char *err) {
	sn_query q;
	*out = NULL;
	*has_audio = 0;
	int result = sn_db_begin(s->db, &q, "SELECT " ITEM " FROM items WHERE job = (SELECT id FROM jobs WHERE id = ?1 AND (?2 < 0 OR key = ?2))"
	                         " AND at = ?3", "tii", err, id, key, at);
	if (result == SN_OK && (result = sn_db_row(&q, err)) == SN_OK) {
		const char *const media = (const char *)sqlite3_column_text(q.statement, 5);
		*has_audio = sqlite3_column_bytes(q.statement, 4) == SN_BLOB_HASH;
		if (*has_audio)
			memcpy(audio, sqlite3_column_blob(q.statement, 4), SN_BLOB_HASH);
		snprintf(type, 64, "%s", media ? media : "application/octet-stream");
		*out = item_of(q.statement);
	}
	sn_db_end(&q);
	return result == SN_END ? sn_fail(err, SN_E_NOT_FOUND, "there is no item %lld of a job \"%.40s\"", (long long)at, id) : result;
}

/* ---- ending jobs ---- */

/* Gives back the blobs that a statement selects (one column each). */
static int drop_blobs(sv_server *s, const char *sql, const char *id, char *err) {
	sn_query q;
	int result = sn_db_begin(s->db, &q, sql, "t", err, id);
	while (result == SN_OK && (result = sn_db_row(&q, err)) == SN_OK)
		if (sqlite3_column_bytes(q.statement, 0) == SN_BLOB_HASH)
			result = sn_blobs_drop(s->blobs, sqlite3_column_blob(q.statement, 0), err);
	sn_db_end(&q);
	return result == SN_END ? SN_OK : result;
}

/* Statements of a transaction. */
static int cancel(sv_server *s, const char *id, char *err) {
	char finished[24];
	int64_t changed = 0;
	date(finished);
	int result = sn_db_do(s->db, &changed, "UPDATE jobs SET state = 'cancelled', finished = ?2, finished_at = ?3 WHERE id = ?1"
	                      " AND state IN ('queued', 'running')", "ttr", err, id, finished, wall());
	if (result != SN_OK || !changed)
		return result;
	result = drop_blobs(s, "SELECT input FROM items WHERE job = ?1 AND state = 'queued' AND input IS NOT NULL", id, err);
	return result != SN_OK ? result
		: sn_db_do(s->db, NULL, "UPDATE items SET state = 'cancelled', input = NULL WHERE job = ?1 AND state = 'queued'", "t", err, id);
}

static int forget(sv_server *s, const char *id, char *err) {
	int result = drop_blobs(s, "SELECT input FROM items WHERE job = ?1 AND input IS NOT NULL", id, err);
	if (result == SN_OK)
		result = drop_blobs(s, "SELECT output FROM items WHERE job = ?1 AND output IS NOT NULL", id, err);
	if (result == SN_OK)
		result = sn_db_do(s->db, NULL, "DELETE FROM items WHERE job = ?1", "t", err, id);
	return result == SN_OK ? sn_db_do(s->db, NULL, "DELETE FROM jobs WHERE id = ?1", "t", err, id) : result;
}

static int end_job(sv_server *s, const char *id, int64_t key, int remove, char *err) {
	json_t *job;
	int result = sv_jobs_json(s, id, key, &job, err);
	json_decref(job);
	if (result == SN_OK)
		result = sn_db_transaction(s->db, err);
	if (result != SN_OK)
		return result;
	result = remove ? forget(s, id, err) : cancel(s, id, err);
	result = settle(s->db, result, err);
	sn_blobs_tidy(s->blobs);
	return result;
}

int sv_jobs_cancel(sv_server *s, const char *id, int64_t key, char *err) { return end_job(s, id, key, 0, err); }
int sv_jobs_remove(sv_server *s, const char *id, int64_t key, char *err) { return end_job(s, id, key, 1, err); }

static int next_expired(sv_server *s, double before, char id[SV_JOB_ID], char *err) {
	sn_query q;
	int result = sn_db_begin(s->db, &q, "SELECT id FROM jobs WHERE state IN ('done', 'cancelled') AND finished_at < ?1 LIMIT 1",
	                         "r", err, before);
	if (result == SN_OK && (result = sn_db_row(&q, err)) == SN_OK)
		snprintf(id, SV_JOB_ID, "%s", (const char *)sqlite3_column_text(q.statement, 0));
	sn_db_end(&q);
	return result;
}

int sv_jobs_retain(sv_server *s, double before, int *count, char *err) {
	char id[SV_JOB_ID];
	int result;
	*count = 0;
	while ((result = next_expired(s, before, id, err)) == SN_OK) {
		if ((result = sv_jobs_remove(s, id, SV_JOB_EVERY, err)) != SN_OK)
			break;
		*count += 1;
	}
	return result == SN_END ? SN_OK : result;
}

/* ---- work ---- */

int sv_jobs_recover(sv_server *s, int orderly, char *err) {
	int result = sn_db_transaction(s->db, err);
	if (result != SN_OK)
		return result;
	result = sn_db_do(s->db, NULL, "UPDATE items SET state = 'queued', attempts = CASE WHEN ?1 THEN 0 ELSE attempts END"
	                  " WHERE state = 'running'", "i", err, (int64_t)orderly);
	/* those whose job was cancelled while they ran */
	if (result == SN_OK)
		result = drop_blobs(s, "SELECT input FROM items WHERE state = ?1 AND input IS NOT NULL"
		                    " AND job IN (SELECT id FROM jobs WHERE state = 'cancelled')",
		                    "queued", err);
	if (result == SN_OK)
		result = sn_db_do(s->db, NULL, "UPDATE items SET state = 'cancelled', input = NULL WHERE state = 'queued'"
		                  " AND job IN (SELECT id FROM jobs WHERE state = 'cancelled')", "", err);
	result = settle(s->db, result, err);
	sn_blobs_tidy(s->blobs);
	return result;
}

int sv_jobs_waiting(sv_server *s, int64_t *count, char *err) {
	sn_query q;
	int result = sn_db_begin(s->db, &q, "SELECT count(*) FROM items WHERE state = 'queued'", "", err);
	if (result == SN_OK && (result = sn_db_row(&q, err)) == SN_OK)
		*count = sqlite3_column_int64(q.statement, 0);
	sn_db_end(&q);
	return result;
}

/* How often an item may have been begun in vain. One of which a crash was the end several times might be its cause: the others go first, and
 * the server is to have lived for a while before it is tried again. */
static int64_t most_attempts(const sv_server *s) {
	const int64_t most = 3 + (int64_t)(sn_now() - s->started);
	return most <= SV_JOB_ATTEMPTS ? most : SV_JOB_ATTEMPTS + 1;
}

/* The oldest job with waiting items of each key; of those the one whose key was served least. */
static int choose_job(sv_server *s, const int64_t *served, int count, sv_claim *c, char *err) {
	sn_query q;
	int least = -1;
	int result = sn_db_begin(s->db, &q, "SELECT id, kind, key, min(created_at) FROM jobs WHERE state IN ('queued', 'running')"
	                         " AND EXISTS (SELECT 1 FROM items WHERE items.state = 'queued' AND items.job = jobs.id AND attempts < ?1)"
	                         " GROUP BY key ORDER BY 4",
	                         "i", err, most_attempts(s));
	while (result == SN_OK && (result = sn_db_row(&q, err)) == SN_OK) {
		int n = 0;
		for (int i = 0; i < count; i++)
			n += served[i] == sqlite3_column_int64(q.statement, 2);
		if (least >= 0 && n >= least)
			continue;
		least = n;
		snprintf(c->job, sizeof c->job, "%s", (const char *)sqlite3_column_text(q.statement, 0));
		c->kind = strcmp((const char *)sqlite3_column_text(q.statement, 1), kinds[SV_JOB_SYNTHESIZE]) == 0 ? SV_JOB_SYNTHESIZE : SV_JOB_TRANSCRIBE;
		c->key.id = sqlite3_column_int64(q.statement, 2);
	}
	sn_db_end(&q);
	return result == SN_END && least >= 0 ? SN_OK : result;
}

static int take_item(sv_server *s, sv_claim *c, char *err) {
	sn_query q;
	int result = sn_db_begin(s->db, &q, "UPDATE items SET state = 'running', attempts = attempts + 1 WHERE job = ?1 AND at ="
	                         " (SELECT at FROM items WHERE state = 'queued' AND job = ?1 AND attempts < ?2 ORDER BY at LIMIT 1)"
	                         " RETURNING at, name, params, input, attempts", "ti", err, c->job, most_attempts(s));
	if (result == SN_OK && (result = sn_db_row(&q, err)) == SN_OK) {
		const char *const name = (const char *)sqlite3_column_text(q.statement, 1);
		const char *const params = (const char *)sqlite3_column_text(q.statement, 2);
		c->at = sqlite3_column_int64(q.statement, 0);
		snprintf(c->name, sizeof c->name, "%s", name ? name : "");
		c->params = params ? json_loads(params, 0, NULL) : NULL;
		c->has_input = sqlite3_column_bytes(q.statement, 3) == sizeof c->input;
		if (c->has_input)
			memcpy(c->input, sqlite3_column_blob(q.statement, 3), sizeof c->input);
		c->attempts = sqlite3_column_int64(q.statement, 4);
		result = sn_db_row(&q, err);
	}
	sn_db_end(&q);
	return result == SN_END ? SN_OK : result;
}

int sv_jobs_claim(sv_server *s, const int64_t *served, int count, sv_claim *out, char *err) {
	*out = (sv_claim){ 0 };
	int result = sn_db_transaction_unsynced(s->db, err); /* lost by a loss of power, it is claimed anew: that is what would happen anyway */
	if (result != SN_OK)
		return result;
	result = choose_job(s, served, count, out, err);
	if (result == SN_OK)
		result = take_item(s, out, err);
	if (result == SN_OK)
		result = sn_db_do(s->db, NULL, "UPDATE jobs SET state = 'running' WHERE id = ?1 AND state = 'queued'", "t", err, out->job);
	if (result == SN_OK)
		result = sn_keys_name(s->db, out->key.id, out->key.name, err);
	result = settle(s->db, result, err);
	if (result != SN_OK)
		sv_claim_free(out);
	return result;
}

void sv_claim_free(sv_claim *c) {
	json_decref(c->params);
	c->params = NULL;
}

static int read_state(sv_server *s, const char *id, char state[16], char *err) {
	sn_query q;
	*state = 0;
	int result = sn_db_begin(s->db, &q, "SELECT state FROM jobs WHERE id = ?1", "t", err, id);
	if (result == SN_OK && (result = sn_db_row(&q, err)) == SN_OK)
		snprintf(state, 16, "%s", (const char *)sqlite3_column_text(q.statement, 0));
	sn_db_end(&q);
	return result == SN_END ? SN_OK : result;
}

/* Statements of a transaction. */
static int end_item(sv_server *s, const sv_claim *c, const char *state, const char *result_text, const uint8_t *audio, size_t size,
                    const char *type, int *kept, char *err) {
	char job_state[16], finished[24];
	int64_t changed = 0;
	date(finished);
	int result = read_state(s, c->job, job_state, err);
	*kept = strcmp(job_state, "running") == 0;
	if (result != SN_OK || !*job_state) /* removed */
		return result;
	result = sn_db_do(s->db, &changed, "UPDATE items SET state = ?3, result = ?4, output = ?5, output_type = ?6, input = NULL"
	                  " WHERE job = ?1 AND at = ?2 AND state = 'running'", "tittbt", err, c->job, c->at, *kept ? state : "cancelled",
	                  *kept ? result_text : NULL, *kept ? audio : NULL, (size_t)(*kept && audio ? SN_BLOB_HASH : 0), *kept ? type : NULL);
	if (result == SN_OK && changed && c->has_input)
		result = sn_blobs_drop(s->blobs, c->input, err);
	*kept = *kept && changed;
	if (result != SN_OK || !*kept)
		return result;
	if (audio)
		result = sn_blobs_keep(s->blobs, audio, (int64_t)size, err);
	const int64_t failed = strcmp(state, "failed") == 0;
	if (result == SN_OK)
		result = sn_db_do(s->db, NULL, "UPDATE jobs SET done = done + ?2, failed = failed + ?3 WHERE id = ?1", "tii", err, c->job,
		                  1 - failed, failed);
	return result != SN_OK ? result
		: sn_db_do(s->db, NULL, "UPDATE jobs SET state = 'done', finished = ?2, finished_at = ?3 WHERE id = ?1 AND done + failed = items",
		           "ttr", err, c->job, finished, wall());
}

int sv_jobs_finish(sv_server *s, const sv_claim *c, const char *state, const char *result_text, const void *audio, size_t size,
                   const char *type, int *kept, char *err) {
	uint8_t hash[SN_BLOB_HASH];
	*kept = 0;
	int result = size ? sn_blobs_stage(s->blobs, audio, size, 1, hash, err) : SN_OK;
	if (result != SN_OK)
		return result;
	result = sn_db_transaction(s->db, err);
	if (result == SN_OK)
		result = settle(s->db, end_item(s, c, state, result_text, size ? hash : NULL, size, type, kept, err), err);
	if (size)
		sn_blobs_unstage(s->blobs, hash);
	sn_blobs_tidy(s->blobs);
	return result;
}
