/* Reads hostile tokenizer files and texts. The first byte of an input chooses what the rest is. */
#include "text/arpabet.h"
#include "text/bpe.h"
#include "text/chars.h"
#include "text/clauses.h"
#include "text/cleaners.h"
#include "text/coqui.h"
#include "text/ctc_vocab.h"
#include "text/normalise.h"
#include "text/numbers.h"
#include "text/piper.h"
#include "text/sentencepiece.h"
#include "text/sentences.h"
#include "text/ssml.h"
#include "text/symbols.h"
#include "text/validate.h"
#include "text/wordpiece.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST_IDS 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char sample[] = "Hello, w\303\266rld! 3.14 \360\237\216\247 don't";

/* A failure has words and leaves nothing behind; a success says nothing. */
static int expect(int result, const void *made, const char *err) {
	if ((result == SN_OK) != (made != NULL) || (result != SN_OK && !*err))
		abort();
	return result == SN_OK;
}

static void write_file(const char *dir, const char *name, const void *data, size_t size) {
	char path[256];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	FILE *file = fopen(path, "wb");
	if (!file || fwrite(data, 1, size, file) != size || fclose(file) != 0)
		abort();
}

static void remove_file(const char *dir, const char *name) {
	char path[256];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	unlink(path);
}

static void use_bpe(sn_bpe *bpe) {
	char err[SN_ERRLEN] = "";
	int32_t ids[MOST_IDS];
	int count;
	sn_buf out;
	for (int id = 0; id < sn_bpe_size(bpe) && id < MOST_IDS; id++)
		ids[id] = id;
	sn_buf_init(&out, 1 << 20);
	sn_bpe_decode(bpe, ids, sn_bpe_size(bpe) < MOST_IDS ? sn_bpe_size(bpe) : MOST_IDS, &out);
	sn_buf_free(&out);
	if (sn_bpe_encode(bpe, sample, strlen(sample), ids, MOST_IDS, &count, err) == SN_OK)
		for (int i = 0; i < count; i++)
			if (ids[i] < 0 || ids[i] >= sn_bpe_size(bpe))
				abort();
	sn_bpe_close(&bpe);
}

static void try_bpe(const char *dir) {
	char err[SN_ERRLEN] = "";
	sn_bpe *bpe;
	const int result = sn_bpe_open(&bpe, dir, err);
	if (expect(result, bpe, err))
		use_bpe(bpe);
}

static void try_ranks(const char *path) {
	static const sn_bpe_named special[] = { { "<|endoftext|>", 316 }, { "<|en|>", 318 } };
	char err[SN_ERRLEN] = "";
	sn_bpe *bpe;
	const int result = sn_bpe_open_ranks(&bpe, path, special, 2, err);
	if (expect(result, bpe, err))
		use_bpe(bpe);
}

static void try_chars(const char *dir) {
	char err[SN_ERRLEN] = "";
	int32_t ids[MOST_IDS];
	int count;
	sn_chars *chars;
	int result = sn_chars_open(&chars, dir, err);
	if (!expect(result, chars, err))
		return;
	if (sn_chars_encode(chars, NULL, sample, strlen(sample), ids, MOST_IDS, &count, NULL, err) == SN_OK)
		for (int i = 0; i < count; i++)
			if (ids[i] < 0 || ids[i] >= sn_chars_get_config(chars)->size)
				abort();
	sn_chars_close(&chars);
}

static void try_piper(const char *path) {
	char err[SN_ERRLEN] = "";
	int32_t ids[MOST_IDS];
	int count, missing;
	sn_piper *piper;
	int result = sn_piper_open(&piper, path, err);
	if (!expect(result, piper, err))
		return;
	if (sn_piper_ids(piper, sample, strlen(sample), ids, MOST_IDS, &count, &missing, err) == SN_OK)
		for (int i = 0; i < count; i++)
			if (ids[i] < 0 || ids[i] >= sn_piper_get_config(piper)->symbols)
				abort();
	sn_piper_close(&piper);
}

static void try_text(const char *text, size_t size) {
	char err[SN_ERRLEN] = "";
	size_t most = 16 + size / 3, end = 0;
	sn_buf clean;
	sn_spans spans;
	sn_buf_init(&clean, SN_TEXT_MAX);
	if (sn_text_validate(text, size, &clean, NULL, err) != SN_OK && !*err)
		abort();
	sn_buf_free(&clean);
	if (sn_sentences(text, size, size % 2 ? "de" : NULL, most, &spans, err) != SN_OK)
		return;
	for (int i = 0; i < spans.count; i++) {
		if (spans.items[i].begin < end || spans.items[i].end <= spans.items[i].begin || spans.items[i].end > size ||
		    spans.items[i].end - spans.items[i].begin > most)
			abort();
		end = spans.items[i].end;
	}
	sn_spans_free(&spans);
}

static void expect_inside(const int32_t *ids, int count, int size) {
	for (int i = 0; i < count; i++)
		if (ids[i] < 0 || ids[i] >= size)
			abort();
}

static void try_pieces(const char *path) {
	char err[SN_ERRLEN] = "";
	int32_t ids[MOST_IDS];
	int count;
	sn_spm *spm;
	sn_buf out;
	int result = sn_spm_open(&spm, path, err);
	if (!expect(result, spm, err))
		return;
	if (sn_spm_encode(spm, sample, strlen(sample), ids, MOST_IDS, &count, err) == SN_OK) {
		expect_inside(ids, count, sn_spm_get_config(spm)->size);
		sn_buf_init(&out, 1 << 20);
		sn_spm_decode(spm, ids, count, &out);
		sn_buf_free(&out);
	}
	sn_spm_close(&spm);
}

static void try_words(const char *dir) {
	char err[SN_ERRLEN] = "";
	int32_t ids[MOST_IDS];
	int count;
	sn_wordpiece *words;
	int result = sn_wordpiece_open(&words, dir, err);
	if (!expect(result, words, err))
		return;
	if (sn_wordpiece_encode(words, sample, strlen(sample), ids, MOST_IDS, &count, err) == SN_OK)
		expect_inside(ids, count, sn_wordpiece_get_config(words)->size);
	sn_wordpiece_close(&words);
}

static void try_ctc(const char *dir) {
	char err[SN_ERRLEN] = "";
	int32_t ids[MOST_IDS];
	int count;
	sn_ctc_vocab *v;
	sn_buf out;
	int result = sn_ctc_vocab_open(&v, dir, NULL, err);
	if (!expect(result, v, err))
		return;
	if (sn_ctc_vocab_encode(v, sample, strlen(sample), ids, MOST_IDS, &count, NULL, err) == SN_OK)
		expect_inside(ids, count, sn_ctc_vocab_get_config(v)->size);
	for (int i = 0; i < MOST_IDS; i++)
		ids[i] = i - 8;
	sn_buf_init(&out, 1 << 20);
	sn_ctc_vocab_decode(v, ids, MOST_IDS, 1, 1, &out);
	sn_buf_free(&out);
	sn_ctc_vocab_close(&v);
}

static void try_coqui(const char *path) {
	char err[SN_ERRLEN] = "";
	int32_t ids[MOST_IDS];
	int count;
	sn_coqui *coqui;
	int result = sn_coqui_open(&coqui, path, err);
	if (!expect(result, coqui, err))
		return;
	if (!sn_coqui_get_config(coqui)->phonemes && sn_coqui_encode(coqui, NULL, NULL, sample, strlen(sample), ids, MOST_IDS, &count, NULL, err) == SN_OK)
		expect_inside(ids, count, sn_coqui_get_config(coqui)->size + 1);
	sn_coqui_close(&coqui);
}

static void try_phones(const char *dir) {
	char err[SN_ERRLEN] = "";
	int32_t ids[MOST_IDS];
	int count;
	sn_phones *phones;
	int result = sn_phones_open(&phones, dir, err);
	if (!expect(result, phones, err))
		return;
	if (sn_phones_ids(phones, "HH AH0 L OW2 , | XX ?", ids, MOST_IDS, &count, NULL, err) == SN_OK)
		expect_inside(ids, count, sn_phones_get_config(phones)->size);
	sn_phones_close(&phones);
}

/* Text as it is spoken, by each language's rules and as each kind of say-as; normalisers are kept since they take longer to open
 * than to use. Bounded, nothing left out of the map, digits only where the language is not known. */
static void try_normalise(const char *text, size_t size) {
	static const char *const languages[] = { "en", "de", "fr", "es", "it", "pt", "ru", "zh", "tr", "xx", "en-GB" };
	static const char *const kinds[] = { "cardinal", "ordinal", "characters", "digits", "date", "time", "duration", "telephone", "fraction", "expletive",
		                                 "currency" };
	static const char *const formats[] = { "", "mdy", "dmy", "ymd", "my", "d", "hms12", "44" };
	static sn_normaliser *kept[sizeof languages / sizeof languages[0]];
	char err[SN_ERRLEN] = "";
	size_t choice = (uint8_t)text[0] % 11, end = 0, out_end = 0;
	sn_normal_map map = { 0 };
	sn_buf out;
	if (!kept[choice] && sn_normaliser_open(&kept[choice], languages[choice], err) != SN_OK)
		abort();
	sn_buf_init(&out, (size_t)64 << 20);
	int result = sn_normalise(kept[choice], text, size, &out, &map, err);
	if (result != SN_OK && !*err)
		abort();
	if (result == SN_OK && out.size > size * SN_NORMAL_GROWTH + 2 * SN_NORMAL_SLACK)
		abort();
	for (int i = 0; i < map.count && result == SN_OK; i++) {
		const sn_normal_piece *p = &map.items[i];
		if (p->from != end || p->to < p->from || p->begin != out_end || p->end < p->begin || p->to > size || p->end > out.size)
			abort();
		end = p->to;
		out_end = p->end;
		sn_normal_map_at(&map, p->from);
	}
	sn_normal_map_free(&map);
	sn_buf_clear(&out);
	if (size > 1 && sn_say_as(kept[choice], kinds[(uint8_t)text[1] % 11], formats[(uint8_t)text[size - 1] % 8], text[0] & 1 ? "3 3" : NULL, text + 1,
	                          size - 1, &out, NULL, err) < 0 && !*err)
		abort();
	sn_buf_free(&out);
}

/* Text that is read, cleaned and taken for IPA. */
static void try_reading(const char *text, size_t size) {
	static const char *const names[] = { "english_cleaners", "french_cleaners", "basic_turkish_cleaners", "italian_cleaners", "tacotron2" };
	static const char *const languages[] = { "en", "de", "fr", "zh", "xx" };
	char err[SN_ERRLEN] = "";
	int32_t ids[MOST_IDS];
	int count;
	sn_buf out;
	if (!size)
		return;
	int choice = (uint8_t)*text++ % 5;
	try_normalise(text - 1, size);
	sn_buf_init(&out, 1 << 20);
	if (sn_text_numbers(&out, text, --size, languages[choice], err) != SN_OK && !*err)
		abort();
	sn_buf_clear(&out);
	sn_text_numbers_speecht5(&out, text, size, err);
	sn_buf_clear(&out);
	sn_clean(&out, names[choice], NULL, text, size, err);
	sn_buf_clear(&out);
	sn_arpabet_from_ipa(text, size, &out);
	sn_buf_free(&out);
	if (sn_symbols_encode(text, size, ids, MOST_IDS, &count, NULL, err) == SN_OK)
		expect_inside(ids, count, SN_SYMBOLS);
}

static int check_event(void *payload, const sn_ssml_event *e, char *err) {
	size_t *const seen = payload;
	*seen += e->size;
	const sn_ssml_style *const s = e->style;
	if (!e->text || !e->value || !e->format || !e->detail || strlen(s->language) >= sizeof s->language || strlen(s->voice) > SN_SSML_NAME ||
	    strlen(e->value) > SN_SSML_PHONEMES || !(e->seconds >= 0 && e->seconds <= SN_SSML_BREAK) || !(s->gain >= 0))
		abort();
	return SN_OK;
}

/* A document in pieces whose size the first byte says, and the same bytes as a text that is cut while it is written. */
static void try_ssml(const char *text, size_t size) {
	char err[SN_ERRLEN] = "", ipa[SN_SSML_PHONEMES];
	sn_ssml *ssml;
	size_t seen = 0, step = size ? (uint8_t)*text + (size_t)1 : 1;
	if (!size || sn_ssml_open(&ssml, check_event, &seen, err) != SN_OK)
		return;
	text++;
	size--;
	int result = SN_OK;
	for (size_t at = 0; result == SN_OK && at < size; at += step)
		result = sn_ssml_push(ssml, text + at, size - at < step ? size - at : step, size - at <= step, err);
	if ((result != SN_OK && !*err) || seen > size + SN_SSML_TAG) /* nothing grows */
		abort();
	sn_ssml_close(&ssml);
	sn_ssml_begins(text, size);
	int sentence_end = 0;
	for (int early = 0; early < 2; early++)
		for (size_t at = 0, end; (end = sn_clause_end(text + at, size - at, "en", early, &sentence_end)) > 0; at += end)
			if (end > size - at)
				abort();
	char *const copy = strndup(text, size);
	if (copy && sn_ipa_of_xsampa(copy, ipa, sizeof ipa) && strlen(ipa) >= sizeof ipa)
		abort();
	free(copy);
}

/* Kinds that a small letter stands for. */
static void try_kind(int kind, const char *dir, const uint8_t *data, size_t size) {
	static const char *const names[] = { "m.model", "tokenizer.json", "vocab.txt", "tokenizer.json", "vocab.json", "config.json", "vocab.json" };
	char path[256];
	if (kind == 7) {
		try_reading((const char *)data, size);
		return;
	}
	snprintf(path, sizeof path, "%s/%s", dir, names[kind]);
	write_file(dir, names[kind], data, size);
	if (kind < 2)
		try_pieces(path);
	else if (kind < 4)
		try_words(dir);
	else if (kind == 4)
		try_ctc(dir);
	else if (kind == 5)
		try_coqui(path);
	else
		try_phones(dir);
	remove_file(dir, names[kind]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	static const char *const names[] = { "vocabulary.txt", "vocabulary.json", "vocab.json", "tokenizer.json", "vocab.json", "voice.json",
		                                 "text" };
	static char dir[] = "/tmp/sonant-fuzz-XXXXXX";
	static int made;
	char path[256];
	if (!size || (!made && !mkdtemp(dir)))
		return 0;
	made = 1;
	if (data[0] == '<') {
		try_ssml((const char *)data + 1, size - 1);
		return 0;
	}
	if (data[0] == '=') {
		write_file(dir, "tokens.txt", data + 1, size - 1);
		snprintf(path, sizeof path, "%s/tokens.txt", dir);
		try_ranks(path);
		unlink(path);
		return 0;
	}
	if (data[0] >= 'a') {
		try_kind((data[0] - 'a') % 8, dir, data + 1, size - 1);
		return 0;
	}
	int kind = data[0] % 7;
	if (kind == 6) {
		try_text((const char *)data + 1, size - 1);
		return 0;
	}
	write_file(dir, names[kind], data + 1, size - 1);
	if (kind == 5) {
		snprintf(path, sizeof path, "%s/%s", dir, names[kind]);
		try_piper(path);
	} else if (kind == 4) {
		write_file(dir, "tokenizer_config.json", "{\"phonemize\": false}", 20);
		try_chars(dir);
		remove_file(dir, "tokenizer_config.json");
	} else {
		try_bpe(dir);
	}
	remove_file(dir, names[kind]);
	return 0;
}
