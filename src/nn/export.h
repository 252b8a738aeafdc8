/* Recorded graphs written as ONNX files: what nn_plan_options.exports is. A graph is written when its plan is compiled, for which no library of
 * ONNX Runtime is needed; the plan itself then reads no weights and cannot run. */
#ifndef SN_NN_EXPORT_H
#define SN_NN_EXPORT_H

#include "nn/graph.h"

#include <jansson.h>

#define NN_EXPORT_WEIGHTS "model.weights" /* large constants of all graphs; equal ones lie there once */

/* Writes into the directory `dir`, which holds none of these files yet. `progress` (may be NULL) is asked before each graph. */
int nn_exports_open(nn_exports **out, const char *dir, sn_part_progress progress, void *payload, char *err);
void nn_exports_close(nn_exports **exports);

/* "whisper.encoder" becomes encoder.onnx. */
int nn_exports_add(nn_exports *exports, const nn_graph *g, char *err);

/* After the last graph: *out, the caller's, is { "graphs": [..], "weights": {..} } as docs/onnx.md says. SN_E_UNSUPPORTED: there was no graph. */
int nn_exports_finish(nn_exports *exports, json_t **out, char *err);

#endif
