/* A loaded Tacotron 2, and its streams as the class takes them (tacotron2.c). */
#ifndef SN_MODELS_TACOTRON2_SYNTH_H
#define SN_MODELS_TACOTRON2_SYNTH_H

#include "models/tacotron2_internal.h"
#include "models/yourtts_internal.h"
#include "text/coqui.h"

typedef struct taco_model {
	taco_settings settings;
	sn_synth_facts facts;
	sn_weights *file;
	nn_pack *pack;
	nn_pool *pool;
	nn_exec *text, *postnet;
	nn_plan *step, *rest;
	sn_coqui *coqui;         /* NULL: NVIDIA's symbols */
	yourtts_names names;     /* of Coqui's speakers */
	const char *languages[1];
} taco_model;

typedef struct taco_stream taco_stream;

int taco_stream_new(void **stream, void *model, char *err);
void taco_stream_free(void **stream);
int taco_next(void *stream, int most, float *out, int *frames, int *extra, char *err);
const char *taco_remark(const void *stream);

#endif
