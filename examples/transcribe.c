/* Prints the segments of an audio file as they are found: transcribe FILE [MODEL] */
#include <sonant/sonant.h>

#include <stdio.h>

static void show(void *payload, const sn_segment *s) {
	(void)payload;
	printf("%7.2f %7.2f %s\n", s->start, s->end, s->text);
}

int main(int argc, char **argv) {
	char err[SN_ERRLEN] = "usage: transcribe FILE [MODEL]";
	sn_engine *engine = NULL;
	sn_model *model = NULL;
	sn_transcript *transcript = NULL;
	sn_model_options load = { .task = SN_TASK_TRANSCRIBE };
	sn_stt_options options = { .segment = show };
	int result = argc < 2 ? SN_E_ARGUMENT : sn_engine_open(&engine, NULL, err);
	if (result == SN_OK)
		result = sn_model_load(&model, engine, argc > 2 ? argv[2] : "auto", &load, err);
	if (result == SN_OK)
		result = sn_transcribe_file(&transcript, model, argv[1], &options, err);
	if (result == SN_OK)
		printf("%s, %.1f s of audio in %.2f s: %s\n", transcript->language, transcript->duration, transcript->processing_time,
		       transcript->text);
	else
		fprintf(stderr, "%s\n", err);
	sn_transcript_free(&transcript);
	sn_model_release(&model);
	sn_engine_close(&engine);
	return sn_result_exit(result);
}
