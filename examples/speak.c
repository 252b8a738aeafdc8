/* Writes speech as raw 32-bit floats to standard output while it is made: speak TEXT [MODEL] */
#include <sonant/sonant.h>

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
	char err[SN_ERRLEN] = "usage: speak TEXT [MODEL]";
	sn_engine *engine = NULL;
	sn_model *model = NULL;
	sn_tts *tts = NULL;
	sn_audio audio;
	sn_speech speech;
	sn_model_options load = { .task = SN_TASK_SPEAK };
	int result = argc < 2 ? SN_E_ARGUMENT : sn_engine_open(&engine, NULL, err);
	if (result == SN_OK)
		result = sn_model_load(&model, engine, argc > 2 ? argv[2] : "auto", &load, err);
	if (result == SN_OK)
		result = sn_tts_open(&tts, model, NULL, err);
	if (result == SN_OK)
		result = sn_tts_push(tts, argv[1], strlen(argv[1]), err);
	if (result == SN_OK)
		result = sn_tts_finish(tts, err);
	while (result == SN_OK && (result = sn_tts_pull(tts, &audio, err)) == SN_OK)
		fwrite(audio.pcm, sizeof *audio.pcm, audio.count, stdout);
	if (result == SN_END) {
		sn_tts_result(tts, &speech);
		fprintf(stderr, "%.2f s at %d Hz, first audio after %.3f s\n", speech.duration, speech.sample_rate, speech.first_audio);
	} else {
		fprintf(stderr, "%s\n", err);
	}
	sn_tts_close(&tts);
	sn_model_release(&model);
	sn_engine_close(&engine);
	return sn_result_exit(result == SN_END ? SN_OK : result);
}
