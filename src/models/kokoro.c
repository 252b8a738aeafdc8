#include "models/kokoro.h"

#include "base/path.h"
#include "models/synth.h"
#include "nn/ort/model.h"
#include "text/kokoro.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define MAX_VOICES 512
#define MAX_ROWS 1024
#define MAX_LANGUAGES 8
#define SENTENCE_BYTES 300  /* of text for one run, which nothing interrupts: about 20 s of speech */
#define MAX_SOUNDS ((size_t)1 << 20)
#define MOST_SECONDS 300    /* of one run */

typedef struct kokoro {
	nn_ort_model *net;
	sn_kokoro_text *text;
	sn_weights *voices;
	sn_synth_facts facts;
	const char **names;       /* [speakers], of the voices' file */
	float *styles;            /* [speakers, rows, SN_KOKORO_STYLE] */
	int rows;
	const char *languages[MAX_LANGUAGES];
	const char *tokens, *audio; /* names of the input and the output, which differ among exports */
} kokoro;

/* ---- files ---- */

static int is_file(const char *path) {
	struct stat st;
	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* The first name by order in dir that begins and ends so; 0: none. */
static int first_of(char out[SN_PATH_MAX], const char *dir, const char *begin, const char *end) {
	char best[256] = "";
	DIR *const d = opendir(dir);
	for (struct dirent *e; d && (e = readdir(d));)
		if (strncmp(e->d_name, begin, strlen(begin)) == 0 && sn_path_ends_with(e->d_name, end) && *e->d_name != '.' &&
		    (!*best || strcmp(e->d_name, best) < 0))
			snprintf(best, sizeof best, "%s", e->d_name);
	if (d) closedir(d);
	return *best && sn_path_join(out, dir, best);
}

int sn_kokoro_locate(sn_kokoro_files *files, const char *path, char *err) {
	char dir[SN_PATH_MAX];
	const int is_onnx = sn_path_ends_with(path, ".onnx") && is_file(path);
	*files = (sn_kokoro_files){ 0 };
	if (strlen(path) >= sizeof dir) return sn_fail(err, SN_E_ARGUMENT, "a path of %zu bytes is too long", strlen(path));
	strcpy(dir, path);
	char *const slash = is_onnx ? strrchr(dir, '/') : NULL;
	if (is_onnx && !slash) strcpy(dir, ".");
	if (slash) slash[slash == dir] = 0;
	if (is_onnx) strcpy(files->onnx, path);
	else if (!first_of(files->onnx, dir, "", ".onnx")) return sn_fail(err, SN_E_NOT_FOUND, "%s holds no .onnx file", path);
	if (!first_of(files->voices, dir, "voices", ".npz")) return sn_fail(err, SN_E_NOT_FOUND, "%s holds no voices*.npz", dir);
	if (!sn_path_join(files->vocab, dir, "vocab.json")) return sn_fail(err, SN_E_ARGUMENT, "the path %.64s... is too long", dir);
	if (!is_file(files->vocab) && (!sn_path_join(files->vocab, dir, "config.json") || !is_file(files->vocab)))
		return sn_fail(err, SN_E_NOT_FOUND, "%s holds neither vocab.json nor config.json", dir);
	return SN_OK;
}

static int kokoro_accepts(const char *path) {
	sn_kokoro_files files;
	return sn_kokoro_locate(&files, path, NULL) == SN_OK;
}

/* ---- voices ---- */

/* Rows of a table of styles [rows, 1, 256] or [rows, 256]; 0: it is none. */
static int64_t rows_of(const sn_weight *t) {
	const int good = t->dtype == SN_F32 && ((t->rank == 3 && t->dims[1] == 1 && t->dims[2] == SN_KOKORO_STYLE) ||
	                                        (t->rank == 2 && t->dims[1] == SN_KOKORO_STYLE));
	return good && t->dims[0] <= MAX_ROWS ? t->dims[0] : 0;
}

static int read_voice(kokoro *m, int i, const char *path, char *err) {
	const sn_weight *const t = sn_weights_at(m->voices, (size_t)i);
	const int64_t values = (int64_t)m->rows * SN_KOKORO_STYLE;
	float *const to = m->styles + i * values;
	if (rows_of(t) != m->rows)
		return sn_fail(err, SN_E_MODEL, "%s: the voice '%.60s' has %lld axes of %lld and more; [%d, 1, %d] of float32 is right", path, t->name,
		               (long long)t->rank, (long long)(t->rank ? t->dims[0] : 0), m->rows, SN_KOKORO_STYLE);
	sn_weight_floats(t, 0, values, to);
	for (int64_t k = 0; k < values; k++)
		if (!isfinite(to[k])) return sn_fail(err, SN_E_MODEL, "%s: the voice '%.60s' holds a value that is no number", path, t->name);
	m->names[i] = t->name;
	return SN_OK;
}

static int read_voices(kokoro *m, const char *path, char *err) {
	int code = sn_weights_open(&m->voices, path, err);
	if (code != SN_OK) return code;
	const size_t count = sn_weights_count(m->voices);
	m->rows = count ? (int)rows_of(sn_weights_at(m->voices, 0)) : 0;
	if (count > MAX_VOICES || !m->rows)
		return sn_fail(err, SN_E_MODEL, "%s holds %zu arrays%s; 1 to %d voices of [1 to %d, 1, %d] float32 values are right", path, count,
		               count && !m->rows ? ", the first of another shape" : "", MAX_VOICES, MAX_ROWS, SN_KOKORO_STYLE);
	m->names = calloc(count, sizeof *m->names);
	m->styles = malloc(count * (size_t)m->rows * SN_KOKORO_STYLE * sizeof *m->styles);
	if (!m->names || !m->styles) return sn_fail(err, SN_E_MEMORY, "out of memory for %zu voices", count);
	for (size_t i = 0; i < count && code == SN_OK; i++) code = read_voice(m, (int)i, path, err);
	m->facts.speakers = (int)count;
	m->facts.speaker_names = m->names;
	return code;
}

static void add_language(kokoro *m, const char *language) {
	sn_synth_facts *const f = &m->facts;
	for (int i = 0; i < f->language_count; i++)
		if (strcmp(m->languages[i], language) == 0) return;
	if (f->language_count < MAX_LANGUAGES) m->languages[f->language_count++] = language;
}

/* The first voice's language is the model's own; every voice can make the sounds of English. */
static void list_languages(kokoro *m) {
	for (int i = 0; i < m->facts.speakers; i++) {
		const char *const language = m->names[i][1] == 'f' || m->names[i][1] == 'm' ? sn_kokoro_language(m->names[i][0]) : NULL;
		if (language) add_language(m, language);
	}
	add_language(m, sn_kokoro_language('a'));
	m->facts.languages = m->languages;
}

/* ---- opening ---- */

static int has_shape(const nn_ort_tensor *t, nn_ort_type type, int rank, int64_t last) {
	return t && t->type == type && t->rank == rank && (!last || t->dims[rank - 1] == last || t->dims[rank - 1] < 0);
}

static int check_ports(kokoro *m, const char *path, char *err) {
	m->tokens = nn_ort_model_input(m->net, "tokens") ? "tokens" : "input_ids";
	m->audio = nn_ort_model_output(m->net, "audio") ? "audio" : "waveform";
	const nn_ort_tensor *const audio = nn_ort_model_output(m->net, m->audio);
	if (!has_shape(nn_ort_model_input(m->net, m->tokens), NN_ORT_INT64, 2, 0) || !has_shape(nn_ort_model_input(m->net, "style"), NN_ORT_FLOAT, 2, SN_KOKORO_STYLE) ||
	    !has_shape(nn_ort_model_input(m->net, "speed"), NN_ORT_FLOAT, 1, 1) || !audio || audio->type != NN_ORT_FLOAT)
		return sn_fail(err, SN_E_MODEL, "%s is no Kokoro: inputs tokens int64 [1, n], style float32 [1, %d] and speed float32 [1], and an output audio float32 are right",
		               path, SN_KOKORO_STYLE);
	return SN_OK;
}

/* Numbers in the file's tensors; 0 where only ONNX Runtime can read it. */
static int64_t count_parameters(const char *path) {
	sn_weights *w = NULL;
	int64_t all = 0;
	if (sn_weights_open(&w, path, NULL) != SN_OK) return 0;
	for (size_t i = 0; i < sn_weights_count(w); i++)
		all += (int64_t)(sn_weights_at(w, i)->bytes / sn_dtype_size(sn_weights_at(w, i)->dtype));
	sn_weights_close(&w);
	return all;
}

/* Others quantised the file, or did not: it is what most of its values are. */
static nn_dtype kokoro_dtype(const char *path) {
	sn_kokoro_files files;
	sn_weights *w = NULL;
	int64_t bytes = 0, all = 0;
	if (sn_kokoro_locate(&files, path, NULL) != SN_OK || sn_weights_open(&w, files.onnx, NULL) != SN_OK) return NN_DTYPE_F32;
	for (size_t i = 0; i < sn_weights_count(w); i++) {
		const sn_weight *const t = sn_weights_at(w, i);
		const int64_t count = (int64_t)(t->bytes / sn_dtype_size(t->dtype));
		all += count;
		bytes += t->dtype == SN_I8 || t->dtype == SN_U8 ? count : 0;
	}
	sn_weights_close(&w);
	return 2 * bytes > all ? NN_DTYPE_INT8 : NN_DTYPE_F32;
}

static void kokoro_close(void **held) {
	kokoro *const m = *held;
	*held = NULL;
	if (!m) return;
	nn_ort_model_close(&m->net);
	sn_kokoro_text_close(&m->text);
	sn_weights_close(&m->voices);
	free(m->names);
	free(m->styles);
	free(m);
}

static int load_all(kokoro *m, const sn_load_options *load, char *err) {
	sn_kokoro_files files;
	int code = sn_kokoro_locate(&files, load->dir, err);
	m->facts = (sn_synth_facts){
		.kind = SN_SYNTH_SOUND, .sample_rate = SN_KOKORO_RATE, .hop = SN_KOKORO_HOP, .width = SN_KOKORO_HOP, .has_speed = 1, .foreign = 1,
		.max_ids = SN_KOKORO_MAX_IDS, .max_bytes = SENTENCE_BYTES, .phonemes = SN_PHONEMES_IPA,
	};
	if (code == SN_OK) code = sn_kokoro_text_open(&m->text, files.vocab, err);
	if (code == SN_OK) code = read_voices(m, files.voices, err);
	if (code == SN_OK) code = nn_ort_model_open(&m->net, load->backend, files.onnx, err);
	if (code == SN_OK) code = check_ports(m, files.onnx, err);
	if (code != SN_OK) return code;
	list_languages(m);
	m->facts.embedding = m->rows * SN_KOKORO_STYLE;
	m->facts.parameters = count_parameters(files.onnx);
	return SN_OK;
}

static int kokoro_open(void **out, const sn_load_options *load, char *err) {
	kokoro *const m = *out = calloc(1, sizeof *m);
	if (!m) return sn_fail(err, SN_E_MEMORY, "out of memory while loading %s", load->dir);
	const int code = load_all(m, load, err);
	if (code != SN_OK) kokoro_close(out);
	return code;
}

static const sn_synth_facts *kokoro_facts(const void *model) { return &((const kokoro *)model)->facts; }

/* ---- text ---- */

static int kokoro_encode(const void *model, sn_phonemizer *phonemizer, const char *text, size_t size, const sn_synth_options *options,
                         sn_synth_emit emit, void *payload, int *missing, char *err) {
	const kokoro *const m = model;
	int32_t ids[SN_KOKORO_MAX_IDS];
	sn_buf sounds;
	sn_buf_init(&sounds, MAX_SOUNDS);
	*missing = 0;
	const char *const language = options && options->language ? options->language : m->languages[0];
	int code = sn_kokoro_sounds(m->text, phonemizer, language, options ? options->espeak : NULL, text, size, &sounds, missing, err);
	size_t done = 0, told = 0;
	while (code == SN_OK && done < sounds.size) {
		size_t used = 0;
		const int count = sn_kokoro_ids(m->text, sounds.data + done, sounds.size - done, ids, SN_KOKORO_MAX_IDS, &used, missing);
		done += used;
		const size_t to = done < sounds.size ? (size_t)((double)size * (double)done / (double)sounds.size) : size; /* about there in the text */
		if (count > 0) code = emit(payload, ids, count, to - told, err);
		told = count > 0 ? to : told;
	}
	sn_buf_free(&sounds);
	return code;
}

/* ---- voices by name ---- */

static int kokoro_voice(const void *model, const char *name, sn_voice *voice, char *err) {
	const kokoro *const m = model;
	*voice = (sn_voice){ .speaker = strcmp(name, "default") == 0 ? 0 : sn_voice_speaker(&m->facts, name) };
	snprintf(voice->name, sizeof voice->name, "%s", name);
	if (voice->speaker >= 0) return SN_OK;
	return is_file(name) ? sn_voice_read(voice, name, m->facts.embedding, err) : sn_voice_unknown(&m->facts, name, err);
}

/* ---- streams ---- */

typedef struct stream {
	kokoro *m;
	int64_t ids[SN_KOKORO_MAX_IDS + 2];
	int count, ran;
	float speed, style[SN_KOKORO_STYLE];
	nn_ort_tensor sound;
	int64_t samples, given;
} stream;

static int kokoro_stream_new(void **out, void *model, char *err) {
	stream *const s = *out = calloc(1, sizeof *s);
	if (!s) return sn_fail(err, SN_E_MEMORY, "out of memory for an utterance");
	s->m = model;
	return SN_OK;
}

static void kokoro_stream_free(void **held) {
	stream *const s = *held;
	*held = NULL;
	if (!s) return;
	nn_ort_tensor_free(s->m->net, &s->sound);
	free(s);
}

/* The voice has a style for each number of ids; the last for all beyond. */
static int kokoro_start(void *held, const int32_t *ids, int count, const sn_synth_options *options, char *err) {
	stream *const s = held;
	const kokoro *const m = s->m;
	const sn_voice *const v = options->voice;
	nn_ort_tensor_free(m->net, &s->sound);
	if (count < 1 || count > SN_KOKORO_MAX_IDS)
		return sn_fail(err, SN_E_LIMIT, "%d ids in one utterance; 1 to %d are right", count, SN_KOKORO_MAX_IDS);
	if (v && v->embedding && v->embedding_count != m->facts.embedding)
		return sn_fail(err, SN_E_ARGUMENT, "the voice \"%s\" has %d values; the model takes %d", v->name, v->embedding_count, m->facts.embedding);
	if (v && !v->embedding && (v->speaker < 0 || v->speaker >= m->facts.speakers))
		return sn_fail(err, SN_E_ARGUMENT, "the voice \"%s\" is no speaker of this model", v->name);
	const float *const styles = v && v->embedding ? v->embedding : m->styles + (int64_t)(v ? v->speaker : 0) * m->facts.embedding;
	const int row = count < m->rows ? count - 1 : m->rows - 1;
	memcpy(s->style, styles + (int64_t)row * SN_KOKORO_STYLE, sizeof s->style);
	s->ids[0] = s->ids[count + 1] = 0;
	for (int i = 0; i < count; i++) s->ids[i + 1] = ids[i];
	s->count = count;
	s->speed = options->speed > 0 ? options->speed : 1;
	s->ran = 0;
	s->samples = s->given = 0;
	return SN_OK;
}

static int run(stream *s, char *err) {
	kokoro *const m = s->m;
	const nn_ort_tensor inputs[] = {
		{ .name = m->tokens, .type = NN_ORT_INT64, .rank = 2, .dims = { 1, s->count + 2 }, .data = s->ids },
		{ .name = "style", .type = NN_ORT_FLOAT, .rank = 2, .dims = { 1, SN_KOKORO_STYLE }, .data = s->style },
		{ .name = "speed", .type = NN_ORT_FLOAT, .rank = 1, .dims = { 1 }, .data = &s->speed },
	};
	s->sound = (nn_ort_tensor){ .name = m->audio };
	const int code = nn_ort_model_run(m->net, inputs, 3, &s->sound, 1, err);
	if (code != SN_OK) return code;
	s->ran = 1;
	s->samples = s->sound.rank ? 1 : 0;
	for (int i = 0; i < s->sound.rank; i++) s->samples *= s->sound.dims[i];
	if (s->sound.type != NN_ORT_FLOAT || s->samples > (int64_t)MOST_SECONDS * SN_KOKORO_RATE)
		return sn_fail(err, SN_E_MODEL, "the model made %lld values of sound; at most %d s of float32 are right", (long long)s->samples, MOST_SECONDS);
	return SN_OK;
}

static int kokoro_next(void *held, int most, float *out, int *frames, int *extra, char *err) {
	stream *const s = held;
	*frames = *extra = 0;
	if (!s->ran) {
		const int code = run(s, err);
		if (code != SN_OK) return code;
	}
	const int64_t left = s->samples - s->given, all = left / SN_KOKORO_HOP;
	most = most < SN_SYNTH_MAX_NEXT ? most : SN_SYNTH_MAX_NEXT;
	*frames = (int)(all < most ? all : most);
	if (*frames == all) *extra = (int)(left % SN_KOKORO_HOP);
	const int64_t take = (int64_t)*frames * SN_KOKORO_HOP + *extra;
	const float *const from = (const float *)s->sound.data + s->given;
	for (int64_t i = 0; i < take; i++) {
		if (!isfinite(from[i])) return sn_fail(err, SN_E_MODEL, "sample %lld of the sound is no number", (long long)(s->given + i));
		out[i] = from[i];
	}
	s->given += take;
	if (s->given < s->samples) return SN_OK;
	nn_ort_tensor_free(s->m->net, &s->sound);
	return SN_END;
}

/* The network does not tell its durations: ids are taken for equally long. */
static int64_t kokoro_place(const void *held, double share) {
	const stream *const s = held;
	return (int64_t)(share * (double)(s->samples / SN_KOKORO_HOP));
}

const sn_synth_class sn_synth_kokoro = {
	.architecture = "kokoro", .by_ort = 1, .accepts = kokoro_accepts, .dtype = kokoro_dtype, .open = kokoro_open, .close = kokoro_close,
	.facts = kokoro_facts,
	.encode = kokoro_encode, .voice = kokoro_voice, .stream_new = kokoro_stream_new, .stream_free = kokoro_stream_free, .start = kokoro_start,
	.next = kokoro_next, .place = kokoro_place,
};
