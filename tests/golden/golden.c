#include "golden.h"

#include "base/json.h"
#include "base/map.h"
#include "store/models.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SKIPPED 77 /* exit status that test runners know: a model is not installed */

typedef struct expected {
	const sn_weight *tensor;
	float *floats;
	int32_t *ids;
	int input, compared;
} expected;

struct golden {
	const char *dir;
	char model[PATH_MAX];
	int debug, absent; /* absent: its model is not installed */
	nn_pool *pool;
	nn_backend *backend;
	sn_weights *weights;
	expected *list;
	size_t count;
	double rounding; /* largest float32/float64 difference that the fixture's README reports */
	int new_tokens;
	int compared, failed, inner; /* inner: tensors that only debug plans keep */
};

static const golden_adapter *const adapters[] = {
	&golden_whisper, &golden_vits, &golden_piper, &golden_silero,
	&golden_fastspeech2,
	&golden_vocoder,
	&golden_deepfilter,
	&golden_bark,
	&golden_speecht5, &golden_xvector,
	&golden_yourtts,
	&golden_wav2vec2,
	&golden_tacotron2,
	&golden_dnsmos,
	&golden_bert,
};

/* ---- what adapters ask for ---- */

int golden_debug(const golden *g) { return g->debug; }
const char *golden_dir(const golden *g) { return g->dir; }
const char *golden_model(const golden *g) { return g->model; }
nn_pool *golden_pool(const golden *g) { return g->pool; }
nn_backend *golden_backend(const golden *g) { return g->backend; }
int golden_new_tokens(const golden *g) { return g->new_tokens; }
size_t golden_count(const golden *g) { return g->count; }
const sn_weight *golden_at(const golden *g, size_t index) { return g->list[index].tensor; }

static expected *find(golden *g, const char *name) {
	for (size_t i = 0; i < g->count; i++)
		if (!strcmp(g->list[i].tensor->name, name))
			return &g->list[i];
	return NULL;
}

const sn_weight *golden_find(const golden *g, const char *name) { return sn_weights_find(g->weights, name); }

static int64_t elements(const sn_weight *t) { return (int64_t)(t->bytes / sn_dtype_size(t->dtype)); }
static int floating(const sn_weight *t) { return t->dtype <= SN_F64; }

static int64_t integer_at(const sn_weight *t, int64_t i) {
	const char *at = (const char *)t->data + (size_t)i * sn_dtype_size(t->dtype);
	int64_t i64 = 0;
	int32_t i32 = 0;
	int16_t i16 = 0;
	switch (t->dtype) {
	case SN_I64: return memcpy(&i64, at, sizeof i64), i64;
	case SN_I32: return memcpy(&i32, at, sizeof i32), i32;
	case SN_I16: return memcpy(&i16, at, sizeof i16), i16;
	case SN_I8: return *(const int8_t *)at;
	default: return *(const uint8_t *)at;
	}
}

const float *golden_floats(golden *g, const char *name, int64_t *count) {
	expected *e = find(g, name);
	if (!e)
		return NULL;
	int64_t n = elements(e->tensor);
	if (!e->floats && (e->floats = malloc((size_t)(n ? n : 1) * sizeof *e->floats))) {
		if (floating(e->tensor))
			sn_weight_floats(e->tensor, 0, n, e->floats);
		for (int64_t i = 0; !floating(e->tensor) && i < n; i++)
			e->floats[i] = (float)integer_at(e->tensor, i);
	}
	if (count)
		*count = n;
	return e->floats;
}

const int32_t *golden_ids(golden *g, const char *name, int64_t *count) {
	expected *e = find(g, name);
	if (!e)
		return NULL;
	int64_t n = elements(e->tensor);
	if (!e->ids && (e->ids = malloc((size_t)(n ? n : 1) * sizeof *e->ids))) {
		const float *floats = floating(e->tensor) ? golden_floats(g, name, NULL) : NULL;
		for (int64_t i = 0; i < n; i++)
			e->ids[i] = floats ? (int32_t)lrintf(floats[i]) : (int32_t)integer_at(e->tensor, i);
	}
	if (count)
		*count = n;
	return e->ids;
}

static void mark_input(golden *g, const char *name) {
	expected *e = find(g, name);
	if (e)
		e->input = 1;
}

const float *golden_input(golden *g, const char *name, int64_t *count) {
	mark_input(g, name);
	return golden_floats(g, name, count);
}

const int32_t *golden_input_ids(golden *g, const char *name, int64_t *count) {
	mark_input(g, name);
	return golden_ids(g, name, count);
}

/* ---- comparing ---- */

static void verdict(golden *g, int ok) {
	g->compared++;
	g->failed += !ok;
	puts(ok ? "  ok" : "  FAIL");
}

static expected *begin_line(golden *g, const char *name, int64_t count) {
	expected *e = find(g, name);
	if (!e)
		return NULL;
	e->compared = 1;
	printf("%-5s  %-44s", g->debug ? "debug" : "fused", name);
	if (elements(e->tensor) == count)
		return e;
	printf("  %lld values, expected %lld", (long long)count, (long long)elements(e->tensor));
	verdict(g, 0);
	return NULL;
}

void golden_compare(golden *g, const char *name, const float *values, int64_t count, golden_kind kind) {
	expected *e = begin_line(g, name, count);
	const float *reference = e ? golden_floats(g, name, NULL) : NULL;
	if (!reference)
		return;
	double difference = 0, size = 0, most = 0, largest = 1;
	for (int64_t i = 0; i < count; i++) {
		double d = fabs((double)values[i] - reference[i]);
		difference += d * d;
		size += (double)reference[i] * reference[i];
		most = d > most || d != d ? d : most; /* a NaN stays */
		largest = fabs(reference[i]) > largest ? fabs(reference[i]) : largest;
	}
	double bound = (kind == GOLDEN_SIGNAL ? 2e-5 : 2e-4) * largest;
	if (10 * g->rounding > bound)
		bound = 10 * g->rounding;
	double relative = difference > 0 || difference != difference ? sqrt(difference / size) : 0;
	printf("  max abs %.2e (bound %.1e)  rel L2 %.2e (bound %.0e)", most, bound, relative, 1e-4);
	verdict(g, most <= bound && relative <= 1e-4);
}

void golden_compare_ids(golden *g, const char *name, const int32_t *values, int64_t count) {
	expected *e = begin_line(g, name, count);
	const int32_t *reference = e ? golden_ids(g, name, NULL) : NULL;
	if (!reference)
		return;
	for (int64_t i = 0; i < count; i++)
		if (values[i] != reference[i]) {
			printf("  element %lld is %d, expected %d", (long long)i, values[i], reference[i]);
			verdict(g, 0);
			return;
		}
	printf("  %lld equal", (long long)count);
	verdict(g, 1);
}

void golden_compare_value(golden *g, const char *name, double value, double wanted, double bound) {
	printf("%-5s  %-44s  %.6g, expected %.6g (bound %.1e)", g->debug ? "debug" : "fused", name, value, wanted, bound);
	verdict(g, fabs(value - wanted) <= bound);
}

/* x[rows, cols] -> what `part` of a name asks for; 0 when it is no known part. *count: values written to out[rows * cols]. */
static int take_part(const char *part, const float *x, int64_t outer, int64_t rows, int64_t cols, float *out, int64_t *count) {
	long long from = 0, to = cols, first = 0, last = rows;
	int end = 0, norms = !strcmp(part, "_row_norms"), sums = sscanf(part, "_rowsum_first%lld%n", &to, &end) == 1 && !part[end];
	if (!norms && !sums && strcmp(part, "_last_frame") && !(sscanf(part, "_frames%lld_%lld%n", &from, &to, &end) == 2 && !part[end]) &&
	    !(sscanf(part, "_rows%lld_%lld%n", &first, &last, &end) == 2 && !part[end]))
		return 0;
	if (!strcmp(part, "_last_frame"))
		from = cols - 1;
	if (from < 0 || to > cols || from > to || first < 0 || last > rows || first > last)
		return 0;
	*count = 0;
	for (int64_t o = 0; o < outer; o++)
		for (int64_t r = first; r < last; r++) {
			const float *row = x + (o * rows + r) * cols;
			double sum = 0;
			for (int64_t c = from; c < to; c++) {
				sum += norms ? (double)row[c] * row[c] : row[c];
				if (!norms && !sums)
					out[(*count)++] = row[c];
			}
			if (norms || sums)
				out[(*count)++] = (float)(norms ? sqrt(sum) : sum);
		}
	return 1;
}

void golden_offer(golden *g, const char *base, const float *values, int rank, const int64_t *dims, golden_kind kind) {
	int64_t cols = dims[rank - 1], rows = rank > 1 ? dims[rank - 2] : 1, outer = 1, count;
	size_t length = strlen(base);
	for (int i = 0; i < rank - 2; i++)
		outer *= dims[i];
	golden_compare(g, base, values, outer * rows * cols, kind);
	float *part = malloc((size_t)(outer * rows * cols) * sizeof *part);
	for (size_t i = 0; part && i < g->count; i++) {
		const char *name = g->list[i].tensor->name;
		if (!strncmp(name, base, length) && name[length] && take_part(name + length, values, outer, rows, cols, part, &count))
			golden_compare(g, name, part, count, kind);
	}
	free(part);
}

/* ---- fixtures ---- */

/* The README's facts: the reference's own rounding ("... float32 vs float64 3.22e-06", the largest named) and the length of its
 * generated sequences ("at most 24 new tokens"). */
static void read_readme(golden *g) {
	static const char rounding[] = "float32 vs float64", most[] = "at most ";
	char path[PATH_MAX];
	sn_map map;
	snprintf(path, sizeof path, "%s/README.md", g->dir);
	if (sn_map_open(&map, path, NULL) != SN_OK)
		return;
	char *text = map.data ? strndup((const char *)map.data, map.size) : NULL;
	for (const char *at = text ? strstr(text, rounding) : NULL; at; at = strstr(at + 1, rounding)) {
		double value = strtod(at + strlen(rounding), NULL);
		if (value > g->rounding && value < 1e-3)
			g->rounding = value;
	}
	for (const char *at = text ? strstr(text, most) : NULL; at && !g->new_tokens; at = strstr(at + 1, most)) {
		int end = 0, count;
		if (sscanf(at + strlen(most), "%d new tokens%n", &count, &end) == 1 && end && count > 0)
			g->new_tokens = count;
	}
	free(text);
	sn_map_close(&map);
}

static int resolve(char *out, size_t size, const char *name, char *err) {
	sn_store *store = NULL;
	sn_model_place place;
	int result = sn_store_open(&store, NULL, err);
	if (result == SN_OK)
		result = sn_store_resolve(store, name, &place, err);
	if (result == SN_OK)
		snprintf(out, size, "%s", place.path);
	sn_store_close(&store);
	return result;
}

/* Where the checkpoint is: --model, the fixture's model.json, or the fixture itself. */
static int locate(golden *g, const char *model, char *err) {
	char path[PATH_MAX], name[256];
	snprintf(path, sizeof path, "%s/model.json", g->dir);
	if (!model) {
		json_t *json = NULL;
		if (access(path, F_OK) != 0)
			return snprintf(g->model, sizeof g->model, "%s", g->dir), SN_OK;
		int result = sn_json_file(&json, path, err);
		if (result != SN_OK)
			return result;
		const char *text = json_string_value(json_object_get(json, "model"));
		snprintf(name, sizeof name, "%s", text ? text : "");
		json_decref(json);
		model = name;
	}
	int result = resolve(g->model, sizeof g->model, model, err);
	g->absent = result == SN_E_NOT_FOUND;
	return result;
}

static void forget(golden *g) {
	for (size_t i = 0; i < g->count; i++) {
		free(g->list[i].floats);
		free(g->list[i].ids);
		g->list[i] = (expected){ .tensor = g->list[i].tensor };
	}
}

/* One plan's pass; every expected tensor of a debug pass must have been used. */
static void run_pass(golden *g, const golden_adapter *adapter, int debug) {
	char err[SN_ERRLEN] = "";
	g->debug = debug;
	if (adapter->run(g, err) != SN_OK) {
		printf("%-5s  %s: %s  FAIL\n", debug ? "debug" : "fused", adapter->name, err);
		g->failed++;
	}
	for (size_t i = 0; i < g->count; i++) {
		const expected *e = &g->list[i];
		if (e->compared || e->input)
			continue;
		g->inner += !debug;
		if (debug) {
			printf("debug  %-44s  was not compared  FAIL\n", e->tensor->name);
			g->failed++;
		}
	}
	forget(g);
}

static int run_fixture(golden *g, const char *model, char *err) {
	char path[PATH_MAX];
	snprintf(path, sizeof path, "%s/expected.safetensors", g->dir);
	int result = locate(g, model, err);
	if (result != SN_OK || (result = sn_weights_open(&g->weights, path, err)) != SN_OK)
		return result;
	g->count = sn_weights_count(g->weights);
	g->list = calloc(g->count + 1, sizeof *g->list);
	if (!g->list)
		return sn_fail(err, SN_E_MEMORY, "out of memory");
	for (size_t i = 0; i < g->count; i++)
		g->list[i].tensor = sn_weights_at(g->weights, i);
	read_readme(g);
	for (size_t i = 0; i < sizeof adapters / sizeof adapters[0]; i++)
		if (adapters[i]->accepts(g->model)) {
			run_pass(g, adapters[i], 1);
			run_pass(g, adapters[i], 0);
			return SN_OK;
		}
	return sn_fail(err, SN_E_MODEL, "%s is of no architecture that is known here", g->model);
}

enum { PASSED, ABSENT, FAILED };

/* ABSENT: its model is not installed. */
static int check_fixture(const char *dir, const char *model, nn_pool *pool, nn_backend *backend) {
	char err[SN_ERRLEN] = "";
	golden g = { .dir = dir, .pool = pool, .backend = backend };
	printf("%s\n", dir);
	int result = run_fixture(&g, model, err);
	if (result != SN_OK)
		printf("%s: %s\n", dir, err);
	free(g.list);
	sn_weights_close(&g.weights);
	printf("%s: %d compared, %d failed", dir, g.compared, g.failed);
	if (g.inner)
		printf(" (%d inner tensors are kept by the debug plan only)", g.inner);
	printf("\n");
	if (g.absent)
		return ABSENT;
	return result == SN_OK && !g.failed && g.compared > 0 ? PASSED : FAILED;
}

int main(int argc, char **argv) {
	const char *model = NULL, *backend_name = "cpu";
	char err[SN_ERRLEN] = "";
	nn_pool *pool = NULL;
	nn_backend *backend = NULL;
	int first = 1, worst = PASSED;
	for (; first + 1 < argc && !strncmp(argv[first], "--", 2); first += 2) {
		if (!strcmp(argv[first], "--model"))
			model = argv[first + 1];
		else if (!strcmp(argv[first], "--home"))
			setenv("SONANT_HOME", argv[first + 1], 1);
		else if (!strcmp(argv[first], "--backend"))
			backend_name = argv[first + 1];
		else
			break;
	}
	if (first >= argc || !strncmp(argv[first], "--", 2)) {
		fprintf(stderr, "usage: golden [--model NAME|DIR] [--backend cpu|ort|ort:PROVIDER] [--home DIR] FIXTURE_DIR...\n");
		return 2;
	}
	const nn_backend_options options = { .threads = 2, .home = getenv("SONANT_HOME") };
	const int opened = nn_backend_open(&backend, backend_name, &options, err);
	if (opened != SN_OK || nn_pool_open(&pool, 2, err) != SN_OK) {
		fprintf(stderr, "%s\n", err);
		return opened == SN_E_DEPENDENCY ? SKIPPED : 1;
	}
	for (int i = first; i < argc; i++) {
		for (size_t end = strlen(argv[i]); end > 1 && argv[i][end - 1] == '/'; end--)
			argv[i][end - 1] = 0; /* names beside a fixture are made of its own */
		int verdict = check_fixture(argv[i], model, pool, backend);
		worst = verdict > worst ? verdict : worst;
	}
	nn_pool_close(&pool);
	nn_backend_close(&backend);
	return worst == FAILED ? 1 : worst == ABSENT ? SKIPPED : 0;
}
