/* DeepFilterNet3 (Schröter et al. 2023): takes noise out of speech at 48 kHz, in frames of 10 ms.
 *
 * A frame's spectrum gives 32 loudnesses of bands and 96 normalised bins; an encoder, a decoder of gains for the bands and a decoder of
 * filters over five frames for the lowest 96 bins follow (deepfilter_graph.c). The models' files are those that the authors publish:
 * enc.onnx, erb_dec.onnx, df_dec.onnx and config.ini. Nothing here has state but the stream; one engine thread drives a loaded model. */
#ifndef SN_MODELS_DEEPFILTER_H
#define SN_MODELS_DEEPFILTER_H

#include "models/options.h"

#define SN_DEEPFILTER_RATE 48000
#define SN_DEEPFILTER_FRAME 480   /* samples of a frame */
#define SN_DEEPFILTER_DELAY 1440  /* samples that the output lags: half a window, and two frames that the networks look ahead */
#define SN_DEEPFILTER_BLOCK 48    /* frames of one run: many are much cheaper together than one by one */
#define SN_DEEPFILTER_NO_LIMIT 100.0f

typedef struct sn_deepfilter sn_deepfilter;
typedef struct sn_deepfilter_stream sn_deepfilter_stream; /* one timeline */

/* load->dir holds the four files. Precision is float32 whatever load->dtype is. Errors: SN_E_NOT_FOUND, SN_E_MODEL (a file or tensor is
 * not what this version knows: names it), SN_E_IO, SN_E_MEMORY. */
int sn_deepfilter_open(sn_deepfilter **out, const sn_load_options *load, char *err);
void sn_deepfilter_close(sn_deepfilter **filter);
int64_t sn_deepfilter_parameters(const sn_deepfilter *filter);

/* limit: decibels by which noise is lowered at most, since so much of the input is mixed back; SN_DEEPFILTER_NO_LIMIT and more: no
 * limit, 0: the input itself, delayed. */
int sn_deepfilter_stream_open(sn_deepfilter_stream **out, float limit, char *err);
void sn_deepfilter_stream_close(sn_deepfilter_stream **stream);

/* `frames` whole frames of pcm -> as many of out, which may be pcm; snr (may be NULL) gets each frame's signal-to-noise ratio in
 * decibels, -15 to 35, as the encoder estimates it. The same samples give the same bytes however they are cut into calls.
 * Errors: those of nn_exec_run. */
int sn_deepfilter_run(sn_deepfilter *filter, sn_deepfilter_stream *stream, const float *pcm, int frames, float *out, float *snr, char *err);

#endif
