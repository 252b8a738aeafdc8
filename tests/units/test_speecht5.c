/* Speaking with a small SpeechT5: what must not depend on how frames are fetched, on threads or on other utterances; what ends an
 * utterance; voices; and what damaged checkpoints get. test_speecht5 FOLDER: holds speecht5. */
#include "base/json.h"
#include "models/speecht5.h"

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
static char folder[] = "/tmp/test_speecht5_XXXXXX"; /* copies of the checkpoint */
static const int32_t ids[] = { 4, 17, 6, 20, 20, 14, 32, 4, 50, 19, 11, 12, 4, 23, 11, 48, 2 };
#define COUNT ((int)(sizeof ids / sizeof *ids))
#define MOST_FRAMES 400

typedef struct model {
	nn_pool *pool;
	sn_speecht5 *speecht5;
	sn_speecht5_stream *stream;
	const sn_speecht5_config *c;
	float speaker[64];
} model;

static int open_model(model *m, const char *path, int threads, char *err) {
	*m = (model){ 0 };
	for (int i = 0; i < 64; i++) m->speaker[i] = sinf((float)i + 1);
	assert_int_equal(nn_pool_open(&m->pool, threads, err), SN_OK);
	const sn_load_options load = { .dir = path, .dtype = NN_DTYPE_F32, .pool = m->pool };
	const int code = sn_speecht5_open(&m->speecht5, &load, err);
	if (code == SN_OK) m->c = sn_speecht5_get_config(m->speecht5);
	return code == SN_OK ? sn_speecht5_stream_new(&m->stream, m->speecht5, err) : code;
}

static void close_model(model *m) {
	sn_speecht5_stream_free(&m->stream);
	sn_speecht5_close(&m->speecht5);
	nn_pool_close(&m->pool);
}

static const char *fixture_path(void) {
	static char path[PATH_MAX + 16];
	snprintf(path, sizeof path, "%s/speecht5", fixtures);
	return path;
}

static model fixture(int threads) {
	char err[SN_ERRLEN] = "";
	model m;
	assert_int_equal(open_model(&m, fixture_path(), threads, err), SN_OK);
	return m;
}

static sn_speecht5_options usual(const model *m) {
	sn_speecht5_options o = sn_speecht5_defaults();
	o.speaker = m->speaker;
	o.seed = 7;
	o.force_frames = 101;
	return o;
}

/* The frames of one utterance, `most` at a time; free() them. */
static float *speak(const model *m, sn_speecht5_stream *stream, const sn_speecht5_options *o, int most, int *frames) {
	char err[SN_ERRLEN] = "";
	float *const mel = malloc((MOST_FRAMES + 256) * (size_t)m->c->mels * sizeof *mel);
	int got, code = sn_speecht5_start(stream, ids, COUNT, o, err);
	assert_non_null(mel);
	for (*frames = 0; code == SN_OK; *frames += got) {
		code = sn_speecht5_next(stream, most, mel + (size_t)*frames * (size_t)m->c->mels, &got, err);
		assert_in_range(got, 0, most);
		assert_true(*frames + got <= MOST_FRAMES);
	}
	assert_int_equal(code, SN_END);
	return mel;
}

static int equal(const model *m, const float *a, const float *b, int frames) {
	return memcmp(a, b, (size_t)frames * (size_t)m->c->mels * sizeof *a) == 0;
}

static void frames_join_however_they_are_fetched(void **state) {
	static const int sizes[] = { 1, 3, 16, 100 };
	model m = fixture(2);
	const sn_speecht5_options o = usual(&m);
	int whole_frames, frames;
	float *const whole = speak(&m, m.stream, &o, 256, &whole_frames);
	assert_int_equal(whole_frames, o.force_frames);
	for (int i = 0; i < 4; i++) {
		float *const mel = speak(&m, m.stream, &o, sizes[i], &frames);
		assert_int_equal(frames, whole_frames);
		for (int k = 0; k < frames * m.c->mels; k++) assert_true(fabsf(mel[k] - whole[k]) <= 1e-5f);
		free(mel);
	}
	free(whole);
	close_model(&m);
}

static void count_steps(void *payload, sn_speecht5_stream *stream) { ++*(int *)payload; }

static void the_first_frames_leave_early(void **state) {
	model m = fixture(2);
	sn_speecht5_options o = usual(&m);
	char err[SN_ERRLEN] = "";
	float mel[256 * 20];
	int steps = 0, got = 0;
	o.observe = count_steps;
	o.payload = &steps;
	assert_int_equal(m.c->mels, 20);
	assert_int_equal(sn_speecht5_start(m.stream, ids, COUNT, &o, err), SN_OK);
	while (!got) assert_int_equal(sn_speecht5_next(m.stream, 256, mel, &got, err), SN_OK);
	assert_in_range(steps, 1, 12); /* of 51; ten frames of right context and some to speak */
	close_model(&m);
}

static void a_seed_decides_the_dropout(void **state) {
	model one = fixture(1), m = fixture(2);
	sn_speecht5_options o = usual(&m);
	int frames;
	float *const first = speak(&m, m.stream, &o, 256, &frames), *const again = speak(&m, m.stream, &o, 256, &frames);
	float *const alone = speak(&one, one.stream, &o, 256, &frames);
	o.seed = 8;
	float *const other = speak(&m, m.stream, &o, 256, &frames);
	o.dropout = 0;
	float *const quiet = speak(&m, m.stream, &o, 256, &frames);
	o.seed = 9;
	float *const quiet_again = speak(&m, m.stream, &o, 256, &frames);
	assert_true(equal(&m, first, again, frames));
	assert_true(equal(&m, first, alone, frames)); /* on one thread */
	assert_false(equal(&m, first, other, frames));
	assert_false(equal(&m, first, quiet, frames));
	assert_true(equal(&m, quiet, quiet_again, frames));
	float *const all[] = { first, again, alone, other, quiet, quiet_again };
	for (int i = 0; i < 6; i++) free(all[i]);
	close_model(&m);
	close_model(&one);
}

static void utterances_side_by_side_are_those_alone(void **state) {
	model m = fixture(2);
	char err[SN_ERRLEN] = "";
	sn_speecht5_stream *streams[2] = { m.stream, NULL };
	sn_speecht5_options o[2] = { usual(&m), usual(&m) };
	float *alone[2], *mel[2];
	int frames[2], at[2] = { 0, 0 }, code[2], got;
	o[1].seed = 99;
	o[1].force_frames = 64;
	assert_int_equal(sn_speecht5_stream_new(&streams[1], m.speecht5, err), SN_OK);
	for (int i = 0; i < 2; i++) {
		alone[i] = speak(&m, m.stream, o + i, 256, frames + i);
		mel[i] = malloc(MOST_FRAMES * (size_t)m.c->mels * sizeof(float));
	}
	for (int i = 0; i < 2; i++) code[i] = sn_speecht5_start(streams[i], ids, COUNT, o + i, err);
	while (code[0] == SN_OK || code[1] == SN_OK)
		for (int i = 0; i < 2; i++) {
			if (code[i] != SN_OK) continue;
			code[i] = sn_speecht5_next(streams[i], 20, mel[i] + at[i] * m.c->mels, &got, err);
			at[i] += got;
		}
	for (int i = 0; i < 2; i++) {
		assert_int_equal(at[i], frames[i]);
		for (int k = 0; k < frames[i] * m.c->mels; k++) assert_true(fabsf(mel[i][k] - alone[i][k]) <= 1e-5f);
		free(alone[i]);
		free(mel[i]);
	}
	sn_speecht5_stream_free(&streams[1]);
	close_model(&m);
}

static void lengths_follow_the_stop_rule_and_its_bounds(void **state) {
	model m = fixture(2);
	sn_speecht5_options o = usual(&m);
	int frames;
	o.force_frames = 0;
	o.watch = 0;
	o.threshold = 1e9; /* never reached */
	o.most = 3;
	free(speak(&m, m.stream, &o, 256, &frames));
	assert_int_equal(frames, COUNT * 3 / 2 * 2); /* two a step */
	assert_non_null(strstr(sn_speecht5_remark(m.stream), "cut at 50 frames, the most for 17 symbols"));
	o.threshold = 0; /* reached at once */
	free(speak(&m, m.stream, &o, 256, &frames));
	assert_int_equal(frames, 2);
	assert_null(sn_speecht5_remark(m.stream));
	o.least = 1;
	free(speak(&m, m.stream, &o, 256, &frames));
	assert_int_equal(frames, COUNT / 2 * 2);
	close_model(&m);
}

static void expect_refusal(model *m, const int32_t *list, int count, const sn_speecht5_options *o, int code, const char *says) {
	char err[SN_ERRLEN] = "";
	float mel[20 * 8];
	int got;
	assert_int_equal(sn_speecht5_start(m->stream, list, count, o, err), code);
	if (!strstr(err, says)) fail_msg("'%s' does not say '%s'", err, says);
	assert_int_equal(sn_speecht5_next(m->stream, 8, mel, &got, err), SN_END); /* nothing goes on */
	assert_int_equal(got, 0);
}

static void what_cannot_be_spoken_is_refused(void **state) {
	model m = fixture(1);
	sn_speecht5_options o = usual(&m);
	int32_t many[101];
	for (int i = 0; i < 101; i++) many[i] = 4;
	expect_refusal(&m, ids, 0, &o, SN_E_ARGUMENT, "nothing to speak");
	expect_refusal(&m, many, 101, &o, SN_E_LIMIT, "101 symbols; at most 100");
	expect_refusal(&m, (int32_t[]){ 4, 66 }, 2, &o, SN_E_ARGUMENT, "symbol 1 has id 66; this voice knows ids 0 to 65");
	expect_refusal(&m, (int32_t[]){ -1 }, 1, &o, SN_E_ARGUMENT, "symbol 0 has id -1");
	expect_refusal(&m, (int32_t[]){ 4, 1 }, 2, &o, SN_E_ARGUMENT, "padding");
	o.force_frames = 401;
	expect_refusal(&m, ids, COUNT, &o, SN_E_LIMIT, "401 frames cannot be made at once; at most 400");
	o.force_frames = 0;
	m.speaker[3] = NAN;
	expect_refusal(&m, ids, COUNT, &o, SN_E_ARGUMENT, "value 3 of the speaker's embedding");
	close_model(&m);
}

/* ---- damaged checkpoints ---- */

static const char *copy_path(const char *file) {
	static char path[PATH_MAX];
	snprintf(path, sizeof path, "%s/%s", folder, file);
	return path;
}

static json_t *read_config(void) {
	char path[PATH_MAX + 64], err[SN_ERRLEN];
	json_t *config;
	snprintf(path, sizeof path, "%s/config.json", fixture_path());
	assert_int_equal(sn_json_file(&config, path, err), SN_OK);
	return config;
}

/* The checkpoint with another config.json (stolen). */
static void save_config(json_t *config) {
	assert_int_equal(json_dump_file(config, copy_path("config.json"), 0), 0);
	json_decref(config);
}

static void expect_unusable(int expected, const char *says) {
	char err[SN_ERRLEN] = "";
	model m;
	const int code = open_model(&m, folder, 1, err);
	close_model(&m);
	if (code != expected || !strstr(err, says)) fail_msg("%d '%s' is not %d '%s'", code, err, expected, says);
}

static void configurations_are_checked(void **state) {
	static const struct { const char *key, *value; int code; const char *says; } cases[] = {
		{ "hidden_size", "50", SN_E_MODEL, "no multiple of" }, { "hidden_size", "1073741824", SN_E_MODEL, "must lie between" },
		{ "encoder_layers", "3", SN_E_MODEL, "lacks tensor" }, { "encoder_layers", "1", SN_E_MODEL, "'encoder_layers' of config.json is 1" },
		{ "decoder_layers", "1", SN_E_MODEL, "'decoder_layers' of config.json is 1" }, { "decoder_layers", "-1", SN_E_MODEL, "between 1 and" },
		{ "speech_decoder_prenet_layers", "1", SN_E_MODEL, "speech_decoder_prenet_layers" },
		{ "speech_decoder_postnet_layers", "4", SN_E_MODEL, "speech_decoder_postnet_layers" },
		{ "speech_decoder_postnet_kernel", "4", SN_E_MODEL, "only odd numbers" },
		{ "speech_decoder_postnet_kernel", "7", SN_E_MODEL, "expected [24, 20, 7]" },
		{ "speech_decoder_prenet_dropout", "1", SN_E_MODEL, "must be less than 1" }, { "reduction_factor", "0", SN_E_MODEL, "between 1 and 64" },
		{ "reduction_factor", "4", SN_E_MODEL, "expected [80, 48]" }, { "num_mel_bins", "null", SN_E_MODEL, "expected [24, 80]" },
		{ "vocab_size", "\"66\"", SN_E_MODEL, "must be an integer" }, { "encoder_max_relative_position", "21", SN_E_MODEL, "expected [42, 12]" },
		{ "hidden_act", "\"mish\"", SN_E_UNSUPPORTED, "'hidden_act' is 'mish'" }, { "layer_norm_eps", "-1", SN_E_MODEL, "must lie between" },
		{ "architectures", "[\"SpeechT5ForSpeechToSpeech\"]", SN_E_UNSUPPORTED, "only SpeechT5ForTextToSpeech can" },
		{ "model_type", "\"vits\"", SN_E_MODEL, "expected 'speecht5'" }, { "max_speech_positions", "1e3", SN_E_MODEL, "must be an integer" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		json_t *const config = read_config();
		json_object_set_new(config, cases[i].key, json_loads(cases[i].value, JSON_DECODE_ANY, NULL));
		save_config(config);
		expect_unusable(cases[i].code, cases[i].says);
	}
	save_config(read_config());
}

/* The checkpoint with every value of the tensors whose names hold `part` changed. */
static void spoil(const char *part, float value) {
	static char data[1 << 20];
	char err[SN_ERRLEN];
	sn_weights *w;
	assert_int_equal(sn_weights_open(&w, fixture_path(), err), SN_OK);
	FILE *const in = fopen(sn_weights_path(w), "rb");
	unlink(copy_path("pytorch_model.bin"));
	FILE *const out = fopen(copy_path("pytorch_model.bin"), "wb");
	assert_true(in && out);
	const size_t size = fread(data, 1, sizeof data, in);
	for (size_t i = 0; i < sn_weights_count(w); i++) {
		const sn_weight *const t = sn_weights_at(w, i);
		if (!strstr(t->name, part)) continue;
		char *const at = memmem(data, size, t->data, t->bytes);
		assert_non_null(at);
		for (size_t k = 0; k < t->bytes; k += sizeof value) memcpy(at + k, &value, sizeof value);
	}
	assert_int_equal(fwrite(data, 1, size, out), size);
	fclose(in);
	fclose(out);
	sn_weights_close(&w);
}

static void weights_that_are_no_numbers_end_the_utterance(void **state) {
	char err[SN_ERRLEN] = "";
	float mel[256 * 20];
	int got;
	model m;
	spoil("speech_decoder_postnet.feat_out.bias", NAN);
	assert_int_equal(open_model(&m, folder, 1, err), SN_OK);
	const sn_speecht5_options o = usual(&m);
	assert_int_equal(sn_speecht5_start(m.stream, ids, COUNT, &o, err), SN_OK);
	assert_int_equal(sn_speecht5_next(m.stream, 256, mel, &got, err), SN_E_MODEL);
	assert_non_null(strstr(err, "frame 0 is not a number"));
	assert_int_equal(sn_speecht5_next(m.stream, 256, mel, &got, err), SN_END);
	close_model(&m);
}

/* Keys that are all alike: attention rests on the middle of the text. */
static void a_voice_that_stands_still_is_cut(void **state) {
	char err[SN_ERRLEN] = "";
	model m;
	int frames;
	spoil("encoder_attn.k_proj.weight", 0);
	assert_int_equal(open_model(&m, folder, 1, err), SN_OK);
	sn_speecht5_options o = usual(&m);
	o.force_frames = 0;
	o.threshold = 1e9;
	free(speak(&m, m.stream, &o, 256, &frames));
	assert_int_equal(frames, 2 * 95); /* 3 s of 32 ms a step, after the first */
	assert_non_null(strstr(sn_speecht5_remark(m.stream), "cut at 190 frames: the voice stood still for 3 s"));
	o.watch = 0;
	free(speak(&m, m.stream, &o, 256, &frames));
	assert_int_equal(frames, 20 * COUNT);
	close_model(&m);
}

/* ---- as sessions see it ---- */

typedef struct starts {
	int count, ids;
	int32_t last;
	size_t bytes;
} starts;

static int keep_start(void *payload, const int32_t *list, int count, size_t bytes, char *err) {
	starts *const s = payload;
	s->count++;
	s->ids += count;
	s->last = list[count - 1];
	s->bytes += bytes;
	return SN_OK;
}

static void *open_class(nn_pool **pool, const char *path) {
	char err[SN_ERRLEN] = "";
	void *synth = NULL;
	assert_int_equal(nn_pool_open(pool, 2, err), SN_OK);
	const sn_load_options load = { .dir = path, .dtype = NN_DTYPE_F32, .pool = *pool };
	assert_true(sn_synth_speecht5.accepts(path));
	if (sn_synth_speecht5.open(&synth, &load, err) != SN_OK) fail_msg("%s", err);
	return synth;
}

static starts encode(void *synth, const char *text, int *missing) {
	char err[SN_ERRLEN] = "";
	const sn_synth_options o = { .dropout = -1 };
	starts s = { 0 };
	if (sn_synth_speecht5.encode(synth, NULL, text, strlen(text), &o, keep_start, &s, missing, err) != SN_OK) fail_msg("%s", err);
	return s;
}

static void text_becomes_symbols(void **state) {
	nn_pool *pool;
	void *synth = open_class(&pool, fixture_path());
	int missing;
	starts s = encode(synth, "Hello", &missing);
	assert_int_equal(s.count, 1);
	assert_int_equal(s.ids, 7); /* a space before, </s> behind */
	assert_int_equal(s.last, 2);
	assert_int_equal(s.bytes, 5);
	assert_int_equal(missing, 0);
	assert_int_equal(encode(synth, "12", &missing).ids, 8); /* twelve */
	assert_int_equal(encode(synth, "a \xe6\xbc\xa2 b", &missing).ids, 6);
	assert_int_equal(missing, 1);
	assert_int_equal(encode(synth, "\xe6\xbc\xa2", &missing).count, 0);
	assert_int_equal(missing, 1);
	assert_int_equal(encode(synth, "<pad>a</s>b", &missing).last, 2);
	assert_int_equal(missing, 2);
	s = encode(synth, "A sentence that has far too many symbols for the hundred positions of this small model is spoken in parts.", &missing);
	assert_in_range(s.count, 2, 4);
	sn_synth_speecht5.close(&synth);
	nn_pool_close(&pool);
}

/* Sentences of less than 16 bytes cannot be cut; what is too long for the model is halved. */
static void few_positions_still_speak(void **state) {
	nn_pool *pool;
	int missing;
	json_t *const config = read_config();
	json_object_set_new(config, "max_text_positions", json_integer(12));
	save_config(config);
	void *synth = open_class(&pool, folder);
	assert_in_range(sn_synth_speecht5.facts(synth)->max_bytes, 16, 64);
	assert_in_range(encode(synth, "no more than this", &missing).count, 2, 4);
	sn_synth_speecht5.close(&synth);
	nn_pool_close(&pool);
	save_config(read_config());
}

static void save_npy(const char *name, int count, float first) {
	char header[129];
	FILE *const file = fopen(copy_path(name), "wb");
	assert_non_null(file);
	memset(header, ' ', sizeof header);
	memcpy(header, "\x93NUMPY\x01\x00\x76\x00", 10);
	const int used = snprintf(header + 10, 118, "{'descr': '<f4', 'fortran_order': False, 'shape': (%d,), }", count);
	header[10 + used] = ' ';
	header[127] = '\n';
	fwrite(header, 1, 128, file);
	for (int i = 0; i < count; i++) fwrite(&(float){ first + (float)i }, sizeof(float), 1, file);
	fclose(file);
}

static void voices_are_files(void **state) {
	nn_pool *pool;
	char err[SN_ERRLEN] = "";
	sn_voice voice;
	save_npy("slt.npy", 16, 1);
	save_npy("short.npy", 15, 1);
	save_npy("default.npy", 16, 5);
	void *synth = open_class(&pool, folder);
	assert_int_equal(sn_synth_speecht5.facts(synth)->embedding, 16);
	assert_int_equal(sn_synth_speecht5.facts(synth)->speakers, 0);
	assert_int_equal(sn_synth_speecht5.facts(synth)->embeds, 0);
	assert_int_equal(sn_synth_speecht5.embed(synth, &(float){ 0 }, 1, 16000, &(float){ 0 }, err), SN_E_UNSUPPORTED);
	assert_non_null(strstr(err, "no x-vector encoder"));
	assert_int_equal(sn_synth_speecht5.voice(synth, "slt", &voice, err), SN_OK);
	assert_int_equal(voice.embedding_count, 16);
	assert_float_equal(voice.embedding[2], 3, 0);
	sn_voice_clear(&voice);
	assert_int_equal(sn_synth_speecht5.voice(synth, copy_path("slt.npy"), &voice, err), SN_OK);
	sn_voice_clear(&voice);
	assert_int_equal(sn_synth_speecht5.voice(synth, "default", &voice, err), SN_OK);
	assert_float_equal(voice.embedding[0], 5, 0);
	sn_voice_clear(&voice);
	assert_int_equal(sn_synth_speecht5.voice(synth, "short", &voice, err), SN_E_ARGUMENT);
	assert_non_null(strstr(err, "holds 15 values; a voice of this model is 16"));
	assert_int_equal(sn_synth_speecht5.voice(synth, "nobody", &voice, err), SN_E_NOT_FOUND);
	assert_non_null(strstr(err, "there are \"default\", \"short\", \"slt\""));
	assert_null(voice.embedding);
	sn_synth_speecht5.close(&synth);
	nn_pool_close(&pool);
	unlink(copy_path("default.npy"));
	save_npy("averages.npy", 80, 1); /* no voice, though the first by name */
	synth = open_class(&pool, folder);
	assert_int_equal(sn_synth_speecht5.voice(synth, "default", &voice, err), SN_OK);
	assert_float_equal(voice.embedding[0], 1, 0);
	sn_voice_clear(&voice);
	sn_synth_speecht5.close(&synth);
	nn_pool_close(&pool);
	unlink(copy_path("averages.npy"));
	unlink(copy_path("slt.npy"));
	unlink(copy_path("short.npy"));
}

static void without_a_voice_the_listener_is_told(void **state) {
	nn_pool *pool;
	char err[SN_ERRLEN] = "";
	void *synth = open_class(&pool, fixture_path()), *stream = NULL;
	const int width = sn_synth_speecht5.facts(synth)->width;
	float *const mel = malloc(256 * (size_t)width * sizeof *mel);
	sn_synth_options o = { .dropout = -1, .force_frames = 10, .seed = 3 };
	int frames, extra, sum = 0, code;
	assert_int_equal(sn_synth_speecht5.stream_new(&stream, synth, err), SN_OK);
	assert_int_equal(sn_synth_speecht5.start(stream, ids, COUNT, &o, err), SN_OK);
	do {
		code = sn_synth_speecht5.next(stream, 256, mel, &frames, &extra, err);
		sum += frames;
	} while (code == SN_OK);
	assert_int_equal(code, SN_END);
	assert_int_equal(sum, 10);
	assert_non_null(strstr(sn_synth_speecht5.remark(stream), "no voice was given"));
	const sn_voice wrong = { .name = "other", .embedding = mel, .embedding_count = 7 };
	o.voice = &wrong;
	assert_int_equal(sn_synth_speecht5.start(stream, ids, COUNT, &o, err), SN_E_ARGUMENT);
	assert_non_null(strstr(err, "\"other\" has an embedding of 7 values; the model takes 16"));
	free(mel);
	sn_synth_speecht5.stream_free(&stream);
	sn_synth_speecht5.close(&synth);
	nn_pool_close(&pool);
}

static const char *const files[] = { "pytorch_model.bin", "spm_char.model", "added_tokens.json", "tokenizer_config.json",
                                     "preprocessor_config.json" };

static int make_copy(void **state) {
	char path[PATH_MAX + 64];
	if (!mkdtemp(folder)) return -1;
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		snprintf(path, sizeof path, "%s/%s", fixture_path(), files[i]);
		if (symlink(path, copy_path(files[i])) != 0) return -1;
	}
	save_config(read_config());
	return 0;
}

static int remove_copy(void **state) {
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) unlink(copy_path(files[i]));
	unlink(copy_path("config.json"));
	return rmdir(folder);
}

int main(int argc, char **argv) {
	static char absolute[PATH_MAX];
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_join_however_they_are_fetched), cmocka_unit_test(the_first_frames_leave_early),
		cmocka_unit_test(a_seed_decides_the_dropout), cmocka_unit_test(utterances_side_by_side_are_those_alone),
		cmocka_unit_test(lengths_follow_the_stop_rule_and_its_bounds),
		cmocka_unit_test(what_cannot_be_spoken_is_refused), cmocka_unit_test(configurations_are_checked),
		cmocka_unit_test(text_becomes_symbols), cmocka_unit_test(few_positions_still_speak), cmocka_unit_test(voices_are_files),
		cmocka_unit_test(without_a_voice_the_listener_is_told),
		cmocka_unit_test(a_voice_that_stands_still_is_cut), cmocka_unit_test(weights_that_are_no_numbers_end_the_utterance),
	};
	if (argc != 2 || !realpath(argv[1], absolute)) return 2;
	fixtures = absolute;
	return cmocka_run_group_tests(tests, make_copy, remove_copy);
}
