/* From the values of a pickle to named tensors and facts. Modules are named as torch's state_dict names them: an object whose
 * attributes hold _parameters, _buffers and _modules gives those under its own name, without these words. */
#include "weights/facts.h"
#include "weights/pickle_machine.h"

#include <stdio.h>
#include <string.h>

#define MAX_DEPTH 64                /* of dictionaries, lists and objects in each other */
#define MAX_STEPS ((size_t)1 << 26) /* values looked at: a value may be in many places, and those in many others */

enum { TENSORS = 1, FACTS = 2 }; /* what of a value is wanted */

typedef struct walk {
	sn_pickle *m;
	sn_weights *weights;
	sn_pickle_visit visit;
	void *payload;
	size_t steps;
	char name[SN_WEIGHTS_MAX_NAME + 1];
} walk;

static void walk_value(walk *w, value v, size_t length, int depth, int what);

static int is_text(const sn_pickle *m, value v, const char *word) {
	return v.kind == TEXT && v.length == strlen(word) && memcmp(m->data + v.at, word, v.length) == 0;
}

static int is_number(value v) { return v.kind == INTEGER || v.kind == REAL || v.kind == BOOLEAN; }

static double number_of(value v) {
	double number;
	memcpy(&number, &v.at, sizeof number);
	return v.kind == REAL ? number : (double)v.at;
}

static int step(walk *w) {
	if (w->m->result == SN_OK && ++w->steps > MAX_STEPS)
		w->m->result = sn_fail(w->m->err, SN_E_LIMIT, "%s: the pickle's values hold each other in more than %zu ways", w->m->file,
		                       MAX_STEPS);
	return w->m->result == SN_OK;
}

/* Longer ones are not read to their end: no name can hold them. */
static int is_key(const walk *w, value key) {
	return key.kind == TEXT && !memchr(w->m->data + key.at, 0, key.length < SN_WEIGHTS_MAX_NAME ? key.length : SN_WEIGHTS_MAX_NAME);
}

/* Puts a key behind the name of `length` bytes; returns the new length, 0 after a failure. */
static size_t extend(walk *w, size_t length, const void *key, size_t size) {
	size_t dot = length > 0, end = length + dot + size;
	if (end > SN_WEIGHTS_MAX_NAME || end == 0) {
		if (w->m->result == SN_OK)
			w->m->result = sn_fail(w->m->err, SN_E_MODEL, "%s: a key under '%.*s' has %zu bytes; names have 1 to %d", w->m->file,
			                       (int)(length < 80 ? length : 80), w->name, size, SN_WEIGHTS_MAX_NAME);
		return 0;
	}
	if (dot)
		w->name[length] = '.';
	memcpy(w->name + length + dot, key, size);
	w->name[end] = 0;
	return end;
}

/* ---- facts ---- */

static void add_fact(walk *w, size_t length, sn_fact *fact) {
	sn_pickle *m = w->m;
	w->name[length] = 0;
	fact->path = sn_weights_own_text(w->weights, w->name, length, &m->result, m->err);
	if (fact->path)
		m->result = sn_facts_add(w->weights, fact, m->file, m->err);
}

static void add_scalar(walk *w, value v, size_t length) {
	sn_pickle *m = w->m;
	sn_fact fact = { .kind = SN_FACT_NUMBER };
	if (v.kind == TEXT) {
		if (memchr(m->data + v.at, 0, v.length))
			return;
		fact.kind = SN_FACT_TEXT;
		fact.is.text = sn_weights_own_text(w->weights, m->data + v.at, v.length, &m->result, m->err);
	} else {
		fact.is.number = number_of(v);
	}
	if (m->result == SN_OK)
		add_fact(w, length, &fact);
}

/* A list of numbers only becomes one fact; returns 0 for any other list. */
static int add_numbers(walk *w, const container *c, size_t length) {
	sn_pickle *m = w->m;
	for (uint32_t at = c->first; at; at = sn_pickle_cell(m, at)->next)
		if (!step(w) || !is_number(sn_pickle_cell(m, at)->value))
			return 0;
	double *numbers = sn_weights_own(w->weights, (size_t)c->count * sizeof *numbers, &m->result, m->err);
	if (!numbers)
		return 1;
	size_t i = 0;
	for (uint32_t at = c->first; at; at = sn_pickle_cell(m, at)->next)
		numbers[i++] = number_of(sn_pickle_cell(m, at)->value);
	add_fact(w, length, &(sn_fact){ .kind = SN_FACT_NUMBERS, .count = i, .is.numbers = numbers });
	return 1;
}

/* Keys that begin with '_' are the workings of a module, not what it is. */
static int is_public(const walk *w, value key) { return is_key(w, key) && key.length > 0 && w->m->data[key.at] != '_'; }

static void add_keys(walk *w, const container *c, size_t length, int public) {
	sn_pickle *m = w->m;
	const char **keys = sn_weights_own(w->weights, (c->count / 2 + 1) * sizeof *keys, &m->result, m->err);
	size_t count = 0;
	for (uint32_t at = c->first; at && m->result == SN_OK && step(w);) {
		const cell *key = sn_pickle_cell(m, at);
		at = sn_pickle_cell(m, key->next)->next;
		if (public ? !is_public(w, key->value) : !is_key(w, key->value))
			continue;
		keys[count] = sn_weights_own_text(w->weights, m->data + key->value.at, key->value.length, &m->result, m->err);
		count += keys[count] != NULL;
	}
	if (m->result == SN_OK)
		add_fact(w, length, &(sn_fact){ .kind = SN_FACT_DICT, .count = count, .is.keys = keys });
}

/* ---- containers ---- */

static void walk_pairs(walk *w, const container *c, size_t length, int depth, int what) {
	sn_pickle *m = w->m;
	for (uint32_t at = c->first; at && step(w);) {
		const cell *key = sn_pickle_cell(m, at), *item = sn_pickle_cell(m, key->next);
		at = item->next;
		if (!is_key(w, key->value))
			continue;
		size_t end = extend(w, length, m->data + key->value.at, key->value.length);
		if (end)
			walk_value(w, item->value, end, depth, what);
	}
}

static void walk_list(walk *w, const container *c, size_t length, int depth, int what) {
	sn_pickle *m = w->m;
	if (what & FACTS) {
		if (add_numbers(w, c, length) || m->result != SN_OK)
			return;
		add_fact(w, length, &(sn_fact){ .kind = SN_FACT_LIST, .count = c->count });
	}
	size_t index = 0;
	for (uint32_t at = c->first; at && step(w); at = sn_pickle_cell(m, at)->next) {
		char number[24];
		int size = snprintf(number, sizeof number, "%zu", index++);
		size_t end = extend(w, length, number, (size_t)size);
		if (end)
			walk_value(w, sn_pickle_cell(m, at)->value, end, depth, what);
	}
}

static value attribute(walk *w, const container *state, const char *name) {
	for (uint32_t at = state->first; at && step(w);) {
		const cell *key = sn_pickle_cell(w->m, at), *item = sn_pickle_cell(w->m, key->next);
		if (is_text(w->m, key->value, name))
			return item->value;
		at = item->next;
	}
	return (value){ 0 };
}

static int contains(walk *w, value list, value text) {
	if (list.kind != LIST)
		return 0;
	for (uint32_t at = sn_pickle_container_of(w->m, list)->first; at && step(w); at = sn_pickle_cell(w->m, at)->next) {
		value v = sn_pickle_cell(w->m, at)->value;
		if (v.kind == TEXT && v.length == text.length && memcmp(w->m->data + v.at, w->m->data + text.at, v.length) == 0)
			return 1;
	}
	return 0;
}

/* Buffers that a module does not save are in its pickle all the same. */
static void walk_buffers(walk *w, const container *state, size_t length, int depth) {
	value buffers = attribute(w, state, "_buffers"), hidden = attribute(w, state, "_non_persistent_buffers_set");
	uint32_t at = buffers.kind == DICT ? sn_pickle_container_of(w->m, buffers)->first : 0;
	while (at && step(w)) {
		const cell *key = sn_pickle_cell(w->m, at), *item = sn_pickle_cell(w->m, key->next);
		at = item->next;
		if (!is_key(w, key->value) || contains(w, hidden, key->value))
			continue;
		size_t end = extend(w, length, w->m->data + key->value.at, key->value.length);
		if (end)
			walk_value(w, item->value, end, depth, TENSORS);
	}
}

/* Tensors among the plain attributes of a module are copies that the module makes again, as weight norm does. */
static void walk_object(walk *w, const container *object, size_t length, int depth, int what) {
	sn_pickle *m = w->m;
	const container *state = object->state ? (const container *)m->containers.items + object->state - 1 : NULL;
	if (what & FACTS)
		add_keys(w, state ? state : object, length, state != NULL);
	walk_pairs(w, object, length, depth, what);
	if (!state || m->result != SN_OK)
		return;
	for (uint32_t at = state->first; at && (what & FACTS) && step(w);) {
		const cell *key = sn_pickle_cell(m, at), *item = sn_pickle_cell(m, key->next);
		at = item->next;
		size_t end = is_public(w, key->value) ? extend(w, length, m->data + key->value.at, key->value.length) : 0;
		if (end)
			walk_value(w, item->value, end, depth, FACTS);
	}
	value parameters = attribute(w, state, "_parameters"), modules = attribute(w, state, "_modules");
	if ((what & TENSORS) && parameters.kind == DICT)
		walk_pairs(w, sn_pickle_container_of(m, parameters), length, depth, TENSORS);
	if (what & TENSORS)
		walk_buffers(w, state, length, depth);
	if (modules.kind == DICT)
		walk_pairs(w, sn_pickle_container_of(m, modules), length, depth, what);
}

/* Containers that hold themselves end where they begin. */
static void walk_container(walk *w, value v, size_t length, int depth, int what) {
	container *c = sn_pickle_container_of(w->m, v);
	if (c->busy)
		return;
	if (depth == MAX_DEPTH) {
		w->m->result = sn_fail(w->m->err, SN_E_LIMIT, "%s: '%.80s' is nested deeper than %d", w->m->file, w->name, MAX_DEPTH);
		return;
	}
	c->busy = 1;
	if (v.kind == LIST) {
		walk_list(w, c, length, depth + 1, what);
	} else if (v.kind == OBJECT) {
		walk_object(w, c, length, depth + 1, what);
	} else {
		if (what & FACTS)
			add_keys(w, c, length, 0);
		walk_pairs(w, c, length, depth + 1, what);
	}
	c->busy = 0;
}

static void walk_value(walk *w, value v, size_t length, int depth, int what) {
	sn_pickle *m = w->m;
	if (m->result != SN_OK)
		return;
	if (v.kind == LIST || v.kind == DICT || v.kind == OBJECT)
		walk_container(w, v, length, depth, what);
	else if ((what & TENSORS) && v.kind == TENSOR)
		m->result = w->visit(w->payload, w->name, (const sn_pickle_tensor *)m->tensors.items + v.at, m->err);
	else if ((what & FACTS) && (is_number(v) || v.kind == TEXT))
		add_scalar(w, v, length);
}

int sn_pickle_walk(sn_pickle *m, sn_weights *weights, sn_pickle_visit visit, void *payload, char *err) {
	walk w = { .m = m, .weights = weights, .visit = visit, .payload = payload };
	m->err = err;
	if (m->root.kind == TENSOR)
		strcpy(w.name, "array");
	else if (m->root.kind != DICT && m->root.kind != OBJECT && m->root.kind != LIST)
		sn_pickle_malformed(m, "not a dictionary");
	walk_value(&w, m->root, 0, 0, TENSORS | FACTS);
	return m->result;
}
