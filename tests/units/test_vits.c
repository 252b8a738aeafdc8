/* Speaking with small VITS checkpoints: what must not depend on chunks, threads or earlier utterances, and what damaged ones get.
 * test_vits FOLDER: holds vits-dp, vits-sdp, vits-sdp-multispeaker, vits-authors and vits-piper. */
#include "base/json.h"
#include "models/synth.h"
#include "models/vits_internal.h"

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
static const int32_t ids[] = { 0, 11, 0, 8, 0, 26, 0, 28, 0, 25, 0, 10, 0, 2, 0, 3, 0 };
#define COUNT ((int)(sizeof ids / sizeof *ids))
static const sn_vits_options usual = { .noise_scale = 0.667f, .noise_duration = 0.8f, .length_scale = 2, .seed = 7 };

typedef struct voice {
	nn_pool *pool;
	sn_vits *vits;
	sn_vits_stream *stream;
} voice;

static int open_voice(voice *v, const char *path, int threads, char *err) {
	*v = (voice){ 0 };
	assert_int_equal(nn_pool_open(&v->pool, threads, err), SN_OK);
	const sn_load_options load = { .dir = path, .dtype = NN_DTYPE_F32, .pool = v->pool };
	const int code = sn_vits_open(&v->vits, &load, err);
	return code == SN_OK ? sn_vits_stream_new(&v->stream, v->vits, err) : code;
}

static void close_voice(voice *v) {
	sn_vits_stream_free(&v->stream);
	sn_vits_close(&v->vits);
	nn_pool_close(&v->pool);
}

static voice fixture(const char *name, int threads) {
	char path[PATH_MAX], err[SN_ERRLEN] = "";
	voice v;
	snprintf(path, sizeof path, "%s/%s", fixtures, name);
	assert_int_equal(open_voice(&v, path, threads, err), SN_OK);
	return v;
}

/* free() the samples. */
static float *speak(voice *v, const sn_vits_options *options, int chunk, int64_t *count) {
	char err[SN_ERRLEN] = "";
	int frames;
	int64_t got;
	assert_int_equal(sn_vits_start(v->stream, ids, COUNT, options, &frames, err), SN_OK);
	const int hop = sn_vits_get_config(v->vits)->hop;
	float *const pcm = malloc((size_t)(frames + chunk) * (size_t)hop * sizeof *pcm);
	assert_non_null(pcm);
	*count = 0;
	while ((got = sn_vits_next(v->stream, chunk, pcm + *count, NULL)) > 0) *count += got;
	assert_int_equal(*count, (int64_t)frames * hop);
	return pcm;
}

static void assert_same(const float *a, int64_t a_count, const float *b, int64_t b_count) {
	assert_int_equal(a_count, b_count);
	assert_memory_equal(a, b, (size_t)a_count * sizeof *a);
}

static void chunks_of_any_size_join_without_a_seam(void **state) {
	static const char *const names[] = { "vits-dp", "vits-sdp", "vits-sdp-multispeaker" };
	static const int chunks[] = { 1, 3, 16, 50 };
	for (int n = 0; n < 3; n++) {
		voice v = fixture(names[n], 2);
		int64_t whole_count, count;
		float *const whole = speak(&v, &usual, 256, &whole_count), most = 1e-5f;
		for (int c = 0; c < 4; c++) {
			float *const pcm = speak(&v, &usual, chunks[c], &count);
			assert_int_equal(count, whole_count);
			for (int64_t i = 0; i < count; i++) assert_true(fabsf(pcm[i] - whole[i]) <= most);
			free(pcm);
		}
		free(whole);
		close_voice(&v);
	}
}

static void a_seed_gives_the_same_bytes_with_any_threads(void **state) {
	int64_t first_count, count;
	voice v = fixture("vits-sdp", 1);
	float *const first = speak(&v, &usual, 20, &first_count);
	close_voice(&v);
	for (int threads = 1; threads <= 4; threads *= 2) {
		v = fixture("vits-sdp", threads);
		float *const pcm = speak(&v, &usual, 20, &count);
		assert_same(first, first_count, pcm, count);
		free(pcm);
		close_voice(&v);
	}
	free(first);
}

static void another_seed_or_speaker_sounds_different(void **state) {
	voice v = fixture("vits-sdp-multispeaker", 2);
	sn_vits_options other_seed = usual, other_speaker = usual;
	int64_t counts[3];
	other_seed.seed++;
	other_speaker.speaker = 4;
	float *const a = speak(&v, &usual, 64, &counts[0]), *const b = speak(&v, &other_seed, 64, &counts[1]);
	float *const c = speak(&v, &other_speaker, 64, &counts[2]);
	const int64_t least = counts[0] < counts[1] ? counts[0] : counts[1];
	assert_true(counts[0] != counts[1] || memcmp(a, b, (size_t)least * sizeof *a) != 0);
	assert_true(counts[0] != counts[2] || memcmp(a, c, (size_t)counts[0] * sizeof *a) != 0);
	free(a);
	free(b);
	free(c);
	close_voice(&v);
}

static void utterances_do_not_disturb_each_other(void **state) {
	char err[SN_ERRLEN];
	voice v = fixture("vits-sdp-multispeaker", 2);
	sn_vits_stream *second = NULL;
	sn_vits_options other = usual;
	int64_t count, got, alone_count;
	int frames, second_frames;
	float *const alone = speak(&v, &usual, 10, &alone_count), scratch[256 * 64];
	other.speaker = 2;
	other.length_scale = 1;
	assert_int_equal(sn_vits_stream_new(&second, v.vits, err), SN_OK);
	assert_int_equal(sn_vits_start(v.stream, ids, COUNT, &usual, &frames, err), SN_OK);
	assert_int_equal(sn_vits_start(second, ids, COUNT, &other, &second_frames, err), SN_OK);
	float *const pcm = malloc((size_t)(frames + 10) * 16 * sizeof *pcm);
	assert_int_equal(sn_vits_get_config(v.vits)->hop, 16);
	for (count = 0; (got = sn_vits_next(v.stream, 10, pcm + count, NULL)) > 0; count += got) sn_vits_next(second, 7, scratch, NULL);
	assert_same(alone, alone_count, pcm, count);
	sn_vits_stream_free(&second);
	free(pcm);
	free(alone);
	close_voice(&v);
}

static void slower_speech_is_longer_and_durations_say_so(void **state) {
	voice v = fixture("vits-dp", 2);
	sn_vits_options slow = usual;
	int64_t count, slow_count, sum = 0;
	int symbols;
	slow.length_scale = 3;
	free(speak(&v, &usual, 64, &count));
	free(speak(&v, &slow, 64, &slow_count));
	const int32_t *const durations = sn_vits_durations(v.stream, &symbols);
	assert_int_equal(symbols, COUNT);
	for (int i = 0; i < symbols; i++) sum += durations[i];
	assert_int_equal(sum * sn_vits_get_config(v.vits)->hop, slow_count);
	assert_true(slow_count > count);
	close_voice(&v);
}

static void wrong_requests_get_a_sentence(void **state) {
	static int32_t many[SN_VITS_MAX_TOKENS + 1];
	const int32_t unknown[] = { 0, 30, 0 };
	char err[SN_ERRLEN];
	voice v = fixture("vits-sdp-multispeaker", 2);
	sn_vits_options o = usual;
	int frames;
	assert_int_equal(sn_vits_start(v.stream, ids, 0, &o, &frames, err), SN_E_ARGUMENT);
	assert_int_equal(sn_vits_start(v.stream, unknown, 3, &o, &frames, err), SN_E_ARGUMENT);
	assert_non_null(strstr(err, "30"));
	assert_int_equal(sn_vits_start(v.stream, many, SN_VITS_MAX_TOKENS + 1, &o, &frames, err), SN_E_LIMIT);
	assert_non_null(strstr(err, "1537"));
	o.speaker = 5;
	assert_int_equal(sn_vits_start(v.stream, ids, COUNT, &o, &frames, err), SN_E_ARGUMENT);
	assert_non_null(strstr(err, "0 to 4"));
	o = usual;
	o.length_scale = NAN;
	assert_int_equal(sn_vits_start(v.stream, ids, COUNT, &o, &frames, err), SN_E_ARGUMENT);
	o.length_scale = 100;
	assert_int_equal(sn_vits_start(v.stream, many, SN_VITS_MAX_TOKENS, &o, &frames, err), SN_E_LIMIT);
	assert_int_equal(sn_vits_next(v.stream, 64, NULL, NULL), 0);
	close_voice(&v);
}

static void given_noise_must_fit(void **state) {
	static float noise[2 * COUNT];
	char err[SN_ERRLEN] = "";
	voice v = fixture("vits-sdp", 1);
	sn_vits_options o = usual;
	int frames;
	o.prior_noise = noise;
	o.prior_noise_count = COUNT;
	assert_int_equal(sn_vits_start(v.stream, ids, COUNT, &o, &frames, err), SN_E_ARGUMENT);
	assert_non_null(strstr(err, "prior noise has 17 values"));
	assert_int_equal(frames, 0);
	assert_int_equal(sn_vits_next(v.stream, 64, NULL, NULL), 0);
	o = usual;
	o.duration_noise = noise;
	o.duration_noise_count = 2 * COUNT - 1;
	assert_int_equal(sn_vits_start(v.stream, ids, COUNT, &o, &frames, err), SN_E_ARGUMENT);
	assert_non_null(strstr(err, "duration noise has 33 values"));
	o.duration_noise_count++;
	assert_int_equal(sn_vits_start(v.stream, ids, COUNT, &o, &frames, err), SN_OK);
	close_voice(&v);
}

/* ---- as sessions see it ---- */

static int take(void *payload, const int32_t *symbols, int count, size_t bytes, char *err) {
	memcpy(payload, symbols, (size_t)count * sizeof *symbols);
	return count;
}

static void the_class_speaks_as_the_model_does(void **state) {
	const sn_synth_class *const cls = &sn_synth_vits;
	char err[SN_ERRLEN] = "", path[PATH_MAX];
	voice v = fixture("vits-sdp-multispeaker", 2);
	sn_vits_options own = { .speaker = 3, .noise_scale = -1, .noise_duration = -1, .seed = 7 };
	own.length_scale = sn_vits_get_config(v.vits)->length_scale / 0.5f;
	int64_t count, had = 0;
	float *const pcm = speak(&v, &own, 32, &count), *const again = malloc((size_t)(count + 4096) * sizeof *again);
	const sn_load_options load = { .pool = v.pool, .dir = path };
	sn_voice voice;
	sn_synth_options o = { .voice = &voice, .speed = 0.5f, .noise_scale = -1, .noise_duration = -1, .seed = 7 };
	void *model, *stream;
	int frames, extra, code = SN_OK;
	assert_non_null(again);
	snprintf(path, sizeof path, "%s/vits-sdp-multispeaker", fixtures);
	assert_true(cls->accepts(path));
	assert_false(sn_synth_yourtts.accepts(path));
	assert_int_equal(cls->open(&model, &load, err), SN_OK);
	assert_int_equal(cls->facts(model)->speakers, 5);
	assert_int_equal(cls->facts(model)->width, cls->facts(model)->hop);
	assert_int_equal(cls->voice(model, "3", &voice, err), SN_OK);
	assert_int_equal(cls->stream_new(&stream, model, err), SN_OK);
	assert_int_equal(cls->start(stream, ids, COUNT, &o, err), SN_OK);
	for (; code == SN_OK; had += (int64_t)frames * cls->facts(model)->hop)
		code = cls->next(stream, 32, again + had, &frames, &extra, err);
	assert_int_equal(code, SN_END);
	assert_same(pcm, count, again, had);
	voice.speaker = -1;
	assert_int_equal(cls->start(stream, ids, COUNT, &o, err), SN_E_ARGUMENT);
	assert_int_equal(cls->voice(model, "5", &voice, err), SN_E_NOT_FOUND);
	assert_non_null(strstr(err, "5, numbered from 0"));
	cls->stream_free(&stream);
	cls->close(&model);
	assert_null(model);
	free(pcm);
	free(again);
	close_voice(&v);
}

/* Speakers of the authors' layout have the names that derived code lists in its configuration. */
static void speakers_have_names_and_numbers(void **state) {
	static const struct { const char *name; int speaker; } found[] = { { "p227", 2 }, { "P228", 3 }, { "1", 1 }, { "default", 0 } };
	const sn_synth_class *const cls = &sn_synth_vits;
	char err[SN_ERRLEN] = "", path[PATH_MAX];
	sn_voice voice;
	void *model;
	nn_pool *pool;
	assert_int_equal(nn_pool_open(&pool, 1, err), SN_OK);
	snprintf(path, sizeof path, "%s/vits-authors/G_800.pth", fixtures);
	const sn_load_options load = { .pool = pool, .dir = path };
	assert_true(cls->accepts(path));
	assert_int_equal(cls->open(&model, &load, err), SN_OK);
	assert_int_equal(cls->facts(model)->speakers, 4);
	assert_string_equal(cls->facts(model)->speaker_names[2], "p227");
	assert_string_equal(cls->facts(model)->language, "en");
	for (int i = 0; i < 4; i++) {
		assert_int_equal(cls->voice(model, found[i].name, &voice, err), SN_OK);
		assert_int_equal(voice.speaker, found[i].speaker);
	}
	assert_int_equal(cls->voice(model, "anna", &voice, err), SN_E_NOT_FOUND);
	assert_non_null(strstr(err, "\"p225\", \"p226\", \"p227\", \"p228\" (4)"));
	cls->close(&model);
	nn_pool_close(&pool);
}

/* A name that looks like a number is a name first. */
static void speakers_of_a_piper_voice(void **state) {
	static const struct { const char *name; int speaker; } found[] = { { "anna", 0 }, { "ben", 1 }, { "12", 3 }, { "2", 2 }, { "default", 0 } };
	const sn_synth_class *const cls = &sn_synth_vits;
	char err[SN_ERRLEN] = "", path[PATH_MAX];
	sn_voice voice;
	void *model;
	nn_pool *pool;
	assert_int_equal(nn_pool_open(&pool, 1, err), SN_OK);
	snprintf(path, sizeof path, "%s/vits-piper/voice.onnx", fixtures);
	const sn_load_options load = { .pool = pool, .dir = path };
	assert_int_equal(cls->open(&model, &load, err), SN_OK);
	assert_int_equal(cls->facts(model)->speakers, 4);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(cls->voice(model, found[i].name, &voice, err), SN_OK);
		assert_int_equal(voice.speaker, found[i].speaker);
	}
	assert_int_equal(cls->voice(model, "4", &voice, err), SN_E_NOT_FOUND);
	assert_non_null(strstr(err, "\"anna\", \"Ben\", \"clara\", \"12\" (4)"));
	cls->close(&model);
	nn_pool_close(&pool);
}

/* Two utterances in turn, as sessions that run at once are served: each sounds as it does alone. */
static void speakers_beside_each_other_sound_as_alone(void **state) {
	static const int speakers[] = { 1, 3 };
	voice v = fixture("vits-authors", 2);
	char err[SN_ERRLEN];
	sn_vits_stream *second = NULL;
	sn_vits_options o[2] = { usual, usual };
	float *alone[2], *pcm[2];
	int64_t counts[2], had[2] = { 0 }, got = 1;
	int frames;
	assert_int_equal(sn_vits_stream_new(&second, v.vits, err), SN_OK);
	sn_vits_stream *const streams[] = { v.stream, second };
	for (int i = 0; i < 2; i++) {
		o[i].speaker = speakers[i];
		alone[i] = speak(&v, &o[i], 32, &counts[i]);
		pcm[i] = malloc((size_t)(counts[i] + 32 * 16) * sizeof(float));
		assert_non_null(pcm[i]);
	}
	for (int i = 0; i < 2; i++) assert_int_equal(sn_vits_start(streams[i], ids, COUNT, &o[i], &frames, err), SN_OK);
	while (got > 0) {
		got = 0;
		for (int i = 0; i < 2; i++) {
			const int64_t more = sn_vits_next(streams[i], 32, pcm[i] + had[i], NULL);
			had[i] += more;
			got += more;
		}
	}
	for (int i = 0; i < 2; i++) {
		assert_same(alone[i], counts[i], pcm[i], had[i]);
		free(alone[i]);
		free(pcm[i]);
	}
	sn_vits_stream_free(&second);
	close_voice(&v);
}

static void the_class_makes_ids_of_text(void **state) {
	char err[SN_ERRLEN] = "", path[PATH_MAX];
	int32_t symbols[256] = { 0 };
	void *model;
	int missing = -1;
	nn_pool *pool;
	assert_int_equal(nn_pool_open(&pool, 1, err), SN_OK);
	const sn_load_options load = { .pool = pool, .dir = path };
	snprintf(path, sizeof path, "%s/vits-sdp", fixtures);
	assert_int_equal(sn_synth_vits.open(&model, &load, err), SN_OK);
	const int count = sn_synth_vits.encode(model, NULL, "hello", 5, NULL, take, symbols, &missing, err);
	assert_int_equal(count, 11); /* blanks around each letter */
	assert_int_equal(missing, 0);
	assert_true(symbols[5] == symbols[7] && symbols[1] != symbols[3]);
	sn_synth_vits.close(&model);
	nn_pool_close(&pool);
}

/* ---- what a chunk depends on, and which files a voice has ---- */

static void a_convolution_reaches_as_far_as_it_is_dilated(void **state) {
	static vits_weights w;
	const vits_conv plain = { .kernel = 3, .stride = 1, .dilation = 1 }, wide = { .kernel = 3, .stride = 1, .dilation = 5 };
	int64_t first, last;
	w = (vits_weights){ .stage_count = 1, .kernel_count = 1, .conv_pre = plain, .conv_post = plain };
	w.stages[0] = (vits_stage){ .up = { .kernel = 1, .stride = 1 }, .blocks[0] = { .depth = 1, .two = 1, .first[0] = plain, .second[0] = plain } };
	vits_stage_needs(&w, 0, 100, 101, &first, &last);
	assert_int_equal(first, 96);
	assert_int_equal(last, 105);
	vits_conv *const each[] = { &w.conv_pre, &w.conv_post, &w.stages[0].blocks[0].first[0], &w.stages[0].blocks[0].second[0] };
	for (int i = 0; i < 4; i++) {
		*each[i] = wide;
		vits_stage_needs(&w, 0, 100, 101, &first, &last);
		assert_int_equal(first, 96 - 4 * (i + 1));
		assert_int_equal(last, 105 + 4 * (i + 1));
	}
}

static void touch(const char *dir, const char *name) {
	char path[PATH_MAX];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	FILE *const file = fopen(path, "w");
	assert_non_null(file);
	fclose(file);
}

static void the_same_voice_of_several_is_chosen_for_all(void **state) {
	static const char *const names[] = { "a.onnx.json", "b.onnx", "b.onnx.json", "c.onnx", "c.onnx.json" };
	char dir[] = "/tmp/sonant-voices-XXXXXX", err[SN_ERRLEN] = "", path[PATH_MAX];
	sn_vits_files files;
	assert_non_null(mkdtemp(dir));
	for (int i = 0; i < 5; i++) touch(dir, names[i]);
	assert_int_equal(sn_vits_locate(&files, dir, err), SN_OK);
	assert_true(files.piper);
	assert_string_equal(files.weights + strlen(dir), "/b.onnx"); /* a.onnx is not there */
	assert_string_equal(files.json + strlen(dir), "/b.onnx.json");
	snprintf(path, sizeof path, "%s/c.onnx", dir);
	assert_int_equal(sn_vits_locate(&files, path, err), SN_OK);
	assert_string_equal(files.json + strlen(dir), "/c.onnx.json");
	touch(dir, "config.json");
	assert_int_equal(sn_vits_locate(&files, dir, err), SN_OK);
	assert_false(files.piper);
	assert_string_equal(files.json + strlen(dir), "/config.json");
	for (int i = 0; i < 6; i++) {
		snprintf(path, sizeof path, "%s/%s", dir, i < 5 ? names[i] : "config.json");
		unlink(path);
	}
	rmdir(dir);
}

/* ---- damaged checkpoints ---- */

static char folder[] = "/tmp/sonant-vits-XXXXXX";

/* Copies a file of vits-sdp, with every `from` replaced by the equally long `to`. */
static void copy_file(const char *name, const char *from, const char *to) {
	char path[PATH_MAX];
	snprintf(path, sizeof path, "%s/vits-sdp/%s", fixtures, name);
	FILE *const in = fopen(path, "rb");
	assert_non_null(in);
	static char data[1 << 20];
	const size_t size = fread(data, 1, sizeof data, in), length = from ? strlen(from) : 0;
	assert_true(size > 0 && size < sizeof data);
	fclose(in);
	int found = 0;
	for (char *at = data; from && (at = memmem(at, size - (size_t)(at - data), from, length)); at += length, found++) memcpy(at, to, length);
	assert_true(!from || found);
	snprintf(path, sizeof path, "%s/%s", folder, name);
	unlink(path);
	FILE *const out = fopen(path, "wb");
	assert_non_null(out);
	assert_int_equal(fwrite(data, 1, size, out), size);
	fclose(out);
}

static void expect_refusal(const char *config_from, const char *config_to, const char *weights_from, const char *weights_to, int code,
                           const char *word) {
	char err[SN_ERRLEN] = "";
	voice v;
	copy_file("config.json", config_from, config_to);
	copy_file("model.safetensors", weights_from, weights_to);
	assert_int_equal(open_voice(&v, folder, 1, err), code);
	if (!strstr(err, word)) fail_msg("'%s' does not say '%s'", err, word);
	assert_null(v.vits);
	close_voice(&v);
}

/* Lists tensors without values, named before, number, after, first in the copied file. */
static void add_tensors(const char *before, const char *after, int first, int last) {
	char path[PATH_MAX];
	static char data[1 << 20], added[1 << 14];
	uint64_t header;
	size_t used = 1;
	snprintf(path, sizeof path, "%s/model.safetensors", folder);
	FILE *file = fopen(path, "rb");
	assert_non_null(file);
	const size_t size = fread(data, 1, sizeof data, file);
	fclose(file);
	memcpy(&header, data, sizeof header);
	strcpy(added, "{");
	for (int i = first; i <= last; i++) {
		used += (size_t)snprintf(added + used, sizeof added - used, "\"%s%d%s\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]},",
		                         before, i, after);
		assert_true(used < sizeof added);
	}
	header += used - 1;
	file = fopen(path, "wb");
	assert_non_null(file);
	fwrite(&header, 1, sizeof header, file);
	fwrite(added, 1, used, file);
	fwrite(data + sizeof header + 1, 1, size - sizeof header - 1, file);
	fclose(file);
}

static void more_parts_than_are_run_are_refused(void **state) {
	static const struct { const char *before, *after; int first, most; } parts[] = {
		{ "text_encoder.encoder.layers.", ".layer_norm.weight", 2, 48 }, { "flow.flows.", ".conv_pre.weight", 2, 16 },
		{ "flow.flows.1.wavenet.in_layers.", ".bias", 2, 16 }, { "decoder.resblocks.0.convs1.", ".bias", 2, 8 },
		{ "duration_predictor.conv_dds.convs_dilated.", ".weight", 3, 8 }, { "decoder.upsampler.", ".bias", 2, 8 },
	};
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		char err[SN_ERRLEN] = "", name[128], most[32];
		voice v;
		snprintf(name, sizeof name, "'%s%d%s'", parts[i].before, parts[i].most, parts[i].after);
		snprintf(most, sizeof most, "at most %d", parts[i].most);
		copy_file("config.json", NULL, NULL);
		copy_file("model.safetensors", NULL, NULL);
		add_tensors(parts[i].before, parts[i].after, parts[i].first, parts[i].most);
		assert_int_equal(open_voice(&v, folder, 1, err), SN_E_MODEL);
		if (!strstr(err, name) || !strstr(err, most)) fail_msg("'%s' does not say %s and %s", err, name, most);
		close_voice(&v);
	}
}

static void damaged_checkpoints_are_refused_by_name(void **state) {
	expect_refusal("\"relu\"", "\"prel\"", NULL, NULL, SN_E_UNSUPPORTED, "prel");
	expect_refusal("\"upsample_rates\"", "\"upsample_ratez\"", NULL, NULL, SN_E_MODEL, "upsample_rates");
	expect_refusal("\"num_attention_heads\": 2", "\"num_attention_heads\": 5", NULL, NULL, SN_E_MODEL, "heads");
	expect_refusal("\"upsample_rates\": [\n    4", "\"upsample_rates\": [\n    5", NULL, NULL, SN_E_MODEL,
	               "'decoder.upsampler.0' has a kernel of 8 rows and stride 5");
	expect_refusal(NULL, NULL, "decoder.resblocks.3.convs1.0.bias", "decoder.resblocks.3.convs9.0.bias", SN_E_MODEL,
	               "'decoder.resblocks.3' is missing");
	expect_refusal(NULL, NULL, "text_encoder.project.bias", "text_encoder.project.bios", SN_E_MODEL, "text_encoder.project.bias");
	expect_refusal(NULL, NULL, "flow.flows.1.conv_post.weight", "flow.flows.1.conv_pust.weight", SN_E_MODEL, "flow.flows.1.conv_post");
	expect_refusal(NULL, NULL, "decoder.conv_post.weight", "decoder.conv_pust.weight", SN_E_MODEL, "decoder.conv_post");
	expect_refusal(NULL, NULL, "duration_predictor.flows.3.conv_proj.weight", "duration_predictor.flows.3.conv_pruj.weight", SN_E_MODEL,
	               "duration_predictor.flows.3.conv_proj");
	expect_refusal(NULL, NULL, "[32,16,1]", "[16,32,1]", SN_E_MODEL, "[16, 32, 1]");
}

/* Also where a key is missing and the reference's default is another size. */
static void configurations_of_other_sizes_are_refused(void **state) {
	static const char *const keys[] = { "num_hidden_layers", "vocab_size", "hidden_size", "ffn_dim", "flow_size", "prior_encoder_num_flows",
	                                    "prior_encoder_num_wavenet_layers", "upsample_initial_channel", "upsample_kernel_sizes",
	                                    "resblock_kernel_sizes" };
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		char key[64], other[64];
		snprintf(key, sizeof key, "\"%s\"", keys[i]);
		snprintf(other, sizeof other, "\"_%s\"", keys[i] + 1); /* of the same length */
		expect_refusal(key, other, NULL, NULL, SN_E_MODEL, keys[i]);
	}
	expect_refusal("\"window_size\": 4", "\"window_size\": 5", NULL, NULL, SN_E_MODEL, "'window_size' is 5; the weights have 4");
	expect_refusal("\"wavenet_kernel_size\": 5", "\"wavenet_kernel_size\": 7", NULL, NULL, SN_E_MODEL, "wavenet_kernel_size");
	expect_refusal("\"use_stochastic_duration_prediction\": true", "\"use_stochastic_duration_prediction\":false", NULL, NULL, SN_E_MODEL,
	               "use_stochastic_duration_prediction");
}

static void what_is_no_voice_is_refused(void **state) {
	char err[SN_ERRLEN] = "", path[PATH_MAX];
	voice v;
	assert_int_equal(open_voice(&v, "/nonexistent/voice.onnx", 1, err), SN_E_NOT_FOUND);
	close_voice(&v);
	snprintf(path, sizeof path, "%s/config.json", folder);
	unlink(path);
	assert_int_equal(open_voice(&v, folder, 1, err), SN_E_NOT_FOUND);
	assert_non_null(strstr(err, ".onnx.json"));
	close_voice(&v);
}

/* What the configuration says must be what the weights have. */
static void configurations_of_the_authors_must_fit(void **state) {
	static const struct { const char *from, *to, *says; } cases[] = {
		{ "\"n_layers\": 2", "\"n_layers\": 3", "'n_layers' is 3" },
		{ "\"n_heads\": 2", "\"n_heads\": 5", "heads" },
		{ "\"resblock\": \"1\"", "\"resblock\": \"2\"", "'resblock'" },
		{ "\"hop_length\": 16", "\"hop_length\": 32", "'hop_length'" },
		{ "\"n_speakers\": 4", "\"n_speakers\": 3", "'n_speakers' is 3" },
		{ "\"hidden_channels\": 16", "\"hidden_channelz\": 16", "'hidden_channels' is missing" },
	};
	char from[PATH_MAX], path[PATH_MAX], to[PATH_MAX], err[SN_ERRLEN];
	static char text[8192], changed[8192];
	snprintf(path, sizeof path, "%s/vits-authors/config.json", fixtures);
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	text[fread(text, 1, sizeof text - 1, file)] = 0;
	fclose(file);
	snprintf(from, sizeof from, "%s/vits-authors/G_800.pth", fixtures);
	snprintf(to, sizeof to, "%s/G_1.pth", folder);
	snprintf(path, sizeof path, "%s/config.json", folder);
	char *const full = realpath(from, NULL);
	assert_non_null(full);
	assert_int_equal(symlink(full, to), 0);
	free(full);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *const at = strstr(text, cases[i].from);
		voice v;
		assert_non_null(at);
		snprintf(changed, sizeof changed, "%.*s%s%s", (int)(at - text), text, cases[i].to, at + strlen(cases[i].from));
		assert_non_null(file = fopen(path, "w"));
		fputs(changed, file);
		fclose(file);
		assert_int_equal(open_voice(&v, folder, 1, err), SN_E_MODEL);
		if (!strstr(err, cases[i].says)) fail_msg("%s", err);
		close_voice(&v);
	}
	unlink(to);
	voice v;
	assert_int_equal(open_voice(&v, folder, 1, err), SN_E_NOT_FOUND);
	assert_non_null(strstr(err, "G_NUMBER.pth"));
	close_voice(&v);
	unlink(path);
}

static int make_folder(void **state) { return mkdtemp(folder) ? 0 : -1; }

static int remove_folder(void **state) {
	static const char *const names[] = { "config.json", "model.safetensors" };
	char path[PATH_MAX];
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof path, "%s/%s", folder, names[i]);
		unlink(path);
	}
	return rmdir(folder);
}

int main(int argc, char **argv) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chunks_of_any_size_join_without_a_seam),
		cmocka_unit_test(a_seed_gives_the_same_bytes_with_any_threads),
		cmocka_unit_test(another_seed_or_speaker_sounds_different),
		cmocka_unit_test(utterances_do_not_disturb_each_other),
		cmocka_unit_test(slower_speech_is_longer_and_durations_say_so),
		cmocka_unit_test(wrong_requests_get_a_sentence),
		cmocka_unit_test(given_noise_must_fit),
		cmocka_unit_test(the_class_speaks_as_the_model_does),
		cmocka_unit_test(the_class_makes_ids_of_text), cmocka_unit_test(speakers_have_names_and_numbers), cmocka_unit_test(speakers_of_a_piper_voice),
		cmocka_unit_test(speakers_beside_each_other_sound_as_alone), cmocka_unit_test(configurations_of_the_authors_must_fit),
		cmocka_unit_test(damaged_checkpoints_are_refused_by_name), cmocka_unit_test(configurations_of_other_sizes_are_refused),
		cmocka_unit_test(more_parts_than_are_run_are_refused),
		cmocka_unit_test(a_convolution_reaches_as_far_as_it_is_dilated),
		cmocka_unit_test(the_same_voice_of_several_is_chosen_for_all),
		cmocka_unit_test(what_is_no_voice_is_refused),
	};
	if (argc != 2) return 2;
	fixtures = argv[1];
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
