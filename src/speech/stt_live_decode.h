/* Greedy decoding of one window with a draft: what the text may be goes into one decoder call as rows with logits, and as much of it
 * holds as is what token-by-token decoding would have written (speculative decoding, Leviathan et al. 2023, with a verifier that
 * writes its likeliest token). The result does not depend on the draft; only the count of calls does. Allocates nothing. */
#ifndef SN_SPEECH_STT_LIVE_DECODE_H
#define SN_SPEECH_STT_LIVE_DECODE_H

#include "models/whisper.h"
#include "speech/hotwords.h"

#define STT_DECODE_TOKENS 448  /* of prompt and text */
#define STT_DECODE_ROWS 48     /* with logits in one call */

/* Text as the model writes it. */
typedef struct stt_tokens {
	int count;
	int32_t token[STT_DECODE_TOKENS];
	float logprob[STT_DECODE_TOKENS];
} stt_tokens;

typedef struct stt_decode {
	const sn_whisper_config *config;
	const sn_hotwords *hotwords;   /* may be NULL */
	int window;                    /* entry that it listens to */
	int32_t slot, table[STT_DECODE_TOKENS];
	int32_t sequence[STT_DECODE_TOKENS]; /* prompt, text, guesses of what follows */
	float logprob[STT_DECODE_TOKENS];    /* of the text */
	int prompt, sot;               /* tokens of the prompt; where in it <|startoftranscript|> is */
	int given;                     /* tokens of the text that are so whatever the model thinks */
	int count, guesses;            /* of text, the given ones included; of guesses */
	int most;                      /* text at most, less than the room there is */
	int fed;                       /* positions that were decoded and hold */
	int trust;                     /* guesses tried at once */
	int rows;                      /* of the call under way */
	int ended, looped, limited;    /* by <|endoftext|>; cut where it began to repeat itself; by `most` */
	float no_speech_prob, end_logprob;
} stt_decode;

/* What the model says behind one row. */
typedef struct stt_choice {
	int32_t token;
	float logprob, no_speech;
} stt_choice;

/* prompt: ends in the start tokens; given and draft may be empty. prompt_count + given->count is at most half the room. */
void stt_decode_start(stt_decode *d, const sn_whisper_config *config, int window, int32_t slot, const int32_t *prompt, int prompt_count,
                      int sot, const stt_tokens *given, const int32_t *draft, int draft_count, int most);
/* Rows of the next call, at most STT_DECODE_ROWS + prompt; those that want them get logits in logits[.., vocab], one behind another. */
int stt_decode_rows(stt_decode *d, sn_whisper_row *rows, float *logits);
/* After they were decoded: of row i of those. Spoils the logits. Rows may be looked at in any order, on any thread. */
stt_choice stt_decode_choose(const stt_decode *d, const sn_whisper_row *rows, int i);
/* choices[i] of each row that had logits. Returns 1 when the text is finished. */
int stt_decode_advance(stt_decode *d, const sn_whisper_row *rows, const stt_choice *choices);

/* Index of the likeliest language by the logits behind <|startoftranscript|>; *probability among the languages. */
int stt_decode_language(const sn_whisper_config *config, const float *logits, float *probability);

#endif
