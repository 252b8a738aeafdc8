#include "golden.h"

#include "base/map.h"
#include "base/path.h"
#include "models/bert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* text.txt word by word, as sessions encode it, against the ids of the reference for the whole text. */
static int compare_text(golden *g, const sn_bert *bert, int count, char *err) {
	const sn_bert_config *const c = sn_bert_get_config(bert);
	char path[SN_PATH_MAX], text[4096] = "";
	int32_t ids[SN_BERT_MAX_TOKENS] = { c->begin }, word[SN_BERT_MAX_PIECES];
	int used = 1, pieces;
	sn_map map;
	if (!sn_path_join(path, golden_dir(g), "text.txt") || sn_map_open(&map, path, NULL) != SN_OK) return SN_OK;
	memcpy(text, map.data, map.size < sizeof text ? map.size : sizeof text - 1);
	sn_map_close(&map);
	for (char *w = strtok(text, " \n"); w; w = strtok(NULL, " \n")) {
		const int code = sn_bert_encode(bert, w, used == 1, word, &pieces, err);
		if (code != SN_OK) return code;
		for (int i = 0; i < pieces && used < SN_BERT_MAX_TOKENS - 1; i++) ids[used++] = word[i];
	}
	ids[used++] = c->end;
	if (used != count) return sn_fail(err, SN_E_INTERNAL, "%s makes %d tokens; the reference made %d", path, used, count);
	golden_compare_ids(g, "input_ids", ids, used);
	return SN_OK;
}

/* Every tensor of a debug plan that the fixture has. */
static void compare_all(golden *g, const sn_bert *bert) {
	for (size_t i = 0; golden_debug(g) && i < golden_count(g); i++) {
		const char *const name = golden_at(g, i)->name;
		float *values;
		int rank;
		int64_t dims[NN_MAX_RANK], count = 1;
		if (strcmp(name, "logits") == 0 || sn_bert_tensor(bert, name, &values, &rank, dims, NULL) != SN_OK) continue;
		for (int k = 0; k < rank; k++) count *= dims[k];
		golden_compare(g, name, values, count, GOLDEN_TENSOR);
		free(values);
	}
}

static void compare_labels(golden *g, const float *logits, int count, int labels) {
	int32_t best[SN_BERT_MAX_TOKENS];
	for (int t = 0; t < count; t++) {
		best[t] = 0;
		for (int v = 1; v < labels; v++)
			if (logits[t * labels + v] > logits[t * labels + best[t]]) best[t] = v;
	}
	golden_compare(g, "logits", logits, (int64_t)count * labels, GOLDEN_TENSOR);
	golden_compare_ids(g, "argmax_ids", best, count);
}

typedef struct window {
	sn_bert *bert;
	const int32_t *ids;
	int count, code;
	char *err;
} window;

static void run_window(void *payload) {
	window *const w = payload;
	sn_bert_start(w->bert, w->ids, w->count);
	while ((w->code = sn_bert_next(w->bert, 30, w->err)) == SN_AGAIN) continue;
	sn_bert_end(w->bert);
}

static int bert_run(golden *g, char *err) {
	const sn_load_options load = { .dir = golden_model(g), .debug = golden_debug(g), .pool = golden_pool(g), .backend = golden_backend(g) };
	window w = { .err = err };
	int64_t count = 0;
	w.ids = golden_input_ids(g, "input_ids", &count);
	w.count = (int)count;
	int code = w.ids ? sn_bert_open(&w.bert, &load, err) : sn_fail(err, SN_E_FORMAT, "the fixture has no input_ids");
	if (code == SN_OK && count > sn_bert_get_config(w.bert)->most)
		code = sn_fail(err, SN_E_FORMAT, "%d tokens; the model takes %d", w.count, sn_bert_get_config(w.bert)->most);
	if (code == SN_OK) {
		nn_pool_call(golden_pool(g), run_window, &w);
		code = w.code;
	}
	if (code == SN_OK) {
		compare_all(g, w.bert);
		compare_labels(g, sn_bert_logits(w.bert), w.count, sn_bert_get_config(w.bert)->labels);
		code = compare_text(g, w.bert, w.count, err);
	}
	sn_bert_close(&w.bert);
	return code;
}

const golden_adapter golden_bert = { "bert", sn_bert_accepts, bert_run };
