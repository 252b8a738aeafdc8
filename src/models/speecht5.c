#include "models/speecht5_internal.h"

#include "base/hash.h"
#include "base/log.h"
#include "nn/cpu/kernels.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PACK_VERSION 1      /* raised when the recorded graphs change what is packed */
#define STEPS_A_CALL 4      /* decoder steps of one sn_speecht5_next */
#define FIRST_FRAMES 8      /* that leave at once for an early first sound; */
#define LATER_FRAMES 32     /* later more, since each run of the postnet computes its reach anew */
#define STILL_SECONDS 3     /* of attention or output that does not move: longer than any pause or vowel */
#define STILL_SYMBOLS 1.f   /* how far a head's mean position may wander while it counts as still */
#define STILL_LEVEL 1e-4f   /* and how far each value of a frame */

struct sn_speecht5 {
	speecht5_settings settings;
	sn_weights *weights;
	nn_pack *pack;
	nn_pool *pool;
	nn_plan *text, *step, *postnet;
	int debug;
};

/* What shows that an utterance stands still. */
typedef struct watch {
	int limit;                 /* steps */
	int attention, output;     /* steps without movement so far */
	float *anchors;            /* [layers * heads] mean positions of attention when one last moved */
} watch;

struct sn_speecht5_stream {
	sn_speecht5 *model;
	nn_exec *text, *step, *postnet;
	struct { float *frame, *keep[8], *position_row, *speaker; int32_t *slot, *place, *table, *cross_place, *cross_table; } in;
	sn_speecht5_options options;
	float *speaker;            /* [speaker width], of length 1 */
	int count;                 /* ids */
	int least_steps, most_steps, most_frames;
	int steps, ended;          /* steps made; 1: no more to come */
	int made, out;             /* frames before the postnet; frames that have left */
	float *before;             /* [most frames, mels] */
	watch watch;
	char remark[160];
};

sn_speecht5_options sn_speecht5_defaults(void) {
	return (sn_speecht5_options){ .dropout = 1, .threshold = 0.5, .least = 0, .most = 20, .watch = 1 };
}

/* ---- loading ---- */

typedef struct part {
	const char *name;
	void (*record)(speecht5_recorder *r);
	nn_plan **plan;
} part;

static int load_part(sn_speecht5 *m, const sn_load_options *load, const part *p, char *err) {
	speecht5_recorder r = { .g = nn_graph_new(p->name), .s = &m->settings, .w = m->weights, .debug = load->debug };
	if (!r.g) return sn_fail(err, SN_E_MEMORY, "out of memory while reading %s", load->dir);
	const nn_plan_options options = { .backend = load->backend, .exports = load->exports, .dtype = load->dtype, .debug = load->debug, .pack = m->pack };
	p->record(&r);
	const int code = nn_plan_compile(p->plan, r.g, &options, err);
	nn_graph_free(&r.g);
	return code;
}

static int load_all(sn_speecht5 *m, const sn_load_options *load, char *err) {
	const part parts[] = { { "speecht5.text", speecht5_record_text, &m->text }, { "speecht5.step", speecht5_record_step, &m->step },
	                       { "speecht5.postnet", speecht5_record_postnet, &m->postnet } };
	const int facts[] = { PACK_VERSION, load->dtype, load->debug };
	int code = speecht5_settings_read(&m->settings, load->dir, err);
	if (code == SN_OK) code = sn_weights_open(&m->weights, load->dir, err);
	if (code == SN_OK) code = speecht5_settings_bind(&m->settings, m->weights, err);
	if (code != SN_OK) return code;
	const uint64_t key = sn_hash_text(sn_hash(sn_weights_key(m->weights), facts, sizeof facts), nn_kernels_best()->name);
	code = nn_pack_open(&m->pack, load->pack_path, key, err);
	for (size_t i = 0; code == SN_OK && i < sizeof parts / sizeof *parts; i++) code = load_part(m, load, parts + i, err);
	char note[SN_ERRLEN] = "";
	if (code == SN_OK && load->pack_path && nn_pack_save(m->pack, note) != SN_OK)
		sn_log(SN_LOG_WARN, "packed weights of %s were not kept: %s", load->dir, note);
	return code;
}

int sn_speecht5_open(sn_speecht5 **out, const sn_load_options *load, char *err) {
	sn_speecht5 *m = *out = calloc(1, sizeof *m);
	if (!m) return sn_fail(err, SN_E_MEMORY, "out of memory while reading %s", load->dir);
	m->pool = load->pool;
	m->debug = load->debug;
	const int code = load_all(m, load, err);
	if (code != SN_OK) sn_speecht5_close(out);
	return code;
}

void sn_speecht5_close(sn_speecht5 **model) {
	sn_speecht5 *const m = *model;
	if (!m) return;
	nn_plan_release(&m->text);
	nn_plan_release(&m->step);
	nn_plan_release(&m->postnet);
	nn_pack_close(&m->pack);
	sn_weights_close(&m->weights);
	free(m);
	*model = NULL;
}

const sn_speecht5_config *sn_speecht5_get_config(const sn_speecht5 *model) { return &model->settings.public; }

int64_t sn_speecht5_parameters(const sn_speecht5 *model) {
	int64_t sum = 0;
	for (size_t i = 0; i < sn_weights_count(model->weights); i++) {
		const sn_weight *const t = sn_weights_at(model->weights, i);
		sum += (int64_t)(t->bytes / sn_dtype_size(t->dtype));
	}
	return sum;
}

/* ---- streams ---- */

static void find_inputs(sn_speecht5_stream *s) {
	s->in.frame = nn_exec_input(s->step, "frame");
	s->in.position_row = nn_exec_input(s->step, "position_row");
	s->in.speaker = nn_exec_input(s->step, "speaker");
	s->in.slot = nn_exec_input_ids(s->step, "slot");
	s->in.place = nn_exec_input_ids(s->step, "place");
	s->in.table = nn_exec_input_ids(s->step, "table");
	s->in.cross_place = nn_exec_input_ids(s->step, "cross_place");
	s->in.cross_table = nn_exec_input_ids(s->step, "cross_table");
	for (int i = 0; i < s->model->settings.public.prenet_layers; i++) {
		char name[NN_NAME];
		snprintf(name, sizeof name, "keep%d", i);
		s->in.keep[i] = nn_exec_input(s->step, name);
	}
}

int sn_speecht5_stream_new(sn_speecht5_stream **out, sn_speecht5 *m, char *err) {
	const sn_speecht5_config *const c = &m->settings.public;
	sn_speecht5_stream *const s = *out = calloc(1, sizeof *s);
	if (!s) return sn_fail(err, SN_E_MEMORY, "out of memory for an utterance");
	s->model = m;
	s->before = malloc((size_t)c->max_steps * (size_t)c->reduction * (size_t)c->mels * sizeof *s->before); /* costs what is touched */
	s->speaker = calloc((size_t)c->speaker_width, sizeof *s->speaker);
	s->watch.anchors = calloc((size_t)c->decoder_layers * (size_t)c->decoder_heads, sizeof *s->watch.anchors);
	int code = s->before && s->speaker && s->watch.anchors ? SN_OK : sn_fail(err, SN_E_MEMORY, "out of memory for an utterance");
	if (code == SN_OK) code = nn_exec_new(&s->text, m->text, m->pool, err);
	if (code == SN_OK) code = nn_exec_new(&s->step, m->step, m->pool, err);
	if (code == SN_OK) code = nn_exec_new(&s->postnet, m->postnet, m->pool, err);
	if (code == SN_OK) code = nn_exec_share(s->step, s->text, err);
	if (code == SN_OK) find_inputs(s);
	else sn_speecht5_stream_free(out);
	return code;
}

void sn_speecht5_stream_free(sn_speecht5_stream **stream) {
	sn_speecht5_stream *const s = *stream;
	if (!s) return;
	nn_exec_profile(s->step);
	nn_exec_free(&s->step); /* first: it uses the encoder's states */
	nn_exec_free(&s->text);
	nn_exec_free(&s->postnet);
	free(s->before);
	free(s->speaker);
	free(s->watch.anchors);
	free(s);
	*stream = NULL;
}

/* ---- start ---- */

static int check(const sn_speecht5 *m, const int32_t *ids, int count, const sn_speecht5_options *o, char *err) {
	const sn_speecht5_config *const c = &m->settings.public;
	if (count < 1) return sn_fail(err, SN_E_ARGUMENT, "there is nothing to speak");
	if (count > c->max_text)
		return sn_fail(err, SN_E_LIMIT, "the sentence has %d symbols; at most %d can be spoken at once", count, c->max_text);
	for (int i = 0; i < count; i++) {
		if (ids[i] < 0 || ids[i] >= c->vocab)
			return sn_fail(err, SN_E_ARGUMENT, "symbol %d has id %d; this voice knows ids 0 to %d", i, ids[i], c->vocab - 1);
		if (ids[i] == m->settings.pad)
			return sn_fail(err, SN_E_ARGUMENT, "symbol %d is padding (id %d), which cannot be spoken", i, ids[i]);
	}
	for (int i = 0; i < c->speaker_width; i++)
		if (!isfinite(o->speaker[i])) return sn_fail(err, SN_E_ARGUMENT, "value %d of the speaker's embedding is not a number", i);
	if (!(o->threshold >= 0) || !(o->least >= 0) || !(o->most >= 0 && o->most <= 1e6) || !(o->least <= 1e6))
		return sn_fail(err, SN_E_ARGUMENT, "threshold %g, least %g or most %g frames a symbol are out of range; 0 to 1e6 are right",
		               o->threshold, o->least, o->most);
	if (o->force_frames < 0 || o->force_frames > c->max_steps * c->reduction)
		return sn_fail(err, SN_E_LIMIT, "%d frames cannot be made at once; at most %d can", o->force_frames, c->max_steps * c->reduction);
	return SN_OK;
}

/* The encoder, whose keys and values for the decoder stay in the shared states. */
static int run_text(sn_speecht5_stream *s, const int32_t *ids, char *err) {
	const speecht5_settings *const c = &s->model->settings;
	int32_t *const slot = nn_exec_input_ids(s->text, "slot"), *const place = nn_exec_input_ids(s->text, "place");
	float *const positions = nn_exec_input(s->text, "positions");
	nn_exec_set(s->text, "tokens", s->count);
	memcpy(nn_exec_input_ids(s->text, "ids"), ids, (size_t)s->count * sizeof *ids);
	for (int i = 0; i < s->count; i++) {
		slot[i] = 0;
		place[i] = i;
		speecht5_position(i, c->encoder_alpha, c->width, positions + (int64_t)i * c->width);
	}
	return nn_exec_run(s->text, err);
}

/* torch's normalize: x / max(|x|, 1e-12) */
static void set_speaker(sn_speecht5_stream *s, const float *speaker) {
	const int width = s->model->settings.public.speaker_width;
	double sum = 0;
	for (int i = 0; i < width; i++) sum += (double)speaker[i] * speaker[i];
	const float length = fmaxf((float)sqrt(sum), 1e-12f);
	for (int i = 0; i < width; i++) s->speaker[i] = speaker[i] / length;
}

static int64_t steps_of(double frames_a_symbol, int symbols, int reduction) {
	return (int64_t)(symbols * frames_a_symbol / reduction); /* rounded as in the reference */
}

static void set_lengths(sn_speecht5_stream *s) {
	const sn_speecht5_config *const c = &s->model->settings.public;
	const sn_speecht5_options *const o = &s->options;
	const int64_t least = steps_of(o->least, s->count, c->reduction), most = steps_of(o->most, s->count, c->reduction);
	s->most_steps = most < 1 ? 1 : most > c->max_steps ? c->max_steps : (int)most;
	s->least_steps = least > c->max_steps ? c->max_steps : (int)least; /* more than the most: the reference goes on to the least */
	if (s->most_steps < s->least_steps) s->most_steps = s->least_steps;
	if (o->force_frames) s->most_steps = s->least_steps = (o->force_frames + c->reduction - 1) / c->reduction;
	s->most_frames = o->force_frames ? o->force_frames : s->most_steps * c->reduction;
	s->watch.limit = (int)(STILL_SECONDS * (double)c->mel.sample_rate / ((double)c->hop * c->reduction)) + 1;
}

int sn_speecht5_start(sn_speecht5_stream *s, const int32_t *ids, int count, const sn_speecht5_options *options, char *err) {
	const sn_speecht5_config *const c = &s->model->settings.public;
	s->steps = s->made = s->out = s->watch.attention = s->watch.output = 0;
	s->ended = 1;
	s->remark[0] = 0;
	int code = check(s->model, ids, count, options, err);
	if (code != SN_OK) return code;
	s->options = *options;
	s->options.speaker = NULL; /* copied */
	s->count = count;
	memset(s->watch.anchors, 0, (size_t)c->decoder_layers * (size_t)c->decoder_heads * sizeof *s->watch.anchors);
	set_speaker(s, options->speaker);
	set_lengths(s);
	code = run_text(s, ids, err);
	s->ended = code != SN_OK;
	return code;
}

/* ---- steps ---- */

/* The finaliser of SplitMix64 (Steele et al. 2014). */
static uint64_t mix(uint64_t x) {
	x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
	x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
	return x ^ (x >> 31);
}

/* Whether a unit is kept: a pure function of its arguments, so that neither threads nor other streams change it. Seeds are mixed
 * first: sentences have seeds in even steps, which would draw the same numbers shifted. */
static int kept(const sn_speecht5_options *o, int64_t index, int step, double keep) {
	if (o->keep && step < o->keep_steps) return o->keep[index] != 0;
	return (double)(mix(mix(o->seed) + ((uint64_t)index + 1) * 0x9E3779B97F4A7C15ull) >> 11) * 0x1p-53 < keep;
}

/* The reference draws units to KEEP with the probability that the configuration calls dropout, and divides by one less it. */
static void fill_masks(sn_speecht5_stream *s) {
	const speecht5_settings *const c = &s->model->settings;
	const sn_speecht5_options *const o = &s->options;
	const int layers = c->public.prenet_layers, units = c->public.prenet_units;
	const float scale = (float)(1 / (1 - c->dropout));
	for (int layer = 0; layer < layers; layer++) {
		const int64_t first = ((int64_t)s->steps * layers + layer) * units;
		for (int u = 0; u < units; u++)
			s->in.keep[layer][u] = !o->dropout ? 1 : kept(o, first + u, s->steps, c->dropout) ? scale : 0;
	}
}

static int run_step(sn_speecht5_stream *s, char *err) {
	const speecht5_settings *const c = &s->model->settings;
	const size_t mels = (size_t)c->public.mels;
	if (s->made) memcpy(s->in.frame, s->before + ((size_t)s->steps * (size_t)c->public.reduction - 1) * mels, mels * sizeof *s->before);
	else memset(s->in.frame, 0, mels * sizeof *s->before);
	fill_masks(s);
	speecht5_position(s->steps, c->decoder_alpha, c->width, s->in.position_row);
	memcpy(s->in.speaker, s->speaker, (size_t)c->public.speaker_width * sizeof *s->speaker);
	*s->in.slot = 0;
	*s->in.place = s->steps;
	*s->in.cross_place = s->count - 1;
	memset(s->in.table, 0, ((size_t)s->steps + 1) * sizeof *s->in.table);
	memset(s->in.cross_table, 0, (size_t)s->count * sizeof *s->in.cross_table);
	return nn_exec_run(s->step, err);
}

/* Steps since the mean position of any attention head last moved. */
static void watch_attention(sn_speecht5_stream *s) {
	const sn_speecht5_config *const c = &s->model->settings.public;
	int moved = 0;
	for (int layer = 0; layer < c->decoder_layers; layer++) {
		char name[NN_NAME];
		snprintf(name, sizeof name, "cross%d", layer);
		const float *const probs = nn_exec_output(s->step, name, NULL);
		for (int head = 0; head < c->decoder_heads; head++) {
			float mean = 0;
			for (int i = 0; i < s->count; i++) mean += (float)i * probs[head * c->max_text + i];
			float *const anchor = s->watch.anchors + layer * c->decoder_heads + head;
			if (!(fabsf(mean - *anchor) > STILL_SYMBOLS)) continue;
			*anchor = mean;
			moved = 1;
		}
	}
	s->watch.attention = moved ? 0 : s->watch.attention + 1;
}

static void watch_output(sn_speecht5_stream *s, const float *mel) {
	const sn_speecht5_config *const c = &s->model->settings.public;
	const float *const row = mel + (int64_t)(c->reduction - 1) * c->mels;
	float most = 0;
	for (int i = 0; i < c->mels; i++) most = fmaxf(most, fabsf(row[i] - s->in.frame[i]));
	s->watch.output = most > STILL_LEVEL ? 0 : s->watch.output + 1;
}

/* Whether the utterance ends with the step that was just made. */
static int ends(sn_speecht5_stream *s, const float *stop) {
	const sn_speecht5_config *const c = &s->model->settings.public;
	const sn_speecht5_options *const o = &s->options;
	float sum = 0;
	for (int i = 0; i < c->reduction; i++) sum += stop[i];
	if (s->steps >= s->most_steps) {
		if (!o->force_frames && !(sum >= (float)o->threshold))
			snprintf(s->remark, sizeof s->remark, "cut at %d frames, the most for %d symbols: the voice did not stop by itself",
			         s->most_frames, s->count);
		return 1;
	}
	if (s->steps < s->least_steps) return 0;
	if (sum >= (float)o->threshold) return 1;
	if (!o->watch || o->force_frames || (s->watch.attention < s->watch.limit && s->watch.output < s->watch.limit)) return 0;
	snprintf(s->remark, sizeof s->remark, "cut at %d frames: the voice stood still for %d s", s->steps * c->reduction, STILL_SECONDS);
	return 1;
}

static int make_step(sn_speecht5_stream *s, char *err) {
	const sn_speecht5_config *const c = &s->model->settings.public;
	const int values = c->reduction * c->mels;
	const int code = run_step(s, err);
	if (code != SN_OK) return code;
	const float *const mel = nn_exec_output(s->step, "mel", NULL), *const stop = nn_exec_output(s->step, "stop", NULL);
	float *const rows = s->before + (int64_t)s->steps * values;
	float sum = 0;
	for (int i = 0; i < values; i++) sum += mel[i] - mel[i]; /* NaN when any is not finite */
	for (int i = 0; i < c->reduction; i++) sum += stop[i] - stop[i];
	if (sum != 0) return sn_fail(err, SN_E_MODEL, "frame %d is not a number: are the weights sound?", s->steps * c->reduction);
	memcpy(rows, mel, (size_t)values * sizeof *rows);
	if (s->options.watch) {
		watch_attention(s);
		watch_output(s, mel);
	}
	s->steps++;
	s->ended = ends(s, stop);
	s->made = s->steps * c->reduction;
	if (s->made > s->most_frames) s->made = s->most_frames;
	if (s->options.observe) s->options.observe(s->options.payload, s);
	return SN_OK;
}

/* ---- finished frames ---- */

/* Frames s->out .. s->out + count - 1, with their reach on both sides as far as there are rows. */
static int run_postnet(sn_speecht5_stream *s, int count, float *out, char *err) {
	const int reach = speecht5_reach(&s->model->settings);
	const size_t mels = (size_t)s->model->settings.public.mels;
	const int first = s->out > reach ? s->out - reach : 0, end = s->out + count, last = end + reach < s->made ? end + reach : s->made;
	nn_exec_set(s->postnet, "rows", last - first);
	memcpy(nn_exec_input(s->postnet, "x"), s->before + (size_t)first * mels, (size_t)(last - first) * mels * sizeof *out);
	const int code = nn_exec_run(s->postnet, err);
	if (code != SN_OK) return code;
	memcpy(out, nn_exec_output(s->postnet, "y", NULL) + (size_t)(s->out - first) * mels, (size_t)count * mels * sizeof *out);
	s->out += count;
	return SN_OK;
}

int sn_speecht5_next(sn_speecht5_stream *s, int most, float *out, int *frames, char *err) {
	const int reach = speecht5_reach(&s->model->settings), mels = s->model->settings.public.mels;
	const int wanted = s->out ? LATER_FRAMES : FIRST_FRAMES, enough = most < wanted ? most : wanted;
	*frames = 0;
	for (int i = 0; i < STEPS_A_CALL && !s->ended && s->made - reach - s->out < enough; i++) {
		const int code = make_step(s, err);
		if (code == SN_OK) continue;
		s->ended = 1;
		s->made = s->out; /* what did not leave is lost */
		return code;
	}
	const int ready = (s->ended ? s->made : s->made - reach) - s->out;
	if (ready < enough && !s->ended) return SN_OK;
	while (*frames < most && *frames < ready) {
		int rows = ready < most ? ready - *frames : most - *frames;
		if (rows > SPEECHT5_POSTNET_ROWS) rows = SPEECHT5_POSTNET_ROWS;
		const int code = run_postnet(s, rows, out + (int64_t)*frames * mels, err);
		if (code != SN_OK) return code;
		*frames += rows;
	}
	return s->ended && s->out == s->made ? SN_END : SN_OK;
}

const char *sn_speecht5_remark(const sn_speecht5_stream *stream) { return *stream->remark ? stream->remark : NULL; }

int sn_speecht5_tensor(sn_speecht5_stream *s, const char *name, float **values, int *rank, int64_t *dims, char *err) {
	const size_t mels = (size_t)s->model->settings.public.mels;
	const int output = strcmp(name, "encoder_out") == 0 || strcmp(name, "stop") == 0 || strncmp(name, "cross", 5) == 0;
	if (strcmp(name, "before_postnet") != 0) {
		if (!output && !s->model->debug) return sn_fail(err, SN_E_NOT_FOUND, "a fused plan does not keep the tensor '%s'", name);
		const int code = nn_exec_tensor(s->step, name, values, rank, dims, err);
		return code == SN_E_NOT_FOUND ? nn_exec_tensor(s->text, name, values, rank, dims, err) : code;
	}
	*values = malloc((size_t)s->made * mels * sizeof **values + 1);
	if (!*values) return sn_fail(err, SN_E_MEMORY, "out of memory for a copy of tensor '%s'", name);
	memcpy(*values, s->before, (size_t)s->made * mels * sizeof **values);
	*rank = 2;
	dims[0] = s->made;
	dims[1] = (int64_t)mels;
	return SN_OK;
}
