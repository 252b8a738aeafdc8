#include "models/wav2vec2_internal.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/path.h"
#include "nn/cpu/kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PACK_VERSION 2        /* raised when the recorded graphs change what is packed */
#define WINDOW 480000         /* samples: 30 s */
#define BLOCK 64              /* frames that the feature encoder makes in one run, */
#define BLOCK_VALUES (2 << 20) /* or fewer: values of its largest layer, so that it stays near the caches */
#define MOST_VALUES (64 << 20) /* the same for a single frame, beyond which a configuration is refused */
#define LISTED 24             /* languages that a message lists */

struct sn_wav2vec2_head {
	sn_wav2vec2 *model;
	int users;
	uint64_t turn;            /* when it was last taken */
	char language[SN_CTC_LANGUAGE];
	sn_ctc_vocab *vocab;
	sn_weights *adapter;      /* NULL: the checkpoint's own */
	int letters;
	nn_exec *encoder;
};

struct sn_wav2vec2 {
	sn_wav2vec2_config config;
	wav2vec2_settings settings;
	sn_load_options load;
	char dir[SN_PATH_MAX];
	sn_weights *body;
	const char *prefix;
	nn_pack *pack;
	nn_exec *features;
	int64_t block, most;      /* frames of one run of the features, and of a window */
	float *first[4];          /* group norm: weight, bias, gamma and beta of the first convolution */
	float *samples;           /* [window] */
	sn_wav2vec2_head *heads[SN_WAV2VEC2_MAX_HEADS], *own; /* own: the default language's, always ready */
	uint64_t turns;
	char (*codes)[SN_CTC_LANGUAGE];
	const char **languages;
	/* the window in work */
	int64_t count, frames, heard, made; /* samples; frames, those with audio, and those whose features are made */
	int begun, busy;
};

/* ---- sizes ---- */

static int64_t conv_frames(const wav2vec2_settings *s, int64_t samples) {
	for (int i = 0; i < s->convs; i++) samples = samples < s->kernel[i] ? 0 : (samples - s->kernel[i]) / s->step[i] + 1;
	return samples;
}

static int64_t out_frames(const wav2vec2_settings *s, int64_t frames) {
	for (int i = 0; s->add_adapter && i < s->adapter_layers; i++)
		frames = frames + 2 < s->adapter_kernel ? 0 : (frames + 2 - s->adapter_kernel) / s->adapter_stride + 1;
	return frames;
}

static int size_windows(sn_wav2vec2 *w, char *err) {
	const wav2vec2_settings *const s = &w->settings;
	int64_t stride = 1, reach = 1, largest = 0;
	for (int i = 0; i < s->convs; i++) {
		reach += (s->kernel[i] - 1) * stride;
		stride *= s->step[i];
	}
	for (int64_t i = 0, rows = reach; i < s->convs; i++) { /* of one frame */
		rows = (rows - s->kernel[i]) / s->step[i] + 1;
		largest = rows * s->dim[i] > largest ? rows * s->dim[i] : largest;
	}
	if (reach > WINDOW || largest > MOST_VALUES)
		return sn_fail(err, SN_E_LIMIT, "%s: by its config.json one frame hears %lld samples in up to %lld values; at most %d and %d "
		               "can be had", w->dir, (long long)reach, (long long)largest, WINDOW, MOST_VALUES);
	w->most = conv_frames(s, WINDOW) < SN_WAV2VEC2_MAX_FRAMES ? conv_frames(s, WINDOW) : SN_WAV2VEC2_MAX_FRAMES;
	w->block = BLOCK_VALUES / largest < 1 ? 1 : BLOCK_VALUES / largest < BLOCK ? BLOCK_VALUES / largest : BLOCK;
	if (w->load.debug || w->block > w->most) w->block = w->most;
	w->config.window = (w->most - 1) * stride + reach;
	for (int i = 0; s->add_adapter && i < s->adapter_layers; i++) stride *= s->adapter_stride;
	w->config.stride = (int)(stride < WINDOW ? stride : WINDOW);
	w->config.reach = (int)reach;
	w->config.sample_rate = s->sample_rate;
	w->config.width = s->width;
	w->config.layers = s->layers;
	w->config.adapters = s->language_width > 0;
	if (out_frames(s, w->most) < 1)
		return sn_fail(err, SN_E_MODEL, "%s: 'adapter_kernel_size' %d is longer than a window", w->dir, s->adapter_kernel);
	w->samples = malloc((size_t)w->config.window * sizeof *w->samples);
	return w->samples ? SN_OK : sn_fail(err, SN_E_MEMORY, "out of memory for a window of %lld samples", (long long)w->config.window);
}

/* ---- loading ---- */

/* By name: a folder with adapters holds more than one file of weights. */
static int open_body(sn_wav2vec2 *w, char *err) {
	static const char *const names[] = { "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin",
	                                     "pytorch_model.bin.index.json" };
	char file[SN_PATH_MAX], name[96];
	int found = -1;
	for (int i = 0; found < 0 && i < 4; i++)
		if (sn_path_join(file, w->dir, names[i]) && access(file, F_OK) == 0) found = i;
	const int code = sn_weights_open(&w->body, found == 2 ? file : w->dir, err);
	if (code != SN_OK) return code;
	snprintf(name, sizeof name, "wav2vec2.feature_projection.projection.weight");
	w->prefix = sn_weights_find(w->body, name) ? "wav2vec2." : "";
	if (!sn_weights_find(w->body, "lm_head.weight"))
		return sn_fail(err, SN_E_MODEL, "%s has no tensor 'lm_head.weight': only checkpoints with a CTC head transcribe",
		               sn_weights_path(w->body));
	return wav2vec2_files_check(&(wav2vec2_files){ w->body, NULL, w->prefix }, &w->settings, err);
}

static int compile(sn_wav2vec2 *w, wav2vec2_recorder *r, int encoder, nn_exec **out, char *err) {
	r->g = nn_graph_new(encoder ? "wav2vec2.encoder" : "wav2vec2.features");
	if (!r->g) return sn_fail(err, SN_E_MEMORY, "out of memory while reading %s", w->dir);
	r->s = &w->settings;
	r->debug = w->load.debug;
	r->outputs = w->load.dtype == NN_DTYPE_F32;
	r->most = encoder ? w->most : w->block;
	r->files.body = w->body;
	r->files.prefix = w->prefix;
	if (encoder) wav2vec2_record_encoder(r);
	else wav2vec2_record_features(r);
	nn_plan *plan = NULL;
	const nn_plan_options options = { .backend = w->load.backend, .exports = w->load.exports, .dtype = w->load.dtype, .debug = w->load.debug, .pack = w->pack };
	int code = nn_plan_compile(&plan, r->g, &options, err);
	if (code == SN_OK) code = nn_exec_new(out, plan, w->load.pool, err);
	nn_plan_release(&plan);
	nn_graph_free(&r->g);
	return code;
}

/* Shapes were checked when the features were recorded. */
static int read_first(sn_wav2vec2 *w, char *err) {
	static const char *const parts[] = { "conv.weight", "conv.bias", "layer_norm.weight", "layer_norm.bias" };
	const int64_t channels = w->settings.dim[0];
	for (int i = 0; w->settings.group_norm && i < 4; i++) {
		char name[128];
		const int64_t count = i == 0 ? channels * w->settings.kernel[0] : channels;
		snprintf(name, sizeof name, "%sfeature_extractor.conv_layers.0.%s", w->prefix, parts[i]);
		const sn_weight *const t = sn_weights_find(w->body, name);
		if (i == 1 && !w->settings.conv_bias) continue;
		if (!t || (int64_t)(t->bytes / sn_dtype_size(t->dtype)) != count)
			return sn_fail(err, SN_E_MODEL, "%s: tensor '%s' %s; expected %lld values", sn_weights_path(w->body), name,
			               t ? "has another size" : "is missing", (long long)count);
		w->first[i] = malloc((size_t)count * sizeof(float));
		if (!w->first[i]) return sn_fail(err, SN_E_MEMORY, "out of memory while reading %s", w->dir);
		sn_weight_floats(t, 0, count, w->first[i]);
	}
	return SN_OK;
}

static int adapter_path(const sn_wav2vec2 *w, const char *language, char path[SN_PATH_MAX]) {
	static const char *const kinds[] = { "safetensors", "bin" };
	for (int i = 0; *language && i < 2; i++) {
		char name[SN_CTC_LANGUAGE + 32];
		snprintf(name, sizeof name, "adapter.%s.%s", language, kinds[i]);
		if (sn_path_join(path, w->dir, name) && access(path, F_OK) == 0) return 1;
	}
	return 0;
}

/* The default language of a list, and of adapters those whose file is there. */
static int list_languages(sn_wav2vec2 *w, const sn_ctc_vocab *vocab, char *err) {
	const sn_ctc_vocab_config *const v = sn_ctc_vocab_get_config(vocab);
	const int most = v->languages < SN_WAV2VEC2_MAX_LANGUAGES ? v->languages + 64 : SN_WAV2VEC2_MAX_LANGUAGES;
	char path[SN_PATH_MAX];
	int count = 0;
	w->codes = calloc((size_t)most, sizeof *w->codes);
	w->languages = calloc((size_t)most, sizeof *w->languages);
	if (!w->codes || !w->languages) return sn_fail(err, SN_E_MEMORY, "out of memory for %d languages", most);
	if (*v->language) snprintf(w->codes[count++], SN_CTC_LANGUAGE, "%s", v->language);
	for (int i = 0; w->config.adapters && i < v->languages && count < most; i++) {
		const char *const code = sn_ctc_vocab_language(vocab, i);
		if (strlen(code) >= SN_CTC_LANGUAGE)
			sn_log(SN_LOG_WARN, "%s: the language '%.20s...' is left out, its code has more than %d bytes", w->dir, code, SN_CTC_LANGUAGE - 1);
		else if (strcmp(code, v->language) != 0 && adapter_path(w, code, path))
			snprintf(w->codes[count++], SN_CTC_LANGUAGE, "%s", code);
	}
	if (!count) count = wav2vec2_card_languages(w->dir, w->codes, most);
	for (int i = 0; i < count; i++) w->languages[i] = w->codes[i];
	w->config.language_count = count;
	w->config.languages = w->languages;
	return SN_OK;
}

/* ---- heads ---- */

static void head_close(sn_wav2vec2_head **held) {
	sn_wav2vec2_head *const h = *held;
	*held = NULL;
	if (!h) return;
	nn_exec_profile(h->encoder);
	nn_exec_free(&h->encoder);
	sn_weights_close(&h->adapter);
	sn_ctc_vocab_close(&h->vocab);
	free(h);
}

static int unsupported(const sn_wav2vec2 *w, const char *language, char *err) {
	char list[LISTED * (SN_CTC_LANGUAGE + 2) + 8] = "";
	int used = 0;
	for (int i = 0; i < w->config.language_count && i < LISTED; i++)
		used += snprintf(list + used, sizeof list - (size_t)used, "%s%s", i ? ", " : "", w->config.languages[i]);
	if (w->config.language_count > LISTED) snprintf(list + used, sizeof list - (size_t)used, ", ...");
	return sn_fail(err, SN_E_UNSUPPORTED, "the model in %s does not know the language \"%.63s\"; it knows %s", w->dir, language, list);
}

/* The vocabulary and the weights that belong to it. The default language's are those of the checkpoint, unless their sizes differ. */
static int open_adapter(sn_wav2vec2 *w, sn_wav2vec2_head *h, wav2vec2_recorder *r, int is_default, char *err) {
	const sn_ctc_vocab_config *const v = sn_ctc_vocab_get_config(h->vocab);
	const int64_t own = sn_weights_find(w->body, "lm_head.weight")->dims[0];
	char path[SN_PATH_MAX];
	r->vocab = w->settings.vocab;
	if (!w->config.adapters || (is_default && own == v->size)) {
		if (v->blank < own) return SN_OK;
		return sn_fail(err, SN_E_MODEL, "%s: the blank has id %d, but 'lm_head.weight' has %lld rows", w->dir, v->blank, (long long)own);
	}
	if (!adapter_path(w, v->language, path))
		return is_default ? SN_OK : unsupported(w, *v->language ? v->language : "", err);
	r->vocab = v->size;
	return sn_weights_open(&h->adapter, path, err);
}

/* Takes the vocabulary over. */
static int head_open(sn_wav2vec2_head **out, sn_wav2vec2 *w, sn_ctc_vocab **vocab, int is_default, char *err) {
	sn_wav2vec2_head *h = calloc(1, sizeof *h);
	wav2vec2_recorder r = { .tag = NULL };
	if (!h) return sn_fail(err, SN_E_MEMORY, "out of memory while reading %s", w->dir);
	h->model = w;
	h->vocab = *vocab;
	*vocab = NULL;
	snprintf(h->language, sizeof h->language, "%s", sn_ctc_vocab_get_config(h->vocab)->language);
	int code = open_adapter(w, h, &r, is_default, err);
	r.files.adapter = h->adapter;
	r.language = h->language;
	h->letters = r.vocab;
	if (code == SN_OK) code = compile(w, &r, 1, &h->encoder, err);
	if (code != SN_OK) head_close(&h);
	*out = h;
	return code;
}

/* Without adapters: "de" is one of "de", "de-AT". */
static int knows(const sn_wav2vec2 *w, const char *language) {
	const size_t size = strcspn(language, "-_");
	for (int i = 0; i < w->config.language_count; i++) {
		const char *const code = w->config.languages[i];
		if (strcspn(code, "-_") == size && strncmp(code, language, size) == 0) return 1;
	}
	return !w->config.language_count;
}

/* The ready head of that language, or a free place for one; a head that nobody uses gives way. */
static sn_wav2vec2_head **head_place(sn_wav2vec2 *w, const char *language) {
	sn_wav2vec2_head **best = NULL;
	for (int i = 0; i < SN_WAV2VEC2_MAX_HEADS; i++) {
		sn_wav2vec2_head **const at = &w->heads[i];
		if (*at && strcmp((*at)->language, language) == 0) return at;
		if (*at && ((*at)->users || *at == w->own)) continue;
		if (!best || (*best && (!*at || (*at)->turn < (*best)->turn))) best = at;
	}
	return best;
}

int sn_wav2vec2_take(sn_wav2vec2_head **out, sn_wav2vec2 *w, const char *language, char *err) {
	*out = NULL;
	sn_wav2vec2_head **at = &w->own;
	if (language && !w->config.adapters && !knows(w, language)) return unsupported(w, language, err);
	if (language && w->config.adapters) {
		sn_ctc_vocab *vocab = NULL;
		int code = sn_ctc_vocab_open(&vocab, w->dir, language, err);
		if (code == SN_E_UNSUPPORTED) return unsupported(w, language, err);
		if (code != SN_OK) return code;
		const char *const found = sn_ctc_vocab_get_config(vocab)->language;
		at = head_place(w, found);
		if (!at) code = sn_fail(err, SN_E_BUSY, "%d languages of the model are in use, which is the most at once", SN_WAV2VEC2_MAX_HEADS);
		if (at && *at && strcmp((*at)->language, found) != 0) head_close(at);
		if (at && !*at) code = head_open(at, w, &vocab, 0, err);
		sn_ctc_vocab_close(&vocab);
		if (code != SN_OK) return code;
	}
	(*at)->users++;
	(*at)->turn = ++w->turns;
	*out = *at;
	return SN_OK;
}

void sn_wav2vec2_give(sn_wav2vec2_head **head) {
	if (*head) (*head)->users--;
	*head = NULL;
}

const sn_ctc_vocab *sn_wav2vec2_vocab(const sn_wav2vec2_head *head) { return head->vocab; }

int sn_wav2vec2_letters(const sn_wav2vec2_head *head) { return head->letters; }

const char *sn_wav2vec2_language(const sn_wav2vec2_head *head) {
	if (*head->language) return head->language;
	return head->model->config.language_count == 1 ? head->model->config.languages[0] : "";
}

/* ---- opening ---- */

static int load_all(sn_wav2vec2 *w, char *err) {
	sn_ctc_vocab *vocab = NULL;
	int code = wav2vec2_settings_read(&w->settings, w->dir, err);
	if (code == SN_OK) code = size_windows(w, err);
	if (code == SN_OK) code = open_body(w, err);
	if (code == SN_OK) code = sn_ctc_vocab_open(&vocab, w->dir, NULL, err);
	if (code == SN_OK) code = list_languages(w, vocab, err);
	if (code == SN_OK) {
		const int facts[] = { PACK_VERSION, w->load.dtype, w->load.debug };
		const uint64_t key = sn_hash_text(sn_hash(sn_weights_key(w->body), facts, sizeof facts), nn_kernels_best()->name);
		code = nn_pack_open(&w->pack, w->load.pack_path, key, err);
	}
	wav2vec2_recorder r = { .tag = NULL };
	if (code == SN_OK) code = compile(w, &r, 0, &w->features, err);
	if (code == SN_OK) code = read_first(w, err);
	if (code == SN_OK) code = head_open(&w->heads[0], w, &vocab, 1, err);
	w->own = w->heads[0];
	sn_ctc_vocab_close(&vocab);
	char note[SN_ERRLEN] = "";
	if (code == SN_OK && w->load.pack_path && nn_pack_save(w->pack, note) != SN_OK)
		sn_log(SN_LOG_WARN, "packed weights of %s were not kept: %s", w->dir, note);
	return code;
}

int sn_wav2vec2_open(sn_wav2vec2 **out, const sn_load_options *load, char *err) {
	*out = NULL;
	sn_wav2vec2 *w = calloc(1, sizeof *w);
	if (!w) return sn_fail(err, SN_E_MEMORY, "out of memory while reading %s", load->dir);
	w->load = *load;
	int code = SN_OK;
	if (snprintf(w->dir, sizeof w->dir, "%s", load->dir) >= (int)sizeof w->dir)
		code = sn_fail(err, SN_E_ARGUMENT, "the path %.64s... is too long", load->dir);
	if (code == SN_OK) code = load_all(w, err);
	if (code != SN_OK) sn_wav2vec2_close(&w);
	*out = w;
	return code;
}

void sn_wav2vec2_close(sn_wav2vec2 **held) {
	sn_wav2vec2 *const w = *held;
	*held = NULL;
	if (!w) return;
	for (int i = 0; i < SN_WAV2VEC2_MAX_HEADS; i++) head_close(&w->heads[i]);
	nn_exec_profile(w->features);
	nn_exec_free(&w->features);
	nn_pack_close(&w->pack);
	sn_weights_close(&w->body);
	for (int i = 0; i < 4; i++) free(w->first[i]);
	free(w->samples);
	free(w->codes);
	free(w->languages);
	free(w);
}

const sn_wav2vec2_config *sn_wav2vec2_get_config(const sn_wav2vec2 *w) { return &w->config; }

int64_t sn_wav2vec2_parameters(const sn_wav2vec2 *w) {
	int64_t sum = 0;
	for (size_t i = 0; i < sn_weights_count(w->body); i++) {
		const sn_weight *const t = sn_weights_at(w->body, i);
		sum += (int64_t)(t->bytes / sn_dtype_size(t->dtype));
	}
	return sum;
}

int64_t sn_wav2vec2_frames(const sn_wav2vec2 *w, int64_t samples) {
	return out_frames(&w->settings, conv_frames(&w->settings, samples));
}

/* ---- running ---- */

static int start(sn_wav2vec2_head *h, const float *pcm, int64_t samples, int64_t padded) {
	sn_wav2vec2 *const w = h->model;
	if (w->busy) return SN_AGAIN;
	w->busy = 1;
	memcpy(w->samples, pcm, (size_t)samples * sizeof *pcm);
	memset(w->samples + samples, 0, (size_t)(padded - samples) * sizeof *pcm);
	if (w->settings.normalise) wav2vec2_normalise(w->samples, samples);
	w->count = padded;
	w->frames = conv_frames(&w->settings, padded);
	w->heard = conv_frames(&w->settings, samples);
	w->made = w->begun = 0;
	if (!w->settings.group_norm) return SN_OK;
	const wav2vec2_first first = { .channels = w->settings.dim[0], .kernel = w->settings.kernel[0], .step = w->settings.step[0],
	                               .weight = w->first[0], .bias = w->first[1], .gamma = w->first[2], .beta = w->first[3] };
	wav2vec2_group_norm(&first, w->samples, padded, nn_exec_input(w->features, "scale"), nn_exec_input(w->features, "shift"));
	return SN_OK;
}

int sn_wav2vec2_start(sn_wav2vec2_head *head, const float *pcm, int64_t samples) { return start(head, pcm, samples, samples); }

int sn_wav2vec2_start_padded(sn_wav2vec2_head *head, const float *pcm, int64_t samples, int64_t padded) {
	return start(head, pcm, samples, padded);
}

void sn_wav2vec2_end(sn_wav2vec2_head *head) { head->model->busy = 0; }

static int64_t stride_of(const wav2vec2_settings *s) {
	int64_t stride = 1;
	for (int i = 0; i < s->convs; i++) stride *= s->step[i];
	return stride;
}

/* A frame hears `reach` samples and no more, so blocks of them are what the whole window would give. Returns SN_AGAIN: the encoder is to come. */
static int make_features(sn_wav2vec2_head *h, char *err) {
	sn_wav2vec2 *const w = h->model;
	const int64_t left = w->frames - w->made, rows = left < w->block ? left : w->block, stride = stride_of(&w->settings);
	float *const hidden = nn_exec_input(h->encoder, "hidden") + w->made * w->settings.width;
	nn_exec_set(w->features, "frames", rows);
	memcpy(nn_exec_input(w->features, "samples"), w->samples + w->made * stride,
	       (size_t)((rows - 1) * stride + w->config.reach) * sizeof(float));
	const int code = nn_exec_run(w->features, err);
	if (code != SN_OK) return code;
	memcpy(hidden, nn_exec_output(w->features, "hidden", NULL), (size_t)(rows * w->settings.width) * sizeof *hidden);
	w->made += rows;
	const int64_t masked = w->made > w->heard ? w->made - w->heard < rows ? w->made - w->heard : rows : 0;
	memset(hidden + (rows - masked) * w->settings.width, 0, (size_t)(masked * w->settings.width) * sizeof *hidden);
	return SN_AGAIN;
}

int sn_wav2vec2_next(sn_wav2vec2_head *h, int budget, char *err) {
	sn_wav2vec2 *const w = h->model;
	if (w->made < w->frames) return make_features(h, err);
	if (!w->begun) {
		nn_exec_set(h->encoder, "frames", w->frames);
		if (w->load.debug) nn_exec_set(h->encoder, "valid", w->heard);
		for (int64_t i = 0; w->load.debug && i < w->heard; i++) nn_exec_input_ids(h->encoder, "keys")[i] = (int32_t)i;
		nn_exec_begin(h->encoder);
	}
	w->begun = 1;
	return nn_exec_next(h->encoder, budget, err);
}

const float *sn_wav2vec2_logits(const sn_wav2vec2_head *h, int64_t *frames) {
	int64_t dims[NN_MAX_RANK];
	const float *const logits = nn_exec_output(h->encoder, "logits", dims);
	*frames = dims[0];
	return logits;
}

static int copy_rows(const float *from, int rank, const int64_t *extents, float **values, int *out_rank, int64_t *dims, char *err) {
	int64_t count = 1;
	for (int i = 0; i < rank; i++) count *= dims[i] = extents[i];
	*out_rank = rank;
	*values = malloc((size_t)count * sizeof **values + 1);
	if (!*values) return sn_fail(err, SN_E_MEMORY, "out of memory");
	memcpy(*values, from, (size_t)count * sizeof **values);
	return SN_OK;
}

int sn_wav2vec2_tensor(sn_wav2vec2_head *h, const char *name, float **values, int *rank, int64_t *dims, char *err) {
	sn_wav2vec2 *const w = h->model;
	int64_t extents[NN_MAX_RANK];
	if (strcmp(name, "input_values") == 0) return copy_rows(w->samples, 1, &w->count, values, rank, dims, err);
	if (strcmp(name, "feature_projection") == 0) {
		const int64_t hidden[] = { w->frames, w->settings.width };
		return copy_rows(nn_exec_input(h->encoder, "hidden"), 2, hidden, values, rank, dims, err);
	}
	if (!w->load.debug) {
		const int known = strcmp(name, "logits") == 0 || (w->load.dtype == NN_DTYPE_F32 && strcmp(name, "encoder_out") == 0);
		if (!known) return sn_fail(err, SN_E_NOT_FOUND, "a fused plan does not keep the tensor '%s'", name);
		const float *const rows = nn_exec_output(h->encoder, name, extents);
		return copy_rows(rows, 2, extents, values, rank, dims, err);
	}
	const int code = nn_exec_tensor(w->features, name, values, rank, dims, err);
	return code == SN_E_NOT_FOUND ? nn_exec_tensor(h->encoder, name, values, rank, dims, err) : code;
}
