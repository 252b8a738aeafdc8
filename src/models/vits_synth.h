/* What the two classes that speak with VITS share: sn_synth_vits (vits_synth.c) and sn_synth_yourtts (yourtts.c). */
#ifndef SN_MODELS_VITS_SYNTH_H
#define SN_MODELS_VITS_SYNTH_H

#include "models/synth.h"
#include "models/vits.h"

typedef struct vits_synth {
	sn_vits *vits;
	sn_synth_facts facts;
	int default_speaker;
} vits_synth;

/* Facts that every layout has. */
void vits_synth_fill(vits_synth *synth);

/* Streams. A model's struct begins with vits_synth; vits_synth_begin is told speaker, embedding and language by `own`. */
int vits_synth_stream_new(void **stream, void *model, char *err);
void vits_synth_stream_free(void **stream);
int vits_synth_begin(void *stream, const int32_t *ids, int count, const sn_synth_options *options, sn_vits_options own, char *err);
int vits_synth_next(void *stream, int most, float *out, int *frames, int *extra, char *err);
const char *vits_synth_remark(const void *stream);
int64_t vits_synth_place(const void *stream, double share);
const sn_synth_facts *vits_synth_facts(const void *model);
const vits_synth *vits_synth_of(const void *stream);

/* Most ids of one start: slow speech needs more frames for as many. */
int vits_synth_most_ids(const sn_synth_options *options);

#endif
