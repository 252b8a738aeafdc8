#include "golden.h"

#include "models/wav2vec2.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_IDS 65536

typedef struct run {
	golden *g;
	sn_wav2vec2 *model;
	sn_wav2vec2_head *head;
} run;

static void finish(run *r) {
	char err[SN_ERRLEN];
	int code;
	while ((code = sn_wav2vec2_next(r->head, 100, err)) == SN_AGAIN)
		;
	if (code != SN_OK)
		fprintf(stderr, "%s\n", err);
	sn_wav2vec2_end(r->head);
}

/* Rows of frames here are columns in the reference's convolutions: values[rows, cols] -> [cols, first rows]. */
static void compare_turned(run *r, const char *name, const float *values, const int64_t *dims, int64_t rows) {
	float *const turned = malloc((size_t)(rows * dims[1]) * sizeof *turned + 1);
	for (int64_t t = 0; turned && t < rows && t < dims[0]; t++)
		for (int64_t c = 0; c < dims[1]; c++) turned[c * rows + t] = values[t * dims[1] + c];
	if (turned && rows <= dims[0]) golden_compare(r->g, name, turned, rows * dims[1], GOLDEN_TENSOR);
	free(turned);
}

/* "conv3_out_first40" and "conv3_out" are the feature encoder's; "extract_features" is its last, frame by frame. */
static void compare_tensor(run *r, const char *name, int convs) {
	char own[64], err[SN_ERRLEN];
	float *values;
	int rank, conv = -1, first = -1, turned = sscanf(name, "conv%d_out_first%d", &conv, &first) >= 1 && strncmp(name, "conv", 4) == 0;
	int64_t dims[NN_MAX_RANK], count = 1;
	snprintf(own, sizeof own, "%.60s", name);
	if (turned) snprintf(own, sizeof own, "conv%d_out", conv);
	if (strcmp(name, "extract_features") == 0) snprintf(own, sizeof own, "conv%d_out", convs - 1);
	if (sn_wav2vec2_tensor(r->head, own, &values, &rank, dims, err) != SN_OK) return;
	for (int i = 0; i < rank; i++) count *= dims[i];
	if (turned) compare_turned(r, name, values, dims, first > 0 ? first : dims[0]);
	else golden_compare(r->g, name, values, count, GOLDEN_TENSOR);
	free(values);
}

static void compare_ids(run *r) {
	static int32_t ids[MAX_IDS];
	const int size = (int)golden_find(r->g, "logits")->dims[1];
	const int32_t blank = sn_ctc_vocab_get_config(sn_wav2vec2_vocab(r->head))->blank;
	int64_t frames;
	const float *const logits = sn_wav2vec2_logits(r->head, &frames);
	for (int64_t t = 0; t < frames && t < MAX_IDS; t++) {
		ids[t] = 0;
		for (int v = 1; v < size; v++)
			if (logits[t * size + v] > logits[t * size + ids[t]]) ids[t] = v;
	}
	golden_compare_ids(r->g, "argmax_ids", ids, frames);
	int64_t count = 0;
	for (int64_t t = 0, last = -1; t < frames; last = ids[t++])
		if (ids[t] != last && ids[t] != blank) ids[count++] = ids[t]; /* never ahead of what is read */
	golden_compare_ids(r->g, "ctc_collapsed_ids", ids, count);
}

/* Rows of a batch: clips of some lengths, padded to the longest. */
static int compare_batch(run *r, const float *wav, int64_t samples, char *err) {
	int64_t rows = 0;
	const int32_t *const lengths = golden_input_ids(r->g, "batch2_lengths", &rows);
	const sn_weight *const expected = golden_find(r->g, "batch2_logits_masked");
	if (!lengths || !expected || !golden_debug(r->g)) return SN_OK;
	const int64_t each = expected->dims[1] * expected->dims[2];
	float *const all = calloc((size_t)(rows * each), sizeof *all);
	int64_t longest = 0;
	if (!all) return sn_fail(err, SN_E_MEMORY, "out of memory");
	for (int64_t i = 0; i < rows; i++) longest = lengths[i] > longest ? lengths[i] : longest;
	for (int64_t i = 0; i < rows; i++) {
		int64_t frames;
		if (sn_wav2vec2_frames(r->model, lengths[i]) < 1 || longest > samples) continue;
		sn_wav2vec2_start_padded(r->head, wav, lengths[i], longest);
		finish(r);
		const float *const logits = sn_wav2vec2_logits(r->head, &frames);
		if (frames == expected->dims[1]) memcpy(all + i * each, logits, (size_t)each * sizeof *all);
	}
	golden_compare(r->g, "batch2_logits_masked", all, rows * each, GOLDEN_TENSOR);
	free(all);
	return SN_OK;
}

/* "logits_deu": of a model with adapters, its German. */
static int compare_languages(run *r, const float *wav, int64_t samples, char *err) {
	int code = SN_OK;
	for (size_t i = 0; code == SN_OK && i < golden_count(r->g); i++) {
		const char *const name = golden_at(r->g, i)->name;
		sn_wav2vec2_head *head = NULL;
		int64_t frames;
		if (strncmp(name, "logits_", 7) != 0) continue;
		code = sn_wav2vec2_take(&head, r->model, name + 7, err);
		if (code != SN_OK) break;
		sn_wav2vec2_start(head, wav, samples);
		while ((code = sn_wav2vec2_next(head, 100, err)) == SN_AGAIN)
			;
		const float *const logits = sn_wav2vec2_logits(head, &frames);
		golden_compare(r->g, name, logits, frames * sn_wav2vec2_letters(head), GOLDEN_TENSOR);
		sn_wav2vec2_end(head);
		sn_wav2vec2_give(&head);
	}
	return code;
}

static int compare_all(run *r, char *err) {
	int64_t samples = 0;
	const float *const wav = golden_input(r->g, "wav", &samples);
	const sn_wav2vec2_config *const c = sn_wav2vec2_get_config(r->model);
	int convs = 0;
	if (!wav || !golden_find(r->g, "logits")) return sn_fail(err, SN_E_FORMAT, "the fixture lacks 'wav' or 'logits'");
	if (samples < c->reach || samples > c->window)
		return sn_fail(err, SN_E_LIMIT, "the clip has %lld samples; a window takes %d to %lld", (long long)samples, c->reach,
		               (long long)c->window);
	sn_wav2vec2_start(r->head, wav, samples);
	finish(r);
	for (int more = golden_debug(r->g); more; convs += more) {
		char name[32], why[SN_ERRLEN];
		float *values;
		int rank;
		int64_t dims[NN_MAX_RANK];
		snprintf(name, sizeof name, "conv%d_out", convs);
		more = sn_wav2vec2_tensor(r->head, name, &values, &rank, dims, why) == SN_OK;
		free(values);
	}
	for (size_t i = 0; i < golden_count(r->g); i++) compare_tensor(r, golden_at(r->g, i)->name, convs);
	compare_ids(r);
	const int code = compare_languages(r, wav, samples, err);
	return code == SN_OK ? compare_batch(r, wav, samples, err) : code;
}

static int wav2vec2_run(golden *g, char *err) {
	run r = { .g = g };
	const sn_load_options load = { .dir = golden_model(g), .dtype = NN_DTYPE_F32, .debug = golden_debug(g), .pool = golden_pool(g), .backend = golden_backend(g) };
	int code = sn_wav2vec2_open(&r.model, &load, err);
	if (code == SN_OK) code = sn_wav2vec2_take(&r.head, r.model, NULL, err);
	if (code == SN_OK) code = compare_all(&r, err);
	sn_wav2vec2_give(&r.head);
	sn_wav2vec2_close(&r.model);
	return code;
}

const golden_adapter golden_wav2vec2 = { "wav2vec2", sn_wav2vec2_accepts, wav2vec2_run };
