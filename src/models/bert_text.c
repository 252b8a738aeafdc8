/* The tokenizers of the BERT family: WordPiece, byte-level BPE, SentencePiece. */
#include "models/bert_internal.h"

#include "text/bpe.h"
#include "text/files.h"
#include "text/sentencepiece.h"
#include "text/wordpiece.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PIECES 1024 /* tokens that a word may have before it counts as unknown */
#define MAX_WORD 1000   /* bytes of one, behind a space */

struct bert_text {
	sn_wordpiece *wordpiece; /* one of these */
	sn_bpe *bpe;
	sn_spm *spm;
	int shift;               /* spm: ids of the model are so many more than those of the .model file (fairseq's own tokens come first) */
	int prefix;              /* bpe: also the first word has a space before it */
	int32_t unknown, begin, end;
};

/* fairseq put <s>, <pad>, </s>, <unk> before the pieces and left out the file's own first ones: XLM-RoBERTa's ids are one more than the
 * file's, CamemBERT's four. tokenizer.json has the model's ids. */
static int open_spm(bert_text *t, const bert_settings *s, const char *dir, char *err) {
	char path[SN_PATH_MAX];
	const int own = sn_text_has(dir, "sentencepiece.bpe.model");
	int result = sn_text_path(path, dir, own ? "sentencepiece.bpe.model" : "tokenizer.json", err);
	if (result == SN_OK)
		result = sn_spm_open(&t->spm, path, err);
	if (result != SN_OK)
		return result;
	const sn_spm_config *const c = sn_spm_get_config(t->spm);
	t->shift = !own ? 0 : s->camembert ? 4 : 1;
	t->unknown = own ? 3 : c->unknown;
	t->begin = own ? s->camembert ? c->begin + t->shift : 0 : sn_spm_id(t->spm, "<s>");
	t->end = own ? s->camembert ? c->end + t->shift : 2 : sn_spm_id(t->spm, "</s>");
	return SN_OK;
}

static int open_bpe(bert_text *t, const char *dir, char *err) {
	json_t *config = NULL;
	int result = sn_bpe_open(&t->bpe, dir, err);
	if (result == SN_OK)
		result = sn_text_json(&config, dir, "tokenizer_config.json", 1, 1, err);
	if (result == SN_OK)
		result = sn_json_bool(config, "add_prefix_space", &t->prefix, "tokenizer_config.json", err);
	json_decref(config);
	if (result != SN_OK)
		return result;
	t->begin = sn_bpe_id(t->bpe, "<s>");
	t->end = sn_bpe_id(t->bpe, "</s>");
	t->unknown = sn_bpe_id(t->bpe, "<unk>");
	return SN_OK;
}

static int open_wordpiece(bert_text *t, const char *dir, char *err) {
	const int result = sn_wordpiece_open(&t->wordpiece, dir, err);
	if (result != SN_OK)
		return result;
	const sn_wordpiece_config *const c = sn_wordpiece_get_config(t->wordpiece);
	t->begin = c->begin;
	t->end = c->end;
	t->unknown = c->unknown;
	return SN_OK;
}

int bert_text_open(bert_text **out, const bert_settings *s, const char *dir, char *err) {
	bert_text *t = calloc(1, sizeof *t);
	int result = t ? SN_OK : sn_fail(err, SN_E_MEMORY, "out of memory for a tokenizer");
	*out = NULL;
	if (result == SN_OK)
		result = s->sentencepiece ? open_spm(t, s, dir, err) : s->kind == BERT_ROBERTA ? open_bpe(t, dir, err) : open_wordpiece(t, dir, err);
	if (result == SN_OK) {
		t->begin = t->begin >= 0 ? t->begin : s->begin;
		t->end = t->end >= 0 ? t->end : s->end;
		t->unknown = t->unknown >= 0 ? t->unknown : 0;
	}
	if (result == SN_OK && (t->begin < 0 || t->begin >= s->vocab || t->end < 0 || t->end >= s->vocab || t->unknown >= s->vocab))
		result = sn_fail(err, SN_E_MODEL, "the tokenizer in '%.200s' begins texts with token %d, ends them with %d and has %d for unknown "
		                 "words; the model knows %d tokens", dir, t->begin, t->end, t->unknown, s->vocab);
	if (result != SN_OK)
		bert_text_close(&t);
	*out = t;
	return result;
}

void bert_text_close(bert_text **text) {
	bert_text *t = *text;
	*text = NULL;
	if (!t)
		return;
	sn_wordpiece_close(&t->wordpiece);
	sn_bpe_close(&t->bpe);
	sn_spm_close(&t->spm);
	free(t);
}

void bert_text_ends(const bert_text *t, int32_t *begin, int32_t *end) {
	*begin = t->begin;
	*end = t->end;
}

int bert_text_encode(const bert_text *t, const char *word, int first, int32_t *ids, int *count, char *err) {
	int32_t all[MAX_PIECES];
	char spaced[MAX_WORD + 2];
	int found = 0, result = SN_E_LIMIT;
	const int size = snprintf(spaced, sizeof spaced, " %s", word), space = !first || t->prefix;
	if (size < (int)sizeof spaced) {
		if (t->wordpiece)
			result = sn_wordpiece_encode(t->wordpiece, word, (size_t)size - 1, all, MAX_PIECES, &found, err);
		else if (t->bpe)
			result = sn_bpe_encode(t->bpe, spaced + !space, (size_t)(size - !space), all, MAX_PIECES, &found, err);
		else
			result = sn_spm_encode(t->spm, word, (size_t)size - 1, all, MAX_PIECES, &found, err);
	}
	if (result != SN_OK && result != SN_E_LIMIT)
		return result;
	if (result == SN_E_LIMIT || !found) { /* too long for a word */
		ids[0] = t->unknown;
		*count = 1;
		return SN_OK;
	}
	*count = found < SN_BERT_MAX_PIECES ? found : SN_BERT_MAX_PIECES;
	for (int i = 0; i < *count; i++)
		ids[i] = t->shift && all[i] == sn_spm_get_config(t->spm)->unknown ? t->unknown : all[i] + t->shift;
	return SN_OK;
}
