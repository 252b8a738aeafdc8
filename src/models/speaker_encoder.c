#include "models/speaker_encoder_internal.h"

#include "audio/resample.h"
#include "audio/spectrum.h"
#include "base/ascii.h"
#include "base/json.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define CROPS 10        /* of a clip, each so many hops long */
#define CROP_HOPS 250
#define LEAST_SECONDS 1
#define SILENCE 1e-4f   /* root mean square: -80 dB */
#define PIECE 10        /* parts in 100 of a run's arithmetic between which other work may run */

struct sn_speaker_encoder {
	sn_weights *file;
	se_weights *weights;
	sn_spectrum *spectrum;
	int rate, hop, log_input, debug;
	int level;          /* clips are brought to `decibels` (root mean square) */
	double decibels;
	nn_pool *pool;
	nn_backend *backend;
	nn_exports *exports;
	pthread_mutex_t lock; /* of what follows: the graph for clips of `frames` */
	nn_exec *exec;
	int frames;
};

/* ---- reading ---- */

typedef struct settings {
	int64_t fft, window, hop, rate, mels, input, size; /* size 0: not stated */
	double preemphasis, decibels;
	int log_input, level;
} settings;

static int read_model(settings *s, const json_t *root, const char *file, char *err) {
	const json_t *const params = json_object_get(root, "model_params");
	const char *const name = json_string_value(json_object_get(params, "model_name"));
	int torch_spectrum = 0;
	if (!name) return sn_fail(err, SN_E_MODEL, "%s: 'model_params' has no 'model_name'; \"resnet\" is expected", file);
	if (sn_strcasecmp(name, "resnet") != 0)
		return sn_fail(err, SN_E_UNSUPPORTED, "%s: speaker encoders of kind '%s' are not supported; 'resnet' is", file, name);
	int code = sn_json_bool(params, "use_torch_spec", &torch_spectrum, file, err);
	if (code == SN_OK) code = sn_json_bool(params, "log_input", &s->log_input, file, err);
	if (code == SN_OK) code = sn_json_int(params, "input_dim", 1, SN_SPECTRUM_MAX_MELS, &s->input, file, err);
	if (code == SN_OK) code = sn_json_int(params, "proj_dim", 1, SE_MAX_WIDTH, &s->size, file, err);
	if (code == SN_OK && !torch_spectrum)
		code = sn_fail(err, SN_E_UNSUPPORTED, "%s: 'use_torch_spec' is not set; spectra of Coqui's audio processor are not supported here", file);
	return code;
}

static int read_audio(settings *s, const json_t *root, const char *file, char *err) {
	const json_t *const audio = json_object_get(root, "audio");
	int code = sn_json_int(audio, "fft_size", 2, SN_SPECTRUM_MAX_FFT, &s->fft, file, err);
	if (code == SN_OK) code = sn_json_int(audio, "win_length", 1, SN_SPECTRUM_MAX_FFT, &s->window, file, err);
	if (code == SN_OK) code = sn_json_int(audio, "hop_length", 1, SN_SPECTRUM_MAX_FFT, &s->hop, file, err);
	if (code == SN_OK) code = sn_json_int(audio, "sample_rate", 1000, 192000, &s->rate, file, err);
	if (code == SN_OK) code = sn_json_int(audio, "num_mels", 1, SN_SPECTRUM_MAX_MELS, &s->mels, file, err);
	if (code == SN_OK) code = sn_json_double(audio, "preemphasis", 0, 1, &s->preemphasis, file, err);
	if (code == SN_OK) code = sn_json_bool(audio, "do_rms_norm", &s->level, file, err);
	if (code == SN_OK) code = sn_json_double(audio, "db_level", -99, 0, &s->decibels, file, err);
	if (code == SN_OK && (s->fft % 2 || s->window > s->fft))
		code = sn_fail(err, SN_E_MODEL, "%s: 'fft_size' is %lld and 'win_length' %lld; an even number and no more than that are right", file,
		               (long long)s->fft, (long long)s->window);
	if (code == SN_OK && s->mels != s->input)
		code = sn_fail(err, SN_E_MODEL, "%s: 'num_mels' is %lld but the model's 'input_dim' %lld; they must be equal", file, (long long)s->mels,
		               (long long)s->input);
	return code;
}

static int read_settings(settings *s, const char *path, char *err) {
	json_t *root;
	*s = (settings){ .fft = 1024, .window = 1024, .hop = 256, .rate = 22050, .mels = 80, .decibels = -27, .input = 64 };
	int code = sn_json_file(&root, path, err);
	if (code != SN_OK) return code;
	code = read_model(s, root, path, err);
	if (code == SN_OK) code = read_audio(s, root, path, err);
	json_decref(root);
	return code;
}

/* The checkpoint's copy of a table, which the reference loads over the one it computes. NULL: it has none of `rank` and dims. */
static const sn_weight *table(const sn_speaker_encoder *e, const char *prefix, const char *name, int rank, const int64_t *dims) {
	char full[SN_WEIGHTS_MAX_NAME + 64];
	snprintf(full, sizeof full, "%s%s", prefix, name);
	const sn_weight *const t = sn_weights_find(e->file, full);
	int fits = t && t->rank == rank && t->dtype == SN_F32;
	for (int i = 0; fits && i < rank; i++) fits = t->dims[i] == dims[i];
	return fits ? t : NULL;
}

/* Hamming windows, HTK's triangles of height 1 up to half the rate, the clip preemphasised as a whole. */
static int open_spectrum(sn_speaker_encoder *e, const settings *s, const char *prefix, char *err) {
	const int64_t bins = s->fft / 2 + 1;
	sn_spectrum_options o = {
		.sample_rate = (int)s->rate, .fft = (int)s->fft, .hop = (int)s->hop, .window_size = (int)s->window, .window = SN_WINDOW_HAMMING,
		.pad = SN_SPECTRUM_PAD_REFLECT, .power = 2, .preemphasis = (float)s->preemphasis, .preemphasis_reflect = 1, .mels = (int)s->mels,
	};
	const sn_weight *const bank = table(e, prefix, "torch_spec.1.mel_scale.fb", 2, (int64_t[]){ bins, s->mels });
	const sn_weight *const window = table(e, prefix, "torch_spec.1.spectrogram.window", 1, &s->window);
	const sn_weight *const emphasis = table(e, prefix, "torch_spec.0.filter", 3, (int64_t[]){ 1, 1, 2 });
	if (!bank || !window || !emphasis)
		return sn_fail(err, SN_E_MODEL, "%s: the tensors 'torch_spec.*' are not those of the configuration; expected mel_scale.fb [%lld, %lld], "
		               "spectrogram.window [%lld] and filter [1, 1, 2]", sn_weights_path(e->file), (long long)bins, (long long)s->mels,
		               (long long)s->window);
	float *const values = malloc((size_t)(2 * bins * s->mels) * sizeof *values), *const turned = values + bins * s->mels, filter[2];
	if (!values) return sn_fail(err, SN_E_MEMORY, "out of memory for %lld mel filters", (long long)s->mels);
	sn_weight_floats(emphasis, 0, 2, filter);
	sn_weight_floats(bank, 0, bins * s->mels, values);
	for (int64_t k = 0; k < bins; k++)
		for (int64_t m = 0; m < s->mels; m++) turned[m * bins + k] = values[k * s->mels + m];
	o.filters = turned;
	o.preemphasis = -filter[0];
	const int code = sn_spectrum_open(&e->spectrum, &o, err);
	free(values);
	return code;
}

static int read_all(sn_speaker_encoder *e, const char *config, const char *weights, char *err) {
	char prefix[SN_WEIGHTS_MAX_NAME + 1];
	settings s;
	int code = read_settings(&s, config, err);
	if (code == SN_OK) code = sn_weights_open(&e->file, weights, err);
	if (code != SN_OK) return code;
	e->rate = (int)s.rate;
	e->hop = (int)s.hop;
	e->log_input = s.log_input;
	e->level = s.level;
	e->decibels = s.decibels;
	sn_weights_prefix(e->file, "layer1.0.se.fc.0.weight", prefix);
	code = open_spectrum(e, &s, prefix, err);
	if (code == SN_OK) code = se_weights_bind(e->weights, (int)s.mels, e->file, prefix, err);
	if (code == SN_OK && s.size && s.size != e->weights->size)
		code = sn_fail(err, SN_E_MODEL, "%s: 'proj_dim' is %lld; the weights in %s make embeddings of %d values", config, (long long)s.size, weights,
		               e->weights->size);
	return code;
}

static int prepare(sn_speaker_encoder *e, int64_t frames, char *err);

int sn_speaker_encoder_open(sn_speaker_encoder **out, const char *config, const char *weights, const sn_load_options *load, char *err) {
	sn_speaker_encoder *e = *out = calloc(1, sizeof *e);
	if (e) {
		pthread_mutex_init(&e->lock, NULL);
		e->weights = calloc(1, sizeof *e->weights);
		e->debug = load->debug;
		e->backend = load->backend;
		e->exports = load->exports;
		e->pool = load->pool;
	}
	int code = e && e->weights ? read_all(e, config, weights, err) : sn_fail(err, SN_E_MEMORY, "out of memory while loading %s", weights);
	if (code == SN_OK && load->exports) code = prepare(e, sn_spectrum_frames(e->spectrum, (int64_t)CROP_HOPS * e->hop), err);
	if (code != SN_OK) sn_speaker_encoder_close(out);
	return code;
}

void sn_speaker_encoder_close(sn_speaker_encoder **encoder) {
	sn_speaker_encoder *const e = *encoder;
	*encoder = NULL;
	if (!e) return;
	nn_exec_free(&e->exec);
	pthread_mutex_destroy(&e->lock);
	sn_spectrum_close(&e->spectrum);
	sn_weights_close(&e->file);
	free(e->weights);
	free(e);
}

int sn_speaker_encoder_size(const sn_speaker_encoder *encoder) { return encoder->weights->size; }
int sn_speaker_encoder_rate(const sn_speaker_encoder *encoder) { return encoder->rate; }
int64_t sn_speaker_encoder_parameters(const sn_speaker_encoder *encoder) { return encoder->weights->parameters; }

/* ---- running ---- */

/* The graph for clips of so many frames: made at the first use, kept for the crops after it, which are as long. */
static int prepare(sn_speaker_encoder *e, int64_t frames, char *err) {
	if (frames < 1 || frames > SN_SPEAKER_MAX_FRAMES)
		return sn_fail(err, SN_E_LIMIT, "a clip of %lld frames for the speaker encoder; 1 to %d are taken", (long long)frames, SN_SPEAKER_MAX_FRAMES);
	if (e->exec && e->frames == frames) return SN_OK;
	nn_exec_free(&e->exec);
	const nn_plan_options options = { .backend = e->backend, .exports = e->exports, .dtype = NN_DTYPE_F32, .debug = e->debug };
	nn_graph *g = nn_graph_new("speaker_encoder");
	nn_plan *plan = NULL;
	if (!g) return sn_fail(err, SN_E_MEMORY, "out of memory for a clip of %lld frames", (long long)frames);
	se_record(g, e->weights, (int)frames, e->log_input);
	int code = nn_plan_compile(&plan, g, &options, err);
	if (code == SN_OK) code = nn_exec_new(&e->exec, plan, e->pool, err);
	nn_plan_release(&plan);
	nn_graph_free(&g);
	e->frames = (int)frames;
	return code;
}

/* One crop, its embedding divided by its length (at least 1e-12). */
static int run(sn_speaker_encoder *e, const float *pcm, int64_t count, float *embedding, char *err) {
	int code = prepare(e, sn_spectrum_frames(e->spectrum, count), err);
	if (code == SN_OK) code = sn_spectrum_run(e->spectrum, pcm, count, nn_exec_input(e->exec, "mel"), err);
	if (code != SN_OK) return code;
	nn_exec_begin(e->exec);
	while ((code = nn_exec_next(e->exec, PIECE, err)) == SN_AGAIN) continue;
	if (code != SN_OK) return code;
	const float *const out = nn_exec_output(e->exec, "embedding", NULL);
	double sum = 0;
	for (int i = 0; i < e->weights->size; i++) sum += (double)out[i] * (double)out[i];
	const double length = fmax(sqrt(sum), 1e-12);
	if (!isfinite(length)) return sn_fail(err, SN_E_MODEL, "the speaker encoder gives no numbers: are the weights sound?");
	for (int i = 0; i < e->weights->size; i++) embedding[i] = (float)(out[i] / length);
	return SN_OK;
}

int sn_speaker_encoder_clip(sn_speaker_encoder *encoder, const float *pcm, int64_t count, float *embedding, char *err) {
	pthread_mutex_lock(&encoder->lock);
	const int code = run(encoder, pcm, count, embedding, err);
	pthread_mutex_unlock(&encoder->lock);
	return code;
}

static int run_crops(sn_speaker_encoder *e, const float *pcm, int64_t count, float *one, float *embedding, char *err) {
	const int64_t whole = (int64_t)CROP_HOPS * e->hop, size = count < whole ? count : whole;
	const double step = (double)(count - size) / (CROPS - 1);
	const int crops = size == count ? 1 : CROPS; /* else all are the same */
	memset(embedding, 0, (size_t)e->weights->size * sizeof *embedding);
	for (int i = 0; i < crops; i++) {
		const int64_t offset = i + 1 == CROPS ? count - size : (int64_t)(i * step);
		const int code = run(e, pcm + offset, size, one, err);
		if (code != SN_OK) return code;
		for (int c = 0; c < e->weights->size; c++) embedding[c] += one[c] / (float)crops;
	}
	return SN_OK;
}

int sn_speaker_encoder_crops(sn_speaker_encoder *encoder, const float *pcm, int64_t count, float *embedding, char *err) {
	float *const one = malloc((size_t)encoder->weights->size * sizeof *one);
	if (!one) return sn_fail(err, SN_E_MEMORY, "out of memory for an embedding");
	pthread_mutex_lock(&encoder->lock);
	const int code = run_crops(encoder, pcm, count, one, embedding, err);
	pthread_mutex_unlock(&encoder->lock);
	free(one);
	return code;
}

int sn_speaker_encoder_embed(sn_speaker_encoder *encoder, const float *pcm, int64_t count, int sample_rate, float *embedding, char *err) {
	double sum = 0;
	if (sample_rate < SN_AUDIO_MIN_RATE || sample_rate > SN_AUDIO_MAX_RATE)
		return sn_fail(err, SN_E_ARGUMENT, "a clip at %d Hz; %d to %d are taken", sample_rate, SN_AUDIO_MIN_RATE, SN_AUDIO_MAX_RATE);
	if (count < (int64_t)LEAST_SECONDS * sample_rate)
		return sn_fail(err, SN_E_ARGUMENT, "the clip is %.2f s long; a voice needs at least %d s", (double)count / sample_rate, LEAST_SECONDS);
	if (count / sample_rate > SN_SPEAKER_MAX_SECONDS)
		return sn_fail(err, SN_E_LIMIT, "the clip is %.0f s long; at most %d s are taken", (double)count / sample_rate, SN_SPEAKER_MAX_SECONDS);
	for (int64_t i = 0; i < count; i++) sum += (double)pcm[i] * (double)pcm[i];
	if (!isfinite(sum)) return sn_fail(err, SN_E_ARGUMENT, "the clip has samples that are no numbers");
	if (sqrt(sum / (double)count) < (double)SILENCE) return sn_fail(err, SN_E_ARGUMENT, "the clip is silent; a voice needs speech");
	float *samples = NULL;
	size_t got = 0;
	int code = sn_resample(pcm, (size_t)count, sample_rate, encoder->rate, &samples, &got, err);
	if (code != SN_OK) return code;
	if (encoder->level) {
		sum = 0;
		for (size_t i = 0; i < got; i++) sum += (double)samples[i] * (double)samples[i];
		const float gain = (float)(pow(10, encoder->decibels / 20) / sqrt(fmax(sum / (double)got, 1e-20)));
		for (size_t i = 0; i < got; i++) samples[i] *= gain;
	}
	code = sn_speaker_encoder_crops(encoder, samples, (int64_t)got, embedding, err);
	free(samples);
	pthread_mutex_lock(&encoder->lock);
	nn_exec_free(&encoder->exec); /* voices are made seldom: its memory would be held for nothing */
	pthread_mutex_unlock(&encoder->lock);
	return code;
}

int sn_speaker_encoder_tensor(sn_speaker_encoder *encoder, const char *name, float **values, int *rank, int64_t *dims, char *err) {
	if (!encoder->exec || !encoder->debug)
		return sn_fail(err, SN_E_NOT_FOUND, "the tensor '%s' is kept by debug plans, of a clip that was encoded", name);
	return nn_exec_tensor(encoder->exec, name, values, rank, dims, err);
}
