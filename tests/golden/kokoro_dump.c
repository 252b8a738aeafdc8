/* kokoro_dump MODEL VOICE SPEED ID ...: the sound of these ids by Kokoro's model, as 32-bit floats on standard output. For test_kokoro.py,
 * which compares it with the same run by ONNX Runtime's own Python package. */
#include "models/synth.h"

#include <stdio.h>
#include <stdlib.h>

#define MOST 37 /* frames at once: no divisor of anything */

static int speak(void *model, int count, char **words, char *err) {
	static float pcm[(MOST + 1) * 4096];
	int32_t ids[1024];
	void *stream = NULL;
	sn_voice voice;
	sn_synth_options options = { .voice = &voice, .speed = strtof(words[1], NULL) };
	int code = sn_synth_kokoro.voice(model, words[0], &voice, err);
	if (code == SN_OK) code = sn_synth_kokoro.stream_new(&stream, model, err);
	for (int i = 2; i < count && i < 1026; i++) ids[i - 2] = atoi(words[i]);
	if (code == SN_OK) code = sn_synth_kokoro.start(stream, ids, count - 2, &options, err);
	while (code == SN_OK) {
		int frames, extra;
		code = sn_synth_kokoro.next(stream, MOST, pcm, &frames, &extra, err);
		if (code >= SN_OK || code == SN_END)
			fwrite(pcm, sizeof *pcm, (size_t)frames * (size_t)sn_synth_kokoro.facts(model)->width + (size_t)extra, stdout);
	}
	if (stream) sn_synth_kokoro.stream_free(&stream);
	sn_voice_clear(&voice);
	return code == SN_END ? SN_OK : code;
}

int main(int argc, char **argv) {
	char err[SN_ERRLEN] = "";
	nn_backend *backend = NULL;
	nn_pool *pool = NULL;
	void *model = NULL;
	if (argc < 5) return 2;
	int code = nn_backend_open(&backend, "ort:cpu", &(nn_backend_options){ .threads = 2, .home = getenv("SONANT_HOME") }, err);
	if (code == SN_OK) code = nn_pool_open(&pool, 1, err);
	if (code == SN_OK) code = sn_synth_kokoro.open(&model, &(sn_load_options){ .dir = argv[1], .backend = backend, .pool = pool }, err);
	if (code == SN_OK) code = speak(model, argc - 2, argv + 2, err);
	if (code != SN_OK) fprintf(stderr, "%s\n", err);
	sn_synth_kokoro.close(&model);
	nn_pool_close(&pool);
	nn_backend_close(&backend);
	return code == SN_OK ? 0 : code == SN_E_DEPENDENCY ? 77 : 1;
}
