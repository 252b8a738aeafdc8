/* The nodes of an .onnx file, beside its tensors (weights.h): exporters rename folded weights to "onnx::Conv_1234", so a
 * model binds those by the node that uses them. Everything here is borrowed from the sn_weights. */
#ifndef SN_WEIGHTS_ONNX_H
#define SN_WEIGHTS_ONNX_H

#include "weights/weights.h"

#define SN_ONNX_MAX_NODES 262144
#define SN_ONNX_MAX_DEPTH 16 /* of graphs inside If and Loop nodes */

typedef struct sn_onnx_attribute {
	const char *name;
	int64_t i;           /* 0 unless given */
	float f;             /* 0 unless given */
	const char *s;       /* "" unless given, or when it is not text */
	const int64_t *ints; /* NULL unless given */
	const float *floats; /* NULL unless given */
	int count;           /* of ints or floats */
} sn_onnx_attribute;

typedef struct sn_onnx_node {
	const char *op;    /* "Conv" */
	const char *name;  /* as in the file; may be "" */
	const char *scope; /* "" in the main graph, else the path to the body it stands in: "If_25.then_branch/Loop_3.body" */
	int parent;        /* index of the node that owns the body, -1 in the main graph */
	int input_count, output_count, attribute_count;
	const char *const *inputs; /* names; "" for an input that is left out */
	const char *const *outputs;
	const sn_onnx_attribute *attributes;
} sn_onnx_node;

/* Nodes in file order; a node with bodies comes before the nodes of its bodies. 0 for other layouts. */
size_t sn_onnx_node_count(const sn_weights *weights);
const sn_onnx_node *sn_onnx_node_at(const sn_weights *weights, size_t index);

/* NULL when the node has none of that name. */
const sn_onnx_attribute *sn_onnx_attribute_find(const sn_onnx_node *node, const char *name);

/* The stored tensor that is input `index` of the node, or NULL when the input is left out or computed. Bodies of one model
 * may reuse a name: then later ones are stored as "SCOPE/NAME", and this finds the right one. */
const sn_weight *sn_onnx_input(const sn_weights *weights, const sn_onnx_node *node, int index);

#endif
