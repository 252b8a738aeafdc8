#include "speech/guards.h"

#include <math.h>
#include <string.h>

#define FEWEST_TOKENS 8      /* of a run */
#define FEWEST_REPEATS 3
#define LONGEST_PERIOD 100
#define FASTEST 0.07         /* seconds of a token: 14 a second, faster than anyone speaks */
#define SHORTEST_ECHO 6
#define NO_SPEECH 0.1        /* seconds, with a PEAK below: a word lasts three chunks and the detector is sure of one of them */
#define PEAK 0.65f
#define HARDLY_SPEECH 0.25   /* seconds, of which a laugh or a cough has some: the text must be likely */
#define LIKELY (-0.7f)       /* mean log probability */
#define NO_SPEECH_LIMIT 0.6f /* of Whisper's own probability, where nobody listened */

sn_guard_voice sn_guards_listen(const float *voice, int count, double from, double to) {
	const double chunk = (double)SN_GUARD_CHUNK / SN_GUARD_RATE;
	int first = (int)floor(from / chunk), end = (int)ceil(to / chunk), known = 0, speech = 0;
	first = first < 0 ? 0 : first > count ? count : first; /* behind the audio there is silence */
	end = end > count ? count : end;
	sn_guard_voice v = { 0 };
	double sum = 0;
	for (int i = first; i < end; i++) {
		if (voice[i] < 0)
			continue;
		known++;
		sum += (double)voice[i];
		speech += voice[i] >= 0.5f;
		v.peak = voice[i] > v.peak ? voice[i] : v.peak;
	}
	v.known = known == (end > first ? end - first : 0);
	v.mean = known ? (float)(sum / known) : 0;
	v.seconds = chunk * (end > first ? end - first : 0);
	v.speech = chunk * speech;
	return v;
}

int sn_guards_repetition(const int32_t *text, int count, sn_guard_run *best) {
	int most = 0;
	for (int period = 1; period <= LONGEST_PERIOD && period * FEWEST_REPEATS <= count; period++) {
		int same = 0; /* tokens in a row that equal the one a period before */
		for (int i = period; i <= count; i++) {
			if (i < count && text[i] == text[i - period]) {
				same++;
				continue;
			}
			const int repeats = same / period + 1, covered = repeats * period;
			if (repeats >= FEWEST_REPEATS && covered >= FEWEST_TOKENS && same + period > most) {
				most = same + period;
				*best = (sn_guard_run){ i - same - period, i, period, repeats };
			}
			same = 0;
		}
	}
	return most > 0;
}

int sn_guards_room(const sn_guard_run *run, double speech) {
	const int room = (int)(speech / (FASTEST * run->period));
	return room < 1 ? 1 : room;
}

int sn_guards_is_echo(const int32_t *text, int count, const int32_t *before, int before_count) {
	if (count == 0 || (count < SHORTEST_ECHO && count != before_count))
		return 0;
	for (int at = 0; at + count <= before_count; at++)
		if (memcmp(before + at, text, (size_t)count * sizeof *text) == 0)
			return 1;
	return 0;
}

/* The letters of a text in lower case, without spaces and marks at both ends, cut to the room there is. Only ASCII is folded. */
static void fold(const char *text, char *out, size_t room) {
	static const char marks[] = " .,!?-\"'()[]*";
	size_t n = 0;
	for (text += strspn(text, marks); *text && n + 1 < room; text++)
		out[n++] = *text >= 'A' && *text <= 'Z' ? (char)(*text + 'a' - 'A') : *text;
	while (n && strchr(marks, out[n - 1]))
		n--;
	out[n] = 0;
}

int sn_guards_is_stock(const char *text) {
	/* '*' at the end: whatever follows */
	static const char *const phrases[] = { "you", "thank you", "thank you very much", "thank you so much", "thanks", "bye", "bye bye",
		"bye-bye", "oh", "okay", "so", "music", "applause", "laughter", "silence", "i'm sorry", "i'm so sorry", "we'll be right back",
		"thanks for watching*", "thank you for watching*", "see you next time*", "see you in the next*", "please subscribe*",
		"don't forget to subscribe*", "subtitles by*", "subtitled by*", "transcribed by*", "transcription by*", "captions by*",
		"untertitel*", "vielen dank", "vielen dank f\xc3\xbcr*", "danke", "copyright*", "sous-titr*", "merci", "merci d'avoir*",
		"subt\xc3\xadtulos*", "gracias", "gracias por ver*", "sottotitoli*", "grazie", "grazie per*", "legendas*", "obrigado",
		"ondertitel*", "tack f\xc3\xb6r att*", "undertexter*", "napisy*", "dzi\xc4\x99kuj\xc4\x99", "altyaz\xc4\xb1*", "\xe2\x99\xaa*",
		"\xd0\xa1\xd1\x83\xd0\xb1\xd1\x82\xd0\xb8\xd1\x82\xd1\x80*", "\xd0\x9f\xd1\x80\xd0\xbe\xd0\xb4\xd0\xbe\xd0\xbb\xd0\xb6\xd0\xb5\xd0\xbd\xd0\xb8\xd0\xb5*",
		"\xd0\xa1\xd0\xbf\xd0\xb0\xd1\x81\xd0\xb8\xd0\xb1\xd0\xbe*", "\xe3\x81\x94\xe8\xa6\x96\xe8\x81\xb4*", "\xe5\xad\x97\xe5\xb9\x95*",
		"\xe8\xac\x9d\xe8\xac\x9d*", "\xe8\xb0\xa2\xe8\xb0\xa2*", "\xec\x8b\x9c\xec\xb2\xad*", "\xea\xb0\x90\xec\x82\xac\xed\x95\xa9*",
		"\xea\xb5\xac\xeb\x8f\x85*" };
	char folded[128];
	fold(text, folded, sizeof folded);
	for (size_t i = 0; i < sizeof phrases / sizeof *phrases; i++) {
		const size_t size = strlen(phrases[i]), open = phrases[i][size - 1] == '*';
		if (open ? strncmp(folded, phrases[i], size - 1) == 0 : strcmp(folded, phrases[i]) == 0)
			return 1;
	}
	return 0;
}

static double anomaly(const sn_guard_word *word) {
	const double length = word->end - word->start;
	double score = word->probability < 0.15f ? 1 : 0;
	if (length < 0.133)
		score += (0.133 - length) * 15;
	return length > 2 ? score + length - 2 : score;
}

int sn_guards_is_anomaly(const sn_guard_word *words, int count) {
	const int some = count < SN_GUARD_WORDS ? count : SN_GUARD_WORDS;
	double score = 0;
	for (int i = 0; i < some; i++)
		score += anomaly(&words[i]);
	return some > 0 && (score >= 3 || score + 0.01 >= some);
}

int sn_guards_is_silence(const sn_guard_segment *s) {
	const int unlikely = s->logprob < LIKELY || s->stock;
	if (!s->near.known)
		return s->stock && s->no_speech > NO_SPEECH_LIMIT;
	if (s->near.speech < NO_SPEECH && s->near.peak < PEAK)
		return 1;
	return s->voice.speech < HARDLY_SPEECH && unlikely;
}
