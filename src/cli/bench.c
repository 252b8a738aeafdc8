/* Times in one loaded process: loading, the parts of Whisper, a clip, and speech. */
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_ROWS 64

static struct {
	cli_engine engine;
	const char *stt, *tts, *parts, *format, *language;
	int runs, beam, no_stt, no_tts;
	sn_switch vad;
} args;

static const cli_option options[] = {
	{ "model", 'm', "MODEL", "that transcribes (default: auto)", CLI_MODEL_TRANSCRIBE, &args.stt },
	{ "speaker", 0, "MODEL", "that speaks (default: auto)", CLI_MODEL_SPEAK, &args.tts },
	{ "parts", 'p', "MODEL", "only the parts of this one, of any kind, with lengths forced to 3.2 s", CLI_MODEL, &args.parts },
	{ "runs", 'n', "N", "of each measurement; the median counts (default: 5)", CLI_INT, &args.runs },
	{ "beam", 0, "N", "sequences searched (default: 1)", CLI_INT, &args.beam },
	{ "vad", 0, "on|off|auto", "voice activity detection (default: off)", CLI_SWITCH, &args.vad },
	{ "language", 'l', "LANG", "of the clips (default: auto)", CLI_LANGUAGE, &args.language },
	{ "no-stt", 0, NULL, "leave speech to text out", CLI_FLAG, &args.no_stt },
	{ "no-tts", 0, NULL, "leave text to speech out", CLI_FLAG, &args.no_tts },
	{ "format", 'f', "text|json", "default: text", CLI_CHOICE, &args.format },
	CLI_ENGINE_OPTIONS(args.engine),
};

static int cli_bench(int argc, char **argv);

const cli_command cli_bench_command = {
	.name = "bench",
	.brief = "measure speed on this machine",
	.run = cli_bench,
	.operands = { { "FILE", CLI_FILE, 0, 0 } },
	.summary = "Measures speed: loading, encoder, decoder step, transcribing each FILE (with the model loaded), speaking a\n"
	           "short text and a paragraph.",
	.options = options,
	.option_count = COUNT(options),
};

static const char short_text[] = "The quick brown fox jumps over the dog.";
static const char paragraph[] =
	"Every morning the baker opens her shop before the sun is up. She lights the oven, weighs the flour, and shapes the loaves by "
	"hand, one after another, until the long table is full. By the time the first people pass on their way to work, the whole "
	"street smells of warm bread. Some of them stop for a roll, others only wave through the window. When the last loaf is sold she "
	"sweeps the floor, writes down what she needs for the next day, and walks home along the river, where the evening light lies on "
	"the water and the boats come in.";

typedef struct rows {
	sn_measure row[MAX_ROWS];
	size_t count;
} rows;

static double now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b) {
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void add(rows *r, const char *name, const char *what, const char *unit, double *values, int count) {
	if (r->count == MAX_ROWS)
		return;
	qsort(values, (size_t)count, sizeof *values, ascending);
	sn_measure *m = &r->row[r->count++];
	*m = (sn_measure){ .median = values[count / 2], .best = values[0], .runs = count };
	snprintf(m->name, sizeof m->name, "%.24s%s%s", name, *what ? ", " : "", what);
	snprintf(m->unit, sizeof m->unit, "%s", unit);
}

static int bench_load(rows *r, sn_engine *engine, const char *name, int task, sn_model **model, char *err) {
	double times[3];
	int code = SN_OK;
	for (int i = 0; i < COUNT(times) && code == SN_OK; i++) {
		sn_model_release(model);
		double start = now();
		code = cli_model_load(model, engine, &args.engine, name, task, 0, err);
		times[i] = 1e3 * (now() - start);
	}
	sn_model_info info;
	if (code == SN_OK) {
		sn_model_describe(*model, &info);
		add(r, info.name, "load", "ms", times, COUNT(times));
	}
	return code;
}

static int bench_clip(rows *r, sn_model *model, const char *file, double *times, char *err) {
	sn_stt_options options = { .language = args.language, .beam = args.beam ? args.beam : 1, .vad = args.vad };
	const char *const base = strrchr(file, '/') ? strrchr(file, '/') + 1 : file;
	sn_transcript *t;
	for (int i = -1; i < args.runs; i++) { /* the first is for warming up */
		options.from = 1e-3 * (i + 1); /* else the encoder would not run: it remembers what it has heard */
		double start = now();
		int code = sn_transcribe_file(&t, model, file, &options, err);
		if (code != SN_OK)
			return code;
		if (i >= 0)
			times[i] = now() - start;
		sn_transcript_free(&t);
	}
	add(r, base, "transcribe", "s", times, args.runs);
	return SN_OK;
}

static int bench_stt(rows *r, sn_engine *engine, const char **files, int count, char *err) {
	sn_model *model = NULL;
	size_t more = 0;
	double *times = calloc((size_t)args.runs, sizeof *times);
	int code = times ? bench_load(r, engine, args.stt, SN_TASK_TRANSCRIBE, &model, err) : SN_E_MEMORY;
	if (code == SN_OK)
		code = sn_model_measure(model, args.runs, r->row + r->count, MAX_ROWS - r->count, &more, err);
	r->count += more;
	for (int i = 0; i < count && code == SN_OK; i++)
		code = bench_clip(r, model, files[i], times, err);
	sn_model_release(&model);
	free(times);
	return code;
}

static int bench_text(rows *r, sn_model *model, const char *name, const char *text, double *first, double *total, char *err) {
	sn_speech speech;
	void *data;
	size_t size;
	for (int i = -1; i < args.runs; i++) {
		int code = sn_speak_memory(&data, &size, model, text, strlen(text), NULL, &(sn_tts_options){ .check = SN_OFF }, &speech, err);
		if (code != SN_OK)
			return code;
		free(data);
		if (i >= 0) {
			first[i] = 1e3 * speech.first_audio;
			total[i] = 1e3 * speech.processing_time;
		}
	}
	add(r, name, "first audio", "ms", first, args.runs);
	add(r, name, "total", "ms", total, args.runs);
	return SN_OK;
}

static int bench_tts(rows *r, sn_engine *engine, char *err) {
	sn_model *model = NULL;
	double *times = calloc(2 * (size_t)args.runs, sizeof *times);
	int code = times ? bench_load(r, engine, args.tts, SN_TASK_SPEAK, &model, err) : SN_E_MEMORY;
	if (code == SN_OK)
		code = bench_text(r, model, "speak 8 words", short_text, times, times + args.runs, err);
	if (code == SN_OK)
		code = bench_text(r, model, "speak 102 words", paragraph, times, times + args.runs, err);
	sn_model_release(&model);
	free(times);
	return code;
}

/* Loads once and measures: also models of random weights, whose speech means nothing. */
static int bench_parts(rows *r, sn_engine *engine, char *err) {
	sn_model *model = NULL;
	size_t more = 0;
	int code = bench_load(r, engine, args.parts, 0, &model, err);
	if (code == SN_OK)
		code = sn_model_measure(model, args.runs, r->row + r->count, MAX_ROWS - r->count, &more, err);
	r->count += more;
	sn_model_release(&model);
	return code;
}

static void print(const rows *r, const sn_engine_info *info, int json) {
	if (json)
		printf("{\"cpu\": \"%s\", \"threads\": %d, \"measures\": [", info->cpu, info->threads);
	else
		printf("cpu %s, %d threads\n%-40s %12s %12s  %s\n", info->cpu, info->threads, "", "median", "best", "unit");
	for (size_t i = 0; i < r->count; i++) {
		const sn_measure *const m = &r->row[i];
		char *name = cli_quoted(m->name);
		if (json)
			printf("%s{\"name\": %s, \"unit\": \"%s\", \"median\": %.6g, \"best\": %.6g, \"runs\": %d}", i ? ", " : "",
			       name ? name : "\"\"", m->unit, m->median, m->best, m->runs);
		else
			printf("%-40s %12.3f %12.3f  %s\n", m->name, m->median, m->best, m->unit);
		free(name);
	}
	if (json)
		printf("]}\n");
}

static int bench(const char **files, int count, int json) {
	char err[SN_ERRLEN] = "out of memory";
	sn_engine *engine = NULL;
	sn_engine_info info;
	rows *r = calloc(1, sizeof *r);
	int code = r ? cli_engine_open(&engine, &args.engine, err) : SN_E_MEMORY;
	if (code == SN_OK && args.parts)
		code = bench_parts(r, engine, err);
	if (code == SN_OK && !args.no_stt && !args.parts)
		code = bench_stt(r, engine, files, count, err);
	if (code == SN_OK && !args.no_tts && !args.parts)
		code = bench_tts(r, engine, err);
	if (code == SN_OK) {
		sn_engine_describe(engine, &info);
		print(r, &info, json);
	}
	sn_engine_close(&engine);
	free(r);
	return code == SN_OK ? sn_result_exit(cli_write("", 0)) : cli_fail(code, NULL, err);
}

static int cli_bench(int argc, char **argv) {
	const char **files = calloc((size_t)argc, sizeof *files);
	args.runs = 5;
	args.vad = SN_OFF;
	int count = files ? cli_parse(&cli_bench_command, argc, argv, files) : -1, status = count == -2 ? 0 : sn_result_exit(SN_E_ARGUMENT);
	int json = args.format && strcmp(args.format, "json") == 0;
	if (count >= 0 && (args.runs < 1 || args.runs > 1000))
		status = cli_fail(SN_E_ARGUMENT, NULL, "--runs is 1 to 1000");
	else if (count >= 0)
		status = bench(files, count, json);
	free(files);
	return status;
}
