/* SpeechT5 as sessions see it: text, voices and their embeddings around the model. */
#include "models/speecht5.h"
#include "models/xvector.h"

#include "text/numbers.h"
#include "text/speecht5_text.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_BYTES 4096
#define FILES_SEEN 4096         /* entries of a directory that are looked at for voices */
#define NAMES_LISTED 8          /* in a message */
#define SPOKEN_BYTES 65536      /* of one sentence, numbers read as words */
#define FRAMES_A_SYMBOL 20      /* the reference's most */
#define LEAST_BYTES 16          /* of a sentence; one of too many symbols is halved */
#define NO_VOICE "no voice was given and none lies beside the model: spoken with an empty embedding"

typedef struct synth {
	sn_speecht5 *speecht5;
	sn_speecht5_text *text;
	char dir[PATH_BYTES], encoder[PATH_BYTES]; /* the checkpoint's; an x-vector encoder's, or "" */
	float *speaker;                            /* default voice [embedding] */
	const char *languages[1];
	sn_synth_facts facts;
} synth;

typedef struct stream {
	const synth *synth;
	sn_speecht5_stream *speecht5;
	int empty;          /* spoken with no voice */
	char remark[320];
} stream;

/* ---- voices ---- */

static int ends_with(const char *text, const char *tail) {
	const size_t length = strlen(text), end = strlen(tail);
	return length > end && strcmp(text + length - end, tail) == 0;
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* Names of the .npy files beside the checkpoint, sorted; free each and the list. */
static int list_voices(const char *dir, char ***names, char *err) {
	int count = 0;
	DIR *const folder = opendir(dir);
	*names = folder ? calloc(FILES_SEEN, sizeof **names) : NULL;
	if (!*names) {
		if (folder) closedir(folder);
		return folder ? sn_fail(err, SN_E_MEMORY, "out of memory for the names of voices") : 0;
	}
	for (int seen = 0; seen < FILES_SEEN; seen++) {
		const struct dirent *const entry = readdir(folder);
		if (!entry) break;
		if (!ends_with(entry->d_name, ".npy")) continue;
		char *const name = strndup(entry->d_name, strlen(entry->d_name) - 4);
		if (name) (*names)[count++] = name;
	}
	closedir(folder);
	qsort(*names, (size_t)count, sizeof **names, by_name);
	return count;
}

static void free_names(char **names, int count) {
	for (int i = 0; i < count; i++) free(names[i]);
	free(names);
}

static int read_embedding(const char *path, int width, float *out, char *err) {
	sn_voice voice = { .speaker = -1 };
	const int code = sn_voice_read(&voice, path, width, err);
	if (code == SN_OK) memcpy(out, voice.embedding, (size_t)width * sizeof *out);
	sn_voice_clear(&voice);
	return code;
}

static int no_such_voice(const synth *m, const char *name, char *err) {
	char list[512] = "", **names;
	const int count = list_voices(m->dir, &names, NULL);
	size_t used = 0;
	for (int i = 0; i < count && i < NAMES_LISTED && used < sizeof list; i++)
		used += (size_t)snprintf(list + used, sizeof list - used, "%s\"%.48s\"", i ? ", " : "", names[i]);
	if (count >= 0) free_names(names, count);
	if (count < 1)
		return sn_fail(err, SN_E_NOT_FOUND, "there is no voice \"%.64s\"; the model has none of its own: give a .npy file of %d values", name,
		               m->facts.embedding);
	return sn_fail(err, SN_E_NOT_FOUND, "there is no voice \"%.64s\"; there are %s%s, or a .npy file of %d values", name, list,
	               count > NAMES_LISTED ? ", ..." : "", m->facts.embedding);
}

static int find_voice(const synth *m, const char *name, float *out, char *err) {
	char path[PATH_BYTES];
	const int is_path = strchr(name, '/') || ends_with(name, ".npy");
	if (strcmp(name, "default") == 0) {
		memcpy(out, m->speaker, (size_t)m->facts.embedding * sizeof *out);
		return SN_OK;
	}
	if (snprintf(path, sizeof path, is_path ? "%s%s" : "%s/%s.npy", is_path ? "" : m->dir, name) >= (int)sizeof path)
		return sn_fail(err, SN_E_ARGUMENT, "the name of the voice \"%.64s...\" is too long", name);
	if (!*name || access(path, F_OK) != 0) return no_such_voice(m, name, err);
	return read_embedding(path, m->facts.embedding, out, err);
}

static int synth_voice(const void *model, const char *name, sn_voice *voice, char *err) {
	const synth *const m = model;
	*voice = (sn_voice){ .speaker = -1, .embedding_count = m->facts.embedding };
	voice->embedding = calloc((size_t)m->facts.embedding, sizeof *voice->embedding);
	if (!voice->embedding) return sn_fail(err, SN_E_MEMORY, "out of memory for a voice");
	const int code = find_voice(m, name, voice->embedding, err);
	if (code != SN_OK) sn_voice_clear(voice);
	else snprintf(voice->name, sizeof voice->name, "%s", name);
	return code;
}

/* default.npy, which must be an embedding; else the first .npy by name that is one; else nothing. */
static int load_default_voice(synth *m, char *err) {
	char path[PATH_BYTES], **names;
	const int width = m->facts.embedding;
	if (snprintf(path, sizeof path, "%s/default.npy", m->dir) < (int)sizeof path && access(path, F_OK) == 0)
		return read_embedding(path, width, m->speaker, err);
	const int count = list_voices(m->dir, &names, err);
	if (count < 0) return count;
	for (int i = 0, found = 0; i < count && !found; i++)
		found = snprintf(path, sizeof path, "%s/%s.npy", m->dir, names[i]) < (int)sizeof path &&
		        read_embedding(path, width, m->speaker, NULL) == SN_OK;
	free_names(names, count);
	return SN_OK;
}

/* Inside the model's directory or beside it. */
static void find_encoder(synth *m) {
	static const char *const places[] = { "spkrec-xvect-voxceleb", "xvector", "../spkrec-xvect-voxceleb", "../xvector" };
	for (size_t i = 0; i < sizeof places / sizeof *places && !m->facts.embeds; i++)
		if (snprintf(m->encoder, sizeof m->encoder, "%s/%s", m->dir, places[i]) < (int)sizeof m->encoder)
			m->facts.embeds = sn_xvector_accepts(m->encoder);
}

/* Opened for each clip: voices are made seldom, and its memory would be held for nothing. */
static int synth_embed(const void *model, const float *pcm, int64_t count, int sample_rate, float *embedding, char *err) {
	const synth *const m = model;
	const sn_load_options load = { .dir = m->encoder };
	sn_xvector *encoder = NULL;
	if (!m->facts.embeds)
		return sn_fail(err, SN_E_UNSUPPORTED, "there is no x-vector encoder beside %s: spkrec-xvect-voxceleb, in SpeechBrain's layout, makes "
		               "voices of clips", m->dir);
	int code = sn_xvector_open(&encoder, &load, err);
	if (code == SN_OK && sn_xvector_width(encoder) != m->facts.embedding)
		code = sn_fail(err, SN_E_MODEL, "%s makes embeddings of %d values; the model takes %d", m->encoder, sn_xvector_width(encoder),
		               m->facts.embedding);
	if (code == SN_OK) code = sn_xvector_embed(encoder, pcm, count, sample_rate, embedding, err);
	sn_xvector_close(&encoder);
	return code;
}

/* ---- opening ---- */

static void fill_facts(synth *m) {
	const sn_speecht5_config *const c = sn_speecht5_get_config(m->speecht5);
	m->languages[0] = "en";
	m->facts = (sn_synth_facts){
		.kind = SN_SYNTH_MEL, .sample_rate = c->mel.sample_rate, .hop = c->hop, .width = c->mels, .mel = c->mel,
		.parameters = sn_speecht5_parameters(m->speecht5), .language_count = 1, .languages = m->languages, .embedding = c->speaker_width,
		.has_dropout = 1, .max_ids = c->max_text, .max_bytes = c->max_text * 3 / 4, .language = "en",
	};
	/* so that the most frames of a sentence fit the positions of the decoder, as long as it is sensible */
	const int frames = c->max_steps * c->reduction / FRAMES_A_SYMBOL;
	if (m->facts.max_bytes > frames && frames >= 64) m->facts.max_bytes = frames;
	if (m->facts.max_bytes < LEAST_BYTES) m->facts.max_bytes = LEAST_BYTES;
}

static int load_all(synth *m, const sn_load_options *load, char *err) {
	if (snprintf(m->dir, sizeof m->dir, "%s", load->dir) >= (int)sizeof m->dir)
		return sn_fail(err, SN_E_ARGUMENT, "the path %.64s... is too long", load->dir);
	int code = sn_speecht5_open(&m->speecht5, load, err);
	if (code == SN_OK) code = sn_speecht5_text_open(&m->text, load->dir, err);
	if (code != SN_OK) return code;
	fill_facts(m);
	m->speaker = calloc((size_t)m->facts.embedding, sizeof *m->speaker);
	if (!m->speaker) return sn_fail(err, SN_E_MEMORY, "out of memory while loading %s", load->dir);
	find_encoder(m);
	return load_default_voice(m, err);
}

static void synth_close(void **held) {
	synth *const m = *held;
	*held = NULL;
	if (!m) return;
	sn_speecht5_close(&m->speecht5);
	sn_speecht5_text_close(&m->text);
	free(m->speaker);
	free(m);
}

static int synth_open(void **out, const sn_load_options *load, char *err) {
	synth *const m = *out = calloc(1, sizeof *m);
	if (!m) return sn_fail(err, SN_E_MEMORY, "out of memory while loading %s", load->dir);
	const int code = load_all(m, load, err);
	if (code != SN_OK) synth_close(out);
	return code;
}

static const sn_synth_facts *synth_facts(const void *model) { return &((const synth *)model)->facts; }

/* ---- text ---- */

/* Drops what the model has no sound for: unknown characters, and special tokens that stand in the text. */
static int keep_known(const synth *m, int32_t *ids, int count, int *missing) {
	const sn_speecht5_text_config *const c = sn_speecht5_text_get_config(m->text);
	const int vocab = sn_speecht5_get_config(m->speecht5)->vocab;
	int kept = 0;
	for (int i = 0; i < count; i++) {
		const int32_t id = ids[i];
		const int special = id == c->unknown || id == c->begin || id == c->pad || (id == c->end && i + 1 < count);
		if (special || id < 0 || id >= vocab) ++*missing;
		else ids[kept++] = id;
	}
	return kept;
}

/* The white space nearest to the middle, or the middle between characters. */
static size_t middle(const char *text, size_t size) {
	size_t best = 0;
	const size_t half = size / 2;
	for (size_t i = 1; i + 1 < size; i++) {
		const size_t now = i > half ? i - half : half - i, before = best > half ? best - half : half - best;
		if (text[i] == ' ' && (!best || now < before)) best = i;
	}
	if (!best) best = half;
	while (best < size && ((unsigned char)text[best] & 0xC0) == 0x80) best++;
	return best;
}

typedef struct encoding {
	const synth *m;
	sn_synth_emit emit;
	void *payload;
	int *missing;
	size_t total, size; /* bytes with numbers as words, and of the caller's text */
	int32_t *ids;
} encoding;

/* Texts of too many symbols are halved until they fit. */
static int encode_part(encoding *e, const char *text, size_t size, char *err) {
	const int most = e->m->facts.max_ids;
	int count;
	int code = sn_speecht5_text_encode(e->m->text, text, size, e->ids, most, &count, err);
	if (code == SN_E_LIMIT && size > 8) {
		const size_t half = middle(text, size);
		code = encode_part(e, text, half, err);
		return code == SN_OK ? encode_part(e, text + half, size - half, err) : code;
	}
	if (code != SN_OK) return code;
	const int before = *e->missing, kept = keep_known(e->m, e->ids, count, e->missing);
	if (kept < 2 || (kept == 2 && *e->missing > before)) return SN_OK; /* the end alone, or with the space before what was dropped */
	return e->emit(e->payload, e->ids, kept, (size_t)((double)size / (double)e->total * (double)e->size), err);
}

static int synth_encode(const void *model, sn_phonemizer *phonemizer, const char *text, size_t size, const sn_synth_options *options,
                        sn_synth_emit emit, void *payload, int *missing, char *err) {
	const synth *const m = model;
	sn_buf spoken;
	*missing = 0;
	sn_buf_init(&spoken, SPOKEN_BYTES);
	int code = sn_text_numbers(&spoken, text, size, options && options->language ? options->language : "en", err);
	encoding e = { m, emit, payload, missing, spoken.size, size, malloc((size_t)m->facts.max_ids * sizeof(int32_t)) };
	if (code == SN_OK && !e.ids) code = sn_fail(err, SN_E_MEMORY, "out of memory for a sentence");
	if (code == SN_OK && spoken.size) code = encode_part(&e, spoken.data, spoken.size, err);
	free(e.ids);
	sn_buf_free(&spoken);
	return code;
}

/* ---- streams ---- */

static void synth_stream_free(void **held) {
	stream *const s = *held;
	*held = NULL;
	if (!s) return;
	sn_speecht5_stream_free(&s->speecht5);
	free(s);
}

static int synth_stream_new(void **out, void *model, char *err) {
	stream *const s = *out = calloc(1, sizeof *s);
	if (!s) return sn_fail(err, SN_E_MEMORY, "out of memory for an utterance");
	s->synth = model;
	const int code = sn_speecht5_stream_new(&s->speecht5, s->synth->speecht5, err);
	if (code != SN_OK) synth_stream_free(out);
	return code;
}

static int synth_start(void *held, const int32_t *ids, int count, const sn_synth_options *options, char *err) {
	stream *const s = held;
	const synth *const m = s->synth;
	const sn_voice *const voice = options->voice;
	sn_speecht5_options own = sn_speecht5_defaults();
	if (voice && (!voice->embedding || voice->embedding_count != m->facts.embedding))
		return sn_fail(err, SN_E_ARGUMENT, "the voice \"%s\" has an embedding of %d values; the model takes %d", voice->name,
		               voice->embedding ? voice->embedding_count : 0, m->facts.embedding);
	own.speaker = voice ? voice->embedding : m->speaker;
	own.dropout = options->dropout != 0;
	own.seed = options->seed;
	own.force_frames = options->force_frames;
	s->empty = 1;
	for (int i = 0; i < m->facts.embedding; i++) s->empty = s->empty && own.speaker[i] == 0;
	return sn_speecht5_start(s->speecht5, ids, count, &own, err);
}

static int synth_next(void *held, int most, float *out, int *frames, int *extra, char *err) {
	*extra = 0;
	return sn_speecht5_next(((stream *)held)->speecht5, most < SN_SYNTH_MAX_NEXT ? most : SN_SYNTH_MAX_NEXT, out, frames, err);
}

static const char *synth_remark(const void *held) {
	stream *const s = (stream *)held;
	const char *const own = sn_speecht5_remark(s->speecht5);
	if (!s->empty) return own;
	if (!own) return NO_VOICE;
	snprintf(s->remark, sizeof s->remark, "%s; %s", own, NO_VOICE);
	return s->remark;
}

const sn_synth_class sn_synth_speecht5 = {
	.architecture = "speecht5", .accepts = sn_speecht5_accepts, .open = synth_open, .close = synth_close, .facts = synth_facts,
	.encode = synth_encode, .voice = synth_voice, .embed = synth_embed, .stream_new = synth_stream_new, .stream_free = synth_stream_free,
	.start = synth_start, .next = synth_next, .remark = synth_remark,
};
