#include "models/bark_internal.h"

#include "base/path.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* One object of one of the two files, for messages as "FILE: semantic_config". */
typedef struct section {
	const json_t *object;
	char name[SN_PATH_MAX + 32];
} section;

static void open_section(section *s, const json_t *root, const char *file, const char *key) {
	s->object = json_object_get(root, key);
	snprintf(s->name, sizeof s->name, "%s: %s", file, key);
}

static int number(const section *s, const char *key, int64_t least, int64_t most, int *out, char *err) {
	int64_t value = *out;
	const int code = sn_json_int(s->object, key, least, most, &value, s->name, err);
	*out = (int)value;
	return code;
}

/* Sizes of a transformer. The reference knows some of them by a second name. */
static int read_gpt(bark_gpt_config *c, const section *s, char *err) {
	*c = (bark_gpt_config){ .width = 768, .heads = 12, .layers = 12, .block = 1024, .in = 10048, .out = 10048, .bias = 1 };
	int code = number(s, "hidden_size", 1, BARK_MAX_WIDTH, &c->width, err);
	if (code == SN_OK) code = number(s, "num_attention_heads", 1, BARK_MAX_WIDTH, &c->heads, err);
	if (code == SN_OK) code = number(s, "num_heads", 1, BARK_MAX_WIDTH, &c->heads, err);
	if (code == SN_OK) code = number(s, "num_hidden_layers", 1, BARK_MAX_LAYERS, &c->layers, err);
	if (code == SN_OK) code = number(s, "num_layers", 1, BARK_MAX_LAYERS, &c->layers, err);
	if (code == SN_OK) code = number(s, "window_size", 2, BARK_MAX_BLOCK, &c->block, err);
	if (code == SN_OK) code = number(s, "block_size", 2, BARK_MAX_BLOCK, &c->block, err);
	if (code == SN_OK) code = number(s, "vocab_size", 1, BARK_MAX_VOCAB, &c->in, err);
	if (code == SN_OK) code = number(s, "input_vocab_size", 1, BARK_MAX_VOCAB, &c->in, err);
	if (code == SN_OK) code = number(s, "output_vocab_size", 1, BARK_MAX_VOCAB, &c->out, err);
	if (code == SN_OK) code = sn_json_bool(s->object, "bias", &c->bias, s->name, err);
	if (code == SN_OK && c->width % c->heads)
		return sn_fail(err, SN_E_MODEL, "%s: 'hidden_size' %d is no multiple of 'num_heads' %d", s->name, c->width, c->heads);
	return code;
}

static int read_sampling(bark_sampling *how, const section *s, char *err) {
	double beams = 1, penalty = 1;
	*how = (bark_sampling){ .temperature = 1, .top_p = 1, .top_k = 50 };
	int code = sn_json_bool(s->object, "do_sample", &how->sample, s->name, err);
	if (code == SN_OK) code = sn_json_double(s->object, "temperature", 0, 100, &how->temperature, s->name, err);
	if (code == SN_OK) code = sn_json_double(s->object, "top_p", 0, 1, &how->top_p, s->name, err);
	if (code == SN_OK) code = number(s, "top_k", 0, BARK_MAX_VOCAB, &how->top_k, err);
	if (code == SN_OK) code = sn_json_double(s->object, "num_beams", 1, 1000, &beams, s->name, err);
	if (code == SN_OK) code = sn_json_double(s->object, "repetition_penalty", 0, 1000, &penalty, s->name, err);
	if (code == SN_OK && (beams > 1 || penalty != 1))
		return sn_fail(err, SN_E_UNSUPPORTED, "%s: %g beams and a repetition penalty of %g; only 1 and 1 are supported", s->name, beams,
		               penalty);
	if (how->temperature <= 0) how->sample = 0;
	return code;
}

static int read_semantic(bark_config *c, const section *s, char *err) {
	c->semantic.eos = 10000, c->semantic.text_offset = 10048, c->semantic.text_pad = 129595, c->semantic.infer = 129599;
	c->semantic.vocab = 10000, c->semantic.length = 256, c->semantic.most = 768, c->semantic.rate = 49.9;
	int code = read_sampling(&c->semantic.sampling, s, err);
	if (code == SN_OK) code = number(s, "eos_token_id", 0, BARK_MAX_VOCAB, &c->semantic.eos, err);
	if (code == SN_OK) code = number(s, "text_encoding_offset", 0, BARK_MAX_VOCAB, &c->semantic.text_offset, err);
	if (code == SN_OK) code = number(s, "text_pad_token", 0, BARK_MAX_VOCAB, &c->semantic.text_pad, err);
	if (code == SN_OK) code = number(s, "semantic_infer_token", 0, BARK_MAX_VOCAB, &c->semantic.infer, err);
	if (code == SN_OK) code = number(s, "semantic_vocab_size", 1, BARK_MAX_VOCAB, &c->semantic.vocab, err);
	if (code == SN_OK) code = number(s, "max_input_semantic_length", 1, BARK_MAX_BLOCK, &c->semantic.length, err);
	if (code == SN_OK) code = number(s, "max_new_tokens", 1, BARK_MAX_BLOCK, &c->semantic.most, err);
	if (code == SN_OK) code = number(s, "min_new_tokens", 0, BARK_MAX_BLOCK, &c->semantic.least, err);
	if (code == SN_OK) code = sn_json_double(s->object, "semantic_rate_hz", 0.1, 10000, &c->semantic.rate, s->name, err);
	if (code == SN_OK) code = sn_json_double(s->object, "min_eos_p", 0, 1, &c->semantic.min_eos, s->name, err);
	return code;
}

static int read_coarse(bark_config *c, const section *s, char *err) {
	c->coarse.pad = 12048, c->coarse.infer = 12050, c->coarse.books = 2, c->coarse.length = 256, c->coarse.history = 630, c->coarse.window = 60;
	c->coarse.rate = 75;
	int code = read_sampling(&c->coarse.sampling, s, err);
	if (code == SN_OK) code = number(s, "coarse_semantic_pad_token", 0, BARK_MAX_VOCAB, &c->coarse.pad, err);
	if (code == SN_OK) code = number(s, "coarse_infer_token", 0, BARK_MAX_VOCAB, &c->coarse.infer, err);
	if (code == SN_OK) code = number(s, "n_coarse_codebooks", 1, BARK_MAX_BOOKS, &c->coarse.books, err);
	if (code == SN_OK) code = number(s, "max_coarse_input_length", 1, BARK_MAX_BLOCK, &c->coarse.length, err);
	if (code == SN_OK) code = number(s, "max_coarse_history", 1, BARK_MAX_BLOCK, &c->coarse.history, err);
	if (code == SN_OK) code = number(s, "sliding_window_len", 1, BARK_MAX_BLOCK, &c->coarse.window, err);
	if (code == SN_OK) code = sn_json_double(s->object, "coarse_rate_hz", 0.1, 10000, &c->coarse.rate, s->name, err);
	if (code == SN_OK && json_is_integer(json_object_get(s->object, "eos_token_id")))
		return sn_fail(err, SN_E_UNSUPPORTED, "%s: 'eos_token_id' is set; coarse windows have a length instead", s->name);
	return code;
}

static int read_fine(bark_config *c, const section *s, char *err) {
	c->fine.temperature = 1, c->fine.history = 512, c->fine.length = 1024, c->fine.books = 8;
	int code = sn_json_double(s->object, "temperature", 1e-6, 100, &c->fine.temperature, s->name, err);
	if (code == SN_OK) code = number(s, "max_fine_history_length", 1, BARK_MAX_BLOCK, &c->fine.history, err);
	if (code == SN_OK) code = number(s, "max_fine_input_length", 1, BARK_MAX_BLOCK, &c->fine.length, err);
	if (code == SN_OK) code = number(s, "n_fine_codebooks", 1, BARK_MAX_BOOKS, &c->fine.books, err);
	return code;
}

/* ---- what must hold between the numbers ---- */

typedef struct rule {
	int holds;
	const char *sentence; /* with the two numbers */
	int a, b;
} rule;

static int check(const bark_config *c, const char *file, char *err) {
	const int vocab = c->semantic.vocab;
	const rule rules[] = {
		{ c->semantic.eos < c->semantic.gpt.in && c->semantic.eos < c->semantic.gpt.out,
		  "the semantic end token %d is outside its %d tokens", c->semantic.eos,
		  c->semantic.gpt.in < c->semantic.gpt.out ? c->semantic.gpt.in : c->semantic.gpt.out },
		{ vocab <= c->semantic.gpt.out && vocab <= c->semantic.gpt.in, "%d semantic tokens are more than the transformer's %d", vocab,
		  c->semantic.gpt.out },
		{ c->semantic.text_pad < c->semantic.gpt.in, "the text's pad token %d is outside the %d input tokens", c->semantic.text_pad,
		  c->semantic.gpt.in },
		{ c->semantic.text_offset < c->semantic.gpt.in, "the text's first token %d is outside the %d input tokens", c->semantic.text_offset,
		  c->semantic.gpt.in },
		{ c->semantic.infer < c->semantic.gpt.in, "the semantic infer token %d is outside the %d input tokens", c->semantic.infer,
		  c->semantic.gpt.in },
		{ c->semantic.length < c->semantic.gpt.block, "a text of %d tokens leaves none of the semantic transformer's %d positions",
		  c->semantic.length, c->semantic.gpt.block },
		{ vocab <= c->coarse.gpt.in, "%d semantic tokens are more than the coarse transformer's %d input tokens", vocab, c->coarse.gpt.in },
		{ c->coarse.pad < c->coarse.gpt.in, "the coarse pad token %d is outside the %d input tokens", c->coarse.pad, c->coarse.gpt.in },
		{ c->coarse.infer < c->coarse.gpt.in, "the coarse infer token %d is outside the %d input tokens", c->coarse.infer,
		  c->coarse.gpt.in },
		{ c->coarse.gpt.out <= c->coarse.gpt.in, "%d coarse output tokens cannot be put back into %d input tokens", c->coarse.gpt.out,
		  c->coarse.gpt.in },
		{ vocab + c->codebook < c->coarse.gpt.out, "codes up to %d leave none of the %d coarse output tokens to the second book",
		  vocab + c->codebook, c->coarse.gpt.out },
		{ c->coarse.length + 1 < c->coarse.gpt.block, "an input of %d tokens leaves none of the coarse transformer's %d positions",
		  c->coarse.length, c->coarse.gpt.block },
		{ c->fine.length <= c->fine.gpt.block, "a window of %d frames does not fit the fine transformer's %d positions", c->fine.length,
		  c->fine.gpt.block },
		{ c->fine.history <= c->fine.length, "%d frames of history do not fit a fine window of %d", c->fine.history, c->fine.length },
		{ c->codebook < c->fine.gpt.in, "codes up to %d and their pad do not fit %d fine input tokens", c->codebook, c->fine.gpt.in },
		{ c->codebook <= c->fine.gpt.out, "%d codes are more than the %d fine output tokens", c->codebook, c->fine.gpt.out },
		{ c->fine.books == c->fine.total, "%d fine code books are not the transformer's %d", c->fine.books, c->fine.total },
		{ c->coarse.books <= c->fine.books, "%d coarse code books are more than all %d", c->coarse.books, c->fine.books },
		{ c->fine.given <= c->coarse.books, "the fine transformer needs %d code books; the coarse one gives %d", c->fine.given,
		  c->coarse.books },
	};
	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
		char sentence[SN_ERRLEN];
		if (rules[i].holds) continue;
		if (snprintf(sentence, sizeof sentence, rules[i].sentence, rules[i].a, rules[i].b) < 0) *sentence = 0;
		return sn_fail(err, SN_E_MODEL, "%s and generation_config.json contradict each other: %s", file, sentence);
	}
	return SN_OK;
}

/* Figures that follow from the others, as the reference computes them. */
static int derive(bark_config *c, const char *file, char *err) {
	c->ratio = c->coarse.rate / c->semantic.rate * c->coarse.books;
	c->semantic_history = (int)fmin(floor(c->coarse.history / c->ratio), SN_BARK_MAX_PROMPT);
	c->most_tokens = c->semantic.gpt.block - c->semantic.length;
	if (c->most_tokens > c->semantic.most) c->most_tokens = c->semantic.most;
	const double frames = c->most_tokens * c->ratio / c->coarse.books;
	if (frames > SN_ENCODEC_MAX_FRAMES || frames < 1)
		return sn_fail(err, SN_E_MODEL, "%s: at %g and %g tokens a second an utterance has up to %g frames; 1 to %d are supported", file,
		               c->semantic.rate, c->coarse.rate, frames, SN_ENCODEC_MAX_FRAMES);
	c->most_frames = (int)frames + 1;
	return SN_OK;
}

static int read_sizes(bark_config *c, const json_t *root, const char *file, char *err) {
	section s;
	open_section(&s, root, file, "semantic_config");
	int code = read_gpt(&c->semantic.gpt, &s, err);
	open_section(&s, root, file, "coarse_acoustics_config");
	if (code == SN_OK) code = read_gpt(&c->coarse.gpt, &s, err);
	open_section(&s, root, file, "fine_acoustics_config");
	if (code == SN_OK) code = read_gpt(&c->fine.gpt, &s, err);
	c->fine.total = 8, c->fine.given = 1, c->fine.tied = 1;
	if (code == SN_OK) code = number(&s, "n_codes_total", 1, BARK_MAX_BOOKS, &c->fine.total, err);
	if (code == SN_OK) code = number(&s, "n_codes_given", 1, BARK_MAX_BOOKS, &c->fine.given, err);
	if (code == SN_OK) code = sn_json_bool(s.object, "tie_word_embeddings", &c->fine.tied, s.name, err);
	return code;
}

static int read_generation(bark_config *c, const json_t *root, const char *file, char *err) {
	section s;
	open_section(&s, root, file, "semantic_config");
	int code = read_semantic(c, &s, err);
	open_section(&s, root, file, "coarse_acoustics_config");
	if (code == SN_OK) code = read_coarse(c, &s, err);
	open_section(&s, root, file, "fine_acoustics_config");
	if (code == SN_OK) code = read_fine(c, &s, err);
	s.object = root;
	snprintf(s.name, sizeof s.name, "%s", file);
	c->codebook = 1024;
	if (code == SN_OK) code = number(&s, "codebook_size", 2, BARK_MAX_VOCAB, &c->codebook, err);
	if (code == SN_OK) code = number(&s, "sample_rate", 1000, 384000, &c->sample_rate, err);
	return code;
}

int bark_config_read(bark_config *c, json_t **root, const char *dir, char *err) {
	char file[SN_PATH_MAX], generation_file[SN_PATH_MAX];
	json_t *generation = NULL;
	struct stat st;
	*c = (bark_config){ 0 };
	*root = NULL;
	if (!sn_path_join(file, dir, "config.json") || !sn_path_join(generation_file, dir, "generation_config.json"))
		return sn_fail(err, SN_E_ARGUMENT, "the path %.64s... is too long", dir);
	int code = sn_json_file(root, file, err);
	if (code == SN_OK && stat(generation_file, &st) == 0) code = sn_json_file(&generation, generation_file, err);
	if (code == SN_OK) code = read_sizes(c, *root, file, err);
	if (code == SN_OK) code = read_generation(c, generation, generation_file, err);
	if (code == SN_OK) code = check(c, file, err);
	if (code == SN_OK) code = derive(c, file, err);
	json_decref(generation);
	if (code != SN_OK) {
		json_decref(*root);
		*root = NULL;
	}
	return code;
}
