#include "text/readings.h"

#include "base/path.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TEXT ((size_t)64 << 10)
#define REMEDY "apt-get install libmecab2 mecab-ipadic-utf8"

/* Of libmecab's C API the functions that pass texts only, which have been the same since 2006; so its header is not needed to build this. */
typedef struct mecab {
	void *library, *tagger;
	void *(*new)(const char *options);
	const char *(*parse)(void *tagger, const char *text, size_t size);
	const char *(*error)(void *tagger);
	void (*destroy)(void *tagger);
} mecab;

struct sn_readings {
	pthread_mutex_t lock;
	mecab mecab;
	int tried, result;
	char message[SN_ERRLEN];
};

int sn_readings_open(sn_readings **out, char *err) {
	sn_readings *const r = *out = calloc(1, sizeof *r);
	if (!r)
		return sn_fail(err, SN_E_MEMORY, "no memory for readings");
	pthread_mutex_init(&r->lock, NULL);
	return SN_OK;
}

void sn_readings_close(sn_readings **held) {
	sn_readings *const r = *held;
	*held = NULL;
	if (!r)
		return;
	if (r->mecab.tagger)
		r->mecab.destroy(r->mecab.tagger);
	if (r->mecab.library)
		dlclose(r->mecab.library);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

/* ---- opening ---- */

static int symbol(mecab *m, const char *name, void *function) {
	void *const found = dlsym(m->library, name);
	memcpy(function, &found, sizeof found);
	return found != NULL;
}

static int open_library(mecab *m, char *err) {
	m->library = dlopen("libmecab.so.2", RTLD_NOW | RTLD_LOCAL);
	if (!m->library)
		return sn_fail(err, SN_E_DEPENDENCY, "Chinese characters are read by MeCab, which is not installed (libmecab.so.2): " REMEDY
		               "; text in kana alone needs none");
	if (symbol(m, "mecab_new2", &m->new) && symbol(m, "mecab_sparse_tostr2", &m->parse) && symbol(m, "mecab_strerror", &m->error) &&
	    symbol(m, "mecab_destroy", &m->destroy))
		return SN_OK;
	return sn_fail(err, SN_E_DEPENDENCY, "libmecab.so.2 lacks functions of MeCab 0.996: " REMEDY);
}

/* The ninth field of ipadic's entries is how a word is pronounced; entries without it, and words that it lacks, give none. */
static int open_tagger(mecab *m, const char *dictionary, char *err) {
	char options[SN_PATH_MAX + 128];
	if (strpbrk(dictionary, " \t\n") || strlen(dictionary) >= SN_PATH_MAX)
		return sn_fail(err, SN_E_DEPENDENCY, "MeCab's dictionary \"%.100s\": a path without spaces is right", dictionary);
	snprintf(options, sizeof options, "mecab -r /dev/null -d %s -F %%m\\t%%f[8]\\t%%f[0],%%f[1]\\n -U %%m\\t\\t\\n", dictionary);
	m->tagger = m->new(options);
	return m->tagger ? SN_OK : sn_fail(err, SN_E_DEPENDENCY, "MeCab cannot open its dictionary in %.200s: " REMEDY, dictionary);
}

static int has_dictionary(const char *dictionary) {
	char path[SN_PATH_MAX];
	FILE *const file = sn_path_join(path, dictionary, "sys.dic") ? fopen(path, "rb") : NULL;
	if (file)
		fclose(file);
	return file != NULL;
}

static int open_all(mecab *m, char *err) {
	static const char *const places[] = { "/var/lib/mecab/dic/ipadic-utf8", "/usr/lib/mecab/dic/ipadic-utf8", "/usr/local/lib/mecab/dic/ipadic-utf8",
		"/usr/local/lib/mecab/dic/ipadic" };
	const char *const named = getenv("SONANT_MECAB_DIC");
	const int result = open_library(m, err);
	if (result != SN_OK)
		return result;
	if (named && *named)
		return has_dictionary(named) ? open_tagger(m, named, err)
			: sn_fail(err, SN_E_DEPENDENCY, "SONANT_MECAB_DIC names %.200s, which holds no dictionary of MeCab (sys.dic)", named);
	for (size_t i = 0; i < sizeof places / sizeof *places; i++)
		if (has_dictionary(places[i]))
			return open_tagger(m, places[i], err);
	return sn_fail(err, SN_E_DEPENDENCY, "MeCab has no dictionary, which Chinese characters are read by: apt-get install mecab-ipadic-utf8, or name one in "
	               "ipadic's layout by SONANT_MECAB_DIC; text in kana alone needs none");
}

/* Under the lock. What failed once is not tried again. */
static int make_ready(sn_readings *r, char *err) {
	if (!r->tried) {
		r->tried = 1;
		r->result = open_all(&r->mecab, r->message);
	}
	return r->result == SN_OK ? SN_OK : sn_fail(err, r->result, "%s", r->message);
}

int sn_readings_ready(sn_readings *r, char *err) {
	pthread_mutex_lock(&r->lock);
	const int result = make_ready(r, err);
	pthread_mutex_unlock(&r->lock);
	return result == SN_OK;
}

/* ---- reading ---- */

static sn_word_kind kind_of(const char *part, size_t size) {
	static const struct {
		const char *part;
		sn_word_kind kind;
	} kinds[] = { { "動詞,", SN_WORD_VERB }, { "助動詞,", SN_WORD_AUXILIARY }, { "助詞,接続助詞", SN_WORD_CONNECTIVE } };
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (size >= strlen(kinds[i].part) && memcmp(part, kinds[i].part, strlen(kinds[i].part)) == 0)
			return kinds[i].kind;
	return SN_WORD_OTHER;
}

/* Lines of word, pronunciation and part of speech. */
static void give_lines(const char *at, sn_readings_word *give, void *payload) {
	while (*at) {
		const char *const first = strchr(at, '\t'), *const second = first ? strchr(first + 1, '\t') : NULL, *const end = strchr(at, '\n');
		if (!second || !end || end < second)
			return;
		sn_reading word = { .word = at, .word_size = (size_t)(first - at), .reading = first + 1, .reading_size = (size_t)(second - first - 1) };
		if (word.reading_size == 1 && *word.reading == '*')
			word.reading_size = 0;
		word.kind = kind_of(second + 1, (size_t)(end - second - 1));
		give(payload, &word);
		at = end + 1;
	}
}

int sn_readings_run(sn_readings *r, const char *text, size_t size, sn_readings_word *word, void *payload, char *err) {
	if (size > MAX_TEXT)
		return sn_fail(err, SN_E_LIMIT, "%zu bytes of Japanese at once; at most %zu are read", size, MAX_TEXT);
	pthread_mutex_lock(&r->lock);
	int result = make_ready(r, err);
	if (result == SN_OK) {
		const char *const lines = r->mecab.parse(r->mecab.tagger, text, size);
		if (lines)
			give_lines(lines, word, payload);
		else
			result = sn_fail(err, SN_E_MEMORY, "MeCab fails: %.200s", r->mecab.error(r->mecab.tagger));
	}
	pthread_mutex_unlock(&r->lock);
	return result;
}
