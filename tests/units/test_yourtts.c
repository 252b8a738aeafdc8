/* Coqui's VITS as sessions see it, on the tiny YourTTS: its first argument is the fixture's directory. */
#include "base/json.h"
#include "models/speaker_encoder.h"
#include "models/synth.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "weights_files.h"

static const sn_synth_class *const cls = &sn_synth_yourtts;
static const sn_synth_options usual = { .speed = 1, .noise_scale = -1, .noise_duration = -1, .seed = 7 };
static const char *fixture;
static char folder[] = "/tmp/sonant-yourtts-XXXXXX";

typedef struct voice_model {
	nn_pool *pool;
	void *model;
} voice_model;

static int open_model(voice_model *v, const char *dir, char *err) {
	*v = (voice_model){ 0 };
	assert_int_equal(nn_pool_open(&v->pool, 2, err), SN_OK);
	const sn_load_options load = { .dir = dir, .dtype = NN_DTYPE_F32, .pool = v->pool };
	return cls->open(&v->model, &load, err);
}

static void close_model(voice_model *v) {
	cls->close(&v->model);
	assert_null(v->model);
	nn_pool_close(&v->pool);
}

static voice_model opened(void) {
	char err[SN_ERRLEN] = "";
	voice_model v;
	if (open_model(&v, fixture, err) != SN_OK) fail_msg("%s", err);
	return v;
}

/* ---- speaking ---- */

typedef struct said { int32_t ids[4096]; int count, parts; } said;

static int gather(void *payload, const int32_t *ids, int count, size_t bytes, char *err) {
	said *const s = payload;
	memcpy(s->ids, ids, (size_t)count * sizeof *ids);
	s->count = count;
	s->parts++;
	return SN_OK;
}

static said encoded(const voice_model *v, const char *text, const sn_synth_options *o) {
	char err[SN_ERRLEN] = "";
	static said s;
	int missing = -1;
	s = (said){ .count = 0 };
	if (cls->encode(v->model, NULL, text, strlen(text), o, gather, &s, &missing, err) != SN_OK) fail_msg("%s", err);
	assert_int_equal(missing, 0);
	return s;
}

/* free() the samples. */
static float *speak(voice_model *v, const char *text, const sn_synth_options *o, int64_t *count) {
	char err[SN_ERRLEN] = "";
	const said s = encoded(v, text, o);
	const int hop = cls->facts(v->model)->hop;
	void *stream = NULL;
	float *pcm = NULL;
	int code = SN_OK, frames, extra;
	assert_int_equal(cls->stream_new(&stream, v->model, err), SN_OK);
	if (cls->start(stream, s.ids, s.count, o, err) != SN_OK) fail_msg("%s", err);
	*count = 0;
	while (code == SN_OK) {
		pcm = realloc(pcm, (size_t)(*count + 32 * hop) * sizeof *pcm);
		assert_non_null(pcm);
		code = cls->next(stream, 32, pcm + *count, &frames, &extra, err);
		assert_true(frames <= 32 && extra == 0);
		*count += (int64_t)frames * hop;
	}
	assert_int_equal(code, SN_END);
	cls->stream_free(&stream);
	assert_null(stream);
	return pcm;
}

static void text_becomes_the_references_ids(void **state) {
	voice_model v = opened();
	char err[SN_ERRLEN] = "", path[PATH_MAX];
	sn_synth_options french = usual;
	sn_weights *expected;
	int64_t ids[64];
	french.language = "fr-fr";
	const said s = encoded(&v, "Hello, is this you?", &french);
	snprintf(path, sizeof path, "%s/expected.safetensors", fixture);
	assert_int_equal(sn_weights_open(&expected, path, err), SN_OK);
	const sn_weight *const t = sn_weights_find(expected, "input_ids");
	assert_int_equal(s.count, t->dims[0]);
	assert_true(sn_weight_integers(t, 0, s.count, ids));
	for (int i = 0; i < s.count; i++) assert_int_equal(s.ids[i], ids[i]);
	assert_int_equal(s.parts, 1);
	sn_weights_close(&expected);
	close_model(&v);
}

static void text_becomes_sound(void **state) {
	voice_model v = opened();
	int64_t count, again_count, slow_count;
	sn_synth_options slow = usual;
	slow.speed = 0.5f;
	float *const pcm = speak(&v, "Hello world.", &usual, &count), *const again = speak(&v, "Hello world.", &usual, &again_count);
	float *const slower = speak(&v, "Hello world.", &slow, &slow_count);
	assert_true(count > 0);
	assert_int_equal(count, again_count);
	assert_memory_equal(pcm, again, (size_t)count * sizeof *pcm);
	assert_true(slow_count > count);
	for (int64_t i = 0; i < count; i++) assert_true(fabsf(pcm[i]) <= 1);
	free(pcm);
	free(again);
	free(slower);
	close_model(&v);
}

static void frames_can_be_forced(void **state) {
	voice_model v = opened();
	sn_synth_options o = usual;
	int64_t count;
	o.force_frames = 200;
	free(speak(&v, "Hello world.", &o, &count));
	assert_int_equal(count, 200 * cls->facts(v.model)->hop);
	close_model(&v);
}

static void what_the_model_can_is_said(void **state) {
	voice_model v = opened();
	const sn_synth_facts *const f = cls->facts(v.model);
	assert_int_equal(f->kind, SN_SYNTH_SOUND);
	assert_int_equal(f->sample_rate, 16000);
	assert_int_equal(f->hop, 16);
	assert_int_equal(f->embedding, 24);
	assert_true(f->embeds);
	assert_int_equal(f->speakers, 1);
	assert_string_equal(f->speaker_names[0], "female-en-5");
	assert_int_equal(f->language_count, 3);
	assert_string_equal(f->languages[0], "en");
	assert_string_equal(f->languages[1], "fr-fr");
	assert_string_equal(f->languages[2], "pt-br");
	assert_true(cls->accepts(fixture));
	assert_false(sn_synth_vits.accepts(fixture));
	close_model(&v);
}

static void languages_sound_different(void **state) {
	static const char *const codes[] = { "en", "fr", "pt-BR" };
	voice_model v = opened();
	char err[SN_ERRLEN] = "";
	sn_synth_options o = usual;
	float *pcm[3];
	int64_t counts[3];
	int missing;
	said s;
	for (int i = 0; i < 3; i++) {
		o.language = codes[i];
		pcm[i] = speak(&v, "Hello world.", &o, &counts[i]);
	}
	for (int i = 0; i < 3; i++) {
		const int j = (i + 1) % 3;
		assert_true(counts[i] != counts[j] || memcmp(pcm[i], pcm[j], (size_t)counts[i] * sizeof(float)) != 0);
	}
	for (int i = 0; i < 3; i++) free(pcm[i]);
	o.language = "de";
	assert_int_equal(cls->encode(v.model, NULL, "Hallo", 5, &o, gather, &s, &missing, err), SN_E_UNSUPPORTED);
	assert_non_null(strstr(err, "\"de\""));
	assert_non_null(strstr(err, "\"fr-fr\""));
	close_model(&v);
}

/* ---- voices ---- */

static void path_to(char path[PATH_MAX], const char *name) { snprintf(path, PATH_MAX, "%s/%s", folder, name); }

static void write_file(const char *name, const void *data, size_t size) {
	char path[PATH_MAX];
	path_to(path, name);
	FILE *const file = fopen(path, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
}

/* A numpy array of float32. */
static void write_array(const char *name, const float *values, int count) {
	char data[128 + 4 * 64], header[118];
	memset(header, ' ', sizeof header);
	const int n = snprintf(header, sizeof header, "{'descr': '<f4', 'fortran_order': False, 'shape': (%d,), }", count);
	header[n] = ' ';
	header[117] = '\n';
	memcpy(data, "\x93NUMPY\x01\x00\x76\x00", 10);
	memcpy(data + 10, header, sizeof header);
	memcpy(data + 128, values, (size_t)count * sizeof *values);
	write_file(name, data, 128 + (size_t)count * sizeof *values);
}

static void voices_by_name_number_and_file(void **state) {
	voice_model v = opened();
	char err[SN_ERRLEN] = "", path[PATH_MAX];
	sn_voice named, numbered, usual_one, filed;
	float values[64];
	assert_int_equal(cls->voice(v.model, "female-en-5", &named, err), SN_OK);
	assert_int_equal(cls->voice(v.model, "0", &numbered, err), SN_OK);
	assert_int_equal(cls->voice(v.model, "default", &usual_one, err), SN_OK);
	assert_int_equal(named.embedding_count, 24);
	assert_memory_equal(named.embedding, numbered.embedding, 24 * sizeof(float));
	assert_memory_equal(named.embedding, usual_one.embedding, 24 * sizeof(float));
	for (int i = 0; i < 64; i++) values[i] = sinf((float)i);
	write_array("voice.npy", values, 24);
	path_to(path, "voice.npy");
	assert_int_equal(cls->voice(v.model, path, &filed, err), SN_OK);
	assert_memory_equal(filed.embedding, values, 24 * sizeof(float));
	sn_synth_options o = usual, p = usual;
	int64_t count, other_count;
	o.voice = &named;
	p.voice = &filed;
	float *const a = speak(&v, "Hello world.", &o, &count), *const b = speak(&v, "Hello world.", &p, &other_count);
	assert_true(count != other_count || memcmp(a, b, (size_t)count * sizeof *a) != 0);
	free(a);
	free(b);
	sn_voice_clear(&named);
	sn_voice_clear(&numbered);
	sn_voice_clear(&usual_one);
	sn_voice_clear(&filed);
	close_model(&v);
}

static void voices_that_do_not_fit_are_refused(void **state) {
	voice_model v = opened();
	char err[SN_ERRLEN] = "", path[PATH_MAX];
	float values[64] = { 1, NAN };
	sn_voice voice;
	assert_int_equal(cls->voice(v.model, "nobody", &voice, err), SN_E_NOT_FOUND);
	assert_non_null(strstr(err, "\"nobody\""));
	assert_non_null(strstr(err, "\"female-en-5\""));
	assert_int_equal(cls->voice(v.model, "1", &voice, err), SN_E_NOT_FOUND);
	path_to(path, "other.npy");
	write_array("other.npy", values, 25);
	assert_int_equal(cls->voice(v.model, path, &voice, err), SN_E_ARGUMENT);
	assert_non_null(strstr(err, "25"));
	assert_non_null(strstr(err, "24"));
	write_array("other.npy", values, 24);
	assert_int_equal(cls->voice(v.model, path, &voice, err), SN_E_ARGUMENT);
	assert_null(voice.embedding);
	voice = (sn_voice){ .name = "elsewhere", .speaker = -1, .embedding = values, .embedding_count = 25 };
	sn_synth_options o = usual;
	void *stream = NULL;
	const int32_t ids[] = { 1, 2, 3 };
	o.voice = &voice;
	assert_int_equal(cls->stream_new(&stream, v.model, err), SN_OK);
	assert_int_equal(cls->start(stream, ids, 3, &o, err), SN_E_ARGUMENT);
	assert_non_null(strstr(err, "25 values; the model takes 24"));
	cls->stream_free(&stream);
	close_model(&v);
}

/* ---- voices of clips ---- */

/* A hum with overtones that move, like a voice more or less. */
static float *make_clip(double pitch, int rate, int64_t count) {
	float *const pcm = malloc((size_t)count * sizeof *pcm);
	assert_non_null(pcm);
	for (int64_t i = 0; i < count; i++) {
		const double t = (double)i / rate;
		double sum = 0;
		for (int k = 1; k < 12; k++) sum += sin(2 * M_PI * pitch * k * t + 2 * sin(3 * t + k)) / k * (1 + sin(5 * t * k));
		pcm[i] = (float)(0.1 * sum);
	}
	return pcm;
}

static double likeness(const float *a, const float *b, int size) {
	double ab = 0, aa = 0, bb = 0;
	for (int i = 0; i < size; i++) {
		ab += (double)a[i] * (double)b[i];
		aa += (double)a[i] * (double)a[i];
		bb += (double)b[i] * (double)b[i];
	}
	return ab / sqrt(aa * bb);
}

static void clips_give_voices(void **state) {
	voice_model v = opened();
	char err[SN_ERRLEN] = "";
	float low[24], high[24], again[24], fast[24], brief[24];
	float *const a = make_clip(110, 16000, 64000), *const b = make_clip(230, 16000, 48000), *const c = make_clip(110, 48000, 192000);
	assert_int_equal(cls->embed(v.model, a, 64000, 16000, low, err), SN_OK);
	assert_int_equal(cls->embed(v.model, b, 48000, 16000, high, err), SN_OK);
	assert_int_equal(cls->embed(v.model, a, 64000, 16000, again, err), SN_OK);
	assert_int_equal(cls->embed(v.model, c, 192000, 48000, fast, err), SN_OK);
	assert_int_equal(cls->embed(v.model, a, 20000, 16000, brief, err), SN_OK);
	assert_memory_equal(low, again, sizeof low);
	assert_memory_not_equal(low, high, sizeof low);
	assert_true(likeness(low, fast, 24) > 0.999);
	assert_true(likeness(low, fast, 24) > likeness(low, high, 24));
	assert_true(likeness(brief, brief, 24) > 0.999);
	for (int64_t i = 0; i < 64000; i++) a[i] *= 0.01f; /* the level is evened out */
	assert_int_equal(cls->embed(v.model, a, 64000, 16000, again, err), SN_OK);
	assert_true(likeness(low, again, 24) > 0.99999);
	free(a);
	free(b);
	free(c);
	close_model(&v);
}

static void clips_that_hold_no_voice_are_refused(void **state) {
	voice_model v = opened();
	char err[SN_ERRLEN] = "";
	float embedding[24];
	float *const pcm = make_clip(110, 16000, 32000);
	assert_int_equal(cls->embed(v.model, pcm, 15999, 16000, embedding, err), SN_E_ARGUMENT);
	assert_non_null(strstr(err, "at least 1 s"));
	assert_int_equal(cls->embed(v.model, pcm, 32000, 10, embedding, err), SN_E_ARGUMENT);
	pcm[100] = NAN;
	assert_int_equal(cls->embed(v.model, pcm, 32000, 16000, embedding, err), SN_E_ARGUMENT);
	assert_non_null(strstr(err, "no numbers"));
	memset(pcm, 0, 32000 * sizeof *pcm);
	assert_int_equal(cls->embed(v.model, pcm, 32000, 16000, embedding, err), SN_E_ARGUMENT);
	assert_non_null(strstr(err, "silent"));
	free(pcm);
	close_model(&v);
}

/* ---- checkpoints that do not fit ---- */

/* The fixture's files again, the weights as links. */
static void copy_fixture(void) {
	static const char *const names[] = { "config.json", "config_se.json", "language_ids.json", "model_file.pth", "model_se.pth", "speakers.pth" };
	char from[PATH_MAX], to[PATH_MAX];
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		snprintf(from, sizeof from, "%s/%s", fixture, names[i]);
		path_to(to, names[i]);
		unlink(to);
		assert_int_equal(symlink(from, to), 0);
	}
}

/* Sets `key` of `inside` (an object of the file, or "" for the file itself) to a JSON value; NULL removes it. */
static void change(const char *name, const char *inside, const char *key, const char *value) {
	char path[PATH_MAX], err[SN_ERRLEN] = "";
	json_t *root;
	path_to(path, name);
	if (sn_json_file(&root, path, err) != SN_OK) fail_msg("%s", err);
	json_t *const object = *inside ? json_object_get(root, inside) : root;
	assert_non_null(object);
	if (value) assert_int_equal(json_object_set_new(object, key, json_loads(value, JSON_DECODE_ANY, NULL)), 0);
	else assert_int_equal(json_object_del(object, key), 0);
	char *const text = json_dumps(root, 0);
	unlink(path);
	write_file(name, text, strlen(text));
	free(text);
	json_decref(root);
}

static void expect(int code, const char *word) {
	char err[SN_ERRLEN] = "";
	voice_model v;
	const int found = open_model(&v, folder, err);
	if (found != code || !strstr(err, word)) fail_msg("%d '%s' is not %d with '%s'", found, err, code, word);
	close_model(&v);
}

static void configurations_that_contradict_the_weights_are_refused(void **state) {
	static const struct { const char *inside, *key, *value, *word; } cases[] = {
		{ "audio", "hop_length", "8", "hop_length" },
		{ "audio", "hop_length", NULL, "hop_length" },
		{ "model_args", "hidden_channels", NULL, "hidden_channels" },
		{ "model_args", "num_chars", NULL, "num_chars" },
		{ "model_args", "num_layers_text_encoder", "3", "num_layers_text_encoder" },
		{ "model_args", "num_heads_text_encoder", "3", "heads" },
		{ "model_args", "hidden_channels_ffn_text_encoder", NULL, "hidden_channels_ffn_text_encoder" },
		{ "model_args", "num_layers_flow", NULL, "num_layers_flow" },
		{ "model_args", "kernel_size_flow", "3", "kernel_size_flow" },
		{ "model_args", "use_sdp", "false", "use_sdp" },
		{ "model_args", "upsample_rates_decoder", NULL, "upsample_rates" },
		{ "model_args", "upsample_rates_decoder", "[3, 4]", "kernel" },
		{ "model_args", "upsample_rates_decoder", "[2, 4]", "hop_length" },
		{ "model_args", "upsample_kernel_sizes_decoder", NULL, "upsample_kernel_sizes_decoder" },
		{ "model_args", "resblock_kernel_sizes_decoder", "[3, 7]", "resblock_kernel_sizes_decoder" },
		{ "model_args", "resblock_dilation_sizes_decoder", NULL, "resblock_dilation_sizes_decoder" },
		{ "model_args", "resblock_dilation_sizes_decoder", "[[1, 3], [1, 3]]", "resblock_dilation_sizes_decoder" },
		{ "model_args", "resblock_type_decoder", "\"2\"", "resblock_type_decoder" },
		{ "model_args", "upsample_initial_channel_decoder", NULL, "upsample_initial_channel_decoder" },
		{ "model_args", "d_vector_dim", NULL, "d_vector_dim" },
		{ "model_args", "d_vector_dim", "25", "25" },
		{ "model_args", "embedded_language_dim", "5", "emb_l.weight" },
		{ "model_args", "use_language_embedding", NULL, "use_language_embedding" },
		{ "model_args", "use_d_vector_file", NULL, "use_speaker_embedding" },
		{ "", "model_args", NULL, "model_args" },
		{ "", "model", NULL, "upsample_rates" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		copy_fixture();
		change("config.json", cases[i].inside, cases[i].key, cases[i].value);
		char err[SN_ERRLEN] = "";
		voice_model v;
		const int code = open_model(&v, folder, err);
		if (code == SN_OK) fail_msg("%s changed: accepted", cases[i].key);
		if (strcmp(cases[i].key, "model") != 0 && (code != SN_E_MODEL || !strstr(err, cases[i].word)))
			fail_msg("%s changed: %d '%s' does not say '%s'", cases[i].key, code, err, cases[i].word);
		close_model(&v);
	}
}

static void hostile_numbers_are_refused(void **state) {
	static const struct { const char *inside, *key, *value; } cases[] = {
		{ "model_args", "num_layers_text_encoder", "1000000000" }, { "model_args", "upsample_rates_decoder", "[4000, 4]" },
		{ "model_args", "upsample_rates_decoder", "\"4\"" }, { "model_args", "d_vector_dim", "-1" }, { "model_args", "d_vector_dim", "1e99" },
		{ "model_args", "encoder_sample_rate", "1" }, { "model_args", "resblock_dilation_sizes_decoder", "[[0, 1, 1], [1, 1, 1]]" },
		{ "model_args", "resblock_dilation_sizes_decoder", "[]" }, { "model_args", "length_scale", "0" }, { "audio", "sample_rate", "0" },
		{ "model_args", "max_inference_len", "-5" }, { "model_args", "inference_noise_scale", "\"loud\"" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		copy_fixture();
		change("config.json", cases[i].inside, cases[i].key, cases[i].value);
		expect(SN_E_MODEL, cases[i].key);
	}
	copy_fixture();
	change("config.json", "model_args", "resblock_type_decoder", "\"3\"");
	expect(SN_E_UNSUPPORTED, "resblock_type_decoder");
}

static void latents_are_stretched_to_the_rate_of_the_sound(void **state) {
	char err[SN_ERRLEN] = "";
	voice_model plain = opened(), v;
	sn_synth_options o = usual;
	int64_t count, twice, cut;
	o.noise_scale = o.noise_duration = 0;
	free(speak(&plain, "Hello world.", &o, &count));
	close_model(&plain);
	copy_fixture();
	change("config.json", "model_args", "encoder_sample_rate", "8000");
	assert_int_equal(open_model(&v, folder, err), SN_OK);
	free(speak(&v, "Hello world.", &o, &twice));
	assert_int_equal(twice, 2 * count);
	close_model(&v);
	change("config.json", "model_args", "max_inference_len", "10");
	assert_int_equal(open_model(&v, folder, err), SN_OK);
	free(speak(&v, "Hello world.", &o, &cut));
	assert_int_equal(cut, 10 * 16);
	close_model(&v);
}

/* speakers.pth of one clip whose embedding has `count` ones. */
static void save_speaker(int count) {
	sn_buf pickle, zip;
	sn_buf_init(&pickle, 1 << 16);
	sn_buf_init(&zip, 1 << 16);
	sn_buf_add(&pickle, "\x80\x02}", 3);
	put_pickled_text(&pickle, "wavs/a.wav");
	sn_buf_add(&pickle, "}(", 2);
	put_pickled_text(&pickle, "name");
	put_pickled_text(&pickle, "anna");
	put_pickled_text(&pickle, "embedding");
	sn_buf_add(&pickle, "](", 2);
	for (int i = 0; i < count; i++) sn_buf_add(&pickle, "G\x3f\xf0\0\0\0\0\0\0", 9);
	sn_buf_add(&pickle, "eus.", 4);
	make_zip(&zip, &(zip_entry){ "archive/data.pkl", pickle.data, pickle.size }, 1);
	char path[PATH_MAX];
	path_to(path, "speakers.pth");
	unlink(path);
	write_file("speakers.pth", zip.data, zip.size);
	sn_buf_free(&pickle);
	sn_buf_free(&zip);
}

static void saved_speakers_of_wrong_sizes_are_refused(void **state) {
	char err[SN_ERRLEN] = "";
	voice_model v;
	sn_voice voice;
	copy_fixture();
	save_speaker(24);
	if (open_model(&v, folder, err) != SN_OK) fail_msg("%s", err);
	assert_int_equal(cls->voice(v.model, "anna", &voice, err), SN_OK);
	for (int i = 0; i < 24; i++) assert_true(voice.embedding[i] == 1);
	sn_voice_clear(&voice);
	close_model(&v);
	save_speaker(23);
	expect(SN_E_MODEL, "the embedding of 'wavs/a.wav' has 23 values; the model's speakers have 24");
	save_speaker(25);
	expect(SN_E_MODEL, "has 25 values");
	write_file("speakers.pth", "nonsense", 8);
	expect(SN_E_MODEL, "speakers.pth");
}

static void speakers_of_wrong_sizes_are_refused(void **state) {
	static const char few[] = "{\"a.wav\": {\"name\": \"anna\", \"embedding\": [1, 2, 3]}}", nameless[] = "{\"a.wav\": {\"embedding\": [1, 2, 3]}}";
	copy_fixture();
	write_file("few.json", few, strlen(few));
	change("config.json", "model_args", "d_vector_file", "\"/training/few.json\"");
	expect(SN_E_MODEL, "the embedding of 'a.wav' has 3 values; the model's speakers have 24");
	write_file("few.json", nameless, strlen(nameless));
	expect(SN_E_MODEL, "'a.wav' is no clip");
	write_file("few.json", "[]", 2);
	change("config.json", "model_args", "d_vector_file", "[\"few.json\"]");
	char err[SN_ERRLEN] = "";
	voice_model v;
	assert_int_equal(open_model(&v, folder, err), SN_OK); /* no voices of its own */
	assert_int_equal(cls->facts(v.model)->speakers, 0);
	sn_voice voice;
	assert_int_equal(cls->voice(v.model, "0", &voice, err), SN_E_NOT_FOUND);
	assert_non_null(strstr(err, ".npy file of 24 values"));
	void *stream = NULL;
	const int32_t ids[] = { 1, 2, 3 };
	assert_int_equal(cls->stream_new(&stream, v.model, err), SN_OK);
	assert_int_equal(cls->start(stream, ids, 3, &usual, err), SN_E_ARGUMENT);
	assert_non_null(strstr(err, "needs an embedding of 24 values"));
	cls->stream_free(&stream);
	close_model(&v);
}

/* A speaker's voice is the mean of its clips. */
static void speakers_are_read_from_json(void **state) {
	char text[4096], err[SN_ERRLEN] = "";
	size_t n = (size_t)snprintf(text, sizeof text, "{");
	for (int clip = 0; clip < 3; clip++) {
		n += (size_t)snprintf(text + n, sizeof text - n, "%s\"%d.wav\": {\"name\": \"%s\\n\", \"embedding\": [", clip ? ", " : "", clip,
		                      clip == 1 ? "anna" : "berta");
		for (int i = 0; i < 24; i++) n += (size_t)snprintf(text + n, sizeof text - n, "%s%d", i ? ", " : "", clip + i);
		n += (size_t)snprintf(text + n, sizeof text - n, "]}");
	}
	snprintf(text + n, sizeof text - n, "}");
	copy_fixture();
	write_file("few.json", text, strlen(text));
	change("config.json", "model_args", "d_vector_file", "\"few.json\"");
	voice_model v;
	sn_voice voice;
	assert_int_equal(open_model(&v, folder, err), SN_OK);
	assert_int_equal(cls->facts(v.model)->speakers, 2);
	assert_string_equal(cls->facts(v.model)->speaker_names[0], "anna");
	assert_int_equal(cls->voice(v.model, "berta", &voice, err), SN_OK);
	for (int i = 0; i < 24; i++) assert_float_equal(voice.embedding[i], 1 + i, 1e-6);
	sn_voice_clear(&voice);
	close_model(&v);
}

static void languages_and_encoders_that_do_not_fit_are_refused(void **state) {
	copy_fixture();
	change("language_ids.json", "", "fr-fr", "7");
	expect(SN_E_MODEL, "the language 'fr-fr' has number 7");
	copy_fixture();
	change("language_ids.json", "", "fr-fr", "0");
	expect(SN_E_MODEL, "number 0");
	copy_fixture();
	change("language_ids.json", "", "fr-fr", NULL);
	expect(SN_E_MODEL, "language 1");
	copy_fixture();
	change("config_se.json", "model_params", "model_name", "\"lstm\"");
	expect(SN_E_UNSUPPORTED, "'lstm'");
	copy_fixture();
	change("config_se.json", "model_params", "use_torch_spec", "false");
	expect(SN_E_UNSUPPORTED, "use_torch_spec");
	copy_fixture();
	change("config_se.json", "model_params", "proj_dim", "25");
	expect(SN_E_MODEL, "proj_dim");
	copy_fixture();
	change("config_se.json", "audio", "num_mels", "80");
	expect(SN_E_MODEL, "num_mels");
	copy_fixture();
	change("config_se.json", "audio", "fft_size", "1024");
	expect(SN_E_MODEL, "torch_spec");
	copy_fixture();
	change("config_se.json", "audio", "fft_size", "513");
	expect(SN_E_MODEL, "fft_size");
}

static int make_folder(void **state) { return mkdtemp(folder) ? 0 : -1; }

static int remove_folder(void **state) {
	static const char *const names[] = { "config.json", "config_se.json", "language_ids.json", "model_file.pth", "model_se.pth", "speakers.pth",
	                                     "few.json", "voice.npy", "other.npy" };
	char path[PATH_MAX];
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		path_to(path, names[i]);
		unlink(path);
	}
	return rmdir(folder);
}

int main(int argc, char **argv) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_becomes_the_references_ids),
		cmocka_unit_test(text_becomes_sound),
		cmocka_unit_test(frames_can_be_forced),
		cmocka_unit_test(what_the_model_can_is_said),
		cmocka_unit_test(languages_sound_different),
		cmocka_unit_test(voices_by_name_number_and_file),
		cmocka_unit_test(voices_that_do_not_fit_are_refused),
		cmocka_unit_test(clips_give_voices),
		cmocka_unit_test(clips_that_hold_no_voice_are_refused),
		cmocka_unit_test(configurations_that_contradict_the_weights_are_refused),
		cmocka_unit_test(hostile_numbers_are_refused),
		cmocka_unit_test(latents_are_stretched_to_the_rate_of_the_sound),
		cmocka_unit_test(saved_speakers_of_wrong_sizes_are_refused),
		cmocka_unit_test(speakers_of_wrong_sizes_are_refused),
		cmocka_unit_test(speakers_are_read_from_json),
		cmocka_unit_test(languages_and_encoders_that_do_not_fit_are_refused),
	};
	if (argc != 2) return 2;
	fixture = argv[1];
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
