/* Guards, confidence, the quality gate and notes: the pure parts. */
#include "base/error.h"
#include "speech/confidence.h"
#include "speech/guards.h"
#include "speech/notes.h"
#include "speech/retry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static void repetitions_are_found_with_their_period(void **state) {
	const int32_t loop[] = { 9, 8, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 7 }, word[] = { 5, 4, 4, 4, 4, 4, 4, 4, 4, 6 };
	const int32_t twice[] = { 1, 2, 3, 4, 5, 1, 2, 3, 4, 5 }, few[] = { 4, 4, 4, 4 };
	sn_guard_run run;
	assert_true(sn_guards_repetition(loop, 13, &run));
	assert_int_equal(run.first, 2);
	assert_int_equal(run.end, 12);
	assert_int_equal(run.period, 3);
	assert_int_equal(run.repeats, 3);
	assert_true(sn_guards_repetition(word, 10, &run));
	assert_int_equal(run.period, 1);
	assert_int_equal(run.repeats, 8);
	assert_false(sn_guards_repetition(twice, 10, &run)); /* people say things twice */
	assert_false(sn_guards_repetition(few, 4, &run));    /* no, no, no, no */
	assert_false(sn_guards_repetition(loop, 0, &run));
}

static void a_repetition_needs_time_to_be_said(void **state) {
	const sn_guard_run run = { 0, 40, 4, 10 };
	assert_true(sn_guards_room(&run, 1.0) < 10);
	assert_true(sn_guards_room(&run, 8.0) >= 10);
	assert_int_equal(sn_guards_room(&run, 0), 1);
}

static void echoes_are_whole_stretches_of_what_went_before(void **state) {
	const int32_t before[] = { 1, 2, 3, 4, 5, 6, 7, 8 }, names[] = { 20, 21 };
	assert_true(sn_guards_is_echo(before + 1, 6, before, 8));
	assert_false(sn_guards_is_echo(before + 1, 3, before, 8)); /* a phrase that comes again */
	assert_true(sn_guards_is_echo(names, 2, names, 2));        /* all of a prompt */
	assert_false(sn_guards_is_echo(names, 2, before, 8));
	assert_false(sn_guards_is_echo(before, 0, before, 8));
	assert_false(sn_guards_is_echo(before, 8, NULL, 0));
}

static void voice_is_counted_between_two_times(void **state) {
	float voice[100];
	for (int i = 0; i < 100; i++)
		voice[i] = i >= 50 && i < 60 ? 0.9f : 0.1f; /* speech at 1.60 to 1.92 s */
	sn_guard_voice v = sn_guards_listen(voice, 100, 1, 3);
	assert_true(v.known && v.speech > 0.31 && v.speech < 0.33 && v.peak == 0.9f);
	v = sn_guards_listen(voice, 100, 0, 1);
	assert_true(v.known && v.speech == 0 && v.peak == 0.1f);
	v = sn_guards_listen(voice, 100, 5, 9); /* behind the audio */
	assert_true(v.known && v.speech == 0);
	voice[3] = -1;
	assert_false(sn_guards_listen(voice, 100, 0, 1).known);
}

/* Stretches of text as they come from real clips: seconds of speech and the largest probability that the detector gave, mean log
 * probability of the text, whether it is a stock phrase, and whether someone spoke. */
static void silence_is_told_from_short_words(void **state) {
	static const struct { double speech; float peak, logprob; int stock, spoken; } clips[] = {
		{ 0.38, 1.00f, -0.50f, 0, 1 }, /* "No." */
		{ 0.54, 0.76f, -0.71f, 0, 1 }, /* "half an hour" in noise of its own level */
		{ 0.60, 1.00f, -0.20f, 1, 1 }, /* "Thank you." */
		{ 0.13, 0.59f, -0.73f, 1, 0 }, /* "Thank you." on noise */
		{ 0.00, 0.19f, -0.54f, 0, 0 }, /* "Beep, beep!" on a beep */
		{ 0.00, 0.00f, -0.03f, 0, 0 }, /* a loop on music, of which the model is sure */
		{ 0.22, 0.99f, -2.81f, 0, 0 }, /* a laugh */
	};
	for (size_t i = 0; i < sizeof clips / sizeof *clips; i++) {
		const sn_guard_voice v = { .known = 1, .speech = clips[i].speech, .peak = clips[i].peak };
		const sn_guard_segment s = { .voice = v, .near = v, .logprob = clips[i].logprob, .stock = clips[i].stock };
		assert_int_equal(sn_guards_is_silence(&s), !clips[i].spoken);
	}
	assert_false(sn_guards_is_silence(&(sn_guard_segment){ .logprob = -3 })); /* nobody listened */
	assert_true(sn_guards_is_silence(&(sn_guard_segment){ .no_speech = 0.9f, .stock = 1 }));
}

static void stock_phrases_are_known(void **state) {
	static const char *const stock[] = { " Thank you.", "Thanks for watching!", " Subtitles by the Amara.org community", "you", "*Music*",
		" Untertitel im Auftrag des ZDF", "ご視聴ありがとうございました" };
	static const char *const other[] = { " Thank you for the report.", "And so, my fellow Americans", "", "your", "..." };
	for (size_t i = 0; i < sizeof stock / sizeof *stock; i++)
		assert_true(sn_guards_is_stock(stock[i]));
	for (size_t i = 0; i < sizeof other / sizeof *other; i++)
		assert_false(sn_guards_is_stock(other[i]));
}

static void anomalous_words_are_improbable_short_or_long(void **state) {
	const sn_guard_word good[] = { { 0, 0.3, 0.9f }, { 0.3, 0.5, 0.6f }, { 0.5, 0.9, 0.95f } };
	const sn_guard_word bad[] = { { 0, 0.02, 0.1f }, { 0.02, 0.04, 0.3f }, { 0.04, 4.1, 0.1f } };
	assert_false(sn_guards_is_anomaly(good, 3));
	assert_true(sn_guards_is_anomaly(bad, 3));
	assert_false(sn_guards_is_anomaly(good, 0));
}

static void confidence_rises_with_probability_and_falls_with_tokens(void **state) {
	const float sure[] = { -0.01f, -0.01f, -0.01f }, doubtful[] = { -1.2f, -1.2f, -1.2f };
	assert_true(sn_confidence_word(sure, 1) > 0.95f);
	assert_true(sn_confidence_word(sure, 1) > sn_confidence_word(sure, 3));
	assert_true(sn_confidence_word(doubtful, 3) < 0.35f);
	assert_true(sn_confidence_word(sure, 0) == 0);
}

static void a_transcript_is_retried_for_doubt_or_want_of_text(void **state) {
	sn_note note = { "no_speech", "" };
	const sn_stt_options gate = { .min_confidence = 0.6f }, open = { 0 };
	sn_transcript good = { .text = "a", .avg_confidence = 0.8f }, bad = { .text = "a", .avg_confidence = 0.4f };
	sn_transcript empty = { .text = "", .notes = &note, .note_count = 1 };
	assert_false(sn_retry_wanted(&good, &gate));
	assert_true(sn_retry_wanted(&bad, &gate));
	assert_false(sn_retry_wanted(&bad, &open));
	assert_false(sn_retry_wanted(&empty, &gate)); /* there was nothing to hear */
	note.code = "no_text";
	assert_true(sn_retry_wanted(&empty, &gate));
	assert_true(sn_retry_better(&good, &bad) && sn_retry_better(&bad, &empty));
	assert_false(sn_retry_better(&bad, &good) || sn_retry_better(&empty, &bad) || sn_retry_better(&good, &good));
}

static void options_of_the_gate_are_checked(void **state) {
	const char *const names[] = { "base", "" };
	char err[SN_ERRLEN];
	assert_int_equal(sn_retry_check(&(sn_stt_options){ .min_confidence = 0.5f, .retry_models = names, .retry_model_count = 1 }, err), SN_OK);
	assert_int_equal(sn_retry_check(&(sn_stt_options){ .min_confidence = 1.5f }, err), SN_E_ARGUMENT);
	assert_non_null(strstr(err, "1.5"));
	assert_int_equal(sn_retry_check(&(sn_stt_options){ .retry_models = names, .retry_model_count = 9 }, err), SN_E_ARGUMENT);
	assert_int_equal(sn_retry_check(&(sn_stt_options){ .retry_models = names, .retry_model_count = 2 }, err), SN_E_ARGUMENT);
	assert_int_equal(sn_retry_check(&(sn_stt_options){ .retry_model_count = 1 }, err), SN_E_ARGUMENT);
}

static void notes_of_one_code_are_counted_beyond_a_few(void **state) {
	sn_notes notes = { .count = 0 };
	for (int i = 0; i < 30; i++)
		sn_notes_append(&notes, "guard_silence", "%d s: gone", i);
	sn_notes_add(&notes, "guard_silence", "not again");
	sn_notes_add(&notes, "no_speech", "nothing is left");
	assert_int_equal(notes.count, SN_NOTES_ALIKE + 1);
	assert_string_equal(notes.note[0].message, "0 s: gone");
	assert_string_equal(notes.note[SN_NOTES_ALIKE - 1].message, "7 s: gone; and 22 more");
	assert_string_equal(notes.note[SN_NOTES_ALIKE].code, "no_speech");
	for (int i = 0; i < 2 * SN_MAX_NOTES; i++) {
		char code[16];
		snprintf(code, sizeof code, "code %d", i);
		sn_notes_add(&notes, code, "x");
	}
	assert_int_equal(notes.count, SN_MAX_NOTES);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(repetitions_are_found_with_their_period),
		cmocka_unit_test(a_repetition_needs_time_to_be_said),
		cmocka_unit_test(echoes_are_whole_stretches_of_what_went_before),
		cmocka_unit_test(voice_is_counted_between_two_times),
		cmocka_unit_test(silence_is_told_from_short_words),
		cmocka_unit_test(stock_phrases_are_known),
		cmocka_unit_test(anomalous_words_are_improbable_short_or_long),
		cmocka_unit_test(confidence_rises_with_probability_and_falls_with_tokens),
		cmocka_unit_test(a_transcript_is_retried_for_doubt_or_want_of_text),
		cmocka_unit_test(options_of_the_gate_are_checked),
		cmocka_unit_test(notes_of_one_code_are_counted_beyond_a_few),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
