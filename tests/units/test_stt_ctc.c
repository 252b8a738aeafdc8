/* Sessions on Wav2Vec2 through the public interface: usage TEST_STT_CTC FIXTURES */
#include <sonant/sonant.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <cmocka.h>

#define RATE SN_STT_RATE
#define TEXT 65536

static const char *fixtures;
static sn_engine *engine;
static float *noise; /* 70 s */
#define NOISE (70 * RATE)

static sn_model *load(const char *name) {
	char path[4096], err[SN_ERRLEN];
	sn_model *model = NULL;
	snprintf(path, sizeof path, "%s/%s", fixtures, name);
	if (sn_model_load(&model, engine, path, &(sn_model_options){ .precision = SN_PRECISION_F32 }, err) != SN_OK)
		fail_msg("%s", err);
	return model;
}

/* Takes what is ready. */
static int drain(sn_stt *stt, char *text, char *notes) {
	sn_event e;
	char err[SN_ERRLEN];
	int result;
	while ((result = sn_stt_pull(stt, &e, err)) == SN_OK) {
		if (e.kind == SN_EVENT_SEGMENT)
			strncat(text, e.segment.text, TEXT - strlen(text) - 1);
		if (e.kind == SN_EVENT_NOTE)
			strncat(notes, e.note.code, 255 - strlen(notes));
	}
	return result;
}

static void transcribe(sn_model *model, const float *pcm, size_t count, size_t piece, const sn_stt_options *o, char *text, char *notes) {
	char err[SN_ERRLEN];
	sn_stt *stt = NULL;
	*text = *notes = 0;
	assert_int_equal(sn_stt_open(&stt, model, o, err), SN_OK);
	for (size_t at = 0; at < count; at += piece) {
		const size_t n = count - at < piece ? count - at : piece;
		while (sn_stt_push(stt, pcm + at, n, err) == SN_AGAIN)
			assert_int_equal(drain(stt, text, notes), SN_AGAIN);
	}
	assert_int_equal(sn_stt_finish(stt, err), SN_OK);
	assert_int_equal(drain(stt, text, notes), SN_END);
	sn_stt_close(&stt);
}

static void same_in_any_pieces(void **unused) {
	static char whole[TEXT], text[TEXT], notes[256];
	sn_model *model = load("wav2vec2-base");
	const size_t lengths[] = { 5 * RATE, 30 * RATE, NOISE };
	for (size_t i = 0; i < 3; i++) {
		transcribe(model, noise, lengths[i], 400000, NULL, whole, notes);
		assert_true(strlen(whole) > 20);
		assert_string_equal(notes, "punctuated");
		transcribe(model, noise, lengths[i], 1777, NULL, text, notes);
		assert_string_equal(text, whole);
	}
	sn_model_release(&model);
}

/* Several sessions of one model, in two languages, take turns at it. */
static void same_alone_and_among_others(void **unused) {
	static const char *const languages[] = { "eng", "de", "french" };
	static char alone[3][TEXT], text[3][TEXT], notes[256];
	char err[SN_ERRLEN];
	sn_stt *stt[3] = { NULL };
	sn_model *model = load("wav2vec2-mms");
	for (int i = 0; i < 3; i++)
		transcribe(model, noise, 20 * RATE, RATE, &(sn_stt_options){ .language = languages[i] }, alone[i], notes);
	assert_string_not_equal(alone[0], alone[1]);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(sn_stt_open(&stt[i], model, &(sn_stt_options){ .language = languages[i] }, err), SN_OK);
		*text[i] = 0;
	}
	for (size_t at = 0; at < 20 * RATE; at += RATE)
		for (int i = 0; i < 3; i++)
			assert_int_equal(sn_stt_push(stt[i], noise + at, RATE, err), SN_OK);
	for (int i = 0; i < 3; i++)
		assert_int_equal(sn_stt_finish(stt[i], err), SN_OK);
	for (int i = 2; i >= 0; i--) {
		assert_int_equal(drain(stt[i], text[i], notes), SN_END);
		assert_string_equal(text[i], alone[i]);
		sn_stt_close(&stt[i]);
	}
	sn_model_release(&model);
}

/* ---- a checkpoint whose languages have long codes ---- */

static char made[] = "/tmp/test_stt_ctc.XXXXXX";

static size_t read_fixture(const char *name, char *data, size_t room) {
	char path[4096];
	snprintf(path, sizeof path, "%s/wav2vec2-mms/%s", fixtures, name);
	FILE *file = fopen(path, "rb");
	assert_non_null(file);
	const size_t size = fread(data, 1, room - 1, file);
	fclose(file);
	data[size] = 0;
	return size;
}

static void write_made(const char *name, const char *data, size_t size) {
	char path[4096];
	snprintf(path, sizeof path, "%s/%s", made, name);
	FILE *file = fopen(path, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, size, file), size);
	fclose(file);
}

static void write_adapter(const char *code, const char *data, size_t size) {
	char name[256];
	snprintf(name, sizeof name, "adapter.%s.safetensors", code);
	write_made(name, data, size);
}

/* The letters of German by other codes; every second one's adapter has all its numbers negated. */
static void make_checkpoint(const char *const *codes, int count) {
	static const char *const same[] = { "config.json", "model.safetensors", "preprocessor_config.json", "tokenizer_config.json" };
	static char data[1 << 18], vocab[1 << 14];
	if (!strstr(made, "XXXXXX"))
		strcpy(strrchr(made, '.'), ".XXXXXX");
	assert_non_null(mkdtemp(made));
	for (size_t i = 0; i < sizeof same / sizeof *same; i++)
		write_made(same[i], data, read_fixture(same[i], data, sizeof data));
	read_fixture("vocab.json", data, sizeof data);
	const char *const english = strstr(data, "\"eng\""), *const german = strchr(strstr(data, "\"deu\""), '{');
	const int letters = (int)(strchr(german, '}') - german) + 1;
	int used = snprintf(vocab, sizeof vocab, "{%.*s", (int)(strchr(english, '}') - english) + 1, english);
	for (int i = 0; i < count; i++)
		used += snprintf(vocab + used, sizeof vocab - (size_t)used, ", \"%s\": %.*s", codes[i], letters, german);
	used += snprintf(vocab + used, sizeof vocab - (size_t)used, "}");
	write_made("vocab.json", vocab, (size_t)used);
	const size_t size = read_fixture("adapter.deu.safetensors", data, sizeof data);
	uint64_t header;
	memcpy(&header, data, sizeof header);
	for (int i = 0; i < count; i++) {
		write_adapter(codes[i], data, size);
		for (size_t at = 8 + header; at + 4 <= size; at += 4)
			data[at + 3] ^= (char)0x80;
	}
}

static void remove_checkpoint(void) {
	char command[64];
	snprintf(command, sizeof command, "rm -r %s", made);
	assert_int_equal(system(command), 0);
}

static sn_model *load_made(void) {
	char err[SN_ERRLEN];
	sn_model *model = NULL;
	if (sn_model_load(&model, engine, made, &(sn_model_options){ .precision = SN_PRECISION_F32 }, err) != SN_OK)
		fail_msg("%s", err);
	return model;
}

static void languages_of_long_codes_are_told_apart(void **unused) {
	static const char *const codes[] = { "ixl-dialect_sangasparchajul", "ixl-dialect_sanjuancotzal" };
	static char first[TEXT], alone[TEXT], text[TEXT], notes[256];
	char err[SN_ERRLEN];
	make_checkpoint(codes, 2);
	sn_model *model = load_made();
	transcribe(model, noise, 5 * RATE, RATE, &(sn_stt_options){ .language = codes[1] }, alone, notes);
	sn_model_release(&model);
	model = load_made();
	transcribe(model, noise, 5 * RATE, RATE, &(sn_stt_options){ .language = codes[0] }, first, notes);
	transcribe(model, noise, 5 * RATE, RATE, &(sn_stt_options){ .language = codes[1] }, text, notes);
	assert_string_not_equal(first, alone);
	assert_string_equal(text, alone);
	sn_transcript *t = NULL;
	assert_int_equal(sn_transcribe_pcm(&t, model, noise, RATE, &(sn_stt_options){ .language = codes[1] }, err), SN_OK);
	assert_string_equal(t->language, codes[1]);
	sn_transcript_free(&t);
	sn_model_info info;
	sn_model_describe(model, &info);
	assert_int_equal(info.language_count, 3);
	assert_string_equal(info.languages[2], codes[1]);
	sn_stt *stt[5] = { NULL };
	for (int i = 0; i < 5; i++) /* one language, however many sessions */
		assert_int_equal(sn_stt_open(&stt[i], model, &(sn_stt_options){ .language = codes[0] }, err), SN_OK);
	for (int i = 0; i < 5; i++)
		sn_stt_close(&stt[i]);
	sn_model_release(&model);
	remove_checkpoint();
}

/* The usual codes and names of languages that MMS lists under others. */
static void usual_codes_find_the_languages_of_the_file(void **unused) {
	static const char *const codes[] = { "cmn-script_simplified", "uzb-script_cyrillic", "uzb-script_latin", "swh" };
	static const char *const asked[][2] = { { "zh", "cmn-script_simplified" }, { "chinese", "cmn-script_simplified" },
		{ "cmn", "cmn-script_simplified" }, { "Mandarin", "cmn-script_simplified" }, { "zh-CN", "cmn-script_simplified" },
		{ "uz", "uzb-script_latin" }, { "uzb-script_cyrillic", "uzb-script_cyrillic" }, { "sw", "swh" }, { "english", "eng" } };
	char err[SN_ERRLEN];
	make_checkpoint(codes, 4);
	sn_model *model = load_made();
	for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
		sn_transcript *t = NULL;
		if (sn_transcribe_pcm(&t, model, noise, 3 * RATE, &(sn_stt_options){ .language = asked[i][0] }, err) != SN_OK)
			fail_msg("%s: %s", asked[i][0], err);
		assert_string_equal(t->language, asked[i][1]);
		if (i == 0) /* marks by the rules of Chinese */
			assert_non_null(strstr(t->text, "\u3002"));
		sn_transcript_free(&t);
	}
	sn_stt *stt = NULL;
	assert_int_equal(sn_stt_open(&stt, model, &(sn_stt_options){ .language = "ur" }, err), SN_E_UNSUPPORTED);
	sn_model_release(&model);
	remove_checkpoint();
}

static void a_code_beyond_the_longest_is_left_out(void **unused) {
	static const char longest[] = "abc-dialect_of_sixty_three_letters_which_is_the_most_of_them_all";
	char longer[80];
	snprintf(longer, sizeof longer, "%.62sxy", longest);
	char most[80];
	snprintf(most, sizeof most, "%.63s", longest);
	make_checkpoint((const char *const[]){ most, longer }, 2);
	sn_model *model = load_made();
	sn_model_info info;
	sn_model_describe(model, &info);
	assert_int_equal(info.language_count, 2);
	assert_string_equal(info.languages[1], most);
	char err[SN_ERRLEN];
	sn_stt *stt = NULL;
	assert_int_not_equal(sn_stt_open(&stt, model, &(sn_stt_options){ .language = longer }, err), SN_OK);
	assert_int_equal(sn_stt_open(&stt, model, &(sn_stt_options){ .language = most }, err), SN_OK);
	sn_stt_close(&stt);
	sn_model_release(&model);
	remove_checkpoint();
}

static void words_lie_inside_their_segments(void **unused) {
	char err[SN_ERRLEN];
	sn_model *model = load("wav2vec2-mms");
	for (int off = 0; off < 2; off++) {
		sn_transcript *t = NULL;
		size_t words = 0;
		double last = 0;
		assert_int_equal(sn_transcribe_pcm(&t, model, noise, 40 * RATE, &(sn_stt_options){ .language = "fra",
			.words = off ? SN_OFF : SN_ON }, err), SN_OK);
		assert_string_equal(t->language, "fra");
		for (size_t i = 0; i < t->segment_count; i++) {
			const sn_segment *const s = &t->segments[i];
			assert_true(s->start >= last && s->end > s->start && s->end <= 40 && s->confidence > 0 && s->confidence <= 1);
			assert_true(s->token_count > 0);
			for (int k = 0; k < s->word_count; k++, words++) {
				const sn_word *const w = &s->words[k];
				assert_true(w->start >= last && w->end > w->start && w->end <= s->end + 1e-9 && w->confidence > 0 && w->confidence <= 1);
				assert_non_null(strstr(s->text, w->text));
				last = w->end;
			}
		}
		assert_true(off ? words == 0 : words > 10);
		sn_transcript_free(&t);
	}
	sn_model_release(&model);
}

/* Off: the letters of the model. On: the same letters, capital where a sentence begins, with marks; times stay. */
static void marks_are_written_unless_switched_off(void **unused) {
	char err[SN_ERRLEN];
	sn_model *model = load("wav2vec2-base");
	sn_transcript *plain = NULL, *marked = NULL;
	const sn_stt_options off = { .punctuate = SN_OFF };
	assert_int_equal(sn_transcribe_pcm(&plain, model, noise, 40 * RATE, &off, err), SN_OK);
	assert_int_equal(sn_transcribe_pcm(&marked, model, noise, 40 * RATE, NULL, err), SN_OK);
	assert_int_equal(plain->segment_count, marked->segment_count);
	assert_int_equal(plain->note_count, 0);
	assert_string_equal(marked->notes[0].code, "punctuated");
	assert_non_null(strstr(marked->notes[0].message, "rules"));
	for (size_t i = 0; i < plain->segment_count; i++) {
		const sn_segment *const a = &plain->segments[i], *const b = &marked->segments[i];
		assert_true(a->start == b->start && a->end == b->end && a->token_count == b->token_count && a->word_count == b->word_count);
		for (int k = 0; k < a->word_count; k++) {
			const size_t size = strlen(a->words[k].text);
			assert_true(a->words[k].start == b->words[k].start && a->words[k].end == b->words[k].end);
			assert_int_equal(strncasecmp(a->words[k].text, b->words[k].text, size), 0);
			assert_true(strspn(b->words[k].text + size, ".,?") == strlen(b->words[k].text + size));
		}
	}
	assert_true(strpbrk(plain->text, "abcdefgh.") == NULL); /* but for </s> and the like it writes capitals only */
	assert_true(marked->text[strlen(marked->text) - 1] == '.' && strchr(marked->text, 'a'));
	sn_transcript_free(&plain);
	sn_transcript_free(&marked);
	sn_model_release(&model);
}

/* Sessions take turns at one classifier; what each gets is what it gets alone, in any pieces. */
static void a_classifier_writes_the_marks(void **unused) {
	static char rules[TEXT], alone[TEXT], text[3][TEXT], notes[256], path[4096];
	char err[SN_ERRLEN];
	sn_stt *stt[3] = { NULL };
	sn_model *model = load("wav2vec2-mms");
	snprintf(path, sizeof path, "%s/xlm-roberta-punctuation", fixtures);
	const sn_stt_options o = { .language = "deu", .punctuation = path };
	transcribe(model, noise, NOISE, RATE, &(sn_stt_options){ .language = "deu" }, rules, notes);
	transcribe(model, noise, NOISE, RATE, &o, alone, notes);
	assert_string_equal(notes, "punctuated");
	assert_string_not_equal(rules, alone);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(sn_stt_open(&stt[i], model, &o, err), SN_OK);
		*text[i] = 0;
	}
	for (size_t at = 0; at < NOISE; at += RATE / 2)
		for (int i = 0; i < 3; i++)
			while (sn_stt_push(stt[i], noise + at, RATE / 2, err) == SN_AGAIN)
				drain(stt[i], text[i], notes);
	for (int i = 0; i < 3; i++)
		assert_int_equal(sn_stt_finish(stt[i], err), SN_OK);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(drain(stt[i], text[i], notes), SN_END);
		assert_string_equal(text[i], alone);
		sn_stt_close(&stt[i]);
	}
	sn_model_release(&model);
}

static void short_audio_is_explained(void **unused) {
	static char text[TEXT], notes[256];
	sn_model *model = load("wav2vec2-base");
	transcribe(model, noise, 0, 1, NULL, text, notes);
	assert_string_equal(notes, "no_audio");
	transcribe(model, noise, 399, 399, NULL, text, notes);
	assert_string_equal(text, "");
	assert_string_equal(notes, "too_short");
	transcribe(model, noise, 400, 400, NULL, text, notes);
	assert_true(*text || strstr(notes, "no_text"));
	sn_model_release(&model);
}

static void refused(sn_model *model, sn_stt_options o, int code, const char *says) {
	char err[SN_ERRLEN] = "";
	sn_stt *stt = NULL;
	assert_int_equal(sn_stt_open(&stt, model, &o, err), code);
	if (!strstr(err, says))
		fail_msg("\"%s\" does not say \"%s\"", err, says);
	assert_null(stt);
}

static void what_it_cannot_do_is_refused(void **unused) {
	sn_model *model = load("wav2vec2-mms");
	refused(model, (sn_stt_options){ .language = "es" }, SN_E_UNSUPPORTED, "eng, deu, fra");
	refused(model, (sn_stt_options){ .language = "klingon" }, SN_E_ARGUMENT, "klingon");
	refused(model, (sn_stt_options){ 0 }, SN_E_UNSUPPORTED, "Whisper"); /* none is installed in this home */
	refused(model, (sn_stt_options){ .language = "eng", .task = "translate" }, SN_E_UNSUPPORTED, "translate");
	refused(model, (sn_stt_options){ .language = "eng", .temperature = 0.5f }, SN_E_UNSUPPORTED, "temperature");
	refused(model, (sn_stt_options){ .language = "eng", .live = SN_ON }, SN_E_UNSUPPORTED, "live");
	refused(model, (sn_stt_options){ .language = "eng", .punctuation = "nosuch" }, SN_E_NOT_FOUND, "nosuch");
	refused(model, (sn_stt_options){ .language = "eng", .beam = SN_MAX_BEAM + 1 }, SN_E_ARGUMENT, "beam 17");
	refused(model, (sn_stt_options){ .language = "eng", .hotwords = "Ada,\xff" }, SN_E_FORMAT, "UTF-8 at byte 4");
	refused(model, (sn_stt_options){ .language = "eng", .words = -5 }, SN_E_ARGUMENT, "-5");
	refused(model, (sn_stt_options){ .language = "eng", .live = 44 }, SN_E_ARGUMENT, "44");
	refused(model, (sn_stt_options){ .language = "eng", .vad_settings.threshold = NAN }, SN_E_ARGUMENT, "threshold");
	refused(model, (sn_stt_options){ .language = "eng", .vad_settings.min_silence = 10001 }, SN_E_ARGUMENT, "10001");
	sn_model_release(&model);
}

static void sessions_end_when_cancelled_or_closed(void **unused) {
	static char text[TEXT], before[TEXT], notes[256];
	char err[SN_ERRLEN];
	sn_model *model = load("wav2vec2-large");
	transcribe(model, noise, 10 * RATE, RATE, NULL, before, notes);
	for (int round = 0; round < 20; round++) {
		sn_stt *stt = NULL;
		sn_event e;
		assert_int_equal(sn_stt_open(&stt, model, NULL, err), SN_OK);
		assert_int_equal(sn_stt_push(stt, noise, 31 * RATE, err), SN_OK); /* a window is begun */
		if (round % 2) {
			sn_stt_cancel(stt);
			assert_int_equal(sn_stt_pull(stt, &e, err), SN_E_CANCELLED);
		}
		sn_stt_close(&stt);
	}
	transcribe(model, noise, 10 * RATE, RATE, NULL, text, notes); /* nobody holds the model */
	assert_string_equal(text, before);
	sn_model_release(&model);
}

static void prompts_and_beams_are_taken(void **unused) {
	static char text[TEXT], notes[256];
	sn_model *model = load("wav2vec2-base");
	transcribe(model, noise, 8 * RATE, RATE, &(sn_stt_options){ .beam = 4 }, text, notes);
	assert_true(strlen(text) > 20);
	transcribe(model, noise, 8 * RATE, RATE, &(sn_stt_options){ .prompt = "Kennedy, Zürich" }, text, notes);
	assert_true(strlen(text) > 20);
	assert_string_equal(notes, "promptpunctuated"); /* it has no letter for one of them */
	transcribe(model, noise, 8 * RATE, RATE, &(sn_stt_options){ .hotwords = "John Kennedy, Berlin", .punctuate = SN_OFF }, text, notes);
	assert_true(strlen(text) > 20);
	assert_string_equal(notes, "");
	sn_model_release(&model);
}

int main(int argc, char **argv) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_in_any_pieces),
		cmocka_unit_test(same_alone_and_among_others),
		cmocka_unit_test(languages_of_long_codes_are_told_apart),
		cmocka_unit_test(usual_codes_find_the_languages_of_the_file),
		cmocka_unit_test(a_code_beyond_the_longest_is_left_out),
		cmocka_unit_test(words_lie_inside_their_segments),
		cmocka_unit_test(marks_are_written_unless_switched_off),
		cmocka_unit_test(a_classifier_writes_the_marks),
		cmocka_unit_test(short_audio_is_explained),
		cmocka_unit_test(what_it_cannot_do_is_refused),
		cmocka_unit_test(sessions_end_when_cancelled_or_closed),
		cmocka_unit_test(prompts_and_beams_are_taken),
	};
	char err[SN_ERRLEN];
	uint32_t state = 1;
	fixtures = argc > 1 ? argv[1] : ".";
	noise = malloc(NOISE * sizeof *noise);
	for (size_t i = 0; noise && i < NOISE; i++) {
		state = state * 1664525u + 1013904223u;
		const double level = (i / RATE) % 7 == 6 ? 0.01 : 0.3; /* a quiet second now and then */
		noise[i] = (float)(level * ((double)(state >> 8) / (1 << 23) - 1));
	}
	if (!noise || sn_engine_open(&engine, &(sn_engine_options){ .threads = 2, .home = "/nonexistent", .no_cache = 1 }, err) != SN_OK)
		return 1;
	const int failed = cmocka_run_group_tests(tests, NULL, NULL);
	sn_engine_close(&engine);
	free(noise);
	return failed;
}
