/* What this process may take of the machine: memory, looked at before a model is loaded, and CPUs. */
#ifndef SN_SPEECH_MEMORY_H
#define SN_SPEECH_MEMORY_H

#include "models/options.h"

#define SN_MEMORY_TEXT 24 /* bytes of an amount in words */

/* Bytes that this process can still get without being killed for it: what the machine has available, and what each control group
 * above the process leaves, file pages that can be dropped counted as free. SIZE_MAX: nothing is known. `root` stands before all
 * paths that are read: "", but in tests. */
size_t sn_memory_available(const char *root);

/* CPUs that the control groups above this process let it use, 1.5 counted as 2, and 0.1 as 1; SIZE_MAX: as many as there are. `root` as above. */
size_t sn_cpus_allowed(const char *root);

/* "1.9 GB", "410 MB" */
const char *sn_memory_text(char text[SN_MEMORY_TEXT], size_t bytes);

/* What a Whisper takes with so many sequences and windows alive at once. */
size_t sn_memory_of(const sn_load_need *need, int rows, int windows);

typedef struct sn_memory_request {
	const char *name;
	nn_dtype dtype;
	size_t budget;       /* that is left for it */
	int given;           /* the budget was set; else it is what the machine has */
	int windows, ears;   /* windows wanted, and what live sessions need beside them */
	int flexible;        /* fewer windows will do */
	int sequences, rows; /* sequences of a window, and the fewest that there is room for */
} sn_memory_request;

/* A model that has nothing to give up. */
int sn_memory_allow(const char *name, size_t takes, size_t budget, int given, char *err);

/* Sequences for so many windows, those of the ears among them. */
int sn_memory_rows(const sn_memory_request *request, int windows);

/* What it takes with so many windows, each with its sequences. Live sessions count where there are several; larger beams do not. */
size_t sn_memory_most(const sn_memory_request *request, const sn_load_need *need, int windows);

/* Lowers request->windows to what fits where it is flexible. SN_E_LIMIT (a budget that was set) or SN_E_MEMORY: one sentence with both figures
 * and what would fit. */
int sn_memory_fit(sn_memory_request *request, const sn_load_need *need, char *err);

#endif
