/* The layout of the authors' code (jaywalnut310/vits), in which VITS for LJ Speech and VCTK and the voices of MMS were published first:
 * a checkpoint of the generator and a configuration with the sections "data" and "model". */
#include "models/vits_internal.h"

#include "base/path.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define FILES_SEEN 4096 /* entries of a directory that are looked at */

int vits_authors_is(const json_t *root) {
	const json_t *const model = json_object_get(root, "model");
	return json_is_object(json_object_get(root, "data")) && json_is_object(model) && json_object_get(model, "inter_channels") &&
	       json_object_get(model, "upsample_rates");
}

/* The number behind "G_"; -1: another file. */
static long generator_number(const char *name) {
	char *end;
	if (strncmp(name, "G_", 2) != 0) return -1;
	const long number = strtol(name + 2, &end, 10);
	return end != name + 2 && number >= 0 && (strcmp(end, ".pth") == 0 || strcmp(end, ".pt") == 0) ? number : -1;
}

int vits_authors_weights(char path[VITS_PATH], const char *dir, char *err) {
	char best[256] = "";
	long number = -1;
	int others = 0;
	DIR *const list = opendir(dir);
	if (!list) return sn_fail_errno(err, "cannot read the folder %s", dir);
	for (int seen = 0; seen < FILES_SEEN; seen++) {
		const struct dirent *const entry = readdir(list);
		if (!entry) break;
		const char *const name = entry->d_name;
		const long its = generator_number(name);
		const int is_other = its < 0 && (sn_path_ends_with(name, ".pth") || sn_path_ends_with(name, ".pt")) && strncmp(name, "D_", 2) != 0;
		others += is_other;
		if (strlen(name) < sizeof best && (its > number || (is_other && number < 0))) strcpy(best, name);
		number = its > number ? its : number;
	}
	closedir(list);
	struct stat st;
	if (number < 0 && !others && vits_path(path, dir, "model.safetensors", NULL) == SN_OK && stat(path, &st) == 0) return SN_OK; /* quantised */
	if (number < 0 && others != 1)
		return sn_fail(err, SN_E_NOT_FOUND, "%s has the configuration of a VITS of its authors' layout and %d checkpoints; a G_NUMBER.pth or one .pth "
		               "is expected", dir, others);
	return vits_path(path, dir, best, err);
}

int vits_authors_json(char path[VITS_PATH], const char *weights, char *err) {
	const char *const slash = strrchr(weights, '/'), *const dot = strrchr(weights, '.');
	struct stat st;
	if (snprintf(path, VITS_PATH, "%.*s.json", (int)(dot - weights), weights) < VITS_PATH && stat(path, &st) == 0) return SN_OK;
	if (snprintf(path, VITS_PATH, "%.*sconfig.json", slash ? (int)(slash + 1 - weights) : 0, weights) < VITS_PATH) return SN_OK;
	return sn_fail(err, SN_E_ARGUMENT, "the path %.64s... is too long; at most %d bytes are allowed", weights, VITS_PATH - 1);
}

static int read_model(vits_settings *s, const json_t *model, const char *file, char *err) {
	vits_coqui *const c = &s->coqui;
	const struct { const char *key; int *value, least, most; } sizes[] = {
		{ "hidden_channels", &c->hidden, 1, VITS_MAX_WIDTH }, { "filter_channels", &c->feed_forward, 1, VITS_MAX_WIDTH },
		{ "n_heads", &s->heads, 1, 256 }, { "n_layers", &c->layers, 1, VITS_MAX_LAYERS }, { "kernel_size", &c->text_kernel, 1, VITS_MAX_WIDTH },
		{ "upsample_initial_channel", &c->decoder_width, 1, VITS_MAX_WIDTH }, { "gin_channels", &s->speaker_width, 0, VITS_MAX_WIDTH },
	};
	int code = SN_OK;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes && code == SN_OK; i++) {
		if (!json_object_get(model, sizes[i].key) && sizes[i].least)
			return sn_fail(err, SN_E_MODEL, "%s: the model's '%s' is missing", file, sizes[i].key);
		code = sn_json_int32(model, sizes[i].key, sizes[i].least, sizes[i].most, sizes[i].value, file, err);
	}
	if (code == SN_OK) code = vits_read_block_type(model, "resblock", &c->block_type, file, err);
	if (code == SN_OK) code = sn_json_ints(model, "upsample_rates", 1, 32, s->rates, VITS_MAX_STAGES, &s->stages, file, err);
	if (code == SN_OK) code = sn_json_ints(model, "upsample_kernel_sizes", 1, 256, c->up_kernels, VITS_MAX_STAGES, &c->up_count, file, err);
	if (code == SN_OK) code = sn_json_ints(model, "resblock_kernel_sizes", 1, 256, c->kernels, VITS_MAX_KERNELS, &c->kernel_count, file, err);
	if (code == SN_OK) code = vits_read_dilations(s, model, "resblock_dilation_sizes", file, err);
	return code == SN_OK ? sn_json_bool(model, "use_sdp", &c->stochastic, file, err) : code;
}

int vits_authors_settings(vits_settings *s, const json_t *root, const char *file, char *err) {
	const json_t *const data = json_object_get(root, "data");
	if (!vits_authors_is(root))
		return sn_fail(err, SN_E_MODEL, "%s: the sections 'data' and 'model' of a VITS are expected, with the model's sizes", file);
	s->coqui.stochastic = s->coqui.block_type = 1;
	int code = sn_json_int32(data, "sampling_rate", 1000, 384000, &s->public.sample_rate, file, err);
	if (code == SN_OK) code = sn_json_int32(data, "hop_length", 1, VITS_MAX_HOP, &s->coqui.hop, file, err);
	if (code == SN_OK) code = sn_json_int32(data, "n_speakers", 0, SN_VITS_MAX_SPEAKERS, &s->stated.speakers, file, err);
	if (s->stated.speakers < 1) s->stated.speakers = 1;
	return code == SN_OK ? read_model(s, json_object_get(root, "model"), file, err) : code;
}
