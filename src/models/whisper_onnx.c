/* The weights in graphs that torch.onnx made of openai-whisper. Biases, norms, convolutions and tables kept their names; a matrix became a
 * constant without one that lies as [in, out] and is found by what its product is used for. Quantised by quantize_dynamic, the product is
 * MatMulInteger -> Cast -> Mul by the scales. */
#include "models/whisper_internal.h"

#include "weights/onnx.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_CLIMB 4 /* nodes between a product and where its result is used */

static const char *const linears[] = {
	[WHISPER_SELF_Q] = "attn.query", [WHISPER_SELF_K] = "attn.key", [WHISPER_SELF_V] = "attn.value", [WHISPER_SELF_OUT] = "attn.out",
	[WHISPER_CROSS_Q] = "cross_attn.query", [WHISPER_CROSS_K] = "cross_attn.key", [WHISPER_CROSS_V] = "cross_attn.value",
	[WHISPER_CROSS_OUT] = "cross_attn.out", [WHISPER_FC1] = "mlp.0", [WHISPER_FC2] = "mlp.2",
};
static const char *const norms[] = {
	[WHISPER_SELF_NORM] = "attn_ln", [WHISPER_CROSS_NORM] = "cross_attn_ln", [WHISPER_FFN_NORM] = "mlp_ln",
};
static const char *const final_norms[] = { [WHISPER_ENCODER] = "ln_post", [WHISPER_DECODER] = "ln" };

typedef struct made {
	const char *value;
	const sn_onnx_node *by;
} made;

typedef struct binder {
	sn_weights *to;
	whisper_names names;    /* of what is added */
	const sn_weights *file; /* the part at hand */
	made *made;             /* what its nodes compute, by name */
	size_t made_count;
	char prefix[NN_NAME];   /* before openai-whisper's names in it */
	char base[64];          /* what is looked for: "blocks.0.attn.query" */
	int code;               /* the first failure; later calls do nothing */
	char *err;
} binder;

static void miss(binder *b, const char *what) {
	if (b->code == SN_OK)
		b->code = sn_fail(b->err, SN_E_MODEL, "%s: %s of '%s%s' is not found; expected a graph that torch.onnx made of openai-whisper, as sherpa-onnx "
		                  "publishes them", sn_weights_path(b->file), what, b->prefix, b->base);
}

/* ---- the graph ---- */

static int by_value(const void *a, const void *b) { return strcmp(((const made *)a)->value, ((const made *)b)->value); }

static void index_nodes(binder *b) {
	const size_t nodes = sn_onnx_node_count(b->file);
	size_t count = 0;
	for (size_t i = 0; i < nodes; i++)
		count += (size_t)sn_onnx_node_at(b->file, i)->output_count;
	free(b->made);
	b->made_count = 0;
	b->made = malloc((count + 1) * sizeof *b->made);
	if (!b->made) {
		b->code = sn_fail(b->err, SN_E_MEMORY, "%s: out of memory for %zu nodes", sn_weights_path(b->file), nodes);
		return;
	}
	for (size_t i = 0; i < nodes; i++) {
		const sn_onnx_node *const node = sn_onnx_node_at(b->file, i);
		for (int k = 0; k < node->output_count; k++)
			b->made[b->made_count++] = (made){ node->outputs[k], node };
	}
	qsort(b->made, b->made_count, sizeof *b->made, by_value);
}

static const sn_onnx_node *producer(const binder *b, const char *value) {
	const made wanted = { value, NULL }, *const found = *value ? bsearch(&wanted, b->made, b->made_count, sizeof wanted, by_value) : NULL;
	return found ? found->by : NULL;
}

static int is_product(const sn_onnx_node *node) {
	return node->input_count >= 2 && (strcmp(node->op, "MatMul") == 0 || strcmp(node->op, "MatMulInteger") == 0);
}

/* The product whose result `value` is, scaled or as one of a stack. */
static const sn_onnx_node *product_of(const binder *b, const char *value, int steps) {
	const sn_onnx_node *const node = producer(b, value);
	if (!node || steps == 0 || is_product(node))
		return node && is_product(node) ? node : NULL;
	if (strcmp(node->op, "Cast") != 0 && strcmp(node->op, "Mul") != 0 && strcmp(node->op, "Unsqueeze") != 0)
		return NULL;
	for (int k = 0; k < node->input_count && k < 2; k++) {
		const sn_onnx_node *const found = product_of(b, node->inputs[k], steps - 1);
		if (found)
			return found;
	}
	return NULL;
}

static const sn_onnx_node *product_before_bias(const binder *b, const char *bias) {
	for (size_t i = 0; i < sn_onnx_node_count(b->file); i++) {
		const sn_onnx_node *const node = sn_onnx_node_at(b->file, i);
		for (int k = 0; k < node->input_count && node->input_count == 2 && strcmp(node->op, "Add") == 0; k++)
			if (strcmp(node->inputs[k], bias) == 0)
				return product_of(b, node->inputs[1 - k], MAX_CLIMB);
	}
	return NULL;
}

/* What a product multiplies, before it was quantised. */
static const char *left_side(const binder *b, const sn_onnx_node *product) {
	const sn_onnx_node *const node = producer(b, product->inputs[0]);
	return node && strcmp(node->op, "DynamicQuantizeLinear") == 0 ? node->inputs[0] : product->inputs[0];
}

/* Queries, keys and values are products of the same rows, and keys have no bias: theirs is the third. */
static const sn_onnx_node *product_beside(const binder *b, const sn_onnx_node *query, const sn_onnx_node *value) {
	const char *const rows = left_side(b, query);
	for (size_t i = 0; i < sn_onnx_node_count(b->file); i++) {
		const sn_onnx_node *const node = sn_onnx_node_at(b->file, i);
		if (is_product(node) && node != query && node != value && sn_onnx_input(b->file, node, 1) && strcmp(left_side(b, node), rows) == 0)
			return node;
	}
	return NULL;
}

/* Keys of all layers are one output: what stacks them has layer `layer` as its input of that number. */
static const sn_onnx_node *cross_key(const binder *b, int layer) {
	const sn_onnx_node *const stack = producer(b, "n_layer_cross_k");
	if (!stack || strcmp(stack->op, "Concat") != 0 || layer >= stack->input_count)
		return NULL;
	return product_of(b, stack->inputs[layer], MAX_CLIMB + 1);
}

/* ---- tensors ---- */

static void look_for(binder *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void look_for(binder *b, const char *format, ...) {
	va_list args;
	va_start(args, format);
	vsnprintf(b->base, sizeof b->base, format, args);
	va_end(args);
}

static const sn_weight *find(const binder *b, const char *tail) {
	char name[SN_WEIGHTS_MAX_NAME + 1];
	return snprintf(name, sizeof name, "%s%s%s", b->prefix, b->base, tail) < (int)sizeof name ? sn_weights_find(b->file, name) : NULL;
}

/* "NAME_quantized" belongs with "NAME_scale" and "NAME_zero_point"; any other tensor is added as it is. */
static void add(binder *b, const char *name, const sn_weight *weight, int turned) {
	static const char mark[] = "_quantized";
	char other[SN_WEIGHTS_MAX_NAME + 16];
	const int stem = weight ? (int)strlen(weight->name) - (int)strlen(mark) : 0;
	if (b->code != SN_OK)
		return;
	if (weight && sn_weight_is_float(weight)) {
		b->code = sn_weights_compose_add(b->to, name, weight, turned, b->err);
		return;
	}
	if (stem < 1 || strcmp(weight->name + stem, mark) != 0) {
		miss(b, "a tensor");
		return;
	}
	snprintf(other, sizeof other, "%.*s_scale", stem, weight->name);
	const sn_weight *const scale = sn_weights_find(b->file, other);
	snprintf(other, sizeof other, "%.*s_zero_point", stem, weight->name);
	if (!scale)
		miss(b, "the scale");
	else
		b->code = sn_weights_compose_add_scaled(b->to, name, weight, scale, sn_weights_find(b->file, other), turned, b->err);
}

/* A tensor of what is looked for that kept its name. */
static void add_named(binder *b, const char *name, const char *tail) {
	char quantized[64];
	snprintf(quantized, sizeof quantized, "%s_quantized", tail);
	const sn_weight *const plain = find(b, tail);
	add(b, name, plain ? plain : find(b, quantized), 0);
}

static void add_pair(binder *b, const char *weight_name) {
	char bias_name[NN_NAME + 8];
	snprintf(bias_name, sizeof bias_name, "%.*sbias", (int)(strlen(weight_name) - strlen("weight")), weight_name);
	add_named(b, weight_name, ".weight");
	add_named(b, bias_name, ".bias");
}

static const sn_onnx_node *product_named(const binder *b, int layer, whisper_matrix which) {
	char bias[NN_NAME + 64];
	snprintf(bias, sizeof bias, "%sblocks.%d.%s.bias", b->prefix, layer, linears[which]);
	return product_before_bias(b, bias);
}

static const sn_onnx_node *product_for(const binder *b, whisper_matrix which, int layer) {
	if (which == WHISPER_CROSS_K)
		return cross_key(b, layer);
	if (which != WHISPER_SELF_K)
		return product_named(b, layer, which);
	const sn_onnx_node *const query = product_named(b, layer, WHISPER_SELF_Q), *const value = product_named(b, layer, WHISPER_SELF_V);
	return query && value ? product_beside(b, query, value) : NULL;
}

static void add_linear(binder *b, whisper_matrix which, int side, int layer) {
	char name[NN_NAME];
	look_for(b, "blocks.%d.%s", layer, linears[which]);
	whisper_matrix_name(&b->names, which, side, layer, name);
	if (find(b, ".weight")) { /* of an exporter that folds nothing */
		add(b, name, find(b, ".weight"), 0);
	} else if (b->code == SN_OK) {
		const sn_onnx_node *const product = product_for(b, which, layer);
		const sn_weight *const matrix = product ? sn_onnx_input(b->file, product, 1) : NULL;
		if (matrix)
			add(b, name, matrix, 1);
		else
			miss(b, "the product");
	}
	if (which == WHISPER_SELF_K || which == WHISPER_CROSS_K)
		return;
	snprintf(name + strlen(name) - strlen("weight"), sizeof "weight", "bias");
	add_named(b, name, ".bias");
}

static void add_norm(binder *b, whisper_norm which, int side, int layer) {
	char stem[NN_NAME], name[NN_NAME + 8];
	whisper_norm_stem(&b->names, which, side, layer, stem);
	snprintf(name, sizeof name, "%s.weight", stem);
	if (which == WHISPER_FINAL_NORM)
		look_for(b, "%s", final_norms[side]);
	else
		look_for(b, "blocks.%d.%s", layer, norms[which]);
	add_pair(b, name);
}

/* ---- the parts ---- */

/* Names of the next tensors begin with what stands before `suffix`. */
static void turn_to(binder *b, const char *suffix) {
	char prefix[SN_WEIGHTS_MAX_NAME + 1];
	b->prefix[0] = 0;
	look_for(b, "%s", suffix);
	if (b->code == SN_OK && (!sn_weights_prefix(b->file, suffix, prefix) || strlen(prefix) >= sizeof b->prefix))
		miss(b, "a tensor");
	else if (b->code == SN_OK)
		strcpy(b->prefix, prefix);
}

static void add_layers(binder *b, int side, int layers) {
	static const whisper_matrix matrices[] = {
		WHISPER_SELF_Q, WHISPER_SELF_K, WHISPER_SELF_V, WHISPER_SELF_OUT, WHISPER_FC1, WHISPER_FC2, WHISPER_CROSS_Q, WHISPER_CROSS_OUT
	};
	const size_t count = sizeof matrices / sizeof *matrices - (side == WHISPER_ENCODER ? 2 : 0);
	for (int layer = 0; layer < layers && b->code == SN_OK; layer++) {
		for (size_t i = 0; i < count; i++)
			add_linear(b, matrices[i], side, layer);
		add_norm(b, WHISPER_SELF_NORM, side, layer);
		add_norm(b, WHISPER_FFN_NORM, side, layer);
		if (side == WHISPER_DECODER)
			add_norm(b, WHISPER_CROSS_NORM, side, layer);
	}
	add_norm(b, WHISPER_FINAL_NORM, side, 0);
	look_for(b, "blocks.%d.attn_ln", layers);
	if (b->code == SN_OK && find(b, ".weight"))
		b->code = sn_fail(b->err, SN_E_MODEL, "%s: there is a tensor '%s%s.weight'; expected %d layers by the encoder's metadata",
		                  sn_weights_path(b->file), b->prefix, b->base, layers);
}

static void add_encoder(binder *b, const whisper_parts *parts) {
	char name[NN_NAME];
	b->file = parts->file[WHISPER_ENCODER];
	index_nodes(b);
	turn_to(b, "conv1.weight");
	look_for(b, "conv1");
	add_pair(b, whisper_conv_name(&b->names, 1, name));
	look_for(b, "conv2");
	add_pair(b, whisper_conv_name(&b->names, 2, name));
	look_for(b, "positional_embedding");
	add_named(b, whisper_positions_name(&b->names, WHISPER_ENCODER, name), "");
	add_layers(b, WHISPER_ENCODER, parts->layers[WHISPER_ENCODER]);
	turn_to(b, "blocks.0.cross_attn.value.bias"); /* what listens to the encoder is computed with it */
	for (int layer = 0; layer < parts->layers[WHISPER_DECODER] && b->code == SN_OK; layer++) {
		add_linear(b, WHISPER_CROSS_K, WHISPER_DECODER, layer);
		add_linear(b, WHISPER_CROSS_V, WHISPER_DECODER, layer);
	}
}

/* Both files say how large the decoder is. */
static void check_pair(binder *b, const whisper_parts *parts) {
	look_for(b, "token_embedding");
	const sn_weight *const plain = find(b, ".weight"), *const table = plain ? plain : find(b, ".weight_quantized");
	if (b->code != SN_OK || !table || table->rank != 2 || (table->dims[0] == parts->vocab && table->dims[1] == parts->width))
		return;
	b->code = sn_fail(b->err, SN_E_MODEL, "%s: '%s' is [%lld, %lld], but by the metadata of '%s' it is [%d, %d]: they are files of different models",
	                  sn_weights_path(b->file), table->name, (long long)table->dims[0], (long long)table->dims[1],
	                  sn_weights_path(parts->file[WHISPER_ENCODER]), parts->vocab, parts->width);
}

static void add_decoder(binder *b, const whisper_parts *parts) {
	char name[NN_NAME];
	b->file = parts->file[WHISPER_DECODER];
	index_nodes(b);
	turn_to(b, "blocks.0.attn_ln.weight");
	check_pair(b, parts);
	add_named(b, whisper_embedding_name(&b->names, name), ".weight");
	look_for(b, "positional_embedding");
	add_named(b, whisper_positions_name(&b->names, WHISPER_DECODER, name), "");
	add_layers(b, WHISPER_DECODER, parts->layers[WHISPER_DECODER]);
}

int whisper_onnx_bind(sn_weights **out, whisper_parts *parts, char *err) {
	const whisper_parts given = *parts;
	binder b = { .err = err };
	int result = sn_weights_compose(&b.to, parts->file, 2, err);
	if (result != SN_OK)
		return result;
	b.names = whisper_names_of(b.to);
	add_encoder(&b, &given);
	if (b.code == SN_OK)
		add_decoder(&b, &given);
	free(b.made);
	if (b.code != SN_OK)
		sn_weights_close(&b.to);
	*out = b.to;
	return b.code;
}
