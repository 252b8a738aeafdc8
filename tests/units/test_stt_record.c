#include "server/stt_record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const int32_t ids[] = { 50364, 400, 370, 50400, 7 };
static const float logs[] = { -0.25f, -0.5f, -0.75f, -1 };
static sn_word words[] = { { 0.5, 0.75, "And", 0.5f }, { 0.75, 1.25, "so,", 0.875f } };
static sn_segment segments[] = {
	{ .id = 0, .start = 0.5, .end = 1.5, .text = " And so,", .tokens = ids, .token_count = 4, .token_logprobs = logs, .temperature = 0.2f,
	  .avg_logprob = -0.3f, .compression_ratio = 1.5f, .no_speech_prob = 0.01f, .confidence = 0.75f, .words = words, .word_count = 2 },
	{ .id = 1, .start = 2, .end = 3, .text = " caf\xc3\xa9", .tokens = ids + 4, .token_count = 1, .confidence = 1 },
	{ .id = 2, .start = 3, .end = 3, .text = "" },
};
static sn_note notes[] = { { "clipped", "too loud" }, { "guard_silence", "" } };
static const sn_attempt attempts[] = { { "a", "f32", 0.25f, 0 }, { "b", "int8", 0.5f, 1 } };
static const sn_transcript whole = { .text = "And so, caf\xc3\xa9", .language = "en", .task = "transcribe", .language_confidence = 0.5f,
	.avg_confidence = 0.75f, .duration = 11.125, .processing_time = 9, .model = "openai/whisper-base", .dtype = "int8", .segments = segments,
	.segment_count = 3, .notes = notes, .note_count = 2, .attempts = attempts, .attempt_count = 2 };
static const sn_transcript empty = { .text = "", .language = "", .task = "translate", .model = "m", .dtype = "f32" };

static sn_buf record_of(const sn_transcript *t) {
	sn_buf out;
	sn_buf_init(&out, SV_MAX_RECORD);
	sv_record_write(&out, t);
	assert_int_equal(out.failed, SN_OK);
	return out;
}

static void every_fact_comes_back(void **state) {
	sn_buf out = record_of(&whole);
	sn_transcript *const t = sv_record_read(out.data, out.size);
	(void)state;
	memset(out.data, 0xff, out.size); /* nothing points into the bytes */
	assert_non_null(t);
	assert_string_equal(t->text, whole.text);
	assert_string_equal(t->language, "en");
	assert_string_equal(t->task, "transcribe");
	assert_string_equal(t->model, whole.model);
	assert_string_equal(t->dtype, "int8");
	assert_true(t->duration == whole.duration && t->avg_confidence == 0.75f && t->language_confidence == 0.5f && t->processing_time == 0);
	assert_int_equal(t->segment_count, 3);
	for (int i = 0; i < 3; i++) {
		const sn_segment *const a = &t->segments[i], *const b = &segments[i];
		assert_true(a->id == b->id && a->start == b->start && a->end == b->end && a->temperature == b->temperature);
		assert_true(a->avg_logprob == b->avg_logprob && a->compression_ratio == b->compression_ratio && a->confidence == b->confidence);
		assert_string_equal(a->text, b->text);
		assert_int_equal(a->token_count, b->token_count);
		assert_int_equal(a->word_count, b->word_count);
		if (a->token_count)
			assert_memory_equal(a->tokens, b->tokens, (size_t)a->token_count * sizeof *a->tokens);
		assert_int_equal(!a->token_logprobs, !b->token_logprobs);
	}
	assert_memory_equal(t->segments[0].token_logprobs, logs, sizeof logs);
	assert_string_equal(t->segments[0].words[1].text, "so,");
	assert_true(t->segments[0].words[1].end == 1.25 && t->segments[0].words[0].confidence == 0.5f);
	assert_int_equal(t->note_count, 2);
	assert_string_equal(t->notes[0].message, "too loud");
	assert_string_equal(t->notes[1].code, "guard_silence");
	assert_int_equal(t->attempt_count, 2);
	assert_string_equal(t->attempts[1].model, "b");
	assert_true(t->attempts[1].kept && !t->attempts[0].kept && t->attempts[0].confidence == 0.25f);
	free(t);
	sn_buf_free(&out);
}

static void formats_are_the_same_before_and_after(void **state) {
	static const char *const formats[] = { "text", "srt", "vtt", "tsv" };
	sn_buf out = record_of(&whole);
	sn_transcript *const t = sv_record_read(out.data, out.size);
	(void)state;
	for (int i = 0; i < 4; i++) {
		char *a, *b;
		assert_int_equal(sn_transcript_format(&a, NULL, &whole, formats[i], NULL, NULL), SN_OK);
		assert_int_equal(sn_transcript_format(&b, NULL, t, formats[i], NULL, NULL), SN_OK);
		assert_string_equal(a, b);
		free(a);
		free(b);
	}
	free(t);
	sn_buf_free(&out);
}

static void nothing_at_all(void **state) {
	sn_buf out = record_of(&empty);
	sn_transcript *const t = sv_record_read(out.data, out.size);
	(void)state;
	assert_non_null(t);
	assert_string_equal(t->text, "");
	assert_string_equal(t->dtype, "f32");
	assert_int_equal(t->segment_count + t->note_count, 0);
	free(t);
	sn_buf_free(&out);
}

static void damage_is_seen_or_harmless(void **state) {
	sn_buf out = record_of(&whole);
	(void)state;
	for (size_t size = 0; size < out.size; size++)
		assert_null(sv_record_read(out.data, size));
	for (size_t i = 0; i < out.size; i++)
		for (int bit = 0; bit < 8; bit++) {
			char *const copy = malloc(out.size); /* of its own, so that a sanitizer sees reading beyond it */
			memcpy(copy, out.data, out.size);
			copy[i] = (char)(copy[i] ^ 1 << bit);
			sn_transcript *const t = sv_record_read(copy, out.size);
			free(copy);
			for (size_t k = 0; t && k < t->segment_count; k++)
				assert_true(strlen(t->segments[k].text) < out.size);
			for (size_t k = 0; t && k < t->note_count; k++)
				assert_true(strlen(t->notes[k].message) < out.size);
			free(t);
		}
	sn_buf_free(&out);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_fact_comes_back),
		cmocka_unit_test(formats_are_the_same_before_and_after),
		cmocka_unit_test(nothing_at_all),
		cmocka_unit_test(damage_is_seen_or_harmless),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
