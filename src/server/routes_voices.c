/* The bank of voices: listed, added to from a clip or file of the client's, removed from. */
#include "server/models.h"

#include "base/error.h"
#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- listing ---- */

static const char *kind_of(sn_voice_kind kind) {
	return kind == SN_VOICE_SPEAKER ? "speaker" : kind == SN_VOICE_EMBEDDING ? "embedding" : kind == SN_VOICE_PRESET ? "preset" : "clip";
}

static void add_text(json_t *o, const char *name, const char *text) {
	if (text && *text)
		json_object_set_new(o, name, json_string(text));
}

static json_t *voice_json(const sn_voice_entry *v) {
	json_t *const o = json_pack("{s:s, s:s, s:b}", "name", v->name, "kind", kind_of(v->kind), "in_bank", v->in_bank);
	if (!o)
		return NULL;
	add_text(o, "speaker", v->speaker);
	add_text(o, "model", v->model);
	add_text(o, "architecture", v->architecture);
	add_text(o, "language", v->language);
	add_text(o, "licence", v->licence);
	add_text(o, "source", v->source);
	add_text(o, "created", v->created);
	if (v->embedding)
		json_object_set_new(o, "embedding", json_integer(v->embedding));
	return o;
}

static void list_voices(sv_request *r, sv_reply *reply, const sn_model *model) {
	char err[SN_ERRLEN];
	sn_voice_list *list;
	const int result = sn_voice_list_read(&list, r->server->engine, model, err);
	if (result != SN_OK) {
		sv_reply_fail(reply, result, NULL, err);
		return;
	}
	json_t *const voices = json_array();
	for (size_t i = 0; i < list->count; i++)
		json_array_append_new(voices, voice_json(&list->entries[i]));
	sn_voice_list_free(&list);
	sv_reply_json(reply, 200, json_pack("{s:o}", "voices", voices));
}

/* Without a model: the bank, and the speakers of the default model where there is one. */
static void handle_voices(sv_request *r, sv_reply *reply) {
	char err[SN_ERRLEN];
	sv_model_use use;
	const char *const name = sv_text(r, "model", NULL);
	const int result = sv_models_get(r->server->models, &use, name ? name : "auto", SN_TASK_SPEAK, NULL, err);
	if (result != SN_OK && name) {
		sv_reply_fail(reply, result, "model", err);
		return;
	}
	list_voices(r, reply, result == SN_OK ? use.model : NULL);
	if (result == SN_OK)
		sv_models_give(r->server->models, &use);
}

/* ---- adding ---- */

/* What the file is by its first bytes; the library tells arrays from audio by the ending. */
static const char *ending_of(const uint8_t *first, size_t size) {
	if (size >= 6 && memcmp(first, "\x93NUMPY", 6) == 0)
		return "voice.npy";
	return size >= 4 && memcmp(first, "PK\x03\x04", 4) == 0 ? "voice.npz" : "voice.audio";
}

static int copy_all(int to, const sv_upload *upload, char *err) {
	char block[65536];
	size_t at = 0;
	while (at < upload->size) {
		const size_t left = upload->size - at;
		ssize_t got = (ssize_t)(left < sizeof block ? left : sizeof block);
		const char *from = upload->data ? (const char *)upload->data + at : block;
		if (!upload->data && (got = pread(upload->fd, block, (size_t)got, (off_t)at)) <= 0)
			return sn_fail(err, SN_E_IO, "the upload cannot be read back");
		const ssize_t wrote = write(to, from, (size_t)got);
		if (wrote < 0 && errno != EINTR)
			return sn_fail_errno(err, "the upload cannot be stored");
		at += wrote > 0 ? (size_t)wrote : 0;
	}
	return SN_OK;
}

/* The upload in a directory of its own, under a name of ours. */
static int store_upload(const sv_upload *upload, char dir[SN_PATH_MAX], char path[SN_PATH_MAX], char *err) {
	uint8_t first[8] = { 0 };
	const char *const base = getenv("TMPDIR");
	const size_t size = upload->size < sizeof first ? upload->size : sizeof first;
	if (upload->data)
		memcpy(first, upload->data, size);
	else if (upload->fd >= 0 && pread(upload->fd, first, size, 0) != (ssize_t)size)
		return sn_fail(err, SN_E_IO, "the upload cannot be read back");
	if (!sn_path_join(dir, base && *base ? base : "/tmp", "sonant-voice-XXXXXX") || !mkdtemp(dir)) {
		*dir = 0;
		return sn_fail_errno(err, "no temporary directory can be made for the upload");
	}
	if (!sn_path_join(path, dir, ending_of(first, size)))
		return sn_fail(err, SN_E_LIMIT, "the temporary directory's path is too long");
	const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return sn_fail_errno(err, "the upload cannot be stored");
	const int result = copy_all(fd, upload, err);
	close(fd);
	return result;
}

static void remove_upload(const char *dir, const char *path) {
	if (*path)
		unlink(path);
	if (*dir)
		rmdir(dir);
}

/* Messages name the client's field, not our file. */
static void hide_path(char *err, const char *path) {
	char *const at = *path ? strstr(err, path) : NULL;
	if (!at)
		return;
	const size_t size = strlen(path);
	memmove(at + 8, at + size, strlen(at + size) + 1);
	memcpy(at, "the file", 8);
}

static int add_voice(sv_request *r, const char *name, sn_model *model, char *err) {
	const sv_upload *const upload = sv_request_file(r, "file");
	const sn_voice_facts facts = { .language = sv_text(r, "language", NULL), .licence = sv_text(r, "licence", NULL),
		.source = sv_text(r, "source", NULL), .speaker = sv_text(r, "speaker", NULL) };
	char dir[SN_PATH_MAX] = "", path[SN_PATH_MAX] = "";
	if (!upload && !facts.speaker)
		return sn_fail(err, SN_E_ARGUMENT, "a voice is made of a \"file\" (a clip, .npy or .npz), or of a \"speaker\" of a \"model\"");
	int result = upload ? store_upload(upload, dir, path, err) : SN_OK;
	if (result == SN_OK)
		result = sn_voice_add(r->server->engine, model, name, upload ? path : NULL, &facts, err);
	if (result != SN_OK)
		hide_path(err, path);
	remove_upload(dir, path);
	return result;
}

static void reply_added(sv_request *r, sv_reply *reply, const char *name) {
	sn_voice_list *list;
	json_t *voice = NULL;
	if (sn_voice_list_read(&list, r->server->engine, NULL, NULL) == SN_OK) {
		for (size_t i = 0; i < list->count && !voice; i++)
			if (strcmp(list->entries[i].name, name) == 0)
				voice = voice_json(&list->entries[i]);
		sn_voice_list_free(&list);
	}
	if (voice)
		sv_reply_json(reply, 201, voice);
	else
		sv_reply_fail(reply, SN_E_INTERNAL, NULL, "the voice was added and is not there any more");
}

static void handle_add(sv_request *r, sv_reply *reply) {
	char err[SN_ERRLEN];
	sv_model_use use = { 0 };
	const char *const name = sv_text(r, "name", ""), *const model = sv_text(r, "model", NULL);
	int result = model ? sv_models_get(r->server->models, &use, model, strcmp(model, "auto") == 0 ? SN_TASK_SPEAK : 0, NULL, err) : SN_OK;
	if (result != SN_OK) {
		sv_reply_fail(reply, result, "model", err);
		return;
	}
	result = add_voice(r, name, use.model, err);
	if (use.entry)
		sv_models_give(r->server->models, &use);
	if (result == SN_OK)
		reply_added(r, reply, name);
	else
		sv_reply_fail(reply, result, NULL, err);
}

/* ---- removing ---- */

static void handle_remove(sv_request *r, sv_reply *reply) {
	char err[SN_ERRLEN];
	const int result = sn_voice_remove(r->server->engine, sv_text(r, "voice", ""), err);
	if (result == SN_OK)
		sv_reply_bytes(reply, 204, "text/plain", "", 0, NULL);
	else
		sv_reply_fail(reply, result, "voice", err);
}

const sv_operation sv_operations_voices[] = { { "voices", handle_voices, 0, NULL }, { "addVoice", handle_add, 0, NULL },
	{ "removeVoice", handle_remove, 0, NULL }, { 0 } };
