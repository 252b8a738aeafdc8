#include "models/tacotron2_internal.h"
#include "models/tacotron2_synth.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEPS_A_CALL 4        /* decoder steps of one next */
#define FIRST_FRAMES 12       /* that leave at once for an early first sound; */
#define LATER_FRAMES 48       /* later more, since each run of the postnet computes its reach anew */
#define SECONDS_A_SYMBOL 0.4  /* an utterance is at most so long: slower than any speaker, */
#define SECONDS_BESIDE 4.0    /* and this for pauses */
#define RETRY_SEED 0x9E3779B97F4A7C15ull

typedef struct step_inputs {
	float *frame, *keep[TACO_MAX_LAYERS], *context, *query, *query_cell, *hidden, *cell, *location, *processed, *memory;
	float *rest_alignment, *rest_query; /* of a second graph */
} step_inputs;

struct taco_stream {
	taco_model *m;
	nn_exec *step, *rest;          /* rest: NULL where a step is one graph */
	step_inputs in;
	sn_tacotron2_probe probe;
	uint64_t seed;
	int dropout, forced;
	int count, most_frames;        /* symbols; frames that may be made */
	int by_text;                   /* 1: they are bounded by the text's length, else by the checkpoint's own maximum */
	int steps, ended, made, out;   /* steps made; 1: no more to come; frames before the postnet; frames that have left */
	int retries;
	taco_trouble trouble;          /* that was let pass, or, */
	int lost;                      /* 1: ended the utterance */
	float *before;                 /* [most frames, mels] */
	taco_attend attend;
	float *normal, *weights, *work; /* [symbols], of a split step */
	taco_watch watch;
	char remark[256];
};

static taco_stream *stream_of(const void *held) { return (taco_stream *)held; }

/* ---- streams ---- */

static int64_t most_frames_of(const taco_settings *s) {
	const int64_t steps = SN_TACOTRON2_MAX_FRAMES / s->reduction;
	return (s->max_steps < steps ? s->max_steps : steps) * s->reduction;
}

static void find_inputs(taco_stream *u) {
	nn_exec *const rest = u->rest ? u->rest : u->step;
	step_inputs *const in = &u->in;
	in->frame = nn_exec_input(u->step, "frame");
	in->context = nn_exec_input(u->step, "context");
	in->query = nn_exec_input(u->step, "query");
	in->query_cell = nn_exec_input(u->step, "query_cell");
	in->location = nn_exec_input(u->step, "location");
	in->processed = nn_exec_input(u->step, "processed");
	in->hidden = nn_exec_input(rest, "hidden");
	in->cell = nn_exec_input(rest, "cell");
	in->memory = nn_exec_input(rest, "memory");
	if (u->rest) {
		in->rest_alignment = nn_exec_input(rest, "alignment");
		in->rest_query = nn_exec_input(rest, "query");
	}
	for (int i = 0; i < u->m->settings.prenets; i++) {
		char name[NN_NAME];
		snprintf(name, sizeof name, "keep%d", i);
		in->keep[i] = nn_exec_input(u->step, name);
	}
}

int taco_stream_new(void **out, void *held, char *err) {
	taco_model *const m = held;
	taco_stream *const u = *out = calloc(1, sizeof *u);
	if (!u) return sn_fail(err, SN_E_MEMORY, "out of memory for an utterance");
	u->m = m;
	const size_t rows = SN_TACOTRON2_MAX_FRAMES + (size_t)m->settings.reduction; /* costs what is touched */
	u->before = malloc(rows * (size_t)m->settings.mels * sizeof *u->before);
	u->attend.previous = calloc(4 * SN_TACOTRON2_MAX_IDS, sizeof(float));
	int code = u->before && u->attend.previous ? SN_OK : sn_fail(err, SN_E_MEMORY, "out of memory for an utterance");
	if (code == SN_OK) code = nn_exec_new(&u->step, m->step, m->pool, err);
	if (code == SN_OK && m->rest) code = nn_exec_new(&u->rest, m->rest, m->pool, err);
	if (code != SN_OK) {
		taco_stream_free(out);
		return code;
	}
	u->normal = u->attend.previous + SN_TACOTRON2_MAX_IDS;
	u->weights = u->normal + SN_TACOTRON2_MAX_IDS;
	u->work = u->weights + SN_TACOTRON2_MAX_IDS;
	find_inputs(u);
	return SN_OK;
}

void taco_stream_free(void **held) {
	taco_stream *const u = *held;
	*held = NULL;
	if (!u) return;
	nn_exec_profile(u->step);
	nn_exec_free(&u->step);
	nn_exec_free(&u->rest);
	free(u->before);
	free(u->attend.previous);
	free(u);
}

/* ---- start ---- */

static int check(const taco_model *m, const int32_t *ids, int count, const sn_synth_options *o, char *err) {
	const taco_settings *const s = &m->settings;
	if (count < 1) return sn_fail(err, SN_E_ARGUMENT, "there is nothing to speak");
	if (count > SN_TACOTRON2_MAX_IDS)
		return sn_fail(err, SN_E_LIMIT, "the sentence has %d symbols; at most %d can be spoken at once", count, SN_TACOTRON2_MAX_IDS);
	for (int i = 0; i < count; i++)
		if (ids[i] < 0 || ids[i] >= s->vocab)
			return sn_fail(err, SN_E_ARGUMENT, "symbol %d has id %d; this model knows ids 0 to %lld", i, ids[i], (long long)s->vocab - 1);
	if (o->force_frames < 0 || o->force_frames > SN_TACOTRON2_MAX_FRAMES)
		return sn_fail(err, SN_E_LIMIT, "%d frames cannot be made at once; at most %d can", o->force_frames, SN_TACOTRON2_MAX_FRAMES);
	return SN_OK;
}

/* What stands behind each encoder row: zeros for the style, then the speaker. */
static int set_voice(const taco_model *m, const sn_voice *voice, float *row, char *err) {
	const taco_settings *const s = &m->settings;
	const int speaker = voice ? voice->speaker : 0;
	if (!row) return SN_OK;
	memset(row, 0, (size_t)(s->style + s->vector) * sizeof *row);
	if (s->by_number) {
		char name[2 * SN_WEIGHTS_MAX_NAME];
		if (speaker < 0 || speaker >= s->speakers)
			return sn_fail(err, SN_E_ARGUMENT, "speaker %d does not exist; this model has speakers 0 to %lld", speaker,
			               (long long)s->speakers - 1);
		snprintf(name, sizeof name, "%sspeaker_embedding.weight", s->prefix);
		sn_weight_floats(sn_weights_find(m->file, name), speaker * s->vector, s->vector, row + s->style);
	} else if (s->by_vector) {
		const float *const from = voice && voice->embedding ? voice->embedding : voice ? NULL : m->names.embeddings;
		if (!from)
			return sn_fail(err, SN_E_ARGUMENT, "the model has no voice of its own; it needs an embedding of %lld values",
			               (long long)s->vector);
		if (voice && voice->embedding_count != s->vector)
			return sn_fail(err, SN_E_ARGUMENT, "the voice \"%s\" has an embedding of %d values; this model takes %lld", voice->name,
			               voice->embedding_count, (long long)s->vector);
		memcpy(row + s->style, from, (size_t)s->vector * sizeof *row);
	}
	return SN_OK;
}

static int run_text(taco_stream *u, const int32_t *ids, const sn_voice *voice, char *err) {
	const taco_model *const m = u->m;
	const taco_settings *const s = &m->settings;
	int32_t *const reversed = nn_exec_input_ids(m->text, "reversed"), *const zeros = nn_exec_input_ids(m->text, "zeros");
	const size_t count = (size_t)u->count;
	int code = set_voice(m, voice, nn_exec_input(m->text, "voice"), err);
	if (code != SN_OK) return code;
	nn_exec_set(m->text, "symbols", u->count);
	memcpy(nn_exec_input_ids(m->text, "ids"), ids, count * sizeof *ids);
	for (int i = 0; i < u->count; i++) reversed[i] = u->count - 1 - i;
	if (zeros) memset(zeros, 0, count * sizeof *zeros);
	code = nn_exec_run(m->text, err);
	if (code != SN_OK) return code;
	nn_exec_set(u->step, "symbols", u->count);
	if (u->rest) nn_exec_set(u->rest, "symbols", u->count);
	memcpy(u->in.memory, nn_exec_output(m->text, zeros ? "memory" : "encoder_out", NULL), count * (size_t)s->memory * sizeof(float));
	if (u->in.processed)
		memcpy(u->in.processed, nn_exec_output(m->text, "processed", NULL), count * (size_t)s->attention * sizeof(float));
	return SN_OK;
}

/* The decoder as it is before the first step. */
static void begin(taco_stream *u) {
	const taco_settings *const s = &u->m->settings;
	const step_inputs *const in = &u->in;
	u->steps = u->ended = u->made = u->out = u->lost = 0;
	u->trouble = TACO_FINE;
	memset(in->context, 0, (size_t)s->memory * sizeof(float));
	memset(in->query, 0, (size_t)s->query * sizeof(float));
	memset(in->query_cell, 0, (size_t)s->query * sizeof(float));
	memset(in->hidden, 0, (size_t)s->decoder * sizeof(float));
	memset(in->cell, 0, (size_t)s->decoder * sizeof(float));
	if (in->location) memset(in->location, 0, 2 * (size_t)u->count * sizeof(float));
	if (s->attention_kind == TACO_DYNAMIC) in->location[0] = 1;
	taco_attend_begin(&u->attend, u->count);
	taco_watch_begin(&u->watch, u->count, (double)s->mel.sample_rate / (double)s->mel.hop / (double)s->reduction);
}

static void set_lengths(taco_stream *u) {
	const taco_settings *const s = &u->m->settings;
	const double seconds = u->count * SECONDS_A_SYMBOL + SECONDS_BESIDE, frames = seconds * s->mel.sample_rate / s->mel.hop;
	u->most_frames = (int)most_frames_of(s);
	u->by_text = !u->forced && !u->probe.unwatched && frames < u->most_frames;
	if (u->by_text) u->most_frames = (int)(frames / (double)s->reduction + 1) * (int)s->reduction;
	if (u->forced) u->most_frames = u->forced;
}

int sn_tacotron2_start(void *held, const int32_t *ids, int count, const sn_synth_options *options,
                       const sn_tacotron2_probe *probe, char *err) {
	static const sn_synth_options plain = { .dropout = -1 };
	const sn_synth_options *const o = options ? options : &plain;
	taco_stream *const u = stream_of(held);
	u->ended = 1;
	u->made = u->out = u->retries = 0;
	u->remark[0] = 0;
	int code = check(u->m, ids, count, o, err);
	if (code != SN_OK) return code;
	u->probe = probe ? *probe : (sn_tacotron2_probe){ 0 };
	u->count = count;
	u->seed = o->seed;
	u->dropout = o->dropout < 0 ? u->m->settings.dropout : o->dropout;
	u->forced = o->force_frames;
	set_lengths(u);
	code = run_text(u, ids, o->voice, err);
	if (code == SN_OK) begin(u);
	return code;
}

/* ---- a step ---- */

/* 64 draws for units of the prenet: a pure function of its arguments, so that neither threads nor other streams change them (the
 * finaliser of SplitMix64, Steele et al. 2014). */
static uint64_t draws(uint64_t seed, uint64_t index) {
	uint64_t x = seed + (index + 1) * 0x9E3779B97F4A7C15ull;
	x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
	x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
	return x ^ (x >> 31);
}

/* Half of the units are dropped, the others doubled. */
static void fill_masks(taco_stream *u) {
	const taco_settings *const s = &u->m->settings;
	int64_t all = 0, first = 0;
	for (int i = 0; i < s->prenets; i++) all += s->prenet[i];
	const float *const given = u->probe.keep && u->steps < u->probe.keep_steps ? u->probe.keep + u->steps * all : NULL;
	const uint64_t words = (uint64_t)(all / 64 + TACO_MAX_LAYERS);
	for (int i = 0; i < s->prenets; first += s->prenet[i++]) {
		uint64_t bits = 0;
		for (int64_t k = 0; k < s->prenet[i]; k++) {
			if (k % 64 == 0) bits = draws(u->seed, (uint64_t)u->steps * words + (uint64_t)((first + k) / 64 + i));
			const int keep = given ? given[first + k] != 0 : (int)(bits >> (k % 64) & 1);
			u->in.keep[i][k] = !u->dropout ? 1 : keep ? 2 : 0;
		}
	}
}

static void copy_output(nn_exec *exec, const char *name, float *to, int64_t count) {
	memcpy(to, nn_exec_output(exec, name, NULL), (size_t)count * sizeof *to);
}

/* The frames that the prenet takes: the last that were made, zeros at first. */
static void fill_frame(taco_stream *u) {
	const taco_settings *const s = &u->m->settings;
	const size_t bytes = (size_t)s->frame * sizeof(float);
	if (u->steps) memcpy(u->in.frame, u->before + u->steps * s->reduction * s->mels - s->frame, bytes);
	else memset(u->in.frame, 0, bytes);
}

/* Runs the graphs of a step; gives the attention's weights, *normal those that the location layer sees summed. */
static int run_graphs(taco_stream *u, const float **weights, const float **normal, char *err) {
	const taco_settings *const s = &u->m->settings;
	int code = nn_exec_run(u->step, err);
	if (code != SN_OK) return code;
	if (!u->rest) {
		*weights = *normal = nn_exec_output(u->step, "alignment", NULL);
		return SN_OK;
	}
	copy_output(u->step, "energies", u->work, u->count);
	taco_attend_run(&u->attend, s, u->work, u->count, u->normal, u->weights);
	memcpy(u->in.rest_alignment, u->weights, (size_t)u->count * sizeof(float));
	copy_output(u->step, "next_query", u->in.rest_query, s->query);
	code = nn_exec_run(u->rest, err);
	if (code != SN_OK) return code;
	if (s->forward && s->agent) u->attend.move = 1 / (1 + expf(-*nn_exec_output(u->rest, "move", NULL)));
	*normal = u->normal;
	*weights = u->weights;
	return SN_OK;
}

/* States for the next step, and the attention's weights. */
static int run_step(taco_stream *u, const float **weights, char *err) {
	const taco_settings *const s = &u->m->settings;
	nn_exec *const rest = u->rest ? u->rest : u->step;
	const step_inputs *const in = &u->in;
	const float *normal;
	fill_frame(u);
	fill_masks(u);
	const int code = run_graphs(u, weights, &normal, err);
	if (code != SN_OK) return code;
	copy_output(u->step, "next_query", in->query, s->query);
	copy_output(u->step, "next_query_cell", in->query_cell, s->query);
	copy_output(rest, "next_context", in->context, s->memory);
	copy_output(rest, "next_hidden", in->hidden, s->decoder);
	copy_output(rest, "next_cell", in->cell, s->decoder);
	for (int i = 0; in->location && i < u->count; i++) {
		in->location[2 * i] = (*weights)[i];
		in->location[2 * i + 1] += normal[i];
	}
	return SN_OK;
}

/* ---- the end, and what may go wrong ---- */

static const char *trouble_text(taco_trouble trouble) {
	return trouble == TACO_STILL ? "stood still" : trouble == TACO_BACK ? "went back and repeats" : "skipped a part";
}

static void say(taco_stream *u, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(taco_stream *u, const char *format, ...) {
	const size_t used = strlen(u->remark);
	va_list args;
	va_start(args, format);
	if (used) snprintf(u->remark + used, sizeof u->remark - used, "; ");
	vsnprintf(u->remark + strlen(u->remark), sizeof u->remark - strlen(u->remark), format, args);
	va_end(args);
}

static void end(taco_stream *u, const char *cut) {
	u->ended = 1;
	if (u->made > u->most_frames) u->made = u->most_frames;
	if (u->retries) say(u, "spoken again with another seed");
	if (u->lost)
		say(u, "the attention %s near symbol %d of %d: the rest is not spoken", trouble_text(u->trouble), u->watch.anchor, u->count);
	else if (u->trouble != TACO_FINE) say(u, "the attention %s", trouble_text(u->trouble));
	if (cut) say(u, "cut at %d frames, %s: the voice did not stop by itself", u->made, cut);
	if (!u->forced && taco_watch_flat(&u->watch)) say(u, "the attention never settled on the text");
}

/* Speaks again with another seed while nobody has heard anything; dropout is all that a seed changes. An attention that has read
 * until now and is lost ends the utterance; one that never read, of untrained weights, is only remarked on. */
static void recover(taco_stream *u, taco_trouble trouble) {
	const int again = u->out == 0 && u->dropout && !u->probe.keep;
	if (again && u->retries < SN_TACOTRON2_RETRIES) {
		u->retries++;
		u->seed += RETRY_SEED;
		begin(u);
		return;
	}
	u->trouble = trouble;
	if (!taco_watch_reads(&u->watch)) return;
	u->lost = 1;
	u->made = u->out;
	end(u, NULL);
}

static void judge(taco_stream *u, float stop, const float *alignment) {
	const taco_settings *const s = &u->m->settings;
	const int stops = 1 / (1 + expf(-stop)) > (float)s->threshold && u->steps > s->first_stop;
	if (u->forced) {
		if (u->made >= u->forced) end(u, NULL);
		return;
	}
	if (stops) end(u, NULL);
	else if (u->made >= u->most_frames) end(u, u->by_text ? "the most for so short a text" : "the most of this model");
	if (u->ended || u->probe.unwatched) return;
	const taco_trouble trouble = taco_watch_step(&u->watch, alignment);
	if (trouble == TACO_END) end(u, "at the text's end");
	else if (trouble != TACO_FINE) recover(u, trouble);
}

static int make_step(taco_stream *u, char *err) {
	const taco_settings *const s = &u->m->settings;
	const float *alignment;
	const int code = run_step(u, &alignment, err);
	if (code != SN_OK) {
		u->ended = 1;
		u->made = u->out; /* what did not leave is lost */
		return code;
	}
	nn_exec *const rest = u->rest ? u->rest : u->step;
	const float *const mel = nn_exec_output(rest, "mel", NULL), stop = *nn_exec_output(rest, "stop", NULL);
	const int64_t values = s->reduction * s->mels;
	float sum = stop - stop; /* NaN when any is not finite */
	for (int64_t i = 0; i < values; i++) sum += mel[i] - mel[i];
	if (sum != 0) {
		u->ended = 1;
		u->made = u->out;
		return sn_fail(err, SN_E_MODEL, "frame %lld is not a number: are the weights sound?", (long long)(u->steps * s->reduction));
	}
	memcpy(u->before + u->steps * values, mel, (size_t)values * sizeof *mel);
	u->steps++;
	u->made = u->steps * (int)s->reduction;
	if (u->probe.observe) u->probe.observe(u->probe.payload, stop, alignment, u->count);
	judge(u, stop, alignment);
	return SN_OK;
}

/* ---- finished frames ---- */

/* Frames out .. out + count - 1, with their reach on both sides as far as there are rows. */
static int run_postnet(taco_stream *u, int count, float *out, char *err) {
	nn_exec *const postnet = u->m->postnet;
	const int reach = taco_reach(&u->m->settings), end = u->out + count;
	const size_t mels = (size_t)u->m->settings.mels;
	const int first = u->out > reach ? u->out - reach : 0, last = end + reach < u->made ? end + reach : u->made;
	nn_exec_set(postnet, "rows", last - first);
	memcpy(nn_exec_input(postnet, "x"), u->before + (size_t)first * mels, (size_t)(last - first) * mels * sizeof *out);
	const int code = nn_exec_run(postnet, err);
	if (code != SN_OK) return code;
	memcpy(out, nn_exec_output(postnet, "y", NULL) + (size_t)(u->out - first) * mels, (size_t)count * mels * sizeof *out);
	u->out += count;
	return SN_OK;
}

int taco_next(void *held, int most, float *out, int *frames, int *extra, char *err) {
	taco_stream *const u = stream_of(held);
	const int reach = taco_reach(&u->m->settings), wanted = u->out ? LATER_FRAMES : FIRST_FRAMES;
	const int enough = most < wanted ? most : wanted;
	const int64_t mels = u->m->settings.mels;
	*frames = *extra = 0;
	for (int i = 0; i < STEPS_A_CALL && !u->ended && u->made - reach - u->out < enough; i++) {
		const int code = make_step(u, err);
		if (code != SN_OK) return code;
	}
	const int ready = (u->ended ? u->made : u->made - reach) - u->out;
	if (ready < enough && !u->ended) return SN_OK;
	while (*frames < most && *frames < ready) {
		int rows = ready < most ? ready - *frames : most - *frames;
		if (rows > TACO_POSTNET_ROWS) rows = TACO_POSTNET_ROWS;
		const int code = run_postnet(u, rows, out + *frames * mels, err);
		if (code != SN_OK) return code;
		*frames += rows;
	}
	return u->ended && u->out == u->made ? SN_END : SN_OK;
}

const char *taco_remark(const void *held) { return *stream_of(held)->remark ? stream_of(held)->remark : NULL; }

/* ---- looking in ---- */

int sn_tacotron2_tensor(const void *held, const char *name, float **values, int *rank, int64_t *dims, char *err) {
	const taco_stream *const u = stream_of(held);
	const size_t count = (size_t)u->made * (size_t)u->m->settings.mels;
	if (strcmp(name, "before_postnet") != 0) {
		int code = nn_exec_tensor(u->step, name, values, rank, dims, err);
		if (code == SN_E_NOT_FOUND && u->rest) code = nn_exec_tensor(u->rest, name, values, rank, dims, err);
		return code == SN_E_NOT_FOUND ? nn_exec_tensor(u->m->text, name, values, rank, dims, err) : code;
	}
	*values = malloc(count * sizeof **values + 1);
	if (!*values) return sn_fail(err, SN_E_MEMORY, "out of memory for a copy of tensor '%s'", name);
	memcpy(*values, u->before, count * sizeof **values);
	*rank = 2;
	dims[0] = u->made;
	dims[1] = u->m->settings.mels;
	return SN_OK;
}
