/* Regions, local values and the arena. */
#include "nn/plan.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

static nn_value *root(const nn_plan *p, int v) {
	while (p->value[v].base >= 0)
		v = p->value[v].base;
	return p->value + v;
}

/* Whether row r of value v is row r of the value that it is a view of. */
static int aligned_view(const nn_plan *p, int v) {
	for (; p->value[v].base >= 0; v = p->value[v].base)
		if (!p->value[v].same_rows)
			return 0;
	return 1;
}

/* The extents that make up a value's rows, those of one left out. */
static int row_dims(const nn_value *v, nn_dim *dims) {
	int count = 0;
	for (int i = 0; i + 1 < v->rank; i++)
		if (!nn_dim_fixed(v->dims[i]) || v->dims[i].add != 1)
			dims[count++] = v->dims[i];
	return count;
}

static int same_row_space(const nn_value *a, const nn_value *b) {
	nn_dim x[NN_MAX_RANK], y[NN_MAX_RANK];
	int n = row_dims(a, x);
	if (n != row_dims(b, y))
		return 0;
	for (int i = 0; i < n; i++)
		if (!nn_dim_equal(x[i], y[i]))
			return 0;
	return 1;
}

static int by_rows(const nn_step *s) { return s->kind < STEP_ATTENTION_PACK; }

static int made_in(const nn_plan *p, const nn_region *region, int value) {
	const nn_value *r = root(p, value);
	for (int i = region->first; i < region->first + region->count; i++) {
		const nn_step *s = p->step + i;
		int outs[3] = { s->out, s->out2, s->out3 };
		for (int k = 0; k < 3; k++)
			if (outs[k] >= 0 && root(p, outs[k]) == r)
				return 1;
	}
	return 0;
}

static int can_join(const nn_plan *p, const nn_region *region, const nn_step *s) {
	if (p->debug || !region->count || !region->by_rows || !by_rows(s))
		return 0;
	if (!same_row_space(p->value + p->step[region->first].out, p->value + s->out))
		return 0;
	for (int k = 0; k < s->count; k++) {
		if (s->in[k] < 0 || !made_in(p, region, s->in[k]))
			continue;
		if ((s->whole >> k & 1) || !aligned_view(p, s->in[k]) || !same_row_space(p->value + s->in[k], p->value + s->out))
			return 0;
	}
	return 1;
}

static int cut_regions(nn_plan *p, char *err) {
	p->region = calloc((size_t)p->steps + 1, sizeof *p->region);
	if (!p->region)
		return sn_fail(err, SN_E_MEMORY, "no memory for plan %s", p->name);
	for (int i = 0; i < p->steps; i++) {
		nn_region *now = p->regions ? p->region + p->regions - 1 : NULL;
		if (!now || !can_join(p, now, p->step + i)) {
			now = p->region + p->regions++;
			*now = (nn_region){ .first = i, .by_rows = by_rows(p->step + i) };
		}
		now->count++;
	}
	return SN_OK;
}

/* ---- lifetimes ---- */

static void touch(nn_value *v, int region) {
	if (region < v->born)
		v->born = region;
	if (region > v->dies)
		v->dies = region;
}

static void find_lifetimes(nn_plan *p) {
	for (int i = 0; i < p->values; i++) {
		p->value[i].born = INT_MAX;
		p->value[i].dies = -1;
	}
	for (int r = 0; r < p->regions; r++)
		for (int i = p->region[r].first; i < p->region[r].first + p->region[r].count; i++) {
			const nn_step *s = p->step + i;
			int outs[3] = { s->out, s->out2, s->out3 };
			for (int k = 0; k < 3; k++)
				if (outs[k] >= 0)
					touch(root(p, outs[k]), r);
			for (int k = 0; k < s->count; k++)
				if (s->in[k] >= 0)
					touch(root(p, s->in[k]), r);
		}
	for (int i = 0; i < p->graph->count; i++)
		if (nn_plan_node(p, i)->is_output && p->of_node[3 * i] >= 0)
			root(p, p->of_node[3 * i])->dies = INT_MAX;
	for (int i = 0; p->debug && i < p->values; i++) {
		p->value[i].born = 0;
		p->value[i].dies = INT_MAX;
	}
}

static int64_t rows_most(const nn_plan *p, const nn_value *v) {
	int64_t rows = 1;
	for (int i = 0; i + 1 < v->rank; i++)
		rows *= nn_dim_value(p->graph, v->dims[i], NULL);
	return rows;
}

/* Sets bytes (and where row scales lie) for so many rows. */
static void measure(nn_value *v, int64_t rows) {
	size_t body = (size_t)(rows * v->stride) * (v->ids ? 4 : nn_store_size(v->store)) + NN_OVERREAD;
	v->scales = (body + NN_ALIGN - 1) / NN_ALIGN * NN_ALIGN;
	v->bytes = v->store == NN_STORE_U8 ? v->scales + (size_t)rows * sizeof(float) : body;
	v->bytes = (v->bytes + NN_ALIGN - 1) / NN_ALIGN * NN_ALIGN;
}

/* First fit: each value takes the lowest place where nobody that lives at the same time lies. Returns the bytes needed. */
static size_t first_fit(nn_plan *p, const int *ids, int count) {
	size_t top = 0;
	for (int i = 0; i < count; i++) {
		nn_value *v = p->value + ids[i];
		size_t at = 0;
		for (int again = 1; again;) {
			again = 0;
			for (int k = 0; k < i; k++) {
				const nn_value *o = p->value + ids[k];
				int together = v->born <= o->dies && o->born <= v->dies;
				if (together && at < o->offset + o->bytes && o->offset < at + v->bytes) {
					at = o->offset + o->bytes;
					again = 1;
				}
			}
		}
		v->offset = at;
		if (at + v->bytes > top)
			top = at + v->bytes;
	}
	return top;
}

/* ---- local values ---- */

static int used_aligned(const nn_plan *p, int value) {
	const nn_value *v = p->value + value;
	for (int i = 0; i < p->values; i++)
		if (root(p, i) == v && i != value && !aligned_view(p, i))
			return 0;
	return 1;
}

/* Neighbouring products may run in one section: what one reads and another writes must not share memory. */
static void run_of_products(const nn_plan *p, const nn_region *region, int i, int *first, int *last) {
	*first = *last = i;
	while (p->step[i].kind == STEP_GEMM && *first > region->first && p->step[*first - 1].kind == STEP_GEMM)
		--*first;
	while (p->step[i].kind == STEP_GEMM && *last + 1 < region->first + region->count && p->step[*last + 1].kind == STEP_GEMM)
		++*last;
}

/* A value made and read inside one region of rows lives in the workers' scratch, a block at a time. */
static void find_locals(nn_plan *p, int *ids) {
	for (int r = 0; r < p->regions && !p->debug; r++) {
		nn_region *region = p->region + r;
		int count = 0;
		for (int i = 0; i < p->values && region->by_rows; i++) {
			nn_value *v = p->value + i;
			if (v->place != PLACE_ARENA || v->base >= 0 || v->born != r || v->dies != r || !used_aligned(p, i))
				continue;
			v->place = PLACE_LOCAL;
			measure(v, NN_BLOCK_ROWS);
			v->born = INT_MAX;
			v->dies = -1;
			ids[count++] = i;
		}
		for (int i = region->first; i < region->first + region->count; i++) {
			const nn_step *s = p->step + i;
			int all[NN_MAX_INPUTS + 3] = { s->out, s->out2, s->out3 };
			memcpy(all + 3, s->in, sizeof s->in);
			int first, last;
			run_of_products(p, region, i, &first, &last);
			for (int k = 0; k < 3 + s->count; k++)
				if (all[k] >= 0 && root(p, all[k])->place == PLACE_LOCAL) {
					touch(root(p, all[k]), first);
					touch(root(p, all[k]), last);
				}
		}
		region->local = first_fit(p, ids, count);
		if (region->local > p->local)
			p->local = region->local;
	}
}

/* ---- scratch of a worker behind its locals: see product.c and attention.c for the uses ---- */

static size_t step_scratch(const nn_plan *p, const nn_step *s) {
	size_t bytes = 0;
	if (s->kind == STEP_GEMM && s->taps > 1) {
		bytes = (size_t)NN_GATHER_ROWS * (size_t)s->taps * (size_t)(s->k * s->groups + 64) * 4;
	} else if (s->kind == STEP_GEMM) { /* collapsed convolutions: one row holds all taps */
		bytes = (size_t)NN_GATHER_ROWS * (size_t)(s->k * s->groups + 64) * 4;
	} else if (s->kind == STEP_ATTENTION || s->kind == STEP_KV_ATTENTION) {
		const nn_value *keys = p->value + (s->kind == STEP_ATTENTION ? s->in[2] : s->in[1]);
		int64_t length = nn_dim_value(p->graph, keys->dims[s->kind == STEP_ATTENTION ? 0 : 1], NULL);
		bytes = (size_t)NN_ATTN_ROWS * ((size_t)(length + 128) * 8 + 64) + 4096;
		if (s->kind == STEP_ATTENTION && s->attn.shifted)
			bytes += (size_t)NN_ATTN_ROWS * (size_t)nn_shifted_stride(s->family, length) * 4;
		if (s->kind == STEP_ATTENTION && s->attn.rel_k != NN_NONE)
			bytes += (2 * (size_t)s->attn.window + 1) * 4;
	} else if (s->kind == STEP_CACHE_ATTENTION) {
		bytes = (size_t)(nn_dim_value(p->graph, p->value[s->in[1]].dims[1], NULL) + 64) * 4;
	} else if (s->kind == STEP_NORM || s->kind == STEP_LSTM_CELL) {
		bytes = (size_t)(p->value[s->out].cols + 64) * 4;
	} else if (s->kind == STEP_LSTM || s->kind == STEP_GRU) {
		bytes = (size_t)(s->n + 2 * s->k + 64) * 4;
	}
	return (bytes + NN_OVERREAD + NN_ALIGN - 1) / NN_ALIGN * NN_ALIGN;
}

static size_t lay_out(nn_plan *p, nn_place place) {
	size_t at = 0;
	for (int i = 0; i < p->values; i++) {
		nn_value *v = p->value + i;
		if (v->place != place || v->base >= 0)
			continue;
		if (!v->bytes)
			measure(v, rows_most(p, v));
		v->offset = at;
		at += (v->bytes + NN_ALIGN - 1) / NN_ALIGN * NN_ALIGN;
	}
	return at;
}

int nn_plan_place(nn_plan *p, char *err) {
	int result = cut_regions(p, err);
	if (result != SN_OK)
		return result;
	int *ids = malloc(((size_t)p->values + 1) * sizeof *ids);
	if (!ids)
		return sn_fail(err, SN_E_MEMORY, "no memory for plan %s", p->name);
	find_lifetimes(p);
	find_locals(p, ids);
	int count = 0;
	for (int i = 0; i < p->values; i++) {
		nn_value *v = p->value + i;
		if (v->place == PLACE_ARENA && v->base < 0 && v->dies >= 0) {
			measure(v, rows_most(p, v));
			ids[count++] = i;
		}
	}
	p->arena = first_fit(p, ids, count);
	free(ids);
	p->inputs = lay_out(p, PLACE_INPUT);
	p->states = lay_out(p, PLACE_STATE);
	for (int i = 0; i < p->steps; i++) {
		size_t bytes = step_scratch(p, p->step + i);
		if (bytes > p->scratch)
			p->scratch = bytes;
	}
	return SN_OK;
}
