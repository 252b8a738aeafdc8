/* spoken VOICE.onnx OUT.wav SEED SPEED TEXT: speaks one sentence with a Piper voice and prints "start end" of each of its words in
 * seconds, by the durations that the voice itself gave its phonemes: speech with a known alignment. Exits with 3 where the phonemes
 * of words run together ("of the"), so that they are not as many as the text's words. */
#include "audio/encode.h"
#include "models/vits.h"
#include "text/piper.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FRAMES 64
#define MAX_WORDS 256

typedef struct spoken {
	nn_pool *pool;
	sn_vits *vits;
	sn_vits_stream *stream;
	sn_piper *piper;
	sn_phonemizer *phonemizer;
	sn_piper_sentences sentences;
	sn_encoder *out;
} spoken;

static int id_of(const spoken *s, const char *phoneme) {
	int32_t ids[16];
	int count = 0, missing = 0;
	return sn_piper_ids(s->piper, phoneme, strlen(phoneme), ids, 16, &count, &missing, NULL) == SN_OK && count > 3 ? ids[2] : -1;
}

/* Times of the words; returns how many. */
static int list_words(const spoken *s, double (*times)[2]) {
	const sn_piper_sentence *const item = &s->sentences.items[0];
	const double frame = (double)sn_vits_get_config(s->vits)->hop / sn_vits_get_config(s->vits)->sample_rate;
	static const char *const silent[] = { ".", ",", "?", "!", ":", ";", "\"", "-", "(", ")" };
	const int space = id_of(s, " "), blank = item->ids[1];
	int count = 0, durations = 0, inside = 0;
	int64_t at = 0;
	const int32_t *const duration = sn_vits_durations(s->stream, &durations);
	for (int i = 0; i < durations; i++) {
		int speech = item->ids[i] != blank && item->ids[i] != space && i > 0 && i < durations - 1;
		for (size_t k = 0; k < sizeof silent / sizeof *silent; k++)
			speech &= item->ids[i] != id_of(s, silent[k]);
		if (item->ids[i] == space)
			inside = 0;
		if (speech && !inside && count < MAX_WORDS)
			times[count++][0] = (double)at * frame;
		inside |= speech;
		at += duration[i];
		if (speech && count)
			times[count - 1][1] = (double)at * frame;
	}
	return count;
}

static int open_all(spoken *s, const char *voice, char *err) {
	char json[4200];
	snprintf(json, sizeof json, "%s.json", voice);
	int result = nn_pool_open(&s->pool, 2, err);
	const sn_load_options load = { .dir = voice, .dtype = NN_DTYPE_F32, .pool = s->pool };
	if (result == SN_OK)
		result = sn_vits_open(&s->vits, &load, err);
	if (result == SN_OK)
		result = sn_vits_stream_new(&s->stream, s->vits, err);
	if (result == SN_OK)
		result = sn_piper_open(&s->piper, json, err);
	return result == SN_OK ? sn_phonemizer_open(&s->phonemizer, err) : result;
}

static void close_all(spoken *s) {
	sn_encoder_close(&s->out);
	sn_piper_sentences_free(&s->sentences);
	sn_phonemizer_close(&s->phonemizer);
	sn_piper_close(&s->piper);
	sn_vits_stream_free(&s->stream);
	sn_vits_close(&s->vits);
	nn_pool_close(&s->pool);
}

typedef struct call {
	spoken *s;
	const char **argv;
	int result;
	char *err;
} call;

static int speak(spoken *s, const char **argv, char *err) {
	const double speed = atof(argv[4]);
	const sn_vits_options options = { .noise_scale = -1, .noise_duration = -1, .seed = strtoull(argv[3], NULL, 10),
		.length_scale = sn_vits_get_config(s->vits)->length_scale / (float)(speed > 0 ? speed : 1) };
	const sn_encoder_options format = { .format = SN_AUDIO_WAV, .rate = sn_vits_get_config(s->vits)->sample_rate, .channels = 1 };
	float *const pcm = malloc((size_t)(FRAMES * sn_vits_get_config(s->vits)->hop) * sizeof *pcm);
	int frames, result = sn_piper_run(s->piper, s->phonemizer, NULL, argv[5], strlen(argv[5]), SN_VITS_MAX_TOKENS, &s->sentences, err);
	if (result == SN_OK && s->sentences.count != 1)
		result = sn_fail(err, SN_E_ARGUMENT, "the text has %d sentences; one is spoken", s->sentences.count);
	if (result == SN_OK)
		result = sn_vits_start(s->stream, s->sentences.items[0].ids, s->sentences.items[0].count, &options, &frames, err);
	if (result == SN_OK)
		result = sn_encoder_open_path(&s->out, argv[2], &format, err);
	for (int64_t got; result == SN_OK && (got = sn_vits_next(s->stream, FRAMES, pcm, err)) != 0;)
		result = got < 0 ? (int)got : sn_encoder_write(s->out, pcm, (size_t)got, err);
	if (result == SN_OK)
		result = sn_encoder_finish(s->out, err);
	free(pcm);
	return result;
}

static void on_worker(void *payload) {
	call *const c = payload;
	c->result = speak(c->s, c->argv, c->err);
}

int main(int argc, const char **argv) {
	char err[SN_ERRLEN] = "";
	spoken s = { .pool = NULL };
	double times[MAX_WORDS][2];
	if (argc != 6) {
		fprintf(stderr, "usage: spoken VOICE.onnx OUT.wav SEED SPEED TEXT\n");
		return 2;
	}
	int result = open_all(&s, argv[1], err), words = 0, status;
	call c = { &s, argv, result, err };
	if (result == SN_OK)
		nn_pool_call(s.pool, on_worker, &c);
	for (const char *at = argv[5]; *(at += strspn(at, " ")); at += strcspn(at, " "))
		words++;
	const int count = c.result == SN_OK ? list_words(&s, times) : 0;
	for (int i = 0; i < count && count == words; i++)
		printf("%.4f %.4f\n", times[i][0], times[i][1]);
	if (c.result != SN_OK)
		fprintf(stderr, "spoken: %s\n", err);
	else if (count != words)
		fprintf(stderr, "spoken: %d words in \"%s\" have the phonemes of %d\n", words, argv[5], count);
	status = c.result != SN_OK ? 1 : count == words ? 0 : 3;
	close_all(&s);
	return status;
}
