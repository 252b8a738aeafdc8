/* What every architecture's load function is given. */
#ifndef SN_MODELS_OPTIONS_H
#define SN_MODELS_OPTIONS_H

#include "nn/nn.h"

/* Bytes that a Whisper takes: its packed weights, what its plans work in, and the states of each window and of each sequence that is
 * alive at once; a window's features, and the logits of one row. */
typedef struct sn_load_need {
	size_t weights, work, window, sequence, input, logits;
	int64_t parameters;
} sn_load_need;

typedef struct sn_load_options {
	const char *dir;        /* directory with the checkpoint (or the .onnx file of a Piper voice) */
	nn_backend *backend;    /* what runs the plans; NULL: this library's kernels. Outlives the model */
	nn_exports *exports;    /* where the graphs are written to; such a model cannot run. NULL: nowhere */
	nn_dtype dtype;         /* precision of the plans; a model keeps parts in f32 where results would change */
	int debug;              /* debug plans: every named tensor can be read, see nn_exec_tensor */
	nn_pool *pool;          /* runs the plans; outlives the model */
	const char *pack_path;  /* packed weights on disk, NULL: memory only */
	int rows, windows;      /* Whisper: most sequences and most audio windows alive at once (0: 40 and 8) */
	/* Whisper: asked, where it is set, before any weight is read; it may lower rows and windows, or refuse the load. */
	int (*admit)(void *payload, const sn_load_need *need, int *rows, int *windows, char *err);
	void *payload;
} sn_load_options;

#endif
