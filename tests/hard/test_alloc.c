/* Every public call while memory, descriptors, threads and child processes fail: the n-th request fails, for n = 1, 2, 3, ... until a call
 * is through without one failing. A call then returns SN_E_MEMORY, or does all the same what it does with enough; it leaves nothing behind,
 * and what it was called on goes on working, since the next n uses it. A sweep is a short life with the calls that it names.
 *
 *	test_alloc FIXTURES SCRATCH [long] [NAME]     test_alloc --list: the calls, for test_header.py
 */
#include <sonant/sonant.h>

#include "base/error.h"
#include "fail.h"
#include "store/models.h"

#include <dirent.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define RATE SN_STT_RATE
#define SAMPLES ((size_t)RATE * 3 / 2)
#define FEW 40             /* requests that fail one after the other; beyond them the step grows, except in a long run */
#define MOST_BAD 400         /* failures of a sweep that are told */
#define SCRATCH_PATH 512

static char fixtures[256], scratch[256], helpers_are_there;
static float pcm[SAMPLES];
static void *wav;
static size_t wav_size;
static sn_engine *engine;
static sn_model *model, *second;
static uint64_t digest;    /* of what a life made */

static char *path_of(const char *name) {
	static char paths[4][SCRATCH_PATH];
	static int turn;
	turn = (turn + 1) % 4;
	snprintf(paths[turn], SCRATCH_PATH, "%s/%s", scratch, name);
	return paths[turn];
}

static void mix(const void *data, size_t size) {
	const unsigned char *const bytes = data;
	for (size_t i = 0; i < size; i++)
		digest = (digest ^ bytes[i]) * 0x100000001b3u;
}

static void mix_text(const char *text) { mix(text ? text : "", text ? strlen(text) + 1 : 1); }

static void die(const char *what, const char *err) {
	printf("Bail out! %s: %s\n", what, err);
	exit(1);
}

/* ---- what lives share ---- */

static const sn_stt_options hear = { .language = "en", .vad = SN_OFF, .beam = 2, .fallback = SN_OFF };

static void begin_engine(void) {
	char err[SN_ERRLEN];
	const sn_engine_options options = { .threads = 1, .home = path_of("home"), .precision = SN_PRECISION_F32, .no_cache = 1 };
	if (sn_engine_open(&engine, &options, err) != SN_OK)
		die("engine", err);
}

static void load(sn_model **out, const char *name) {
	char err[SN_ERRLEN], path[SCRATCH_PATH];
	snprintf(path, sizeof path, "%s/%s", fixtures, name);
	if (sn_model_load(out, engine, path, NULL, err) != SN_OK)
		die(name, err);
}

static void begin_whisper(void) { begin_engine(); load(&model, "whisper"); }
static void begin_wav2vec2(void) { begin_engine(); load(&model, "wav2vec2-base"); }
static void begin_vits(void) { begin_engine(); load(&model, "vits-sdp-multispeaker"); }
static void begin_hifigan(void) { begin_engine(); load(&model, "hifigan-jik876"); }
static void begin_fastspeech2(void) { begin_engine(); load(&model, "fastspeech2-conformer-with-hifigan"); }
static void begin_tacotron2(void) { begin_engine(); load(&model, "tacotron2-coqui"); }
static void begin_bark(void) { begin_engine(); load(&model, "bark"); }
static void begin_voices(void) { begin_engine(); load(&model, "yourtts"); load(&second, "xvector"); }

static void end_all(void) {
	sn_model_release(&second);
	sn_model_release(&model);
	sn_engine_close(&engine);
}

static sn_transcript *heard; /* made before, for the functions that write it */
static sn_analysis *looked_at;
static sn_quality rated;

static void begin_results(void) {
	char err[SN_ERRLEN];
	const sn_analysis_options look = { .quality = { .scores = SN_OFF }, .language = SN_OFF };
	const sn_quality_options rate = { .scores = SN_OFF };
	begin_whisper();
	if (sn_transcribe_pcm(&heard, model, pcm, SAMPLES, &hear, err) != SN_OK || sn_analyze_file(&looked_at, engine, path_of("in.wav"), &look, err) != SN_OK ||
	    sn_quality_pcm(&rated, engine, pcm, SAMPLES, RATE, &rate, err) != SN_OK)
		die("results", err);
}

static void end_results(void) {
	sn_transcript_free(&heard);
	sn_analysis_free(&looked_at);
	end_all();
}

/* `pointer` lies where a failed call must have left NULL. */
static int made(int result, const void *pointer, char *err) {
	const void *out;
	memcpy(&out, pointer, sizeof out);
	if ((result == SN_OK) == (out != NULL))
		return result;
	snprintf(err, SN_ERRLEN, "returned %s and %s", sn_result_name(result), out ? "an object" : "no object");
	return SN_E_INTERNAL;
}

/* ---- lives ---- */

static void ignore(sn_log_level level, const char *text, void *payload) { mix(text, 0); }

static int live_facts(char *err) {
	sn_log_set(SN_LOG_DEBUG, ignore, NULL);
	mix_text(sn_version());
	mix_text(sn_language_name("en"));
	mix_text(sn_result_name(SN_E_MEMORY));
	mix_text(sn_result_text(SN_E_MEMORY));
	digest += (uint64_t)(sn_result_http(SN_E_MEMORY) + sn_result_exit(SN_E_MEMORY));
	return SN_OK;
}

static int live_engine(char *err) {
	const sn_engine_options options = { .threads = 2, .home = path_of("home") };
	sn_engine *e;
	sn_engine_info info;
	sn_engine_stats stats;
	const int result = made(sn_engine_open(&e, &options, err), &e, err);
	if (e) {
		sn_engine_describe(e, &info);
		sn_engine_measure(e, &stats);
		mix_text(info.home);
	}
	sn_engine_close(&e);
	return result;
}

static int live_load(const char *name, char *err) {
	char path[SCRATCH_PATH], token[32];
	sn_model *m;
	sn_model_info info;
	snprintf(path, sizeof path, "%s/%s", fixtures, name);
	const int result = made(sn_model_load(&m, engine, path, NULL, err), &m, err);
	if (m) {
		sn_model_describe(m, &info);
		mix_text(sn_model_backend(m));
		mix_text(info.architecture);
		mix_text(info.mel);
		mix(&info.parameters, sizeof info.parameters);
		mix(token, sn_model_token(m, 60, token, sizeof token));
	}
	sn_model_release(&m);
	return result;
}

#define LIVE_LOAD(function, fixture) \
	static int function(char *err) { return live_load(fixture, err); }
LIVE_LOAD(load_whisper, "whisper")
LIVE_LOAD(load_whisper_onnx, "whisper-onnx")
LIVE_LOAD(load_wav2vec2, "wav2vec2-mms")
LIVE_LOAD(load_vits, "vits-sdp-multispeaker")
LIVE_LOAD(load_hifigan, "hifigan-coqui")
LIVE_LOAD(load_melgan, "multiband-melgan")
LIVE_LOAD(load_waveglow, "waveglow")
LIVE_LOAD(load_bert, "roberta-punctuation")
LIVE_LOAD(load_pieces, "xlm-roberta-punctuation")
LIVE_LOAD(load_fastspeech2, "fastspeech2-conformer-with-hifigan")
LIVE_LOAD(load_fastpitch, "fastpitch-coqui")
LIVE_LOAD(load_speecht5, "speecht5")
LIVE_LOAD(load_tacotron2, "tacotron2-coqui-dynamic")
LIVE_LOAD(load_yourtts, "yourtts")
LIVE_LOAD(load_bark, "bark")
LIVE_LOAD(load_xvector, "xvector")

/* With a cache: packed weights are written, which is optional. */
static int live_packed(char *err) {
	const sn_engine_options options = { .threads = 1, .home = path_of("packs") };
	char path[SCRATCH_PATH];
	sn_engine *e;
	sn_model *m = NULL;
	snprintf(path, sizeof path, "%s/hifigan-jik876", fixtures);
	int result = sn_engine_open(&e, &options, err);
	if (result == SN_OK)
		result = made(sn_model_load(&m, e, path, NULL, err), &m, err);
	sn_model_release(&m);
	sn_engine_close(&e);
	return result;
}

static int live_list(char *err) {
	sn_model_list *list;
	const int result = made(sn_model_list_read(&list, engine, err), &list, err);
	for (size_t i = 0; list && i < list->count; i++)
		mix_text(list->entries[i].name);
	sn_model_list_free(&list);
	return result;
}

/* What a call is right to refuse counts as its success. */
static int refused(int result, int code, char *err) {
	mix_text(result == code ? "refused" : "");
	return result == code ? SN_OK : result;
}

static int live_stores(char *err) {
	static const char *const folders[] = { "home", "home/models", "home/models/gone", "home/models/kept" };
	char home[SCRATCH_PATH], config[SCRATCH_PATH];
	const sn_pull_options options = { .home = strcpy(home, path_of("home")), .endpoint = "http://127.0.0.1:9", .source = "hub", .token = "" };
	sn_pulled *pulled;
	sn_verified *verified;
	int64_t freed;
	for (int i = 0; i < 4; i++)
		mkdir(path_of(folders[i]), 0700);
	snprintf(config, sizeof config, "%s/whisper/config.json", fixtures);
	if (symlink(config, path_of("home/models/gone/config.json")) != 0 || symlink(config, path_of("home/models/kept/config.json")) != 0)
		mix_text("from before");
	digest = 0;
	int result = made(sn_models_pull(&pulled, "openai/whisper-tiny", &options, err), &pulled, err);
	sn_pulled_free(&pulled);
	if (refused(result, SN_E_IO, err) != SN_OK)
		return result;
	result = made(sn_models_verify(&verified, "kept", &options, err), &verified, err);
	sn_verified_free(&verified);
	if (refused(result, SN_E_UNSUPPORTED, err) != SN_OK)
		return result;
	return sn_models_remove("gone", &options, &freed, err);
}

static int live_measure(char *err) {
	sn_measure measures[8];
	size_t count;
	return sn_model_measure(model, 1, measures, 8, &count, err);
}

static int pull_text(sn_stt *stt, char *err) {
	sn_event event;
	int result;
	while ((result = sn_stt_pull(stt, &event, err)) == SN_OK)
		if (event.kind == SN_EVENT_SEGMENT)
			mix_text(event.segment.text);
	return result == SN_END ? SN_OK : result;
}

static int live_stt(char *err) {
	sn_stt *stt;
	int result = made(sn_stt_open(&stt, model, &hear, err), &stt, err);
	for (size_t at = 0; result == SN_OK && at < SAMPLES; at += 8000)
		result = sn_stt_push(stt, pcm + at, SAMPLES - at < 8000 ? SAMPLES - at : 8000, err);
	if (result == SN_OK)
		result = sn_stt_finish(stt, err);
	if (result == SN_OK)
		result = pull_text(stt, err);
	if (stt)
		sn_stt_cancel(stt);
	sn_stt_close(&stt);
	return result;
}

static int keep_transcript(int result, sn_transcript *t, char *err) {
	result = made(result, &t, err);
	if (t)
		mix_text(t->text);
	sn_transcript_free(&t);
	return result;
}

static int live_transcribe_pcm(char *err) {
	const sn_stt_options options = { .language = "en", .vad = SN_OFF, .beam = 2, .fallback = SN_OFF, .prompt = "Names.", .hotwords = "hello, world" };
	sn_transcript *t;
	const int result = sn_transcribe_pcm(&t, model, pcm, SAMPLES, &options, err);
	return keep_transcript(result, t, err);
}

static int live_transcribe_file(char *err) {
	sn_transcript *t;
	const int result = sn_transcribe_file(&t, model, path_of("in.wav"), &hear, err);
	return keep_transcript(result, t, err);
}

static int live_transcribe_memory(char *err) {
	sn_transcript *t;
	const int result = sn_transcribe_memory(&t, model, wav, wav_size, &hear, err);
	return keep_transcript(result, t, err);
}

static int live_transcribe_helper(char *err) {
	sn_transcript *t;
	const int result = sn_transcribe_file(&t, model, path_of("in.m4a"), &hear, err);
	return keep_transcript(result, t, err);
}

static int keep_text(int result, char *text, size_t size, char *err) {
	result = made(result, &text, err);
	if (text)
		mix(text, size);
	free(text);
	return result;
}

static int live_format(char *err) {
	static const char *const formats[] = { "text", "json", "verbose_json", "srt", "vtt", "tsv" };
	char *text;
	size_t size;
	int result = SN_OK;
	for (int i = 0; i < 6 && result == SN_OK; i++) {
		result = sn_transcript_format(&text, &size, heard, formats[i], "in.wav", err);
		result = keep_text(result, text, size, err);
	}
	const sn_transcript_options narrow = { .format = "srt", .line_width = 10, .line_count = 1 };
	if (result == SN_OK) {
		result = sn_transcript_write(&text, &size, heard, &narrow, err);
		result = keep_text(result, text, size, err);
	}
	for (int i = 0; i < 2 && result == SN_OK; i++) {
		result = sn_analysis_format(&text, &size, looked_at, formats[i], "in.wav", err);
		result = keep_text(result, text, size, err);
	}
	for (int i = 0; i < 2 && result == SN_OK; i++) {
		result = sn_quality_format(&text, &size, &rated, formats[i], "in.wav", err);
		result = keep_text(result, text, size, err);
	}
	return result;
}

static int live_stream(char *err) {
	static const char *const formats[] = { "text", "jsonl", "srt", "vtt", "tsv" };
	const char *text;
	size_t size;
	int result = SN_OK;
	for (int i = 0; i < 5 && result == SN_OK; i++) {
		const sn_transcript_options options = { .format = formats[i], .file = "in.wav", .line_width = 10 };
		sn_transcript_stream *s;
		result = made(i % 2 ? sn_transcript_stream_open(&s, formats[i], "in.wav", err) : sn_transcript_stream_begin(&s, &options, err), &s, err);
		for (size_t k = 0; k < heard->segment_count && result == SN_OK; k++)
			if ((result = sn_transcript_stream_add(s, &heard->segments[k], &text, &size, err)) == SN_OK)
				mix(text, size);
		if (result == SN_OK && (result = sn_transcript_stream_end(s, heard, &text, &size, err)) == SN_OK)
			mix(text, size);
		sn_transcript_stream_close(&s);
	}
	return result;
}

static int live_plot(char *err) {
	const int result = sn_analysis_plot(looked_at, path_of("plot.png"), 480, 360, "A title", err);
	if ((result == SN_OK) != (access(path_of("plot.png"), F_OK) == 0)) {
		snprintf(err, SN_ERRLEN, "%s, and the file is%s there", sn_result_name(result), result == SN_OK ? " not" : "");
		return SN_E_INTERNAL;
	}
	unlink(path_of("plot.png"));
	return result;
}

static int say(const sn_tts_options *options, const char *text, char *err) {
	sn_tts *tts;
	sn_audio audio;
	sn_speech speech;
	int result = made(sn_tts_open(&tts, model, options, err), &tts, err);
	if (result == SN_OK)
		result = sn_tts_push(tts, text, strlen(text), err);
	if (result == SN_OK)
		result = sn_tts_finish(tts, err);
	while (result == SN_OK && (result = sn_tts_pull(tts, &audio, err)) == SN_OK)
		mix(audio.pcm, audio.count * sizeof *audio.pcm);
	result = result == SN_END ? SN_OK : result;
	if (tts) {
		sn_tts_result(tts, &speech);
		if (result == SN_OK)
			result = sn_tts_check(tts, &speech, err);
		sn_tts_cancel(tts);
	}
	sn_tts_close(&tts);
	return result;
}

static int live_tts(char *err) {
	const sn_tts_options options = { .voice = "1", .seed = 3 };
	return say(&options, "Yes. Of 3.", err);
}

static int live_ssml(char *err) {
	const sn_tts_options options = { .seed = 3, .inspect = SN_ON };
	return say(&options, "<speak>An <mark name=\"a\"/><prosody rate=\"fast\">hour</prosody><break time=\"50ms\"/>.</speak>", err);
}

static int live_tts_mel(char *err) {
	const sn_tts_options options = { .seed = 3, .vocoder = "griffin-lim" };
	return say(&options, "Hi.", err);
}

static int live_tts_own(char *err) { return say(&(sn_tts_options){ .seed = 3 }, "Hi.", err); }

static int live_tts_bark(char *err) { return say(NULL, "Hi.", err); }

static int live_speak_file(char *err) {
	sn_speech speech;
	const int result = sn_speak_file(model, "Yes.", 4, path_of("said.wav"), NULL, NULL, &speech, err);
	if ((result == SN_OK) != (access(path_of("said.wav"), F_OK) == 0)) {
		snprintf(err, SN_ERRLEN, "%s, and the file is%s there", sn_result_name(result), result == SN_OK ? " not" : "");
		return SN_E_INTERNAL;
	}
	unlink(path_of("said.wav"));
	return result;
}

static int live_speak_memory(char *err) {
	void *data = NULL;
	size_t size = 0;
	int result = made(sn_speak_memory(&data, &size, model, "Yes.", 4, "flac", NULL, NULL, err), &data, err);
	mix(data, data ? size : 0);
	free(data);
	return result;
}

static int live_speak_pcm(char *err) {
	float *pcm = NULL;
	size_t count = 0;
	sn_speech speech;
	int result = made(sn_speak_pcm(&pcm, &count, model, "Yes.", 4, NULL, &speech, err), &pcm, err);
	mix(pcm, count * sizeof *pcm);
	free(pcm);
	return result;
}

static int count_bytes(void *payload, const void *data, size_t size) {
	mix(data, size);
	return SN_OK;
}

static int use_writer(int result, sn_writer *w, char *err) {
	result = made(result, &w, err);
	for (int i = 0; i < 2 && result == SN_OK; i++)
		result = sn_writer_write(w, pcm, 4000, err);
	if (result == SN_OK)
		result = sn_writer_finish(w, err);
	digest += w ? (uint64_t)sn_writer_rate(w) : 0;
	return result;
}

static int live_writers(char *err) {
	static const char *const formats[] = { "wav", "flac", "mp3", "opus", "pcm" };
	sn_writer *w;
	int result = SN_OK;
	for (int i = 0; i < 5 && result == SN_OK; i++) {
		const sn_writer_options options = { .format = formats[i], .sample_rate = 16000, .output_rate = i == 0 ? 22050 : 0 };
		result = sn_writer_open(&w, path_of("written"), formats[i], RATE, err);
		result = use_writer(result, w, err);
		sn_writer_close(&w);
		unlink(path_of("written"));
		if (result != SN_OK)
			break;
		result = sn_writer_open_callback(&w, count_bytes, NULL, &options, err);
		result = use_writer(result, w, err);
		sn_writer_close(&w);
		if (result != SN_OK)
			break;
		result = sn_writer_open_memory(&w, &options, err);
		result = use_writer(result, w, err);
		if (result == SN_OK) {
			size_t size;
			void *const data = sn_writer_take(w, &size);
			free(data);
		}
		sn_writer_close(&w);
	}
	return result;
}

static int use_reader(const sn_reader_options *options, char *err) {
	float block[2048];
	size_t at = 0, taken, count;
	sn_reader *r;
	int result = made(sn_reader_open(&r, options, err), &r, err), finished = 0;
	while (result == SN_OK || result == SN_AGAIN) {
		const size_t at_once = wav_size - at < 9000 ? wav_size - at : 9000;
		result = at < wav_size ? sn_reader_push(r, (char *)wav + at, at_once, &taken, err) : SN_OK;
		if (result == SN_OK && at < wav_size)
			at += taken;
		else if (result == SN_OK && !finished) {
			result = sn_reader_finish(r, err);
			finished = 1;
		}
		if (result < 0)
			break;
		while ((result = sn_reader_pull(r, block, 2048, &count, err)) == SN_OK)
			mix(block, count * sizeof *block);
		if (result == SN_AGAIN && sn_reader_descriptor(r) >= 0)
			nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL);
	}
	sn_reader_close(&r);
	return result == SN_END ? SN_OK : result;
}

static int live_reader(char *err) {
	const sn_reader_options options = { .format = "pcm16", .sample_rate = 44100, .channels = 2 };
	return use_reader(&options, err);
}

static int live_reader_helper(char *err) { return use_reader(NULL, err); }

static int live_voices(char *err) {
	const sn_voice_facts facts = { .language = "en", .licence = "CC0" };
	const char *const copy = path_of("copy.npy");
	sn_voice_list *list = NULL;
	char text[SN_ERRLEN];
	int result = sn_voice_add(engine, second, "one", path_of("in.wav"), &facts, err);
	if (result == SN_OK)
		result = made(sn_voice_list_read(&list, engine, model, err), &list, err);
	for (size_t i = 0; list && i < list->count; i++)
		mix_text(list->entries[i].name);
	sn_voice_list_free(&list);
	if (result == SN_OK)
		result = sn_voice_export(engine, "one", copy, err);
	if (result == SN_OK)
		result = sn_voice_add(engine, NULL, "two", copy, NULL, err);
	unlink(copy);
	const int first = sn_voice_remove(engine, "one", result == SN_OK ? err : text);
	result = result == SN_OK ? first : result;
	const int then = sn_voice_remove(engine, "two", result == SN_OK ? err : text);
	return result == SN_OK ? then : result;
}

static int live_quality(char *err) {
	const sn_quality_options options = { .scores = SN_OFF };
	sn_quality q = { 0 };
	int result = sn_quality_file(&q, engine, path_of("in.wav"), &options, err);
	if (result == SN_OK)
		result = sn_quality_memory(&q, engine, wav, wav_size, &options, err);
	if (result == SN_OK)
		result = sn_quality_pcm(&q, engine, pcm, SAMPLES, RATE, &options, err);
	mix(&q.rms, result == SN_OK ? sizeof q.rms : 0);
	return result;
}

static int live_analyze(char *err) {
	const sn_analysis_options options = { .quality = { .scores = SN_OFF }, .language = SN_OFF };
	sn_analysis *a;
	const int result = made(sn_analyze_file(&a, engine, path_of("in.wav"), &options, err), &a, err);
	if (a)
		mix(a->points, a->point_count * sizeof *a->points);
	sn_analysis_free(&a);
	return result;
}

static int live_export(char *err) {
	char path[SCRATCH_PATH];
	snprintf(path, sizeof path, "%s/hifigan-jik876", fixtures);
	const int result = sn_model_export(engine, path, NULL, path_of("exported"), err);
	int64_t freed = 0;
	const int left = sn_store_remove_tree(path_of("exported"), &freed) == SN_OK;
	if (left != (result == SN_OK))
		return sn_fail(err, SN_E_INTERNAL, "an export that gave %d %s its directory", result, left ? "left" : "has not made");
	return result;
}

static int live_quantize(char *err) {
	char path[SCRATCH_PATH];
	sn_quantized *q;
	const sn_quantize_options options = { .precision = SN_PRECISION_INT8 };
	snprintf(path, sizeof path, "%s/bert-punctuation", fixtures);
	int result = sn_model_quantize(&q, engine, path, &options, path_of("quantized"), err);
	int64_t freed = 0;
	const int left = sn_store_remove_tree(path_of("quantized"), &freed) == SN_OK;
	if (left != (result == SN_OK))
		result = sn_fail(err, SN_E_INTERNAL, "a checkpoint that gave %d %s its directory", result, left ? "left" : "has not made");
	if (q)
		mix(&q->bytes, sizeof q->bytes);
	sn_quantized_free(&q);
	return result;
}

static int live_convert(char *err) {
	const sn_convert_options options = { .sample_rate = 8000, .loudness = -20 };
	sn_conversion facts;
	const int result = sn_convert_file(&facts, path_of("in.wav"), path_of("out.flac"), &options, err);
	unlink(path_of("out.flac"));
	return result;
}

static int live_enhance(char *err) {
	const sn_enhance_options options = { .denoise = SN_OFF, .compress = SN_ON };
	sn_enhancement facts;
	float *out = NULL;
	size_t count = 0;
	int result = made(sn_enhance_pcm(&out, &count, &facts, engine, pcm, SAMPLES, RATE, &options, err), &out, err);
	mix(out, out ? count * sizeof *out : 0);
	free(out);
	if (result == SN_OK)
		result = sn_enhance_file(&facts, engine, path_of("in.wav"), path_of("out.wav"), NULL, &options, err);
	unlink(path_of("out.wav"));
	return result;
}

/* ---- the sweeps ---- */

#define HELPER 1     /* needs sonant-decode */
#define LONG 2       /* in a long run only */
#define ANY_SOUND 4  /* the result may differ: it holds times, or a list leaves out what could not be read, with a remark */

static const struct sweep {
	const char *name, *calls;
	void (*begin)(void);
	int (*live)(char *err);
	void (*end)(void);
	int flags;
} sweeps[] = {
	{ "facts", "sn_result_name sn_result_text sn_result_http sn_result_exit sn_log_set sn_version sn_language_name", NULL, live_facts, NULL, 0 },
	{ "engine", "sn_engine_open sn_engine_close sn_engine_describe sn_engine_measure", NULL, live_engine, NULL, 0 },
	{ "load whisper", "sn_model_load sn_model_release sn_model_describe sn_model_backend sn_model_token", begin_engine, load_whisper, end_all, 0 },
	{ "load whisper onnx", "", begin_engine, load_whisper_onnx, end_all, 0 },
	{ "load wav2vec2", "", begin_engine, load_wav2vec2, end_all, 0 },
	{ "load vits", "", begin_engine, load_vits, end_all, 0 },
	{ "load hifigan", "", begin_engine, load_hifigan, end_all, 0 },
	{ "load melgan", "", begin_engine, load_melgan, end_all, 0 },
	{ "load waveglow", "", begin_engine, load_waveglow, end_all, LONG },
	{ "load bert", "", begin_engine, load_bert, end_all, 0 },
	{ "load pieces", "", begin_engine, load_pieces, end_all, 0 },
	{ "load fastspeech2", "", begin_engine, load_fastspeech2, end_all, 0 },
	{ "load fastpitch", "", begin_engine, load_fastpitch, end_all, 0 },
	{ "load speecht5", "", begin_engine, load_speecht5, end_all, 0 },
	{ "load tacotron2", "", begin_engine, load_tacotron2, end_all, 0 },
	{ "load yourtts", "", begin_engine, load_yourtts, end_all, 0 },
	{ "load bark", "", begin_engine, load_bark, end_all, 0 },
	{ "load xvector", "", begin_engine, load_xvector, end_all, 0 },
	{ "packed weights", "", NULL, live_packed, NULL, 0 },
	{ "list of models", "sn_model_list_read sn_model_list_free", begin_engine, live_list, end_all, 0 },
	{ "store", "sn_models_pull sn_pulled_free sn_models_verify sn_verified_free sn_models_remove", NULL, live_stores, NULL, HELPER },
	{ "measure", "sn_model_measure", begin_hifigan, live_measure, end_all, LONG },
	{ "stt whisper", "sn_stt_open sn_stt_push sn_stt_finish sn_stt_pull sn_stt_cancel sn_stt_close", begin_whisper, live_stt, end_all, 0 },
	{ "stt wav2vec2", "", begin_wav2vec2, live_stt, end_all, 0 },
	{ "transcribe samples", "sn_transcribe_pcm sn_transcript_free", begin_whisper, live_transcribe_pcm, end_all, 0 },
	{ "transcribe file", "sn_transcribe_file", begin_whisper, live_transcribe_file, end_all, 0 },
	{ "transcribe memory", "sn_transcribe_memory", begin_whisper, live_transcribe_memory, end_all, 0 },
	{ "transcribe by helper", "", begin_whisper, live_transcribe_helper, end_all, HELPER },
	{ "formats", "sn_transcript_format sn_transcript_write sn_analysis_format sn_quality_format", begin_results, live_format, end_results, 0 },
	{ "transcript as it comes", "sn_transcript_stream_open sn_transcript_stream_begin sn_transcript_stream_add sn_transcript_stream_end sn_transcript_stream_close", begin_results,
	  live_stream, end_results, 0 },
	{ "plot", "sn_analysis_plot", begin_results, live_plot, end_results, 0 },
	{ "tts vits", "sn_tts_open sn_tts_push sn_tts_finish sn_tts_pull sn_tts_result sn_tts_check sn_tts_cancel sn_tts_close", begin_vits, live_tts, end_all, 0 },
	{ "tts ssml", "", begin_vits, live_ssml, end_all, 0 },
	{ "tts fastspeech2", "", begin_fastspeech2, live_tts_own, end_all, LONG },
	{ "tts tacotron2", "", begin_tacotron2, live_tts_mel, end_all, LONG },
	{ "tts bark", "", begin_bark, live_tts_bark, end_all, LONG },
	{ "speak to a file", "sn_speak_file", begin_vits, live_speak_file, end_all, 0 },
	{ "speak to memory", "sn_speak_memory", begin_vits, live_speak_memory, end_all, 0 },
	{ "speak to samples", "sn_speak_pcm", begin_vits, live_speak_pcm, end_all, 0 },
	{ "writers",
	  "sn_writer_open sn_writer_write sn_writer_finish sn_writer_rate sn_writer_close sn_writer_open_callback sn_writer_open_memory sn_writer_take", NULL,
	  live_writers, NULL, ANY_SOUND },
	{ "reader", "sn_reader_open sn_reader_push sn_reader_finish sn_reader_pull sn_reader_descriptor sn_reader_close", NULL, live_reader, NULL, 0 },
	{ "reader with helper", "", NULL, live_reader_helper, NULL, HELPER },
	{ "voices", "sn_voice_add sn_voice_list_read sn_voice_list_free sn_voice_export sn_voice_remove", begin_voices, live_voices, end_all, ANY_SOUND },
	{ "quality", "sn_quality_file sn_quality_memory sn_quality_pcm", begin_engine, live_quality, end_all, 0 },
	{ "analyze", "sn_analyze_file sn_analysis_free", begin_engine, live_analyze, end_all, 0 },
	{ "export", "sn_model_export", begin_engine, live_export, end_all, 0 },
	{ "quantize", "sn_model_quantize sn_quantized_free", begin_engine, live_quantize, end_all, 0 },
	{ "convert", "sn_convert_file", NULL, live_convert, NULL, 0 },
	{ "enhance", "sn_enhance_file sn_enhance_pcm", begin_engine, live_enhance, end_all, 0 },
};
#define SWEEPS ((int)(sizeof sweeps / sizeof *sweeps))

typedef struct outcome { int bad; long tried, requests; } outcome;

static int names_memory(fail_kind kind, int result) { return kind == FAIL_MEMORY ? result == SN_E_MEMORY : result < 0 && result != SN_E_INTERNAL; }

/* What a life that failed could not take away again. */
static void tidy(void) {
	char err[SN_ERRLEN];
	if (second) {
		sn_voice_remove(engine, "one", err);
		sn_voice_remove(engine, "two", err);
	}
}

/* One n. 0: nothing failed, the sweep is through. */
static int try_one(const struct sweep *s, fail_kind kind, fail_whose whose, long n, uint64_t expected, outcome *o) {
	char err[SN_ERRLEN] = "";
	const char *wrong = NULL;
	tidy();
	digest = 0;
	fail_arm(kind, whose, n);
	const int result = s->live(err);
	o->requests = fail_disarm();
	const int failed = o->requests >= n;
	o->tried += failed;
	if (result == SN_OK)
		wrong = digest != expected && !(s->flags & ANY_SOUND) ? "succeeds with another result" : NULL;
	else if (!failed)
		wrong = "fails though nothing failed";
	else if (!names_memory(kind, result) || !*err)
		wrong = "returns a wrong error";
	if (wrong && o->bad++ < MOST_BAD)
		fprintf(stderr, "# %s: request %ld of %s, made at 0x%zx: %s: %s: %s\n", s->name, n, whose == FAIL_ALL ? "all threads" : "the caller", fail_where(),
		        wrong, sn_result_name(result), err);
	return failed;
}

static outcome run(const struct sweep *s, fail_kind kind, fail_whose whose, int all) {
	char err[SN_ERRLEN] = "";
	outcome o = { 0 };
	const long mark = fail_mark(), before = fail_held();
	if (s->begin)
		s->begin();
	tidy();
	digest = 0;
	if (s->live(err) != SN_OK)
		die(s->name, err);
	const uint64_t expected = digest;
	for (long n = 1; try_one(s, kind, whose, n, expected, &o); n += all || n < FEW ? 1 : n / 12)
		;
	if (s->end)
		s->end();
	if (fail_held() != before) {
		fprintf(stderr, "# %s: %ld blocks or descriptors are left\n", s->name, fail_held() - before);
		fail_name_held(mark);
		o.bad++;
	}
	return o;
}

static int list(void) {
	for (int i = 0; i < SWEEPS; i++)
		if (*sweeps[i].calls)
			printf("%s ", sweeps[i].calls);
	printf("\n");
	return 0;
}

static void copy_file(const char *from, const char *to) {
	static char data[1 << 20];
	FILE *const in = fopen(from, "rb"), *const out = fopen(to, "wb");
	const size_t size = in ? fread(data, 1, sizeof data, in) : 0;
	if (!in || !out || fwrite(data, 1, size, out) != size || fclose(out) != 0)
		die(to, "cannot be written");
	fclose(in);
}

static void prepare(void) {
	char err[SN_ERRLEN], audio[SCRATCH_PATH];
	sn_writer *w;
	const sn_writer_options options = { .format = "wav", .sample_rate = RATE };
	for (size_t i = 0; i < SAMPLES; i++)
		pcm[i] = 0.2f * sinf((float)i * (0.01f + 1e-6f * (float)(i % 5000)));
	snprintf(audio, sizeof audio, "%s/../../audio/jfk_2s.m4a", fixtures);
	mkdir(scratch, 0700);
	copy_file(audio, path_of("in.m4a"));
	if (sn_writer_open(&w, path_of("in.wav"), "wav", RATE, err) != SN_OK || sn_writer_write(w, pcm, SAMPLES, err) != SN_OK ||
	    sn_writer_finish(w, err) != SN_OK)
		die("in.wav", err);
	sn_writer_close(&w);
	if (sn_writer_open_memory(&w, &options, err) != SN_OK || sn_writer_write(w, pcm, SAMPLES, err) != SN_OK || sn_writer_finish(w, err) != SN_OK)
		die("wav", err);
	wav = sn_writer_take(w, &wav_size);
	sn_writer_close(&w);
	helpers_are_there = getenv("SONANT_HELPERS") && access(getenv("SONANT_HELPERS"), X_OK) == 0;
}

int main(int argc, char **argv) {
	static const struct { const char *name; fail_kind kind; fail_whose whose; } rounds[] = {
		{ "memory of the caller", FAIL_MEMORY, FAIL_CALLER },
		{ "memory of all threads", FAIL_MEMORY, FAIL_ALL },
		{ "descriptors, threads, processes", FAIL_DESCRIPTORS, FAIL_ALL },
	};
	int cases = 0, bad = 0;
	if (argc == 2 && strcmp(argv[1], "--list") == 0)
		return list();
	if (argc < 3)
		return 2;
	snprintf(fixtures, sizeof fixtures, "%s", argv[1]);
	snprintf(scratch, sizeof scratch, "%s", argv[2]);
	const int all = argc > 3 && strcmp(argv[3], "long") == 0;
	const char *const only = argc > 3 + all ? argv[3 + all] : NULL;
	fail_setup();
	prepare();
	for (int i = 0; i < SWEEPS; i++) {
		const struct sweep *const s = &sweeps[i];
		if ((only && strcmp(only, s->name) != 0) || (!only && s->flags & LONG && !all))
			continue;
		for (size_t k = 0; k < sizeof rounds / sizeof *rounds; k++) {
			if (s->flags & HELPER && !helpers_are_there) {
				printf("ok %d - %s: %s # SKIP no helper\n", ++cases, s->name, rounds[k].name);
				continue;
			}
			const outcome o = run(s, rounds[k].kind, rounds[k].whose, all);
			printf("%sok %d - %s: %s (%ld of %ld failed)\n", o.bad ? "not " : "", ++cases, s->name, rounds[k].name, o.tried, o.requests);
			fflush(stdout);
			bad += o.bad > 0;
		}
	}
	free(wav);
	printf("1..%d\n", cases);
	return bad > 0;
}
