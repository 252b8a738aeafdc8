#include "golden.h"

#include "audio/decode.h"
#include "audio/mel.h"
#include "base/json.h"
#include "models/whisper.h"
#include "speech/search.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SLOTS SN_SEARCH_MAX_BEAM
#define MAX_ROWS 256

typedef struct run {
	golden *g;
	sn_whisper *whisper;
	const sn_whisper_config *c;
	sn_search *search;
	sn_mel *mel;
	int32_t slots[SLOTS];
	char prefix[128]; /* before names of this clip's tensors, "jfk_" */
} run;

static int whisper_accepts(const char *model) {
	char path[PATH_MAX];
	json_t *config = NULL;
	snprintf(path, sizeof path, "%s/config.json", model);
	if (sn_json_file(&config, path, NULL) != SN_OK)
		return sn_whisper_is_export(model);
	const char *type = json_string_value(json_object_get(config, "model_type"));
	int yes = type ? !strcmp(type, "whisper") : json_is_array(json_object_get(config, "suppress_ids"));
	json_decref(config);
	return yes;
}

/* ---- encoder ---- */

static void offer_mel(run *r, const float *mel, int64_t frames) {
	int64_t mels = r->c->mels, dims[] = { mels, frames };
	char name[160];
	float *turned = malloc((size_t)(mels * frames) * sizeof *turned); /* the reference has [mels, frames] */
	for (int64_t t = 0; turned && t < frames; t++)
		for (int64_t m = 0; m < mels; m++)
			turned[m * frames + t] = mel[t * mels + m];
	snprintf(name, sizeof name, "%slog_mel", r->prefix);
	if (turned)
		golden_offer(r->g, name, turned, 2, dims, GOLDEN_SIGNAL);
	free(turned);
	golden_compare(r->g, "mel_filters", sn_mel_filters(r->mel), mels * SN_MEL_BINS, GOLDEN_TENSOR);
}

/* Offers a tensor of the plans under the clip's prefix; a plan that does not expose it offers nothing. columns: 0, or as many of the
 * last axis as count (a cache's unused end is cut off). */
static void offer_tensor(run *r, int64_t columns, const char *tensor) {
	char name[160], err[SN_ERRLEN];
	float *values = NULL;
	int rank;
	int64_t dims[NN_MAX_RANK], rows = 1;
	if (sn_whisper_tensor(r->whisper, tensor, &values, &rank, dims, err) != SN_OK)
		return;
	for (int i = 0; i < rank - 1; i++)
		rows *= dims[i];
	for (int64_t i = 0; columns && columns < dims[rank - 1] && i < rows; i++)
		memmove(values + i * columns, values + i * dims[rank - 1], (size_t)columns * sizeof *values);
	if (columns && columns < dims[rank - 1])
		dims[rank - 1] = columns;
	snprintf(name, sizeof name, "%s%s", r->prefix, tensor);
	golden_offer(r->g, name, values, rank, dims, GOLDEN_TENSOR);
	free(values);
}

static void encode(run *r, const float *samples, int64_t count) {
	int64_t frames = 2 * (int64_t)r->c->source_positions, most = frames * SN_MEL_HOP;
	sn_mel_view view = { samples, count < most ? count : most, 0 };
	char name[NN_NAME];
	sn_mel_window(r->mel, &view, frames, sn_whisper_mel_input(r->whisper));
	offer_mel(r, sn_whisper_mel_input(r->whisper), frames);
	sn_whisper_encode_begin(r->whisper, 0);
	char err[SN_ERRLEN];
	int code;
	while ((code = sn_whisper_encode_next(r->whisper, 100, err)) == SN_AGAIN)
		continue;
	if (code != SN_OK)
		fprintf(stderr, "%s\n", err);
	offer_tensor(r, 0, "encoder_after_conv_gelu_pos");
	for (int layer = 0; layer < r->c->encoder_layers; layer++) {
		snprintf(name, sizeof name, "encoder_self_attn_layer%d", layer);
		offer_tensor(r, 0, name);
		snprintf(name, sizeof name, "encoder_layer%d_out", layer);
		offer_tensor(r, 0, name);
	}
	offer_tensor(r, 0, "encoder_out");
}

/* ---- decoder ---- */

/* Logits [count, vocab] of all rows of a token sequence in one call; free() them. */
static float *decode_all(run *r, const int32_t *tokens, int count) {
	int64_t vocab = r->c->vocab;
	sn_whisper_row rows[MAX_ROWS];
	float *logits = malloc((size_t)(count * vocab) * sizeof *logits);
	int32_t *table = calloc((size_t)r->c->target_positions, sizeof *table);
	for (int i = 0; logits && table && i < count; i++)
		rows[i] = (sn_whisper_row){ tokens[i], i, 0, 0, table, logits + i * vocab };
	char err[SN_ERRLEN];
	if (logits && table && sn_whisper_decode(r->whisper, rows, count, err) != SN_OK)
		fprintf(stderr, "%s\n", err);
	free(table);
	return logits;
}

static int32_t best_of(const float *x, int64_t count) {
	int64_t best = 0;
	for (int64_t i = 1; i < count; i++)
		if (x[i] > x[best])
			best = i;
	return (int32_t)best;
}

/* The prompt and the reference's own greedy tokens at once: each row's logits must be the reference's. */
static void teacher_forced(run *r, const int32_t *prompt, int prompt_count, const char *tokens_name) {
	char name[160];
	int64_t count;
	const int32_t *tokens = golden_ids(r->g, tokens_name, &count);
	int rows = prompt_count + (int)count - 1, stem = (int)(strlen(tokens_name) - strlen("_tokens"));
	int32_t fed[MAX_ROWS], chosen[MAX_ROWS];
	if (count < 1 || rows > MAX_ROWS || rows > r->c->target_positions)
		return;
	memcpy(fed, prompt, (size_t)prompt_count * sizeof *fed);
	memcpy(fed + prompt_count, tokens, (size_t)(count - 1) * sizeof *fed);
	float *logits = decode_all(r, fed, rows), *sampled = logits + (int64_t)(prompt_count - 1) * r->c->vocab;
	if (!logits)
		return;
	snprintf(name, sizeof name, "%.*s_logits", stem, tokens_name);
	golden_compare(r->g, name, sampled, count * r->c->vocab, GOLDEN_TENSOR);
	for (int i = 0; i < count; i++)
		chosen[i] = best_of(sampled + (int64_t)i * r->c->vocab, r->c->vocab);
	golden_compare_ids(r->g, tokens_name, chosen, count);
	free(logits);
	offer_tensor(r, 0, "decoder_embed_plus_pos");
	offer_tensor(r, 0, "decoder_hidden_out");
	for (int layer = 0; layer < r->c->decoder_layers; layer++) {
		snprintf(name, sizeof name, "decoder_layer%d_out", layer);
		offer_tensor(r, 0, name);
		snprintf(name, sizeof name, "decoder_self_attn_layer%d", layer);
		offer_tensor(r, rows, name);
		snprintf(name, sizeof name, "cross_attn_layer%d", layer);
		offer_tensor(r, 0, name);
	}
}

static void language_logits(run *r) {
	float *logits = decode_all(r, &r->c->sot, 1), wanted[SN_WHISPER_MAX_LANGUAGES];
	for (int i = 0; logits && i < r->c->languages; i++)
		wanted[i] = logits[r->c->language[i].token];
	if (logits)
		golden_compare(r->g, "language_logits_after_sot", wanted, r->c->languages, GOLDEN_TENSOR);
	free(logits);
}

/* ---- search ---- */

static const sn_search_result *search(run *r, const int32_t *prompt, int count, const sn_search_options *options, char *err) {
	static sn_whisper_row rows[SN_WHISPER_MAX_ROWS];
	int sot = 0;
	while (sot < count - 1 && prompt[sot] != r->c->sot)
		sot++;
	if (sn_search_start(r->search, 0, r->slots, SLOTS, prompt, count, sot, options, err) != SN_OK)
		return NULL;
	do {
		if (sn_whisper_decode(r->whisper, rows, sn_search_rows(r->search, rows), err) != SN_OK)
			return NULL;
	} while (!sn_search_advance(r->search));
	return sn_search_get(r->search);
}

/* "generate_greedy_notimestamps", "generate_beam5_timestamps" and the latter's "_score": as transformers' generate. */
static int generate(run *r, const char *name, const int32_t *prompt, int prompt_count, char *err) {
	char mode[16], score[160];
	int width = 1, end = 0;
	if (sscanf(name, "generate_greedy_%15[a-z]%n", mode, &end) != 1 &&
	    sscanf(name, "generate_beam%d_%15[a-z]%n", &width, mode, &end) != 2)
		return SN_OK;
	if (name[end] || (strcmp(mode, "timestamps") && strcmp(mode, "notimestamps")))
		return SN_OK;
	int64_t expected;
	const int32_t *wanted = golden_ids(r->g, name, &expected);
	int times = !strcmp(mode, "timestamps"), most = golden_new_tokens(r->g);
	int ended = expected > 0 && wanted[expected - 1] == r->c->eot;
	sn_search_options options = { .beam = width, .length_penalty = 1, .transformers = 1, .timestamps = times, .max_tokens = most };
	if (times && prompt_count > 1 && prompt[prompt_count - 1] == r->c->no_timestamps)
		prompt_count--;
	const sn_search_result *found = search(r, prompt, prompt_count, &options, err);
	if (!found)
		return SN_E_INTERNAL;
	int32_t tokens[SN_SEARCH_MAX_TOKENS + 1];
	int count = found->count;
	memcpy(tokens, found->tokens, (size_t)count * sizeof *tokens);
	if (ended && !found->reached_limit)
		tokens[count++] = r->c->eot;
	golden_compare_ids(r->g, name, tokens, count);
	snprintf(score, sizeof score, "%s_score", name);
	float value = found->sum_logprob / (float)(found->count + !found->reached_limit);
	golden_compare(r->g, score, &value, 1, GOLDEN_TENSOR);
	return SN_OK;
}

/* A fixture whose input is the tensor `wav`, with inner tensors. */
static int run_tensors(run *r, char *err) {
	int64_t samples, prompt_count = 0;
	const float *wav = golden_input(r->g, "wav", &samples);
	const int32_t *prompt = golden_input_ids(r->g, "prompt", &prompt_count);
	if (!prompt || prompt_count < 1 || prompt_count > r->c->target_positions || prompt_count > MAX_ROWS)
		return sn_fail(err, SN_E_FORMAT, "the fixture has no usable tensor 'prompt'");
	for (int64_t i = 0; i < prompt_count; i++)
		if (prompt[i] < 0 || prompt[i] >= r->c->vocab)
			return sn_fail(err, SN_E_FORMAT, "the fixture's prompt holds id %d, the vocabulary has %d", prompt[i], r->c->vocab);
	encode(r, wav, samples);
	int result = SN_OK;
	for (size_t i = 0; i < golden_count(r->g) && result == SN_OK; i++) {
		const char *name = golden_at(r->g, i)->name;
		size_t length = strlen(name);
		if (!strncmp(name, "greedy", 6) && length > 7 && !strcmp(name + length - 7, "_tokens"))
			teacher_forced(r, prompt, (int)prompt_count, name);
		result = generate(r, name, prompt, (int)prompt_count, err);
	}
	language_logits(r);
	return result;
}

/* ---- fixtures of real clips ---- */

static int32_t language_token(const run *r, const char *code) {
	for (int i = 0; code && i < r->c->languages; i++)
		if (!strcmp(r->c->language[i].code, code))
			return r->c->language[i].token;
	return r->c->languages ? r->c->language[0].token : -1;
}

static void first_logits(run *r, const int32_t *prompt, int count) {
	char name[160];
	int64_t top, vocab = r->c->vocab;
	snprintf(name, sizeof name, "%sfirst_logits_top20_ids", r->prefix);
	const int32_t *ids = golden_ids(r->g, name, &top);
	float *logits = ids ? decode_all(r, prompt, count) : NULL, values[256];
	int32_t found[256];
	if (!logits || top > 256)
		return free(logits);
	float *last = logits + (count - 1) * vocab;
	for (int i = 0; i < r->c->suppress_count; i++) /* the reference's are those of the first sampled token */
		last[r->c->suppress[i]] = -1e30f;
	for (int i = 0; i < r->c->begin_suppress_count; i++)
		last[r->c->begin_suppress[i]] = -1e30f;
	for (int i = 0; i < top; i++)
		values[i] = ids[i] >= 0 && ids[i] < vocab ? last[ids[i]] : 0;
	for (int i = 0; i < top; i++) {
		found[i] = best_of(last, vocab);
		last[found[i]] = -1e30f;
	}
	golden_compare_ids(r->g, name, found, top);
	snprintf(name, sizeof name, "%sfirst_logits_top20", r->prefix);
	golden_compare(r->g, name, values, top, GOLDEN_TENSOR);
	free(logits);
}

static int clip_tokens(run *r, const int32_t *prompt, int count, const json_t *facts, char *err) {
	static const struct { const char *name; int beam, times; } modes[] = {
		{ "tokens_notimestamps", 1, 0 }, { "tokens_timestamps_first_window", 1, 1 }, { "tokens_beam5_notimestamps", 5, 0 },
	};
	for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
		sn_search_options options = { .beam = modes[i].beam, .length_penalty = -1, .timestamps = modes[i].times };
		char name[160];
		snprintf(name, sizeof name, "%s%s", r->prefix, modes[i].name);
		if (!golden_find(r->g, name))
			continue;
		const sn_search_result *found = search(r, prompt, count - modes[i].times, &options, err);
		if (!found)
			return SN_E_INTERNAL;
		golden_compare_ids(r->g, name, found->tokens, found->count);
		const json_t *logprob = json_object_get(facts, "avg_logprob_notimestamps"), *silence = json_object_get(facts, "no_speech_prob");
		if (i == 0 && json_is_number(logprob))
			golden_compare_value(r->g, "avg_logprob_notimestamps", found->avg_logprob, json_number_value(logprob), 1e-3);
		if (i == 0 && json_is_number(silence))
			golden_compare_value(r->g, "no_speech_prob", found->no_speech_prob, json_number_value(silence), 1e-3);
	}
	return SN_OK;
}

static int run_clip(run *r, const json_t *all, char *err) {
	char path[PATH_MAX], file[160];
	sn_decoder *decoder = NULL;
	float *samples = NULL;
	size_t count = 0;
	snprintf(file, sizeof file, "%.*s.wav", (int)strlen(r->prefix) - 1, r->prefix);
	snprintf(path, sizeof path, "%s/%s", golden_dir(r->g), file);
	int result = sn_decoder_open_path(&decoder, path, SN_MEL_RATE, err);
	if (result == SN_OK)
		result = sn_decoder_read_all(decoder, 3600, &samples, &count, err);
	sn_decoder_close(&decoder);
	if (result != SN_OK)
		return result;
	encode(r, samples, (int64_t)count);
	free(samples);
	const json_t *facts = json_object_get(all, file);
	int32_t prompt[4];
	int tokens = 0;
	prompt[tokens++] = r->c->sot;
	if (r->c->multilingual) {
		prompt[tokens++] = language_token(r, json_string_value(json_object_get(facts, "language")));
		prompt[tokens++] = r->c->transcribe;
	}
	prompt[tokens++] = r->c->no_timestamps;
	first_logits(r, prompt, tokens);
	return clip_tokens(r, prompt, tokens, facts, err);
}

/* Each clip is known by its tensor PREFIX_first_logits_top20. */
static int run_clips(run *r, char *err) {
	static const char mark[] = "_first_logits_top20";
	char path[PATH_MAX];
	json_t *all = NULL;
	int result = SN_OK;
	snprintf(path, sizeof path, "%s/expected.json", golden_dir(r->g));
	sn_json_file(&all, path, NULL);
	for (size_t i = 0; i < golden_count(r->g) && result == SN_OK; i++) {
		const char *name = golden_at(r->g, i)->name, *at = strstr(name, mark);
		if (!at || at[strlen(mark)])
			continue;
		snprintf(r->prefix, sizeof r->prefix, "%.*s_", (int)(at - name), name);
		result = run_clip(r, all, err);
	}
	json_decref(all);
	return result;
}

static int whisper_run(golden *g, char *err) {
	run r = { .g = g };
	sn_load_options load = { .dir = golden_model(g), .dtype = NN_DTYPE_F32, .debug = golden_debug(g), .pool = golden_pool(g), .backend = golden_backend(g),
	                         .rows = SLOTS, .windows = 1 };
	for (int i = 0; i < SLOTS; i++)
		r.slots[i] = i;
	int result = sn_whisper_open(&r.whisper, &load, err);
	if (result == SN_OK) {
		r.c = sn_whisper_get_config(r.whisper);
		result = sn_search_new(&r.search, r.whisper, err);
	}
	if (result == SN_OK)
		result = sn_mel_open(&r.mel, r.c->mels, err);
	if (result == SN_OK)
		result = golden_find(g, "wav") ? run_tensors(&r, err) : run_clips(&r, err);
	sn_mel_close(&r.mel);
	sn_search_free(&r.search);
	sn_whisper_close(&r.whisper);
	return result;
}

const golden_adapter golden_whisper = { "whisper", whisper_accepts, whisper_run };
