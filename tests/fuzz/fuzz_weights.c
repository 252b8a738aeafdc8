/* Opens hostile checkpoints. The first byte of an input chooses the format, the rest is the file. */
#include "weights/onnx.h"
#include "weights/weights.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a pickle holds beside tensors, three levels deep: paths that are found must have a value of one kind. */
static size_t read_facts(const sn_weights *weights, const char *path, int depth) {
	size_t sum = 0, count = sn_weights_key_count(weights, path);
	for (size_t i = 0; i < count && i < 64; i++) {
		char inner[4096];
		double values[4];
		int numbers = 0;
		snprintf(inner, sizeof inner, "%s%s%s", path, *path ? "." : "", sn_weights_key_at(weights, path, i));
		const char *text = sn_weights_text(weights, inner);
		sum += (text ? strlen(text) : 0) + (size_t)sn_weights_number(weights, inner, values);
		sum += (size_t)sn_weights_numbers(weights, inner, values, 4, &numbers);
		if (depth < 3)
			sum += read_facts(weights, inner, depth + 1);
	}
	return sum;
}

/* Every byte that the header promises to be readable is read. */
static void read_all(const sn_weights *weights) {
	volatile unsigned sum = 0;
	for (size_t i = 0; i < sn_weights_count(weights); i++) {
		const sn_weight *weight = sn_weights_at(weights, i);
		for (size_t k = 0; k < weight->bytes; k++)
			sum += ((const uint8_t *)weight->data)[k];
		float values[16];
		int64_t count = (int64_t)(weight->bytes / sn_dtype_size(weight->dtype));
		sn_weight_floats(weight, 0, count < 16 ? count : 16, values);
		if (sn_weights_find(weights, weight->name) != weight)
			abort();
	}
	sum += (unsigned)read_facts(weights, "", 0);
	for (size_t i = 0; i < sn_onnx_node_count(weights); i++) {
		const sn_onnx_node *node = sn_onnx_node_at(weights, i);
		for (int k = 0; k < node->input_count; k++)
			sum += sn_onnx_input(weights, node, k) != NULL;
		for (int k = 0; k < node->attribute_count; k++)
			sum += sn_onnx_attribute_find(node, node->attributes[k].name) == NULL;
	}
	(void)sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	static const char *const names[] = { "model.safetensors", "model.bin", "voice.onnx", "state.pt",
		                                 "model.safetensors.index.json", "array.npy", "arrays.npz" };
	static char dir[] = "/tmp/sonant-fuzz-XXXXXX";
	static int ready;
	if (!ready && !mkdtemp(dir))
		abort();
	ready = 1;
	if (size == 0)
		return 0;
	char path[128], err[SN_ERRLEN];
	snprintf(path, sizeof path, "%s/%s", dir, names[data[0] % 7]);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, data + 1, size - 1) != (ssize_t)(size - 1))
		abort();
	close(fd);
	sn_weights *weights;
	if (sn_weights_open(&weights, path, err) == SN_OK)
		read_all(weights);
	sn_weights_close(&weights);
	unlink(path);
	return 0;
}
