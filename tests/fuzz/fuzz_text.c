/* Reads hostile tokenizer files and texts. The first byte of an input chooses what the rest is. */
#include "text/bpe.h"
#include "text/chars.h"
#include "text/piper.h"
#include "text/sentences.h"
#include "text/validate.h"

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

static void try_bpe(const char *dir) {
	char err[SN_ERRLEN] = "";
	int32_t ids[MOST_IDS];
	int count;
	sn_bpe *bpe;
	sn_buf out;
	int result = sn_bpe_open(&bpe, dir, err);
	if (!expect(result, bpe, err))
		return;
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	static const char *const names[] = { "vocabulary.txt", "vocabulary.json", "vocab.json", "tokenizer.json", "vocab.json", "voice.json",
		                                 "text" };
	static char dir[] = "/tmp/sonant-fuzz-XXXXXX";
	static int made;
	char path[256];
	if (!size || (!made && !mkdtemp(dir)))
		return 0;
	made = 1;
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
