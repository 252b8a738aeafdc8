/* Shared by the files of DeepFilterNet3. */
#ifndef SN_MODELS_DEEPFILTER_INTERNAL_H
#define SN_MODELS_DEEPFILTER_INTERNAL_H

#include "models/deepfilter.h"

#include <kiss_fftr.h>

#define DF_FFT 960
#define DF_BINS (DF_FFT / 2 + 1)
#define DF_BANDS 32      /* of equal width on the ERB scale */
#define DF_LOW 96        /* bins that are filtered over time */
#define DF_ORDER 5       /* frames of a filter: t - 4 .. t, for the output frame t - 2 */
#define DF_AHEAD 2       /* frames that an output waits for */
#define DF_COEFS (2 * DF_ORDER) /* of a bin: real, imaginary of each frame */
#define DF_CHANNELS 64
#define DF_HIDDEN 256
#define DF_EMBEDDING 512
#define DF_INPUT_PAST 2  /* frames before the block that the first convolutions read */
#define DF_PATH_PAST 4   /* that the filter decoder's path from the input reads */
#define DF_PATH (DF_LOW * DF_ORDER * DF_COEFS) /* values a frame on that path */

/* Hidden states: the encoder's GRU, the two of the gain decoder, the two of the filter decoder. */
enum { DF_GRU_ENC, DF_GRU_ERB, DF_GRU_DF = DF_GRU_ERB + 2, DF_GRUS = DF_GRU_DF + 2 };

typedef struct df_tables {
	float window[DF_FFT];
	int widths[DF_BANDS];    /* bins of each band; sum DF_BINS */
	kiss_fftr_cfg forward, inverse;
} df_tables;

struct sn_deepfilter {
	df_tables tables;
	nn_plan *front_plan, *filter_plan; /* encoder and gain decoder; filter decoder */
	nn_exec *front, *filter;
	int64_t parameters;
	float (*spectra)[2 * DF_BINS]; /* [DF_ORDER - 1 + SN_DEEPFILTER_BLOCK]: of the block, behind those before it */
};

struct sn_deepfilter_stream {
	float keep;                                /* share of the input that is mixed back */
	float analysis[DF_FFT - SN_DEEPFILTER_FRAME], synthesis[DF_FFT - SN_DEEPFILTER_FRAME];
	float band_mean[DF_BANDS], bin_scale[DF_LOW]; /* running means: decibels of bands, magnitudes of bins */
	float bands[DF_INPUT_PAST][DF_BANDS], bins[DF_INPUT_PAST][2 * DF_LOW]; /* last features */
	float path[DF_PATH_PAST][DF_PATH];
	float spectra[DF_ORDER - 1][2 * DF_BINS];  /* last spectra */
	float hidden[DF_GRUS][DF_HIDDEN];
};

/* deepfilter_graph.c: both plans and execs from the files below `dir`. */
int df_graphs_open(sn_deepfilter *filter, const sn_load_options *load, char *err);
/* Runs the networks over `count` frames whose features lie in the inputs "bands" and "bins" of filter->front, from row DF_INPUT_PAST
 * on. Gains are then its output "gains" [count, DF_BANDS], "snr" [count, 1]; filters are "coefs" [count, DF_LOW, DF_COEFS] of
 * filter->filter. */
int df_graphs_run(sn_deepfilter *filter, sn_deepfilter_stream *stream, int count, char *err);

/* deepfilter_dsp.c */
int df_tables_open(df_tables *tables, char *err);
void df_tables_close(df_tables *tables);
void df_stream_reset(sn_deepfilter_stream *stream);
/* A frame's samples -> spectrum [DF_BINS][2] of the window that ends with it. */
void df_analyse(const df_tables *tables, sn_deepfilter_stream *stream, const float *pcm, float *spectrum);
/* Spectrum -> features of the bands [DF_BANDS] and the lowest bins [DF_LOW][2]. */
void df_features(const df_tables *tables, sn_deepfilter_stream *stream, const float *spectrum, float *bands, float *bins);
/* spectra: those of frames t - 4 .. t, [DF_ORDER][DF_BINS][2]; gains [DF_BANDS] and coefs [DF_LOW][DF_COEFS] of frame t -> the cleaned
 * frame t - 2 [DF_BINS][2], with the share `keep` of the input. */
void df_apply(const df_tables *tables, float (*spectra)[2 * DF_BINS], const float *gains, const float *coefs, float keep, float *out);
/* Spectrum -> the next frame's samples. */
void df_synthesise(const df_tables *tables, sn_deepfilter_stream *stream, const float *spectrum, float *pcm);

#endif
