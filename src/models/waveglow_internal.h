/* Shared by the files of WaveGlow. */
#ifndef SN_MODELS_WAVEGLOW_INTERNAL_H
#define SN_MODELS_WAVEGLOW_INTERNAL_H

#include "models/vocoder_internal.h"

#define WAVEGLOW_MAX_FLOWS 32
#define WAVEGLOW_MAX_LAYERS 16
#define WAVEGLOW_MAX_GROUP 64
#define WAVEGLOW_HOP 256 /* samples a frame: the step of the reference's upsampling, which it states nowhere */

typedef struct waveglow_flow {
	int channels; /* of the audio that goes through it */
	int layers;
	float inverse[WAVEGLOW_MAX_GROUP * WAVEGLOW_MAX_GROUP]; /* of the 1x1 convolution, [channels, channels] */
	vocoder_conv start, end, cond;
	vocoder_conv in[WAVEGLOW_MAX_LAYERS], skip[WAVEGLOW_MAX_LAYERS];
} waveglow_flow;

typedef struct waveglow_weights {
	int mels, group, flows, width; /* width: channels of the networks inside */
	int64_t kernel;                /* of the upsampling */
	vocoder_conv upsample;
	waveglow_flow flow[WAVEGLOW_MAX_FLOWS];
	int64_t parameters;
} waveglow_weights;

/* Binds the tensors, whose shapes say all sizes, and holds them against what the configuration states. */
int waveglow_bind(waveglow_weights *w, const sn_weights *file, const vocoder_files *files, char *err);

/* The stages: 0 turns frames [frames, mels + WAVEGLOW_HOP] (mel, then the noise of the frame's samples) into groups of samples
 * [groups, group + mels * group] (noise, upsampled mel); stage s takes flow number flows - s backwards; the last gives samples. */
void waveglow_describe(const waveglow_weights *w, sn_generator_shape *shape);
nn_t waveglow_record(void *weights, nn_graph *g, int stage, nn_t x);

#endif
