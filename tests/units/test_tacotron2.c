/* Speaking with small Tacotron 2 checkpoints: what must not depend on chunks, threads or other utterances, what the watch over the
 * attention sees, and what damaged checkpoints get. test_tacotron2 FOLDER: it holds tacotron2-nvidia and tacotron2-coqui. */
#include "base/json.h"
#include "models/tacotron2_internal.h"

#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <setjmp.h>
#include <cmocka.h>

static const char *fixtures;
static const sn_synth_class *const class = &sn_synth_tacotron2;
static const int32_t ids[] = { 19, 42, 49, 49, 52, 11, 4, 62, 52, 58, 5, 6, 11, 60, 45, 38, 57, 11, 46, 56, 11, 57, 45, 46, 56, 10 };
#define COUNT ((int)(sizeof ids / sizeof *ids))

typedef struct voice {
	nn_pool *pool;
	void *model, *stream;
	int mels;
} voice;

static int open_path(voice *v, const char *path, int threads, char *err) {
	*v = (voice){ 0 };
	assert_int_equal(nn_pool_open(&v->pool, threads, err), SN_OK);
	const sn_load_options load = { .dir = path, .dtype = NN_DTYPE_F32, .pool = v->pool };
	const int code = class->open(&v->model, &load, err);
	if (code != SN_OK) return code;
	v->mels = class->facts(v->model)->width;
	return class->stream_new(&v->stream, v->model, err);
}

static void close_voice(voice *v) {
	if (v->stream) class->stream_free(&v->stream);
	if (v->model) class->close(&v->model);
	nn_pool_close(&v->pool);
}

static voice fixture(const char *name, int threads) {
	char path[PATH_MAX], err[SN_ERRLEN] = "";
	voice v;
	snprintf(path, sizeof path, "%s/%s", fixtures, name);
	assert_int_equal(open_path(&v, path, threads, err), SN_OK);
	return v;
}

/* Draws what was started; returns the code that ended it. */
static int draw(voice *v, void *stream, int chunk, float *mel, int *frames, char *err) {
	int code, got, extra;
	*frames = 0;
	do {
		code = class->next(stream, chunk, mel + *frames * v->mels, &got, &extra, err);
		assert_in_range(got, 0, chunk);
		assert_int_equal(extra, 0);
		*frames += got;
	} while (code == SN_OK);
	return code;
}

static float *room(const voice *v) {
	float *const mel = malloc((size_t)(SN_TACOTRON2_MAX_FRAMES + 256) * (size_t)v->mels * sizeof *mel);
	assert_non_null(mel);
	return mel;
}

/* free() the frames. */
static float *speak(voice *v, const sn_synth_options *o, int chunk, int *frames) {
	char err[SN_ERRLEN] = "";
	float *const mel = room(v);
	assert_int_equal(class->start(v->stream, ids, COUNT, o, err), SN_OK);
	assert_int_equal(draw(v, v->stream, chunk, mel, frames, err), SN_END);
	return mel;
}

static int same(const voice *v, const float *a, int a_frames, const float *b, int b_frames) {
	return a_frames == b_frames && memcmp(a, b, (size_t)a_frames * (size_t)v->mels * sizeof *a) == 0;
}

static double farthest(const voice *v, const float *a, const float *b, int frames) {
	double most = 0;
	for (int i = 0; i < frames * v->mels; i++) most = fmax(most, fabs((double)a[i] - b[i]));
	return most;
}

/* ---- speaking ---- */

static void chunks_of_any_size_join_without_a_seam(void **state) {
	static const char *const names[] = { "tacotron2-nvidia", "tacotron2-coqui", "tacotron2-coqui-dynamic", "tacotron2-coqui-forward" };
	static const int chunks[] = { 1, 3, 16, 50 };
	static const int32_t few[] = { 3, 9, 4, 12, 7, 5, 8, 2, 10, 6 };
	for (int n = 0; n < 4; n++) {
		voice v = fixture(names[n], 2);
		const sn_synth_options o = { .dropout = 1, .seed = 5, .force_frames = 151 };
		char err[SN_ERRLEN];
		int whole_frames, frames;
		float *const whole = room(&v), *const mel = room(&v);
		assert_int_equal(class->start(v.stream, few, 10, &o, err), SN_OK);
		assert_int_equal(draw(&v, v.stream, 256, whole, &whole_frames, err), SN_END);
		assert_int_equal(whole_frames, 151);
		for (int c = 0; c < 4; c++) {
			assert_int_equal(class->start(v.stream, few, 10, &o, err), SN_OK);
			assert_int_equal(draw(&v, v.stream, chunks[c], mel, &frames, err), SN_END);
			assert_int_equal(frames, 151);
			assert_true(farthest(&v, mel, whole, frames) <= 1e-5);
		}
		free(whole);
		free(mel);
		close_voice(&v);
	}
}

static void the_first_frames_leave_before_the_last_are_made(void **state) {
	voice v = fixture("tacotron2-nvidia", 2);
	const sn_synth_options o = { .dropout = 1, .force_frames = 400 };
	char err[SN_ERRLEN] = "";
	float *const mel = room(&v);
	int calls = 0, frames = 0, extra;
	assert_int_equal(class->start(v.stream, ids, COUNT, &o, err), SN_OK);
	while (!frames && ++calls < 100) assert_int_equal(class->next(v.stream, 256, mel, &frames, &extra, err), SN_OK);
	assert_in_range(frames, 1, 40);
	free(mel);
	close_voice(&v);
}

static void a_seed_tells_what_is_dropped_and_nothing_else_does(void **state) {
	voice v = fixture("tacotron2-nvidia", 1), w = fixture("tacotron2-nvidia", 2);
	const sn_synth_options five = { .dropout = -1, .seed = 5 }, six = { .dropout = -1, .seed = 6 };
	const sn_synth_options still_five = { .dropout = 0, .seed = 5 }, still_six = { .dropout = 0, .seed = 6 };
	int a_frames, b_frames;
	float *a = speak(&v, &five, 256, &a_frames), *b = speak(&v, &six, 256, &b_frames);
	assert_false(same(&v, a, a_frames, b, b_frames));
	free(b);
	b = speak(&v, &five, 256, &b_frames); /* as before, though another utterance was between */
	assert_true(same(&v, a, a_frames, b, b_frames));
	free(b);
	b = speak(&w, &five, 256, &b_frames); /* on two threads */
	assert_true(same(&v, a, a_frames, b, b_frames));
	free(a);
	free(b);
	a = speak(&v, &still_five, 256, &a_frames);
	b = speak(&v, &still_six, 256, &b_frames);
	assert_true(same(&v, a, a_frames, b, b_frames));
	free(a);
	free(b);
	close_voice(&v);
	close_voice(&w);
}

static void coqui_drops_nothing_unless_it_is_told(void **state) {
	voice v = fixture("tacotron2-coqui", 2);
	const sn_synth_options usual = { .dropout = -1, .seed = 5 }, off = { .dropout = 0, .seed = 6 }, on = { .dropout = 1, .seed = 5 };
	int a_frames, b_frames, c_frames;
	float *const a = speak(&v, &usual, 256, &a_frames), *const b = speak(&v, &off, 256, &b_frames);
	float *const c = speak(&v, &on, 256, &c_frames);
	assert_true(same(&v, a, a_frames, b, b_frames));
	assert_false(same(&v, a, a_frames, c, c_frames));
	free(a);
	free(b);
	free(c);
	close_voice(&v);
}

static void two_utterances_do_not_disturb_each_other(void **state) {
	static const char *const names[] = { "tacotron2-nvidia", "tacotron2-coqui-forward" };
	static const int32_t few[] = { 3, 9, 4, 12, 7, 5, 8, 2, 10, 6 };
	for (int n = 0; n < 2; n++) {
		voice v = fixture(names[n], 2);
		const sn_synth_options o = { .dropout = 1, .seed = 5, .force_frames = 60 };
		char err[SN_ERRLEN];
		void *other = NULL;
		int frames = 0, other_frames = 0, alone_frames, got, extra, code;
		float *const alone = room(&v), *const mel = room(&v), *const rest = room(&v);
		assert_int_equal(class->start(v.stream, few, 10, &o, err), SN_OK);
		assert_int_equal(draw(&v, v.stream, 256, alone, &alone_frames, err), SN_END);
		assert_int_equal(class->stream_new(&other, v.model, err), SN_OK);
		assert_int_equal(class->start(v.stream, few, 10, &o, err), SN_OK);
		assert_int_equal(class->start(other, few + 2, 7, &o, err), SN_OK);
		do {
			code = class->next(v.stream, 9, mel + frames * v.mels, &got, &extra, err);
			frames += got;
			if (other_frames < 60) class->next(other, 9, rest + other_frames * v.mels, &got, &extra, err);
			if (other_frames < 60) other_frames += got;
		} while (code == SN_OK);
		assert_int_equal(frames, alone_frames);
		assert_true(farthest(&v, mel, alone, frames) <= 1e-5);
		class->stream_free(&other);
		free(alone);
		free(mel);
		free(rest);
		close_voice(&v);
	}
}

static void a_training_checkpoint_is_the_same_voice(void **state) {
	char path[PATH_MAX], err[SN_ERRLEN] = "";
	voice v = fixture("tacotron2-nvidia", 2), w;
	const sn_synth_options o = { .dropout = -1, .seed = 5 };
	int a_frames, b_frames;
	snprintf(path, sizeof path, "%s/tacotron2-nvidia/checkpoint_other_format", fixtures);
	assert_true(class->accepts(path));
	assert_int_equal(open_path(&w, path, 2, err), SN_OK);
	float *const a = speak(&v, &o, 256, &a_frames), *const b = speak(&w, &o, 256, &b_frames);
	assert_true(same(&v, a, a_frames, b, b_frames));
	assert_int_equal(class->facts(v.model)->parameters, class->facts(w.model)->parameters);
	free(a);
	free(b);
	close_voice(&v);
	close_voice(&w);
}

static void what_cannot_be_spoken_is_refused(void **state) {
	voice v = fixture("tacotron2-nvidia", 1);
	char err[SN_ERRLEN] = "";
	const sn_synth_options o = { .dropout = -1 }, long_one = { .force_frames = SN_TACOTRON2_MAX_FRAMES + 1 };
	static int32_t many[SN_TACOTRON2_MAX_IDS + 1];
	assert_int_equal(class->start(v.stream, ids, 0, &o, err), SN_E_ARGUMENT);
	assert_int_equal(class->start(v.stream, (int32_t[]){ 3, 64 }, 2, &o, err), SN_E_ARGUMENT);
	assert_non_null(strstr(err, "64"));
	assert_int_equal(class->start(v.stream, (int32_t[]){ -1 }, 1, &o, err), SN_E_ARGUMENT);
	assert_int_equal(class->start(v.stream, many, SN_TACOTRON2_MAX_IDS + 1, &o, err), SN_E_LIMIT);
	assert_int_equal(class->start(v.stream, ids, COUNT, &long_one, err), SN_E_LIMIT);
	assert_int_equal(class->start(v.stream, ids, COUNT, &o, err), SN_OK);
	close_voice(&v);
}

/* ---- text and voices ---- */

typedef struct spoken {
	int calls, count;
	int32_t first[64];
	size_t bytes;
} spoken;

static int take_ids(void *payload, const int32_t *list, int count, size_t bytes, char *err) {
	spoken *const s = payload;
	for (int i = 0; i < count && !s->calls && i < 64; i++) s->first[i] = list[i];
	s->calls++;
	s->count += count;
	s->bytes += bytes;
	return SN_OK;
}

static void text_becomes_the_symbols_of_the_checkpoint(void **state) {
	voice v = fixture("tacotron2-nvidia", 1);
	char err[SN_ERRLEN] = "", text[9001];
	spoken s = { 0 };
	int missing;
	assert_int_equal(class->encode(v.model, NULL, "Hello (you), what is this?", 26, NULL, take_ids, &s, &missing, err), SN_OK);
	assert_int_equal(s.count, COUNT - 1 + 1);
	assert_int_equal(missing, 0);
	assert_int_equal(s.first[COUNT - 1], ids[COUNT - 1]);
	s = (spoken){ 0 };
	assert_int_equal(class->encode(v.model, NULL, "{HH AH0} me", 11, NULL, take_ids, &s, &missing, err), SN_OK);
	assert_int_equal(missing, 2); /* this small model has no phones */
	for (int i = 0; i < 9000; i++) text[i] = "one two "[i % 8];
	s = (spoken){ 0 };
	assert_int_equal(class->encode(v.model, NULL, text, 9000, NULL, take_ids, &s, &missing, err), SN_OK);
	assert_in_range(s.calls, 9, 32);
	assert_int_equal(s.bytes, 9000);
	assert_in_range(s.count, 8900, 9000);
	close_voice(&v);
}

static void voices_are_known_by_number_and_name(void **state) {
	char err[SN_ERRLEN] = "";
	sn_voice voice;
	static const int32_t few[] = { 3, 9, 4, 12, 7, 5, 8, 2, 10, 6 };
	int a_frames, b_frames;
	struct voice v = fixture("tacotron2-coqui-dynamic", 2);
	assert_int_equal(class->facts(v.model)->speakers, 5);
	assert_string_equal(class->facts(v.model)->speaker_names[2], "cleo");
	assert_int_equal(class->voice(v.model, "cleo", &voice, err), SN_OK);
	assert_int_equal(voice.speaker, 2);
	assert_int_equal(class->voice(v.model, "5", &voice, err), SN_E_NOT_FOUND);
	assert_non_null(strstr(err, "\"ann\""));
	close_voice(&v);
	v = fixture("tacotron2-coqui-forward", 2);
	float *const a = room(&v), *const b = room(&v);
	assert_int_equal(class->facts(v.model)->speakers, 2);
	assert_int_equal(class->facts(v.model)->embedding, 7);
	assert_int_equal(class->voice(v.model, "ben", &voice, err), SN_OK);
	assert_int_equal(voice.embedding_count, 7);
	assert_true(voice.embedding[0] == 0.5f && voice.embedding[1] == 0.5f && voice.embedding[2] == 0); /* the mean of two clips */
	const sn_synth_options ben = { .dropout = -1, .voice = &voice }, first = { .dropout = -1 };
	assert_int_equal(class->start(v.stream, few, 10, &ben, err), SN_OK);
	assert_int_equal(draw(&v, v.stream, 256, a, &a_frames, err), SN_END);
	assert_int_equal(class->start(v.stream, few, 10, &first, err), SN_OK);
	assert_int_equal(draw(&v, v.stream, 256, b, &b_frames, err), SN_END);
	assert_false(same(&v, a, a_frames, b, b_frames));
	voice.embedding_count = 6;
	assert_int_equal(class->start(v.stream, few, 10, &ben, err), SN_E_ARGUMENT);
	assert_non_null(strstr(err, "7"));
	sn_voice_clear(&voice);
	free(a);
	free(b);
	close_voice(&v);
}

/* ---- the watch ---- */

#define SYMBOLS 60
#define RATE 50. /* steps a second */

/* One sharp or flat step. */
static taco_trouble look(taco_watch *w, double at, int sharp) {
	float alignment[SYMBOLS], sum = 0;
	for (int i = 0; i < SYMBOLS; i++) sum += alignment[i] = sharp ? expf(-(float)((i - at) * (i - at))) : 1;
	for (int i = 0; i < SYMBOLS; i++) alignment[i] /= sum;
	return taco_watch_step(w, alignment);
}

/* Reads from a symbol on; returns the first trouble. */
static taco_trouble read_on(taco_watch *w, double from, double to, double pace) {
	taco_trouble trouble = TACO_FINE;
	for (double at = from; at <= to && trouble == TACO_FINE; at += pace) trouble = look(w, at, 1);
	return trouble;
}

static taco_trouble stay(taco_watch *w, double at, double seconds) {
	taco_trouble trouble = TACO_FINE;
	for (int i = 0; i < (int)(seconds * RATE) && trouble == TACO_FINE; i++) trouble = look(w, at, 1);
	return trouble;
}

static void reading_and_pausing_are_no_trouble(void **state) {
	taco_watch w;
	taco_watch_begin(&w, SYMBOLS, RATE);
	assert_int_equal(read_on(&w, 0, 30, 0.2), TACO_FINE);
	assert_int_equal(stay(&w, 30, 1.5), TACO_FINE);
	assert_int_equal(look(&w, 27, 1), TACO_FINE); /* a glance back */
	assert_int_equal(read_on(&w, 30, 59, 1.5), TACO_FINE);
	assert_int_equal(stay(&w, 59, 1), TACO_FINE);
	assert_true(taco_watch_reads(&w));
	assert_false(taco_watch_flat(&w));
}

static void standing_still_going_back_and_skipping_are_seen(void **state) {
	taco_watch w;
	taco_watch_begin(&w, SYMBOLS, RATE);
	assert_int_equal(read_on(&w, 0, 30, 0.2), TACO_FINE);
	assert_int_equal(stay(&w, 30, 5), TACO_STILL);
	taco_watch_begin(&w, SYMBOLS, RATE);
	assert_int_equal(read_on(&w, 0, 30, 0.2), TACO_FINE);
	assert_int_equal(read_on(&w, 12, 20, 0.2), TACO_BACK);
	taco_watch_begin(&w, SYMBOLS, RATE);
	assert_int_equal(read_on(&w, 0, 20, 0.2), TACO_FINE);
	assert_int_equal(read_on(&w, 45, 50, 0.2), TACO_SKIP);
	taco_watch_begin(&w, SYMBOLS, RATE);
	assert_int_equal(read_on(&w, 0, 59, 0.2), TACO_FINE);
	assert_int_equal(stay(&w, 59, 5), TACO_END);
}

static void nothing_is_said_of_a_flat_attention(void **state) {
	taco_watch w;
	taco_watch_begin(&w, SYMBOLS, RATE);
	for (int i = 0; i < 2000; i++) assert_int_equal(look(&w, i % SYMBOLS, 0), TACO_FINE);
	assert_true(taco_watch_flat(&w));
	assert_false(taco_watch_reads(&w));
}

/* ---- changed checkpoints ---- */

static char folder[] = "/tmp/test_tacotron2_XXXXXX";

static void path_of(char out[PATH_MAX], const char *name) { snprintf(out, PATH_MAX, "%s/%s", folder, name); }

static void clear_folder(void) {
	static const char *const names[] = { "config.json", "hparams.json", "model_file.pth", "model.safetensors" };
	for (int i = 0; i < 4; i++) {
		char path[PATH_MAX];
		path_of(path, names[i]);
		unlink(path);
	}
}

static void copy_file(const char *from, const char *name, size_t most) {
	char path[PATH_MAX], block[4096];
	snprintf(path, sizeof path, "%s/%s", fixtures, from);
	FILE *const in = fopen(path, "rb");
	path_of(path, name);
	FILE *const out = fopen(path, "wb");
	assert_non_null(in);
	assert_non_null(out);
	for (size_t got; most && (got = fread(block, 1, most < sizeof block ? most : sizeof block, in)) > 0; most -= got)
		assert_int_equal(fwrite(block, 1, got, out), got);
	fclose(in);
	fclose(out);
}

typedef struct change { /* of the tensors whose name ends so: times factor, plus shift; then `edit` */
	const char *end;
	float factor, shift;
	void (*edit)(float *values);
} change;

static int ends_so(const char *name, const char *end) {
	const size_t length = strlen(name), tail = strlen(end);
	return length >= tail && strcmp(name + length - tail, end) == 0;
}

/* NVIDIA's fixture as model.safetensors, all of it float32. `drop`: the end of a name that is left out, or NULL. */
static void write_nvidia(const change *changes, int count, const char *drop) {
	char path[PATH_MAX], err[SN_ERRLEN], *header = calloc(1, 1 << 20);
	sn_weights *from = NULL;
	int64_t at = 0;
	clear_folder();
	snprintf(path, sizeof path, "%s/tacotron2-nvidia", fixtures);
	assert_int_equal(sn_weights_open(&from, path, err), SN_OK);
	FILE *const data = tmpfile();
	size_t used = (size_t)sprintf(header, "{");
	for (size_t i = 0; i < sn_weights_count(from); i++) {
		const sn_weight *const w = sn_weights_at(from, i);
		if (w->dtype != SN_F32 || (drop && ends_so(w->name, drop))) continue;
		const int64_t values = (int64_t)(w->bytes / 4);
		float *const floats = malloc(w->bytes);
		assert_non_null(floats);
		sn_weight_floats(w, 0, values, floats);
		for (int c = 0; c < count; c++) {
			if (!ends_so(w->name, changes[c].end)) continue;
			for (int64_t v = 0; v < values; v++) floats[v] = floats[v] * changes[c].factor + changes[c].shift;
			if (changes[c].edit) changes[c].edit(floats);
		}
		fwrite(floats, 4, (size_t)values, data);
		free(floats);
		used += (size_t)sprintf(header + used, "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[", used > 1 ? "," : "", w->name);
		for (int a = 0; a < w->rank; a++) used += (size_t)sprintf(header + used, "%s%lld", a ? "," : "", (long long)w->dims[a]);
		used += (size_t)sprintf(header + used, "],\"data_offsets\":[%lld,%lld]}", (long long)at, (long long)(at + values * 4));
		at += values * 4;
	}
	used += (size_t)sprintf(header + used, "}");
	sn_weights_close(&from);
	path_of(path, "model.safetensors");
	FILE *const out = fopen(path, "wb");
	assert_non_null(out);
	for (int i = 0; i < 8; i++) fputc((int)(used >> (8 * i) & 255), out);
	fwrite(header, 1, used, out);
	rewind(data);
	for (int c; (c = fgetc(data)) != EOF;) fputc(c, out);
	fclose(out);
	fclose(data);
	free(header);
}

static void the_state_dictionary_alone_is_enough(void **state) {
	voice v = fixture("tacotron2-nvidia", 2), w;
	char err[SN_ERRLEN] = "";
	const sn_synth_options o = { .dropout = 0 };
	int a_frames, b_frames;
	write_nvidia(NULL, 0, NULL);
	assert_int_equal(open_path(&w, folder, 2, err), SN_OK);
	float *const a = speak(&v, &o, 256, &a_frames), *const b = speak(&w, &o, 256, &b_frames);
	assert_true(same(&v, a, a_frames, b, b_frames));
	const sn_mel_layout *const mel = &class->facts(w.model)->mel;
	assert_true(mel->sample_rate == 22050 && mel->hop == 256 && mel->fft == 1024 && mel->high == 8000 && mel->log == SN_MEL_LOG_E);
	free(a);
	free(b);
	close_voice(&v);
	close_voice(&w);
}

static void a_voice_that_does_not_stop_is_cut(void **state) {
	const change never[] = { { "gate_layer.linear_layer.bias", 0, -30, NULL } };
	char err[SN_ERRLEN] = "";
	voice v;
	int frames;
	const sn_synth_options o = { .dropout = 1, .seed = 1 };
	write_nvidia(never, 1, NULL);
	assert_int_equal(open_path(&v, folder, 2, err), SN_OK);
	float *const mel = speak(&v, &o, 256, &frames);
	assert_in_range(frames, 900, 1000); /* by the text's length: 26 symbols */
	assert_non_null(strstr(class->remark(v.stream), "cut at"));
	copy_file("tacotron2-nvidia/hparams.json", "hparams.json", SIZE_MAX);
	close_voice(&v);
	assert_int_equal(open_path(&v, folder, 2, err), SN_OK);
	float *const shorter = speak(&v, &o, 256, &frames);
	assert_int_equal(frames, 80); /* max_decoder_steps */
	assert_non_null(strstr(class->remark(v.stream), "cut at 80 frames"));
	free(mel);
	free(shorter);
	close_voice(&v);
}

/* A sharp attention that never read: other seeds are tried, then it is let pass. */
static void an_attention_that_never_reads_is_tried_again_and_remarked_on(void **state) {
	const change lost[] = { { "gate_layer.linear_layer.bias", 0, -30, NULL }, { "attention_layer.v.linear_layer.weight", 60, 0, NULL } };
	char err[SN_ERRLEN] = "";
	voice v;
	int again = 0, frames;
	write_nvidia(lost, 2, NULL);
	assert_int_equal(open_path(&v, folder, 2, err), SN_OK);
	float *const mel = room(&v);
	for (uint64_t seed = 0; seed < 12; seed++) {
		const sn_synth_options o = { .dropout = 1, .seed = seed };
		assert_int_equal(class->start(v.stream, ids, COUNT, &o, err), SN_OK);
		assert_int_equal(draw(&v, v.stream, 256, mel, &frames, err), SN_END);
		again += strstr(class->remark(v.stream), "another seed") != NULL;
	}
	assert_in_range(again, 1, 12);
	free(mel);
	close_voice(&v);
}

#define SOFT 0.001f /* so little that the tanh is linear */
#define FILTER 31
static void first_only(float *v) { v[0] = 1 / SOFT; }
static void first_soft(float *v) { v[0] = SOFT; }
/* 20 times the weight of the symbol before, less 10 times those of the 15 before: the attention goes on by a symbol a step, and from
 * the last back to the first. */
static void read_on_and_round(float *filters) {
	for (int k = 0; k < FILTER / 2; k++) filters[k] = -10;
	filters[FILTER / 2 - 1] += 20;
}

static void an_attention_that_has_read_and_repeats_ends_the_utterance(void **state) {
	const change round[] = {
		{ "gate_layer.linear_layer.bias", 0, -30, NULL }, { "query_layer.linear_layer.weight", 0, 0, NULL },
		{ "memory_layer.linear_layer.weight", 0, 0, NULL },
		{ "attention_layer.v.linear_layer.weight", 0, 0, first_only }, { "location_dense.linear_layer.weight", 0, 0, first_soft },
		{ "location_conv.conv.weight", 0, 0, read_on_and_round },
	};
	char err[SN_ERRLEN] = "";
	voice v;
	int frames, again;
	const sn_synth_options o = { .dropout = 1, .seed = 3 }, forced = { .dropout = 1, .seed = 3, .force_frames = 200 };
	write_nvidia(round, 6, NULL);
	assert_int_equal(open_path(&v, folder, 2, err), SN_OK);
	float *const mel = room(&v);
	assert_int_equal(class->start(v.stream, ids, COUNT, &o, err), SN_OK);
	assert_int_equal(draw(&v, v.stream, 256, mel, &frames, err), SN_END);
	assert_in_range(frames, 8, COUNT); /* what was right has left */
	assert_non_null(strstr(class->remark(v.stream), "went back and repeats near symbol"));
	assert_non_null(strstr(class->remark(v.stream), "of 26: the rest is not spoken"));
	assert_int_equal(class->start(v.stream, ids, COUNT, &o, err), SN_OK); /* the next one is spoken */
	assert_int_equal(draw(&v, v.stream, 256, mel, &again, err), SN_END);
	assert_int_equal(again, frames);
	assert_int_equal(class->start(v.stream, ids, COUNT, &forced, err), SN_OK); /* measuring is not watched */
	assert_int_equal(draw(&v, v.stream, 256, mel, &frames, err), SN_END);
	assert_int_equal(frames, 200);
	free(mel);
	close_voice(&v);
}

static void a_weight_that_is_no_number_is_an_error(void **state) {
	const change spoilt[] = { { "linear_projection.linear_layer.bias", 0, NAN, NULL } };
	char err[SN_ERRLEN] = "";
	voice v;
	int frames;
	const sn_synth_options o = { .dropout = 1 };
	write_nvidia(spoilt, 1, NULL);
	assert_int_equal(open_path(&v, folder, 2, err), SN_OK);
	float *const mel = room(&v);
	assert_int_equal(class->start(v.stream, ids, COUNT, &o, err), SN_OK);
	assert_int_equal(draw(&v, v.stream, 256, mel, &frames, err), SN_E_MODEL);
	assert_non_null(strstr(err, "not a number"));
	free(mel);
	close_voice(&v);
}

static void a_missing_tensor_is_named(void **state) {
	static const char *const names[] = { "embedding.weight", "encoder.lstm.weight_hh_l0_reverse", "decoder.attention_rnn.bias_hh",
	                                     "location_conv.conv.weight", "gate_layer.linear_layer.bias",
	                                     "postnet.convolutions.4.1.running_var" };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		char err[SN_ERRLEN] = "";
		voice v;
		write_nvidia(NULL, 0, names[i]);
		assert_int_not_equal(open_path(&v, folder, 1, err), SN_OK);
		assert_non_null(strstr(err, names[i]));
		close_voice(&v);
	}
}

/* A fixture with one key of its configuration set (NULL: removed) to JSON, or ("*") several; returns what opening gives. */
static int open_changed(const char *name, const char *file, const char *key, const char *value, char *err) {
	char path[PATH_MAX], from[PATH_MAX];
	json_t *root = NULL;
	voice v;
	if (strcmp(file, "hparams.json") == 0) write_nvidia(NULL, 0, NULL);
	else clear_folder();
	snprintf(path, sizeof path, "%s/%s/%s", fixtures, name, file);
	assert_int_equal(sn_json_file(&root, path, err), SN_OK);
	if (value && *key == '*') {
		json_t *const more = json_loads(value, 0, NULL);
		json_object_update(root, more);
		json_decref(more);
	} else if (value) json_object_set_new(root, key, json_loads(value, JSON_DECODE_ANY, NULL));
	else json_object_del(root, key);
	path_of(path, file);
	assert_int_equal(json_dump_file(root, path, 0), 0);
	json_decref(root);
	if (strcmp(file, "config.json") == 0) {
		snprintf(from, sizeof from, "%s/model_file.pth", name);
		copy_file(from, "model_file.pth", SIZE_MAX);
	}
	const int code = open_path(&v, folder, 1, err);
	close_voice(&v);
	return code;
}

static void a_configuration_that_contradicts_is_refused(void **state) {
	static const struct { const char *file, *key, *value; int code; const char *says; } cases[] = {
		{ "config.json", "r", "2", SN_E_MODEL, "'r' is 2" }, { "config.json", "r", NULL, SN_E_MODEL, "'r' is 2" },
		{ "config.json", "out_channels", "40", SN_E_MODEL, "40" }, { "config.json", "out_channels", NULL, SN_E_MODEL, "80" },
		{ "config.json", "encoder_in_features", "64", SN_E_MODEL, "64" },
		{ "config.json", "max_decoder_steps", "0", SN_E_MODEL, "max_decoder_steps" },
		{ "config.json", "attention_type", "\"graves\"", SN_E_UNSUPPORTED, "graves" },
		{ "config.json", "attention_type", "\"dynamic_convolution\"", SN_E_MODEL, "decoder.attention." },
		{ "config.json", "attention_norm", "\"none\"", SN_E_MODEL, "none" },
		{ "config.json", "prenet_type", "\"bn\"", SN_E_MODEL, "batch_normalization" },
		{ "config.json", "use_speaker_embedding", "true", SN_E_MODEL, "speaker" },
		{ "config.json", "use_gst", "true", SN_E_MODEL, "style" },
		{ "config.json", "use_capacitron_vae", "true", SN_E_UNSUPPORTED, "capacitron" },
		{ "config.json", "use_gst", "3", SN_E_MODEL, "use_gst" },
		{ "config.json", "transition_agent", "\"yes\"", SN_E_MODEL, "transition_agent" },
		{ "config.json", "audio", "[]", SN_E_MODEL, "audio" },
		{ "config.json", "num_chars", "66", SN_E_MODEL, "66" },
		{ "hparams.json", "n_mel_channels", "80", SN_E_MODEL, "80" },
		{ "hparams.json", "decoder_rnn_dim", "1024", SN_E_MODEL, "1024" },
		{ "hparams.json", "gate_threshold", "2", SN_E_MODEL, "gate_threshold" },
		{ "hparams.json", "hop_length", "0", SN_E_MODEL, "hop_length" },
		{ "hparams.json", "symbols", "[1]", SN_E_MODEL, "symbols" }, { "hparams.json", "symbols", "{}", SN_E_MODEL, "symbols" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char err[SN_ERRLEN] = "";
		const char *const name = strcmp(cases[i].file, "config.json") == 0 ? "tacotron2-coqui" : "tacotron2-nvidia";
		const int code = open_changed(name, cases[i].file, cases[i].key, cases[i].value, err);
		if (code != cases[i].code || !strstr(err, cases[i].says)) print_error("case %zu (%s): %d %s\n", i, cases[i].key, code, err);
		assert_int_equal(code, cases[i].code);
		assert_non_null(strstr(err, cases[i].says));
	}
	char err[SN_ERRLEN] = "";
	/* its default is that of the fixture */
	assert_int_equal(open_changed("tacotron2-coqui", "config.json", "attention_norm", NULL, err), SN_OK);
	assert_int_equal(open_changed("tacotron2-nvidia", "hparams.json", "n_mel_channels", NULL, err), SN_OK);
	/* a style takes one of the columns that the table of speakers has */
	static const char styled[] = "{\"speaker_embedding_dim\":4,\"use_gst\":true,\"gst\":{\"gst_embedding_dim\":1}}";
	assert_int_equal(open_changed("tacotron2-coqui-dynamic", "config.json", "*", styled, err), SN_E_MODEL);
	assert_non_null(strstr(err, "holds 5 columns"));
	assert_int_equal(open_changed("tacotron2-coqui-dynamic", "config.json", "use_speaker_embedding", "false", err), SN_E_MODEL);
}

static void another_model_is_not_taken_for_one(void **state) {
	char path[PATH_MAX];
	clear_folder();
	assert_false(class->accepts(folder));
	snprintf(path, sizeof path, "%s/tacotron2-coqui", fixtures);
	assert_true(class->accepts(path));
	snprintf(path, sizeof path, "%s/fastspeech2-coqui", fixtures);
	assert_false(class->accepts(path));
	snprintf(path, sizeof path, "%s/hifigan-jik876", fixtures);
	assert_false(class->accepts(path));
}

int main(int argc, char **argv) {
	fixtures = argc > 1 ? argv[1] : "tests/fixtures/tiny";
	if (!mkdtemp(folder)) return 1;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chunks_of_any_size_join_without_a_seam),
		cmocka_unit_test(the_first_frames_leave_before_the_last_are_made),
		cmocka_unit_test(a_seed_tells_what_is_dropped_and_nothing_else_does),
		cmocka_unit_test(coqui_drops_nothing_unless_it_is_told),
		cmocka_unit_test(two_utterances_do_not_disturb_each_other),
		cmocka_unit_test(a_training_checkpoint_is_the_same_voice),
		cmocka_unit_test(what_cannot_be_spoken_is_refused),
		cmocka_unit_test(text_becomes_the_symbols_of_the_checkpoint),
		cmocka_unit_test(voices_are_known_by_number_and_name),
		cmocka_unit_test(reading_and_pausing_are_no_trouble),
		cmocka_unit_test(standing_still_going_back_and_skipping_are_seen),
		cmocka_unit_test(nothing_is_said_of_a_flat_attention),
		cmocka_unit_test(the_state_dictionary_alone_is_enough),
		cmocka_unit_test(a_voice_that_does_not_stop_is_cut),
		cmocka_unit_test(an_attention_that_never_reads_is_tried_again_and_remarked_on),
		cmocka_unit_test(an_attention_that_has_read_and_repeats_ends_the_utterance),
		cmocka_unit_test(a_weight_that_is_no_number_is_an_error),
		cmocka_unit_test(a_missing_tensor_is_named),
		cmocka_unit_test(a_configuration_that_contradicts_is_refused),
		cmocka_unit_test(another_model_is_not_taken_for_one),
	};
	const int failed = cmocka_run_group_tests(tests, NULL, NULL);
	clear_folder();
	rmdir(folder);
	return failed;
}
