/* DNSMOS (Reddy et al. 2021 and 2022; the speechmos package): scores of listeners, estimated. Two networks hear windows of 9.01 s at
 * 16 kHz: one gives signal, background and overall scores (ITU-T P.835), in a plain and in a personalised variant, the other the
 * P.808 score. One engine thread drives a loaded model. */
#ifndef SN_MODELS_DNSMOS_H
#define SN_MODELS_DNSMOS_H

#include "models/options.h"

#define SN_DNSMOS_RATE 16000
#define SN_DNSMOS_WINDOW 144160 /* samples: 9.01 s */
#define SN_DNSMOS_HOP 16000     /* from window to window */
#define SN_DNSMOS_MEL_FRAMES 900
#define SN_DNSMOS_MELS 120

typedef struct sn_dnsmos sn_dnsmos;

/* What one window gives, as the networks say it. */
typedef struct sn_dnsmos_raw {
	float signal, background, overall;
	float personal_signal, personal_background, personal_overall; /* 0 where the stream is not personalised */
	float p808;
} sn_dnsmos_raw;

/* On the listeners' scale: the raw scores through polynomials that the authors fitted; p808 is on it already. */
typedef struct sn_dnsmos_scores {
	double signal, background, overall, p808;
} sn_dnsmos_scores;

/* load->dir holds sig_bak_ovr.onnx and model_v8.onnx, and may hold the personalised variant as sig_bak_ovr_personalised.onnx. */
int sn_dnsmos_open(sn_dnsmos **out, const sn_load_options *load, char *err);
void sn_dnsmos_close(sn_dnsmos **dnsmos);
int sn_dnsmos_is_personalised(const sn_dnsmos *dnsmos); /* the variant is there */
int64_t sn_dnsmos_parameters(const sn_dnsmos *dnsmos);

/* Windows of one timeline. Those that overlap share what both compute: everything before the first pooling but the rows that see a
 * window's ends, and the mel frames. 5 MB, 10 MB when personalised. */
typedef struct sn_dnsmos_stream sn_dnsmos_stream;
int sn_dnsmos_stream_open(sn_dnsmos_stream **out, int personalised, char *err);
void sn_dnsmos_stream_close(sn_dnsmos_stream **stream);

/* Begins the window that starts at sample second * SN_DNSMOS_HOP of its timeline, `second` ascending; then next until it returns
 * SN_OK (SN_AGAIN: more is left; else an error of nn_exec_next). A piece takes some milliseconds. window: SN_DNSMOS_WINDOW samples, to stay until then.
 * Between two pieces no other stream may run on the model; one that is given up may simply not be continued. */
void sn_dnsmos_begin(sn_dnsmos *dnsmos, sn_dnsmos_stream *stream, const float *window, int64_t second);
int sn_dnsmos_next(sn_dnsmos *dnsmos, sn_dnsmos_stream *stream, char *err);

/* Of the last finished window. */
void sn_dnsmos_get_raw(const sn_dnsmos_stream *stream, sn_dnsmos_raw *raw);
const float *sn_dnsmos_get_mel(const sn_dnsmos_stream *stream); /* the P.808 network's input, [SN_DNSMOS_MEL_FRAMES, SN_DNSMOS_MELS] */
void sn_dnsmos_scale(const sn_dnsmos_raw *raw, int personalised, sn_dnsmos_scores *scores);

/* Windows of a clip of so many samples: one each second, at least one. */
int64_t sn_dnsmos_windows(int64_t samples);
/* Whether the reference hears the window that starts there: where its arithmetic puts the end a sample early it leaves the window out. */
int sn_dnsmos_is_heard(int64_t second);
/* Samples of a clip shorter than a window after it was doubled until it is long enough, as the reference does; else `samples`. */
int64_t sn_dnsmos_doubled(int64_t samples);

#endif
