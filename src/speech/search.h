/* Decoding one window's tokens: greedy, sampled or beam search with Whisper's timestamp rules, one step at a time, so that
 * the engine can run the rows of many searches in one decoder step. Reference: openai-whisper decoding.py.
 * A search never allocates after sn_search_new. */
#ifndef SN_SPEECH_SEARCH_H
#define SN_SPEECH_SEARCH_H

#include "models/whisper.h"
#include "speech/hotwords.h"

#define SN_SEARCH_MAX_TOKENS 448
#define SN_SEARCH_MAX_BEAM 16

typedef struct sn_search_options {
	int beam;              /* 1: greedy (or sampling where temperature > 0), else beam width */
	float patience;        /* 1 */
	float length_penalty;  /* < 0: openai's ranking sum/length; else Google NMT alpha */
	int transformers;      /* beams scored and finished as transformers' generate does: log-probabilities of the unmasked distribution,
	                        * ranked by sum / length^length_penalty with <|endoftext|> counted, stopped when none can get better */
	float temperature;     /* > 0: sampling with best_of sequences */
	int best_of;
	uint64_t seed;
	int timestamps;        /* apply the timestamp rules; 0: the prompt ends with <|notimestamps|> */
	int until;             /* timestamps: text may not end at a time before this one (index, 0.02 s each); 0: anywhere. A window cut
	                        * inside a sentence is then written to its end, where the model would leave the rest for the next window */
	int max_tokens;        /* sampled tokens, 0: target_positions / 2 */
	const sn_hotwords *hotwords; /* phrases to favour; NULL: none */
} sn_search_options;

typedef struct sn_search_result {
	int count;
	int32_t tokens[SN_SEARCH_MAX_TOKENS];      /* sampled ones, without prompt and <|endoftext|> */
	float logprobs[SN_SEARCH_MAX_TOKENS];      /* of each token under the masked, temperature-1 distribution */
	float sum_logprob, avg_logprob;            /* avg: sum / (count + 1), as the reference */
	float no_speech_prob;
	float temperature;
	int reached_limit;                         /* ended by max_tokens, not by <|endoftext|> */
} sn_search_result;

typedef struct sn_search sn_search;

/* Buffers for a search on `whisper`. slots: cache slots that this search may use, `slot_count` >= max(beam, best_of). */
int sn_search_new(sn_search **out, sn_whisper *whisper, char *err);
void sn_search_free(sn_search **search);

/* Starts on an encoded window with a prompt that ends in the sequence's start tokens (sot, language, task[, notimestamps]).
 * sot_index: where <|startoftranscript|> stands in the prompt: no_speech_prob is read from the logits after it. */
int sn_search_start(sn_search *search, int window, const int32_t *slots, int slot_count, const int32_t *prompt, int prompt_count,
                    int sot_index, const sn_search_options *options, char *err);
/* Rows wanted next (at most SN_WHISPER_MAX_ROWS; 0 when finished). Row logits point into the search's own memory. */
int sn_search_rows(sn_search *search, sn_whisper_row *rows);
/* After these rows were decoded. Returns 1 when the search is finished. */
int sn_search_advance(sn_search *search);
const sn_search_result *sn_search_get(const sn_search *search);
/* Of the result: the slot in which each position's entry lies, for the prompt and all tokens, but for the last one when the search
 * reached its limit: that one was not decoded. Valid until other rows are decoded in the search's slots. */
const int32_t *sn_search_table(const sn_search *search);
/* How many tokens its prompt has, and which of them is <|startoftranscript|>. */
int sn_search_prompt(const sn_search *search, int *sot_index);

/* The language whose token follows <|startoftranscript|> most likely: give a search prompt {sot} and call after its first rows were
 * decoded (instead of advance). Returns the index in config->language; *probability its softmax over language tokens. */
int sn_search_language(const sn_search *search, float *probability);

#endif
