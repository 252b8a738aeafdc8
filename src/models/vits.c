#include "models/vits_internal.h"

#include "base/hash.h"
#include "base/log.h"
#include "nn/cpu/kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PACK_VERSION 1      /* raised when the recorded graphs change what is packed */
#define MAX_CHUNK 256       /* frames of one sn_vits_next */
#define BLOCK_FLOATS 65536  /* of a stage's widest tensor: what a stage works on stays in the second-level cache */
#define BLOCK_REACHES 10    /* but at least so many times the rows that one depends on, which are computed twice */
#define FIRST_FLOW 96       /* frames that start lets through the flow, so that a long sentence's first sound is ready as soon as a short one's */
#define STREAM_DURATION 0   /* of the noise */
#define STREAM_PRIOR 1

/* The decoder is cut at its upsamplings, so that each stage computes no more rows beside a chunk than those after it depend on. */
typedef struct decoder_stage {
	nn_exec *exec;
	int stride;
	int64_t channels;  /* of its output */
	int64_t block;     /* output rows of one run */
	int64_t most;      /* input rows of one run */
	float *out;        /* its rows for the present chunk (the last stage writes to the caller) */
	int64_t first, last; /* which rows of the utterance those are */
} decoder_stage;

struct sn_vits {
	vits_settings settings;
	vits_weights *weights;
	sn_weights *file;
	nn_pack *pack;
	nn_exec *text, *flow;
	decoder_stage stages[VITS_MAX_STAGES];
	int debug;
};

struct sn_vits_stream {
	sn_vits *vits;
	int speaker, language, count, frames, position; /* ids; frames for the decoder in all and decoded */
	int latent_frames; /* before they are resampled to `frames` */
	int32_t durations[SN_VITS_MAX_TOKENS];
	int flowed;        /* rows of z that are there */
	float *z, *z_prior; /* [frames, width]: what the decoder takes; [latent frames, width] */
	float *voice;       /* [speaker width] normalised embedding, of models that take one */
};

static int width_of(const sn_vits *v) { return 2 * v->weights->half; }

/* ---- loading ---- */

static int compile(sn_vits *v, const sn_load_options *load, vits_recorder *r, nn_dtype dtype, nn_exec **out, char *err) {
	const nn_plan_options options = { .backend = load->backend, .exports = load->exports, .dtype = dtype, .debug = load->debug, .pack = v->pack };
	nn_plan *plan = NULL;
	int code = nn_plan_compile(&plan, r->g, &options, err);
	if (code == SN_OK) code = nn_exec_new(out, plan, load->pool, err);
	nn_plan_release(&plan);
	return code;
}

typedef enum part { PART_TEXT, PART_FLOW, PART_STAGE } part;

static int load_part(sn_vits *v, const sn_load_options *load, part which, int index, nn_exec **out, char *err) {
	static const char *const names[] = { "vits.text", "vits.flow", "vits.decoder0", "vits.decoder1", "vits.decoder2", "vits.decoder3",
	                                     "vits.decoder4", "vits.decoder5", "vits.decoder6", "vits.decoder7" };
	vits_recorder r = { .g = nn_graph_new(names[which + index]), .s = &v->settings, .w = v->weights, .debug = load->debug };
	if (!r.g) return sn_fail(err, SN_E_MEMORY, "out of memory while reading %s", load->dir);
	/* Durations decide lengths, so they are computed alike whatever the precision. Rounding in the flow reaches the sound's phases (18 dB
	 * of signal to noise on a real voice, 40 dB with the decoder alone in bf16). Vocoders stay out of int8. */
	const nn_dtype dtype = which != PART_STAGE || load->dtype == NN_DTYPE_F32 ? NN_DTYPE_F32 : NN_DTYPE_BF16;
	if (which == PART_TEXT) vits_record_text(&r);
	else if (which == PART_FLOW) vits_record_flow(&r);
	else vits_record_stage(&r, index, v->stages[index].most);
	const int code = compile(v, load, &r, dtype, out, err);
	nn_graph_free(&r.g);
	return code;
}

/* Sizes of runs and of the rows kept between stages, from the last stage's largest chunk backwards. */
static int size_stages(sn_vits *v, char *err) {
	const vits_weights *const w = v->weights;
	int64_t rows = (int64_t)MAX_CHUNK * v->settings.public.hop, first, last;
	for (int i = w->stage_count - 1; i >= 0; i--) {
		decoder_stage *const s = &v->stages[i];
		s->stride = w->stages[i].up.stride;
		s->channels = i + 1 == w->stage_count ? 1 : w->stages[i].up.out;
		vits_stage_needs(w, i, 0, 1, &first, &last);
		s->block = BLOCK_FLOATS / w->stages[i].up.out;
		if (s->block < BLOCK_REACHES * (last - first) * s->stride) s->block = BLOCK_REACHES * (last - first) * s->stride;
		if (s->block > rows) s->block = rows;
		vits_stage_needs(w, i, 0, s->block, &first, &last);
		s->most = last - first + 2; /* where a block begins within a stride shifts its ends */
		if (i + 1 < w->stage_count && !(s->out = malloc((size_t)(rows * s->channels) * sizeof(float))))
			return sn_fail(err, SN_E_MEMORY, "out of memory while loading a voice");
		vits_stage_needs(w, i, 0, rows, &first, &last);
		rows = last - first + 2;
	}
	return SN_OK;
}

static int load_all(sn_vits *v, const sn_load_options *load, char *err) {
	sn_vits_files files;
	int code = sn_vits_locate(&files, load->dir, err);
	if (code == SN_OK) code = vits_settings_read(&v->settings, &files, err);
	if (code == SN_OK) code = sn_weights_open(&v->file, files.weights, err);
	if (code == SN_OK) code = vits_weights_bind(v->weights, &v->settings, v->file, err);
	if (code == SN_OK) code = size_stages(v, err);
	if (code != SN_OK) return code;
	const int facts[] = { PACK_VERSION, load->dtype != NN_DTYPE_F32, load->debug };
	const uint64_t key = sn_hash_text(sn_hash(sn_weights_key(v->file), facts, sizeof facts), nn_kernels_best()->name);
	code = nn_pack_open(&v->pack, load->pack_path, key, err);
	if (code == SN_OK) code = load_part(v, load, PART_TEXT, 0, &v->text, err);
	if (code == SN_OK) code = load_part(v, load, PART_FLOW, 0, &v->flow, err);
	for (int i = 0; code == SN_OK && i < v->weights->stage_count; i++) code = load_part(v, load, PART_STAGE, i, &v->stages[i].exec, err);
	char note[SN_ERRLEN] = "";
	if (code == SN_OK && load->pack_path && nn_pack_save(v->pack, note) != SN_OK)
		sn_log(SN_LOG_WARN, "packed weights of %s were not kept: %s", load->dir, note);
	return code;
}

int sn_vits_open(sn_vits **out, const sn_load_options *load, char *err) {
	*out = NULL;
	sn_vits *v = calloc(1, sizeof *v);
	if (v) v->weights = calloc(1, sizeof *v->weights);
	if (!v || !v->weights) {
		free(v);
		return sn_fail(err, SN_E_MEMORY, "out of memory while loading %s", load->dir);
	}
	v->debug = load->debug;
	const int code = load_all(v, load, err);
	if (code != SN_OK) sn_vits_close(&v);
	*out = v;
	return code;
}

void sn_vits_close(sn_vits **vits) {
	sn_vits *const v = *vits;
	if (!v) return;
	nn_exec_free(&v->text);
	nn_exec_free(&v->flow);
	for (int i = 0; i < VITS_MAX_STAGES; i++) {
		nn_exec_free(&v->stages[i].exec);
		free(v->stages[i].out);
	}
	nn_pack_close(&v->pack);
	sn_weights_close(&v->file);
	free(v->weights);
	free(v);
	*vits = NULL;
}

const sn_vits_config *sn_vits_get_config(const sn_vits *vits) { return &vits->settings.public; }
int64_t sn_vits_parameters(const sn_vits *vits) { return vits->weights->parameters; }

/* ---- streams ---- */

int sn_vits_stream_new(sn_vits_stream **out, sn_vits *vits, char *err) {
	const size_t size = (size_t)SN_VITS_MAX_FRAMES * (size_t)width_of(vits) * sizeof(float); /* untouched pages cost nothing */
	const int embedding = vits->settings.public.embedding;
	sn_vits_stream *s = *out = calloc(1, sizeof *s);
	if (s) {
		s->vits = vits;
		s->z = malloc(size);
		s->z_prior = malloc(size);
		if (embedding) s->voice = calloc((size_t)embedding, sizeof *s->voice);
	}
	if (s && s->z && s->z_prior && (!embedding || s->voice)) return SN_OK;
	sn_vits_stream_free(out);
	return sn_fail(err, SN_E_MEMORY, "out of memory for an utterance of %d frames", SN_VITS_MAX_FRAMES);
}

void sn_vits_stream_free(sn_vits_stream **stream) {
	if (!*stream) return;
	free((*stream)->z);
	free((*stream)->z_prior);
	free((*stream)->voice);
	free(*stream);
	*stream = NULL;
}

/* Noise that is given must fit: the durations, and with them the frames, depend on the weights. */
static int check_noise(const char *name, const float *noise, int64_t count, int64_t expected, char *err) {
	if (!noise || count == expected) return SN_OK;
	return sn_fail(err, SN_E_ARGUMENT, "the given %s noise has %lld values; this utterance needs %lld", name, (long long)count,
	               (long long)expected);
}

static int check(const sn_vits *v, const int32_t *ids, int count, const sn_vits_options *o, char *err) {
	const sn_vits_config *const c = &v->settings.public;
	if (count < 1) return sn_fail(err, SN_E_ARGUMENT, "there is nothing to speak");
	if (count > SN_VITS_MAX_TOKENS)
		return sn_fail(err, SN_E_LIMIT, "the sentence has %d symbols; at most %d can be spoken at once", count, SN_VITS_MAX_TOKENS);
	if (o->speaker < 0 || o->speaker >= c->speakers)
		return sn_fail(err, SN_E_ARGUMENT, "speaker %d does not exist; this voice has speakers 0 to %d", o->speaker, c->speakers - 1);
	if (c->embedding && !o->embedding)
		return sn_fail(err, SN_E_ARGUMENT, "the model has no voice of its own; it needs an embedding of %d values", c->embedding);
	if (c->languages && (o->language < 0 || o->language >= c->languages))
		return sn_fail(err, SN_E_ARGUMENT, "language %d does not exist; this model has languages 0 to %d", o->language, c->languages - 1);
	for (int i = 0; i < c->embedding; i++)
		if (!isfinite(o->embedding[i])) return sn_fail(err, SN_E_ARGUMENT, "value %d of the voice's embedding is not a number", i);
	for (int i = 0; i < count; i++)
		if (ids[i] < 0 || ids[i] >= c->vocab)
			return sn_fail(err, SN_E_ARGUMENT, "symbol %d has id %d; this voice knows ids 0 to %d", i, ids[i], c->vocab - 1);
	if (!(o->noise_scale <= 10) || !(o->noise_duration <= 10) || !(o->length_scale <= 100) || o->length_scale == 0)
		return sn_fail(err, SN_E_ARGUMENT, "noise %g, duration noise %g or length %g is out of range; up to 10, 10 and 100 are right",
		               (double)o->noise_scale, (double)o->noise_duration, (double)o->length_scale);
	return check_noise("duration", o->duration_noise, o->duration_noise_count, 2 * (int64_t)count, err);
}

static void set_speaker(nn_exec *exec, const sn_vits_stream *s) {
	const vits_weights *const w = s->vits->weights;
	if (w->speakers) *nn_exec_input_ids(exec, "speaker") = s->speaker;
	else if (w->speaker_width) memcpy(nn_exec_input(exec, "voice"), s->voice, (size_t)w->speaker_width * sizeof *s->voice);
}

/* The reference divides an embedding by its length, at least 1e-12. */
static void set_voice(sn_vits_stream *s, const float *embedding) {
	const int count = s->vits->settings.public.embedding;
	double sum = 0;
	for (int i = 0; i < count; i++) sum += (double)embedding[i] * (double)embedding[i];
	const float length = fmaxf((float)sqrt(sum), 1e-12f);
	for (int i = 0; i < count; i++) s->voice[i] = embedding[i] / length;
}

static int run_text(sn_vits_stream *s, const int32_t *ids, const sn_vits_options *o, float noise_scale, char *err) {
	sn_vits *const v = s->vits;
	const int n = s->count;
	nn_exec_set(v->text, "tokens", n);
	memcpy(nn_exec_input_ids(v->text, "ids"), ids, (size_t)n * sizeof *ids);
	if (v->weights->duration.cond.out) set_speaker(v->text, s);
	if (v->weights->languages) {
		int32_t *const language = nn_exec_input_ids(v->text, "language");
		for (int i = 0; i < n; i++) language[i] = s->language;
	}
	if (v->weights->stochastic) {
		float *const noise = nn_exec_input(v->text, "noise");
		if (!o->duration_noise) vits_noise(o->seed, STREAM_DURATION, 0, 2 * n, noise);
		else for (int i = 0; i < 2 * n; i++) noise[i] = o->duration_noise[i % 2 * n + i / 2];
		for (int i = 0; i < 2 * n; i++) noise[i] *= noise_scale;
	}
	return nn_exec_run(v->text, err);
}

static int too_long(const sn_vits *v, char *err) {
	const double seconds = (double)SN_VITS_MAX_FRAMES * v->settings.public.hop / v->settings.public.sample_rate;
	return sn_fail(err, SN_E_LIMIT, "the sentence would be longer than %d frames (%.0f s); split it or speak faster", SN_VITS_MAX_FRAMES, seconds);
}

static int set_durations(sn_vits_stream *s, float length_scale, int force, char *err) {
	const float *const log_duration = nn_exec_output(s->vits->text, "log_duration", NULL);
	const double stretch = s->vits->settings.stretch;
	int64_t frames = 0;
	for (int i = 0; i < s->count; i++) {
		const float duration = force > 0 ? (float)((int64_t)force * (i + 1) / s->count - (int64_t)force * i / s->count)
		                                 : ceilf(expf(log_duration[i]) * length_scale);
		if (!(duration >= 0)) return sn_fail(err, SN_E_MODEL, "the duration of symbol %d is not a number: are the weights sound?", i);
		if (duration > SN_VITS_MAX_FRAMES || (frames += (int64_t)duration) > SN_VITS_MAX_FRAMES) return too_long(s->vits, err);
		s->durations[i] = (int32_t)duration;
	}
	s->latent_frames = frames > 0 ? (int)frames : 1;
	if (s->latent_frames * stretch > SN_VITS_MAX_FRAMES) return too_long(s->vits, err);
	s->frames = (int)fmax(1, floor(s->latent_frames * stretch));
	return SN_OK;
}

/* z[frame] = mean + draw * exp(log variance) * scale of the symbol that the frame belongs to */
static void fill_prior(sn_vits_stream *s, const sn_vits_options *o, float scale, float *z) {
	const int width = width_of(s->vits);
	const float *const means = nn_exec_output(s->vits->text, "prior_means", NULL);
	const float *const logs = nn_exec_output(s->vits->text, "prior_log_variances", NULL);
	float row[VITS_MAX_WIDTH], deviation[VITS_MAX_WIDTH];
	int64_t frame = 0;
	memset(z, 0, (size_t)width * sizeof *z);
	for (int i = 0; i < s->count; i++) {
		for (int c = 0; c < width && scale > 0 && s->durations[i]; c++) deviation[c] = expf(logs[(size_t)i * (size_t)width + (size_t)c]);
		for (int d = 0; d < s->durations[i]; d++, frame++) {
			float *const out = z + frame * width;
			memcpy(out, means + (size_t)i * (size_t)width, (size_t)width * sizeof *out);
			if (scale <= 0) continue;
			if (!o->prior_noise) vits_noise(o->seed, STREAM_PRIOR, (uint64_t)(frame * width), width, row);
			else for (int c = 0; c < width; c++) row[c] = o->prior_noise[(int64_t)c * s->latent_frames + frame];
			for (int c = 0; c < width; c++) out[c] += row[c] * deviation[c] * scale;
		}
	}
}

/* Linear interpolation between the middles of frames, as torch does it without aligned corners. */
static void resample(const float *from, int from_rows, float *to, int to_rows, int width, double stretch) {
	for (int t = 0; t < to_rows; t++) {
		const double at = fmax(0, (t + 0.5) / stretch - 0.5);
		const int first = (int)at < from_rows ? (int)at : from_rows - 1, second = first + 1 < from_rows ? first + 1 : first;
		const float share = (float)(at - first);
		const float *const a = from + (size_t)first * (size_t)width, *const b = from + (size_t)second * (size_t)width;
		for (int c = 0; c < width; c++) to[(size_t)t * (size_t)width + (size_t)c] = a[c] * (1 - share) + b[c] * share;
	}
}

/* Frames that a frame of the flow's result depends on, on each side. */
static int flow_reach(const vits_weights *w) {
	int64_t reach = 0;
	for (int i = 0; i < w->flow_count; i++)
		for (int j = 0; j < w->flows[i].depth; j++) {
			const vits_conv *const c = &w->flows[i].in[j];
			reach += (c->kernel - 1) * c->dilation - (c->kernel - 1) * c->dilation / 2;
		}
	return (int)reach;
}

/* Takes the prior through the flow up to at least frame `end`: in pieces of twice what is there, each with the frames on both sides
 * that it depends on, so that it is what one run over the whole gives. */
static int run_flow(sn_vits_stream *s, int end, char *err) {
	sn_vits *const v = s->vits;
	const int width = width_of(v), reach = flow_reach(v->weights), total = s->latent_frames, whole = v->debug || v->settings.stretch != 1;
	while (s->flowed < end) {
		const int first = s->flowed, wanted = first ? 2 * first : FIRST_FLOW;
		const int last = whole || total - wanted < reach ? total : wanted;
		const int from = first < reach ? 0 : first - reach, to = total - last < reach ? total : last + reach;
		nn_exec_set(v->flow, "frames", to - from);
		set_speaker(v->flow, s);
		memcpy(nn_exec_input(v->flow, "z"), s->z_prior + (size_t)from * (size_t)width, (size_t)(to - from) * (size_t)width * sizeof(float));
		const int code = nn_exec_run(v->flow, err);
		if (code != SN_OK) return code;
		const float *const out = nn_exec_output(v->flow, "z", NULL) + (size_t)(first - from) * (size_t)width;
		if (v->settings.stretch != 1) resample(out, total, s->z, s->frames, width, v->settings.stretch);
		else memcpy(s->z + (size_t)first * (size_t)width, out, (size_t)(last - first) * (size_t)width * sizeof(float));
		s->flowed = last == total ? SN_VITS_MAX_FRAMES : last;
	}
	return SN_OK;
}

int sn_vits_start(sn_vits_stream *stream, const int32_t *ids, int count, const sn_vits_options *options, int *frames, char *err) {
	sn_vits *const v = stream->vits;
	const sn_vits_config *const c = &v->settings.public;
	*frames = stream->frames = stream->position = stream->count = 0;
	int code = check(v, ids, count, options, err);
	if (code != SN_OK) return code;
	stream->count = count;
	stream->speaker = options->speaker;
	stream->language = options->language;
	if (c->embedding) set_voice(stream, options->embedding);
	code = run_text(stream, ids, options, options->noise_duration < 0 ? c->noise_duration : options->noise_duration, err);
	if (code == SN_OK)
		code = set_durations(stream, options->length_scale < 0 ? c->length_scale : options->length_scale, options->force_frames, err);
	if (code == SN_OK)
		code = check_noise("prior", options->prior_noise, options->prior_noise_count, (int64_t)stream->latent_frames * width_of(v), err);
	if (code != SN_OK) {
		stream->frames = 0;
		return code;
	}
	fill_prior(stream, options, options->noise_scale < 0 ? c->noise_scale : options->noise_scale, stream->z_prior);
	stream->flowed = 0;
	code = run_flow(stream, 1, err);
	if (v->settings.most_frames && stream->frames > v->settings.most_frames) stream->frames = v->settings.most_frames;
	if (code != SN_OK) stream->frames = 0;
	*frames = stream->frames;
	return code;
}

/* Rows first .. last - 1 of a stage's output, block by block, from the rows of its input that are at hand (in[0] is row in_first). */
static int run_stage(sn_vits_stream *s, int index, const float *in, int64_t in_first, int64_t in_total, int64_t in_width, float *out, char *err) {
	decoder_stage *const stage = &s->vits->stages[index];
	for (int64_t first = stage->first; first < stage->last; first += stage->block) {
		const int64_t last = first + stage->block < stage->last ? first + stage->block : stage->last;
		int64_t a, b;
		vits_stage_needs(s->vits->weights, index, first, last, &a, &b);
		if (a < 0) a = 0;
		if (b > in_total) b = in_total;
		nn_exec_set(stage->exec, "rows", b - a);
		memcpy(nn_exec_input(stage->exec, "x"), in + (a - in_first) * in_width, (size_t)((b - a) * in_width) * sizeof *in);
		if (index == 0) set_speaker(stage->exec, s);
		const int code = nn_exec_run(stage->exec, err);
		if (code != SN_OK) return code;
		memcpy(out + (first - stage->first) * stage->channels,
		       nn_exec_output(stage->exec, "y", NULL) + (first - a * stage->stride) * stage->channels,
		       (size_t)((last - first) * stage->channels) * sizeof *out);
	}
	return SN_OK;
}

int64_t sn_vits_next(sn_vits_stream *stream, int chunk_frames, float *pcm, char *err) {
	sn_vits *const v = stream->vits;
	const int stages = v->weights->stage_count;
	int chunk = chunk_frames < 1 ? 1 : chunk_frames > MAX_CHUNK ? MAX_CHUNK : chunk_frames;
	if (chunk > stream->frames - stream->position) chunk = stream->frames - stream->position;
	if (chunk == 0) return 0;

	int64_t total[VITS_MAX_STAGES + 1]; /* rows of each stage's input in the whole utterance */
	total[0] = stream->frames;
	for (int i = 0; i < stages; i++) total[i + 1] = total[i] * v->stages[i].stride;
	int64_t first = (int64_t)stream->position * v->settings.public.hop, last = first + (int64_t)chunk * v->settings.public.hop;
	for (int i = stages - 1; i >= 0; i--) {
		v->stages[i].first = first;
		v->stages[i].last = last;
		vits_stage_needs(v->weights, i, v->stages[i].first, v->stages[i].last, &first, &last);
		if (first < 0) first = 0;
		if (last > total[i]) last = total[i];
	}
	int code = run_flow(stream, (int)last, err);
	const float *in = stream->z + first * width_of(v);
	for (int i = 0; i < stages && code == SN_OK; i++) {
		decoder_stage *const stage = &v->stages[i];
		float *const out = i + 1 == stages ? pcm : stage->out;
		code = run_stage(stream, i, in, first, total[i], i ? v->stages[i - 1].channels : width_of(v), out, err);
		first = stage->first;
		in = out;
	}
	if (code != SN_OK) return code;
	stream->position += chunk;
	return (int64_t)chunk * v->settings.public.hop;
}

const int32_t *sn_vits_durations(const sn_vits_stream *stream, int *count) {
	*count = stream->count;
	return stream->durations;
}

static int copy_rows(const float *from, int64_t rows, int64_t cols, float **values, int *rank, int64_t *dims, char *err) {
	*values = malloc((size_t)(rows * cols) * sizeof **values + 1);
	if (!*values) return sn_fail(err, SN_E_MEMORY, "out of memory");
	memcpy(*values, from, (size_t)(rows * cols) * sizeof **values);
	*rank = 2;
	dims[0] = rows;
	dims[1] = cols;
	return SN_OK;
}

int sn_vits_tensor(sn_vits_stream *stream, const char *name, float **values, int *rank, int64_t *dims, char *err) {
	static const char *const outputs[] = { "text_encoder_out", "prior_means", "prior_log_variances", "log_duration" };
	sn_vits *const v = stream->vits;
	const int width = width_of(v);
	if (strcmp(name, "z_after_flow") == 0) {
		const int code = run_flow(stream, stream->frames, err);
		return code == SN_OK ? copy_rows(stream->z, stream->frames, width, values, rank, dims, err) : code;
	}
	if (strcmp(name, "z_prior") == 0) return copy_rows(stream->z_prior, stream->latent_frames, width, values, rank, dims, err);
	for (size_t i = 0; i < sizeof outputs / sizeof *outputs; i++) {
		int64_t extents[NN_MAX_RANK];
		if (strcmp(name, outputs[i]) != 0) continue;
		const float *const rows = nn_exec_output(v->text, name, extents);
		return copy_rows(rows, extents[0], extents[1], values, rank, dims, err);
	}
	if (!v->debug) return sn_fail(err, SN_E_NOT_FOUND, "a fused plan does not keep the tensor '%s'", name);
	return nn_exec_tensor(v->text, name, values, rank, dims, err);
}
