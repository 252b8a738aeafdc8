#include "server/routes_usage.h"

#include "base/buf.h"
#include "store/keys.h"
#include "store/usage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_CSV ((size_t)64 << 20)

typedef struct report {
	sn_usage_row *rows;
	int count;
	sn_key *keys;
	int key_count;
} report;

static const char *name_of(const report *u, int64_t key) {
	for (int i = 0; i < u->key_count; i++)
		if (u->keys[i].id == key)
			return u->keys[i].name;
	return "";
}

static json_t *as_json(const report *u) {
	json_t *const list = json_array();
	for (int i = 0; i < u->count; i++) {
		const sn_usage_row *const row = &u->rows[i];
		json_array_append_new(list, json_pack("{s:s, s:s, s:I, s:I, s:f, s:I, s:f}", "day", row->day, "key", name_of(u, row->key), "requests",
			(json_int_t)row->requests, "failed", (json_int_t)row->failed, "audio_seconds", row->audio, "characters",
			(json_int_t)row->characters, "speech_seconds", row->speech));
	}
	return json_pack("{s:o}", "usage", list);
}

/* Names of keys are letters, digits and -_.@, so nothing is quoted. */
static void reply_csv(const report *u, sv_reply *reply) {
	sn_buf b;
	size_t size;
	sn_buf_init(&b, MAX_CSV);
	sn_buf_text(&b, "day,key,requests,failed,audio_seconds,characters,speech_seconds\r\n");
	for (int i = 0; i < u->count; i++) {
		const sn_usage_row *const row = &u->rows[i];
		sn_buf_printf(&b, "%s,%s,%lld,%lld,%.3f,%lld,%.3f\r\n", row->day, name_of(u, row->key), (long long)row->requests, (long long)row->failed,
		              row->audio, (long long)row->characters, row->speech);
	}
	char *const text = sn_buf_take(&b, &size);
	sn_buf_free(&b);
	if (text)
		sv_reply_bytes(reply, 200, "text/csv", text, size, free);
	else
		sv_reply_fail(reply, SN_E_MEMORY, NULL, "no memory for the usage");
}

void sv_route_usage(sv_request *r, sv_reply *reply) {
	report u = { 0 };
	char err[SN_ERRLEN];
	int result = sn_usage_list(r->server->usage, (int)sv_integer(r, "days", 30), r->key.manage ? -1 : r->key.id, &u.rows, &u.count, err);
	if (result == SN_OK)
		result = sn_keys_list(r->server->db, &u.keys, &u.key_count, err);
	if (result != SN_OK)
		sv_reply_fail(reply, result, NULL, err);
	else if (strcmp(sv_text(r, "format", "json"), "csv") == 0)
		reply_csv(&u, reply);
	else
		sv_reply_json(reply, 200, as_json(&u));
	free(u.rows);
	free(u.keys);
}
