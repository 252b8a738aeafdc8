#include "golden.h"

#include "models/xvector.h"

#include <stdlib.h>
#include <string.h>

#define RATE 16000 /* of the fixtures' clips */

/* Every tensor of a debug plan that the fixture has. */
static void compare_all(void *payload, nn_exec *exec) {
	golden *const g = payload;
	for (size_t i = 0; golden_debug(g) && i < golden_count(g); i++) {
		const char *const name = golden_at(g, i)->name;
		float *values;
		int rank;
		int64_t dims[NN_MAX_RANK], count = 1;
		if (nn_exec_tensor(exec, name, &values, &rank, dims, NULL) != SN_OK) continue;
		for (int k = 0; k < rank; k++) count *= dims[k];
		golden_compare(g, name, values, count, GOLDEN_TENSOR);
		free(values);
	}
}

static int xvector_run(golden *g, char *err) {
	const sn_load_options load = { .dir = golden_model(g), .debug = golden_debug(g), .pool = golden_pool(g), .backend = golden_backend(g) };
	sn_xvector *xvector = NULL;
	float *features = NULL, *embedding = NULL;
	int64_t count = 0, frames;
	const float *const pcm = golden_input(g, "waveform", &count);
	int code = sn_xvector_open(&xvector, &load, err);
	if (code == SN_OK && !pcm) code = sn_fail(err, SN_E_FORMAT, "the fixture has no waveform");
	if (code == SN_OK && !(embedding = malloc((size_t)sn_xvector_width(xvector) * sizeof *embedding)))
		code = sn_fail(err, SN_E_MEMORY, "out of memory");
	if (code == SN_OK) code = sn_xvector_features(xvector, pcm, count, RATE, &features, &frames, err);
	if (code == SN_OK) code = sn_xvector_run(xvector, features, frames, embedding, compare_all, g, err);
	if (code == SN_OK && !golden_debug(g)) golden_compare(g, "embedding", embedding, sn_xvector_width(xvector), GOLDEN_TENSOR);
	free(features);
	free(embedding);
	sn_xvector_close(&xvector);
	return code;
}

const golden_adapter golden_xvector = { "xvector", sn_xvector_accepts, xvector_run };
