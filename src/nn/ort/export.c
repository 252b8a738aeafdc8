#include "nn/export.h"

#include "base/hash.h"
#include "base/path.h"
#include "nn/ort/lower.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ALIGN ((size_t)4096) /* of a constant in its file: a loader may map it */
#define COMPARED ((size_t)1 << 16) /* bytes that are read at once */

/* A constant in the file of weights. */
typedef struct stored {
	uint64_t hash;
	size_t bytes, offset;
} stored;

struct nn_exports {
	char *dir;
	int file; /* of weights */
	size_t end;
	int count, capacity;
	stored *list;
	json_t *graphs;
	sn_part_progress progress;
	void *payload;
};

int nn_exports_open(nn_exports **out, const char *dir, sn_part_progress progress, void *payload, char *err) {
	char path[SN_PATH_MAX];
	nn_exports *x = *out = calloc(1, sizeof *x);
	if (!x || !(x->dir = strdup(dir)) || !(x->graphs = json_array())) {
		if (x)
			x->file = -1;
		nn_exports_close(out);
		return sn_fail(err, SN_E_MEMORY, "no memory for an export");
	}
	x->progress = progress;
	x->payload = payload;
	x->file = sn_path_join(path, dir, NN_EXPORT_WEIGHTS) ? open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666) : -1;
	const int result = x->file < 0 ? sn_fail_errno(err, "cannot write '%s'", path) : SN_OK;
	if (result != SN_OK)
		nn_exports_close(out);
	return result;
}

void nn_exports_close(nn_exports **held) {
	nn_exports *x = *held;
	*held = NULL;
	if (!x)
		return;
	if (x->file >= 0)
		close(x->file);
	json_decref(x->graphs);
	free(x->list);
	free(x->dir);
	free(x);
}

/* ---- the file of weights ---- */

static int write_all(int file, const void *data, size_t size, size_t at) {
	for (size_t done = 0; done < size;) {
		const ssize_t n = pwrite(file, (const char *)data + done, size - done, (off_t)(at + done));
		if (n < 0 && errno != EINTR)
			return 0;
		done += n > 0 ? (size_t)n : 0;
	}
	return 1;
}

static int equal(int file, const stored *s, const void *data) {
	char block[COMPARED];
	for (size_t done = 0; done < s->bytes;) {
		const size_t most = s->bytes - done < COMPARED ? s->bytes - done : COMPARED;
		const ssize_t n = pread(file, block, most, (off_t)(s->offset + done));
		if (n <= 0 || memcmp(block, (const char *)data + done, (size_t)n) != 0)
			return 0;
		done += (size_t)n;
	}
	return 1;
}

/* Where the constant lies: at that of equal bytes, or behind all. */
static int store(nn_exports *x, onnx_external *e, char *err) {
	const uint64_t hash = sn_hash(SN_HASH_INIT, e->data, e->bytes);
	for (int i = 0; i < x->count; i++)
		if (x->list[i].hash == hash && x->list[i].bytes == e->bytes && equal(x->file, x->list + i, e->data)) {
			e->offset = x->list[i].offset;
			return SN_OK;
		}
	if (x->count == x->capacity) {
		const int grown = x->capacity ? 2 * x->capacity : 256;
		stored *bigger = realloc(x->list, (size_t)grown * sizeof *bigger);
		if (!bigger)
			return sn_fail(err, SN_E_MEMORY, "no memory for the places of %d constants", grown);
		x->list = bigger;
		x->capacity = grown;
	}
	const size_t at = (x->end + ALIGN - 1) / ALIGN * ALIGN;
	if (!write_all(x->file, e->data, e->bytes, at))
		return sn_fail_errno(err, "cannot write '%s/" NN_EXPORT_WEIGHTS "'", x->dir);
	x->list[x->count++] = (stored){ hash, e->bytes, at };
	x->end = at + e->bytes;
	e->offset = at;
	return SN_OK;
}

/* ---- what is said of a graph ---- */

static const char *type_name(onnx_type type) {
	return type == ONNX_I64 ? "int64" : type == ONNX_I32 ? "int32" : type == ONNX_F64 ? "float64" : type == ONNX_BOOL ? "bool"
	                                                                                                                  : "float32";
}

static json_t *integers(int rank, const int64_t *dims) {
	json_t *list = json_array();
	for (int a = 0; a < rank; a++)
		json_array_append_new(list, json_integer(dims[a]));
	return list;
}

/* A recorded tensor: "shape" has its extents, numbers or expressions of symbols, "most" those at the symbols' maxima. */
static json_t *tensor_json(const nn_graph *g, const char *name, const nn_node *n) {
	json_t *shape = json_array();
	int64_t most[NN_MAX_RANK];
	for (int a = 0; a < n->rank; a++) {
		char text[2 * NN_NAME];
		most[a] = nn_dim_value(g, n->dims[a], NULL);
		if (!nn_dim_fixed(n->dims[a]))
			nn_dim_text(g, n->dims[a], text, sizeof text);
		json_array_append_new(shape, nn_dim_fixed(n->dims[a]) ? json_integer(n->dims[a].add) : json_string(text));
	}
	return json_pack("{s:s, s:s, s:o, s:o}", "name", name, "type", n->type == NN_I32 ? "int32" : "float32", "shape", shape, "most",
	                 integers(n->rank, most));
}

static const char *written_as(const nn_lowered *l, const nn_port *in) {
	for (int i = 0; i < l->outputs; i++)
		if (l->output[i].kind == PORT_STATE && l->output[i].index == in->index && l->output[i].part == in->part)
			return l->output[i].name;
	return NULL;
}

static json_t *state_json(const nn_graph *g, const nn_lowered *l, const nn_port *p) {
	int rank;
	int64_t dims[ONNX_MAX_RANK];
	const onnx_type type = nn_state_shape(g->nodes + p->index, p->part, &rank, dims);
	return json_pack("{s:s, s:s, s:o, s:s?}", "input", p->name, "type", type_name(type), "shape", integers(rank, dims),
	                 "output", written_as(l, p));
}

static json_t *ports_json(const nn_graph *g, const nn_lowered *l, nn_port_kind kind) {
	const nn_port *list = kind == PORT_OUTPUT ? l->output : l->input;
	const int count = kind == PORT_OUTPUT ? l->outputs : l->inputs;
	json_t *all = json_array();
	for (int i = 0; i < count; i++) {
		const nn_port *p = list + i;
		if (p->kind == PORT_STATE && kind == PORT_STATE)
			json_array_append_new(all, state_json(g, l, p));
		else if (p->kind == PORT_SYMBOL && kind == PORT_INPUT)
			json_array_append_new(all, json_pack("{s:s, s:s, s:[i], s:[i]}", "name", p->name, "type", "int64", "shape", 1, "most", 1));
		else if (p->kind == kind && kind != PORT_STATE)
			json_array_append_new(all, tensor_json(g, p->name, g->nodes + p->index));
	}
	return all;
}

static json_t *weights_json(const onnx_model *m) {
	json_t *all = json_array();
	for (int i = 0; i < m->externals; i++) {
		const onnx_external *e = m->external + i;
		json_array_append_new(all, json_pack("{s:s, s:s, s:o, s:I, s:I}", "name", e->name, "type", type_name(e->type), "shape",
		                      integers(e->rank, e->dims), "offset", (json_int_t)e->offset, "bytes", (json_int_t)e->bytes));
	}
	return all;
}

static json_t *graph_json(const nn_graph *g, const nn_lowered *l, const char *name, const char *file, size_t size) {
	json_t *symbols = json_object();
	for (int s = 0; s < g->symbols; s++)
		json_object_set_new(symbols, g->symbol[s].name, json_integer(g->symbol[s].most));
	return json_pack("{s:s, s:s, s:I, s:o, s:o, s:o, s:o, s:o}", "name", name, "file", file, "bytes", (json_int_t)size,
	                 "symbols", symbols, "inputs", ports_json(g, l, PORT_INPUT), "outputs", ports_json(g, l, PORT_OUTPUT),
	                 "states", ports_json(g, l, PORT_STATE), "weights", weights_json(l->model));
}

/* ---- graphs ---- */

/* What stands behind the model's name, as a name of a file. */
static void short_name(const nn_graph *g, char name[NN_NAME]) {
	const char *dot = strchr(g->name, '.');
	snprintf(name, NN_NAME, "%s", dot ? dot + 1 : g->name);
	for (char *c = name; *c; c++)
		if (!((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9')))
			*c = *c >= 'A' && *c <= 'Z' ? *c : '_';
}

static int write_file(const char *path, const void *data, size_t size, char *err) {
	const int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	const int written = file >= 0 && write_all(file, data, size, 0) && fsync(file) == 0;
	const int result = written ? SN_OK : sn_fail_errno(err, "cannot write '%s'", path);
	if (file >= 0)
		close(file);
	return result;
}

static int write_graph(nn_exports *x, const nn_graph *g, nn_lowered *l, char *err) {
	char name[NN_NAME], file[NN_NAME + 8], path[SN_PATH_MAX];
	size_t size = 0;
	int result = x->progress && x->progress(x->payload, g->name, -1) ? sn_fail(err, SN_E_CANCELLED, "the export was cancelled")
	                                                                 : SN_OK;
	for (int i = 0; i < l->model->externals && result == SN_OK; i++)
		result = store(x, l->model->external + i, err);
	if (result != SN_OK)
		return result;
	short_name(g, name);
	snprintf(file, sizeof file, "%s.onnx", name);
	if (!sn_path_join(path, x->dir, file))
		return sn_fail(err, SN_E_ARGUMENT, "the path '%.200s' is too long", x->dir);
	uint8_t *const bytes = onnx_finish(l->model, g->name, NN_EXPORT_WEIGHTS, &size);
	if (!bytes)
		return sn_fail(err, SN_E_MEMORY, "no memory for graph %s as ONNX", g->name);
	result = write_file(path, bytes, size, err);
	free(bytes);
	if (result == SN_OK && json_array_append_new(x->graphs, graph_json(g, l, name, file, size)) != 0)
		result = sn_fail(err, SN_E_MEMORY, "no memory for what is said of graph %s", g->name);
	return result;
}

int nn_exports_add(nn_exports *x, const nn_graph *g, char *err) {
	nn_lowered *l;
	int result = nn_lower(&l, g, 0, err);
	if (result == SN_OK)
		result = write_graph(x, g, l, err);
	nn_lowered_free(&l);
	return result;
}

int nn_exports_finish(nn_exports *x, json_t **out, char *err) {
	*out = NULL;
	if (!json_array_size(x->graphs))
		return sn_fail(err, SN_E_UNSUPPORTED, "the model has no graphs to export");
	if (fsync(x->file) != 0)
		return sn_fail_errno(err, "cannot write '%s/" NN_EXPORT_WEIGHTS "'", x->dir);
	*out = json_pack("{s:O, s:{s:s, s:I}}", "graphs", x->graphs, "weights", "file", NN_EXPORT_WEIGHTS, "bytes", (json_int_t)x->end);
	return *out ? SN_OK : sn_fail(err, SN_E_MEMORY, "no memory for what is said of an export");
}
