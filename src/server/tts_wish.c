/* What a request wants spoken. */
#include "server/tts_speech.h"

#include "base/error.h"
#include "base/path.h"
#include "server/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

/* ---- formats ---- */

static const struct { const char *format, *type, *others[4]; } formats[] = {
	{ "wav", "audio/wav", { "audio/x-wav", "audio/wave", "audio/vnd.wave" } },
	{ "flac", "audio/flac", { "audio/x-flac" } },
	{ "mp3", "audio/mpeg", { "audio/mp3" } },
	{ "opus", "audio/ogg", { "audio/opus" } },
	{ "pcm", "audio/pcm", { NULL } },
};
#define FORMATS (sizeof formats / sizeof *formats)

const char *tts_type_of(const char *format) {
	for (size_t i = 0; i < FORMATS; i++)
		if (strcmp(format, formats[i].format) == 0)
			return formats[i].type;
	return "application/octet-stream";
}

static int is_type(const char *text, size_t size, const char *type) { return strlen(type) == size && strncasecmp(text, type, size) == 0; }

const char *tts_format_of(const char *accept) {
	for (const char *at = accept; *at; at += strcspn(at, ",") + (at[strcspn(at, ",")] != 0)) {
		at += strspn(at, " \t");
		const size_t size = strcspn(at, ",; \t");
		for (size_t i = 0; i < FORMATS; i++) {
			int same = is_type(at, size, formats[i].type);
			for (int k = 0; k < 4 && formats[i].others[k]; k++)
				same |= is_type(at, size, formats[i].others[k]);
			if (same)
				return formats[i].format;
		}
	}
	return NULL;
}

/* ---- names ---- */

/* Whether the catalogue or the home has a model of that name. */
static int find_model(const sv_server *server, const char *name, int task, char *err) {
	sn_model_list *list;
	int found = 0;
	int result = sn_model_list_read(&list, server->engine, err);
	if (result != SN_OK)
		return result;
	const size_t size = strlen(name);
	for (size_t i = 0; i < list->count && !found; i++) {
		const sn_model_entry *const e = &list->entries[i];
		int same = strcasecmp(e->name, name) == 0;
		for (const char *at = e->aliases; *at && !same; at += strcspn(at, " "), at += *at == ' ')
			same = strcspn(at, " ") == size && strncasecmp(at, name, size) == 0;
		found = same && (!e->task || e->task == task);
	}
	sn_model_list_free(&list);
	return found ? SN_OK : sn_fail(err, SN_E_NOT_FOUND, "there is no such model \"%.80s\"; GET /audio/models lists them", name);
}

int tts_wish_check(const sv_request *r, tts_wish *w, char *err) {
	int result = SN_OK;
	if (w->options.vocoder && *w->options.vocoder && strcasecmp(w->options.vocoder, "griffin-lim") != 0) {
		w->field = "vocoder";
		result = find_model(r->server, w->options.vocoder, SN_TASK_VOCODE, err);
	}
	if (result == SN_OK && w->options.verify_model) {
		w->field = "verify_model";
		result = find_model(r->server, w->options.verify_model, SN_TASK_TRANSCRIBE, err);
	}
	if (result == SN_OK)
		w->field = NULL;
	return result;
}

/* What may stand in the bank: nothing that a path could be. */
static int is_bank_name(const char *name) {
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
	const size_t size = strlen(name);
	return size && size <= SN_MAX_VOICE_NAME && *name != '.' && strspn(name, letters) == size;
}

static int stat_voice(const sv_server *server, const char *name, struct stat *st) {
	sn_engine_info info;
	char bank[SN_PATH_MAX], voice[SN_PATH_MAX], path[SN_PATH_MAX];
	sn_engine_describe(server->engine, &info);
	if (!sn_path_join(bank, info.home, "voices"))
		return 0;
	if (!name)
		return stat(bank, st) == 0;
	return is_bank_name(name) && sn_path_join(voice, bank, name) && sn_path_join(path, voice, "voice.json") && stat(path, st) == 0;
}

int tts_has_voice(const sv_server *server, const sn_model *model, const char *voice) {
	sn_model_info info;
	struct stat st;
	sn_model_describe(model, &info);
	if (!*voice || strcmp(voice, "default") == 0)
		return 1;
	for (int i = 0; info.speaker_names && i < info.speakers; i++)
		if (strcasecmp(info.speaker_names[i], voice) == 0)
			return 1;
	if (strspn(voice, "0123456789") == strlen(voice) && strlen(voice) < 9)
		return atoi(voice) < info.speakers;
	return stat_voice(server, voice, &st);
}

int tts_no_voice(const sn_model *model, const char *voice, char *err) {
	char list[240] = "";
	size_t used = 0;
	sn_model_info info;
	sn_model_describe(model, &info);
	for (int i = 0; info.speaker_names && i < info.speakers; i++) {
		if (used + strlen(info.speaker_names[i]) + sizeof ", \"\", ..." > sizeof list) {
			strcat(list, ", ...");
			break;
		}
		used += (size_t)snprintf(list + used, sizeof list - used, "%s\"%s\"", i ? ", " : "", info.speaker_names[i]);
	}
	return sn_fail(err, SN_E_NOT_FOUND, "there is no voice \"%.64s\"%s%s; GET /tts/voices lists those of the bank and of a model", voice,
	               *list ? "; the model's are " : "", list);
}

static void mix(uint8_t version[32], int at, uint64_t value) {
	for (int i = 0; i < 8; i++)
		version[at + i] ^= (uint8_t)(value >> 8 * i);
}

void tts_bank_version(const sv_server *server, const char *voice, const char *text, uint8_t version[32]) {
	struct stat st;
	const int named = *voice && strcmp(voice, "default") != 0, inside = strstr(text, "<voice") != NULL;
	if ((!named && !inside) || !stat_voice(server, inside ? NULL : voice, &st))
		return;
	mix(version, 0, (uint64_t)st.st_ino);
	mix(version, 8, (uint64_t)st.st_mtim.tv_sec);
	mix(version, 16, (uint64_t)st.st_mtim.tv_nsec);
	mix(version, 24, (uint64_t)st.st_dev);
}

/* ---- parameters ---- */

static sn_switch switch_of(const sv_request *r, const char *name) {
	const json_t *const value = json_object_get(r->params, name);
	return !json_is_boolean(value) ? SN_DEFAULT : json_is_true(value) ? SN_ON : SN_OFF;
}

/* Of a scale where 0 asks for none and an absent field for the model's own. */
static float scale_of(const sv_request *r, const char *name) {
	const double value = sv_number(r, name, -1);
	return value < 0 ? 0 : value == 0 ? -1 : (float)value;
}

int tts_wish_read(const sv_request *r, tts_wish *w, char *err) {
	const json_t *const text = json_object_get(r->params, "text");
	const char *const accepted = tts_format_of(r->accept);
	const sn_switch verify = switch_of(r, "verify");
	*w = (tts_wish){ .text = sv_text(r, "text", ""), .size = json_string_length(text), .model = sv_text(r, "model", "auto"),
		.format = sv_text(r, "response_format", accepted ? accepted : "wav"), .rate = (int)sv_integer(r, "sample_rate", 0),
		.bitrate = (int)sv_integer(r, "bitrate", 0), .rates = sv_flag(r, "quality", !sv_accepts(r, "audio/")) };
	w->options = (sn_tts_options){ .voice = sv_text(r, "voice", "default"), .language = sv_text(r, "language", "auto"),
		.speed = (float)sv_number(r, "speed", 1), .seed = (uint64_t)sv_integer(r, "seed", 0), .noise = scale_of(r, "noise"),
		.noise_duration = scale_of(r, "noise_duration"), .pause = (float)sv_number(r, "pause", 0), .priority = r->priority,
		.vocoder = sv_text(r, "vocoder", NULL), .emotion = sv_text(r, "emotion", NULL), .pitch = (float)sv_number(r, "pitch", 1),
		.energy = (float)sv_number(r, "energy", 1), .temperature = scale_of(r, "temperature"), .dropout = switch_of(r, "dropout"),
		.normalise = switch_of(r, "normalise"), .ssml = switch_of(r, "ssml"), .inspect = sv_flag(r, "check", 1) ? SN_ON : SN_OFF,
		.verify_model = sv_text(r, "verify_model", NULL), .retries = (int)sv_integer(r, "retries", 0) };
	w->options.verify = w->options.verify_model && verify == SN_DEFAULT ? SN_ON : verify;
	if (json_object_get(r->params, "retries") && w->options.retries == 0)
		w->options.retries = -1;
	w->options.share = (uint64_t)r->key.id;
	w->field = "text";
	if (w->size > (size_t)r->server->config->max_text)
		return sn_fail(err, SN_E_LIMIT, "the text has %zu bytes; at most %lld are spoken at once", w->size,
		               (long long)r->server->config->max_text);
	w->field = NULL;
	return SN_OK;
}
