#include "text/arpabet.h"

#include "text/arpabet_internal.h"
#include "text/files.h"
#include "text/numbers.h"
#include "text/utf8.h"
#include "text/vocab.h"

#include <stdlib.h>
#include <string.h>

#define MAX_TEXT ((size_t)1 << 20)
#define MAX_TOKENS ((size_t)16 << 20) /* bytes of the tokens of one text */

/* ---- text to phones ---- */

static void add_mark(sn_buf *out, char terminator) {
	char mark = terminator == ':' || terminator == ';' ? ',' : terminator;
	if (mark)
		arpabet_add(out, &mark, 1);
}

static int add_spoken(sn_phonemizer *phonemizer, const char *text, size_t size, int spaces, sn_buf *out, char *err) {
	sn_clauses clauses;
	sn_buf read;
	sn_buf_init(&read, MAX_TEXT);
	int result = sn_text_numbers(&read, text, size, "en", err);
	if (result == SN_OK && !phonemizer)
		result = sn_fail(err, SN_E_DEPENDENCY, "this voice needs a phonemizer");
	if (result == SN_OK)
		result = sn_phonemizer_run(phonemizer, "en-us", read.data ? read.data : "", read.size, &clauses, err);
	sn_buf_free(&read);
	if (result != SN_OK)
		return result;
	for (int i = 0; i < clauses.count; i++) {
		const char *phonemes = clauses.items[i].phonemes;
		size_t before = out->size;
		if (spaces && before && *phonemes)
			arpabet_add(out, "|", 1);
		arpabet_words(phonemes, strlen(phonemes), spaces, out);
		if (out->size > before)
			add_mark(out, clauses.items[i].terminator);
	}
	sn_clauses_free(&clauses);
	return SN_OK;
}

static int add_given(const char *text, size_t size, sn_buf *out, char *err) {
	for (size_t i = 0; i < size;) {
		size_t length = 0;
		while (i + length < size && text[i + length] != ' ')
			length++;
		if (length && !arpabet_known(text + i, length))
			return sn_fail(err, SN_E_ARGUMENT, "'%.*s' in braces is no ARPAbet phone; phones like {HH AH0 L OW1} are expected",
			               length < 40 ? (int)length : 40, text + i);
		if (length)
			arpabet_add(out, text + i, length);
		i += length + 1;
	}
	return SN_OK;
}

/* Marks alone, as they stand behind phones in braces. */
static size_t marks_only(const char *text, size_t size) {
	size_t marks = 0;
	for (size_t i = 0; i < size; i++) {
		if (!strchr(" ,.?!;:\n\t", text[i]))
			return 0;
		marks += !strchr(" \n\t", text[i]);
	}
	return marks;
}

static int add_part(sn_phonemizer *phonemizer, const char *text, size_t size, int spaces, sn_buf *out, char *err) {
	if (!marks_only(text, size))
		return add_spoken(phonemizer, text, size, spaces, out, err);
	for (size_t i = 0; i < size; i++)
		if (!strchr(" \n\t", text[i]) && out->size)
			add_mark(out, text[i]);
	return SN_OK;
}

int sn_arpabet_run(sn_phonemizer *phonemizer, const char *text, size_t size, int spaces, sn_buf *out, char *err) {
	int result = sn_utf8_check(text, size, MAX_TEXT, err);
	for (size_t i = 0; result == SN_OK && i < size;) {
		const char *open = memchr(text + i, '{', size - i), *close = open ? memchr(open, '}', size - (size_t)(open - text)) : NULL;
		size_t end = close ? (size_t)(open - text) : size;
		if (end > i)
			result = add_part(phonemizer, text + i, end - i, spaces, out, err);
		if (result == SN_OK && close) {
			if (spaces && out->size)
				arpabet_add(out, "|", 1);
			result = add_given(open + 1, (size_t)(close - open) - 1, out, err);
		}
		i = close ? (size_t)(close + 1 - text) : size;
	}
	if (result == SN_OK && out->failed)
		result = sn_fail(err, out->failed, "the phones of the text take more than %zu bytes", out->max);
	return result;
}

/* ---- the vocabulary of FastSpeech2Conformer ---- */

struct sn_phones {
	sn_phones_config config;
	vocab tokens;
	vocab_index index;
};

static int read_phones(sn_phones *p, const char *dir, char *err) {
	char path[SN_PATH_MAX];
	json_t *vocabulary = NULL, *config = NULL;
	int result = sn_text_path(path, dir, "vocab.json", err);
	if (result == SN_OK)
		result = sn_text_json(&vocabulary, dir, "vocab.json", 0, 0, err);
	if (result == SN_OK)
		result = sn_text_json(&config, dir, "tokenizer_config.json", 1, 1, err);
	if (result == SN_OK)
		result = vocab_add_object(&p->tokens, vocabulary, path, err);
	if (result == SN_OK)
		result = vocab_index_build(&p->tokens, &p->index, NULL, 0, path, err);
	if (result == SN_OK)
		result = sn_json_bool(config, "should_strip_spaces", &p->config.strip_spaces, "tokenizer_config.json", err);
	if (result == SN_OK) {
		p->config.size = p->tokens.size;
		p->config.unknown = sn_phones_id(p, sn_text_token(config, "unk_token", "<unk>"));
		p->config.begin = sn_phones_id(p, sn_text_token(config, "bos_token", "<sos/eos>"));
		p->config.end = sn_phones_id(p, sn_text_token(config, "eos_token", "<sos/eos>"));
		p->config.pad = sn_phones_id(p, sn_text_token(config, "pad_token", "<blank>"));
		if (p->config.end < 0)
			result = sn_fail(err, SN_E_MODEL, "%s has no '%.40s' (eos_token)", path, sn_text_token(config, "eos_token", "<sos/eos>"));
	}
	json_decref(vocabulary);
	json_decref(config);
	return result;
}

int sn_phones_open(sn_phones **out, const char *dir, char *err) {
	sn_phones *p = calloc(1, sizeof *p);
	int result = p ? read_phones(p, dir, err) : sn_fail(err, SN_E_MEMORY, "out of memory for a tokenizer");
	if (result != SN_OK)
		sn_phones_close(&p);
	*out = p;
	return result;
}

void sn_phones_close(sn_phones **out) {
	sn_phones *p = *out;
	*out = NULL;
	if (!p)
		return;
	vocab_free(&p->tokens);
	vocab_index_free(&p->index);
	free(p);
}

const sn_phones_config *sn_phones_get_config(const sn_phones *p) { return &p->config; }

int32_t sn_phones_id(const sn_phones *p, const char *token) { return vocab_find(&p->tokens, &p->index, token, strlen(token)); }

/* The id of a phone, of the same with another stress where the vocabulary lacks it; "|" is a space. */
static int32_t nearest(const sn_phones *p, const char *token, size_t size) {
	int32_t id = vocab_find(&p->tokens, &p->index, token, size);
	char other[4];
	if (id < 0 && size == 1 && *token == '|')
		return vocab_find(&p->tokens, &p->index, " ", 1);
	if (id >= 0 || size != 3 || !arpabet_known(token, size))
		return id;
	memcpy(other, token, 3);
	for (const char *stress = "102"; *stress && id < 0; stress++) {
		other[2] = *stress;
		id = vocab_find(&p->tokens, &p->index, other, 3);
	}
	return id >= 0 ? id : vocab_find(&p->tokens, &p->index, other, 2);
}

int sn_phones_ids(const sn_phones *p, const char *tokens, int32_t *ids, int max, int *count, int *missing, char *err) {
	int n = 0, absent = 0;
	*count = 0;
	for (size_t length; *tokens; tokens += length + (tokens[length] == ' ')) {
		length = strcspn(tokens, " ");
		if (!length)
			continue;
		int32_t id = nearest(p, tokens, length);
		absent += id < 0;
		id = id < 0 ? p->config.unknown : id;
		if (id >= 0 && n < max)
			ids[n] = id;
		n += id >= 0;
	}
	if (n < max)
		ids[n] = p->config.end;
	n++;
	if (missing)
		*missing = absent;
	if (n > max)
		return sn_fail(err, SN_E_LIMIT, "the text makes %d ids; at most %d are taken", n, max);
	*count = n;
	return SN_OK;
}

int sn_phones_encode(const sn_phones *p, sn_phonemizer *phonemizer, const char *text, size_t size, int32_t *ids, int max, int *count,
                     int *missing, char *err) {
	sn_buf tokens;
	sn_buf_init(&tokens, MAX_TOKENS);
	*count = 0;
	int spaces = !p->config.strip_spaces && sn_phones_id(p, " ") >= 0;
	int result = sn_arpabet_run(phonemizer, text, size, spaces, &tokens, err);
	if (result == SN_OK)
		result = sn_phones_ids(p, tokens.data ? tokens.data : "", ids, max, count, missing, err);
	sn_buf_free(&tokens);
	return result;
}
