#include "speech/stt_live_decode.h"

#include "nn/cpu/kernels.h"

#include <math.h>
#include <string.h>

#define MASKED (-1e30f)
#define DOUBT 6               /* guesses tried after one was wrong */
#define REACH 8               /* guesses among which the model's token is looked for then */
#define LONGEST_LOOP 40       /* tokens of what is repeated */

void stt_decode_start(stt_decode *d, const sn_whisper_config *config, int window, int32_t slot, const int32_t *prompt, int prompt_count,
                      int sot, const stt_tokens *given, const int32_t *draft, int draft_count, int most) {
	const int room = (config->target_positions < STT_DECODE_TOKENS ? config->target_positions : STT_DECODE_TOKENS) - prompt_count;
	*d = (stt_decode){ .config = config, .window = window, .slot = slot, .prompt = prompt_count, .sot = sot, .trust = STT_DECODE_ROWS };
	for (int i = 0; i < STT_DECODE_TOKENS; i++)
		d->table[i] = slot;
	memcpy(d->sequence, prompt, (size_t)prompt_count * sizeof *prompt);
	d->given = d->count = given && given->count < room ? given->count : 0;
	if (d->given) {
		memcpy(d->sequence + prompt_count, given->token, (size_t)d->given * sizeof *given->token);
		memcpy(d->logprob, given->logprob, (size_t)d->given * sizeof *given->logprob);
	}
	d->most = most < room ? most : room;
	d->guesses = draft_count < d->most - d->count ? draft_count : d->most - d->count;
	if (d->guesses > 0)
		memcpy(d->sequence + prompt_count + d->count, draft, (size_t)d->guesses * sizeof *draft);
	else
		d->guesses = 0;
}

int stt_decode_rows(stt_decode *d, sn_whisper_row *rows, float *logits) {
	const int told = d->prompt + d->count, guesses = d->guesses < d->trust ? d->guesses : d->trust;
	int wanted = 0, count = 0;
	for (int p = d->fed; p < told + guesses && count < SN_WHISPER_MAX_ROWS; p++) {
		const int wants = p == d->sot || p >= d->prompt - 1 + d->given;
		if (wants && wanted == STT_DECODE_ROWS)
			break;
		rows[count++] = (sn_whisper_row){ d->sequence[p], p, d->slot, d->window, d->table,
		                                  wants ? logits + (int64_t)wanted * d->config->vocab : NULL };
		wanted += wants;
	}
	return d->rows = count;
}

/* log(sum(exp(x))) over the first `count`, the largest of which is `most`; leaves exp(x - most) in x. */
static float log_sum(float *x, int count, float most) {
	return most - logf(nn_kernels_best()->softmax_row(x, count, count, x, NN_STORE_F32));
}

/* The same, x stays. */
static float log_sum_of(const float *x, int count) {
	float most = x[0];
	double sum = 0;
	for (int i = 1; i < count; i++)
		most = x[i] > most ? x[i] : most;
	for (int i = 0; i < count; i++)
		sum += (double)expf(x[i] - most);
	return most + (float)log(sum);
}

/* Hot words make tokens likelier; the probability that is told stays the model's own. */
static stt_choice choose_hot(const stt_decode *d, int index, float *x, int count, stt_choice choice) {
	const float sum = log_sum_of(x, count);
	sn_hotwords_state hot = { 0 };
	for (int k = 0; k < index; k++)
		hot = sn_hotwords_next(d->hotwords, hot, d->sequence[d->prompt + k]);
	sn_hotwords_apply(d->hotwords, hot, x, 0);
	for (int k = 0; k < count; k++)
		choice.token = x[k] > x[choice.token] ? k : choice.token;
	choice.logprob = x[choice.token] - sn_hotwords_bonus(d->hotwords, hot, choice.token, 0) - sum;
	return choice;
}

/* The likeliest text token or end; specials but <|endoftext|> are out of the question. */
stt_choice stt_decode_choose(const stt_decode *d, const sn_whisper_row *rows, int i) {
	const sn_whisper_config *const c = d->config;
	const int index = rows[i].position - (d->prompt - 1), count = c->eot + 1; /* of the token that follows */
	float *const x = rows[i].logits;
	stt_choice choice = { .token = c->eot };
	if (rows[i].position == d->sot && c->no_speech >= 0)
		choice.no_speech = expf(x[c->no_speech] - log_sum_of(x, c->vocab));
	if (index < d->given)
		return choice;
	for (int k = 0; index == 0 && k < c->begin_suppress_count; k++)
		x[c->begin_suppress[k]] = MASKED;
	for (int k = 0; k < c->suppress_count; k++)
		x[c->suppress[k]] = MASKED;
	if (d->hotwords)
		return choose_hot(d, index, x, count, choice);
	for (int k = 0; k < count; k++)
		choice.token = x[k] > x[choice.token] ? k : choice.token;
	const float value = x[choice.token];
	choice.logprob = value - log_sum(x, count, value);
	return choice;
}

/* The model wrote `token` where guess[0] was expected: finds where the guesses go on. Either some of them were left out, or one was
 * another word. */
static void guess_again(stt_decode *d, const int32_t *guess, int count, int32_t token) {
	int from = 1;
	for (int i = 1; i < count && i < REACH; i++)
		if (guess[i] == token) {
			from = i + 1;
			break;
		}
	d->guesses = count > from ? count - from : 0;
	if (d->guesses > d->most - d->count)
		d->guesses = d->most - d->count;
	memmove(d->sequence + d->prompt + d->count, guess + from, (size_t)d->guesses * sizeof *guess);
	d->trust = DOUBT;
}

/* Times that the last `period` tokens stand one behind another at the end. */
static int repeats(const int32_t *token, int count, int period) {
	int times = 1;
	while ((times + 1) * period <= count &&
	       memcmp(token + count - period, token + count - (times + 1) * period, (size_t)period * sizeof *token) == 0)
		times++;
	return times;
}

/* Cuts text that has begun to repeat itself more often than people do. */
static void cut_loop(stt_decode *d) {
	const int32_t *const text = d->sequence + d->prompt;
	for (int period = 1; period <= LONGEST_LOOP && !d->looped; period++) {
		const int times = repeats(text, d->count, period), most = period == 1 ? 9 : period <= 4 ? 6 : 4;
		if (times < most)
			continue;
		const int keep = d->count - (times - 1) * period;
		d->looped = 1;
		d->count = keep > d->given ? keep : d->given;
	}
}

int stt_decode_advance(stt_decode *d, const sn_whisper_row *rows, const stt_choice *choices) {
	int32_t *const text = d->sequence + d->prompt;
	if (d->trust < STT_DECODE_ROWS)
		d->trust *= 2;
	for (int i = 0; i < d->rows; i++) {
		d->fed = rows[i].position + 1;
		if (rows[i].position == d->sot)
			d->no_speech_prob = choices[i].no_speech;
		if (rows[i].position < d->prompt - 1 + d->given)
			continue;
		const int32_t token = choices[i].token;
		if (token == d->config->eot) {
			d->end_logprob = choices[i].logprob;
			d->guesses = 0;
			return d->ended = 1;
		}
		const int expected = d->guesses > 0 && text[d->count] == token;
		int32_t guess[STT_DECODE_TOKENS];
		const int guesses = d->guesses;
		if (!expected)
			memcpy(guess, text + d->count, (size_t)guesses * sizeof *guess);
		text[d->count] = token;
		d->logprob[d->count++] = choices[i].logprob;
		d->guesses -= expected;
		cut_loop(d);
		d->limited = d->count >= d->most;
		if (d->looped || d->limited)
			return 1;
		if (!expected) {
			guess_again(d, guess, guesses, token);
			return 0;
		}
	}
	return 0;
}

int stt_decode_language(const sn_whisper_config *c, const float *logits, float *probability) {
	int best = 0;
	double sum = 0;
	for (int i = 1; i < c->languages; i++)
		if (logits[c->language[i].token] > logits[c->language[best].token])
			best = i;
	for (int i = 0; i < c->languages; i++)
		sum += exp((double)logits[c->language[i].token] - (double)logits[c->language[best].token]);
	*probability = c->languages ? (float)(1 / sum) : 0;
	return best;
}
