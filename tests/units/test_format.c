/* Transcripts as text: words with their times. */
#include <sonant/sonant.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <cmocka.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1 /* what was freed is kept */
#else
#define SANITIZED 0
#endif

static sn_segment segment(const char *text, const sn_word *words, int count) {
	return (sn_segment){ .start = 1, .end = 12.5, .text = text, .words = words, .word_count = count, .confidence = 0.5f };
}

/* The transcript of one segment in a format; free() it. */
static char *format(const sn_segment *s, const char *name) {
	const sn_transcript t = { .text = s->text, .language = "en", .task = "transcribe", .model = "m", .dtype = "f32",
		.segments = (sn_segment *)(uintptr_t)s, .segment_count = 1 };
	char err[SN_ERRLEN] = "", *text;
	if (sn_transcript_format(&text, NULL, &t, name, NULL, err) != SN_OK)
		fail_msg("%s", err);
	return text;
}

static void expect(const sn_segment *s, const char *name, const char *wanted) {
	char *text = format(s, name);
	assert_string_equal(text, wanted);
	free(text);
}

static void json_lists_words(void **state) {
	const sn_word words[] = { { 1, 1.25, "say", 0.5f }, { 1.5, 2, "\"hi\"", 1 } };
	const sn_segment with = segment(" say \"hi\"", words, 2), without = segment(" say \"hi\"", NULL, 0);
	const char *const names[] = { "json", "verbose_json" };
	for (int i = 0; i < 2; i++) {
		char *text = format(&with, names[i]), *plain = format(&without, names[i]);
		assert_non_null(strstr(text, "\"word_timestamps\""));
		assert_null(strstr(plain, "\"word_timestamps\""));
		free(text);
		free(plain);
	}
	char *text = format(&with, "json");
	assert_non_null(strstr(text, "\"word_timestamps\": [{\"word\": \"say\", \"start\": 1.0, \"end\": 1.25, \"confidence\": 0.5}, "
	                             "{\"word\": \"\\\"hi\\\"\", \"start\": 1.5, \"end\": 2.0, \"confidence\": 1.0}]"));
	free(text);
}

static void a_short_segment_is_one_subtitle(void **state) {
	const sn_word words[] = { { 1, 1.25, "one", 1 }, { 1.5, 2, "two", 1 } };
	const sn_segment s = segment(" one two", words, 2);
	expect(&s, "srt", "1\n00:00:01,000 --> 00:00:02,000\none two\n\n");
	expect(&s, "vtt", "WEBVTT\n\n00:00:01.000 --> 00:00:02.000\none two\n\n");
}

static void long_segments_are_cut_at_pauses_lengths_and_seconds(void **state) {
	const sn_word pause[] = { { 1, 2, "one", 1 }, { 2, 3, "two", 1 }, { 5, 6, "three", 1 } };
	const sn_word slow[] = { { 1, 4, "one", 1 }, { 4, 7, "two", 1 }, { 7, 10, "three", 1 } };
	const sn_segment a = segment("one two three", pause, 3), b = segment("one two three", slow, 3);
	expect(&a, "srt", "1\n00:00:01,000 --> 00:00:03,000\none two\n\n2\n00:00:05,000 --> 00:00:06,000\nthree\n\n");
	expect(&b, "srt", "1\n00:00:01,000 --> 00:00:07,000\none two\n\n2\n00:00:07,000 --> 00:00:10,000\nthree\n\n");
	sn_word many[20];
	char text[20 * 11 + 1] = "";
	for (int i = 0; i < 20; i++) {
		many[i] = (sn_word){ 1 + 0.1 * i, 1.1 + 0.1 * i, "abcdefghij", 1 };
		strcat(text, i ? " abcdefghij" : "abcdefghij");
	}
	const sn_segment c = segment(text, many, 20);
	char *srt = format(&c, "srt");
	int lines = 0;
	for (char *line = strtok(srt, "\n"); line; line = strtok(NULL, "\n")) {
		assert_true(strlen(line) <= 42);
		lines += *line == 'a';
	}
	assert_int_equal(lines, 8); /* four cues of five words */
	free(srt);
}

/* ---- lines ---- */

#define MOST 64

/* Words between spaces, 0.3 seconds each without a pause. They are cut out in place. */
static int words_of(char *text, sn_word words[MOST]) {
	int count = 0;
	for (char *word = strtok(text, " "); word; word = strtok(NULL, " "), count++) {
		assert_true(count < MOST);
		words[count] = (sn_word){ 0.3 * count, 0.3 * (count + 1), word, 1 };
	}
	return count;
}

/* The text's cues with the given lines (0: the default), as vtt, without its head; free() it. */
static char *cues_of(const char *text, int width, int count) {
	sn_word words[MOST];
	char *const copy = strdup(text), *vtt;
	const sn_segment s = { .end = 99, .text = text, .words = words, .word_count = words_of(copy, words) };
	const sn_transcript t = { .text = text, .language = "en", .task = "transcribe", .model = "m", .dtype = "f32",
		.segments = (sn_segment *)(uintptr_t)&s, .segment_count = 1 };
	const sn_transcript_options options = { .format = "vtt", .line_width = width, .line_count = count };
	assert_int_equal(sn_transcript_write(&vtt, NULL, &t, &options, NULL), SN_OK);
	memmove(vtt, vtt + 8, strlen(vtt + 8) + 1); /* WEBVTT and an empty line */
	free(copy);
	return vtt;
}

static void expect_cues(const char *text, int width, int count, const char *wanted) {
	char *const vtt = cues_of(text, width, count);
	assert_string_equal(vtt, wanted);
	free(vtt);
}

/* Two lines of 42 characters, not bytes, whatever the script; the text is all there. */
static void lines_are_as_wide_in_every_script(void **state) {
	static const char *const texts[] = {
		"and so my fellow americans ask not what your country can do for you ask what you can do for your country",
		"\u0437\u0434\u0440\u0430\u0432\u0441\u0442\u0432\u0443\u0439\u0442\u0435 \u043c\u043e\u0438 \u0434\u043e\u0440\u043e\u0433\u0438\u0435 \u0434\u0440\u0443\u0437\u044c\u044f "
		"\u0441\u0435\u0433\u043e\u0434\u043d\u044f \u043c\u044b \u0441 \u0432\u0430\u043c\u0438 \u0433\u043e\u0432\u043e\u0440\u0438\u043c \u043e \u043f\u043e\u0433\u043e\u0434\u0435",
		"\u092e\u0947\u0930\u0947 \u092a\u094d\u092f\u093e\u0930\u0947 \u0926\u0947\u0936\u0935\u093e\u0938\u093f\u092f\u094b\u0902 \u092f\u0939 \u092e\u0924 \u092a\u0942\u091b\u094b \u0915\u093f "
		"\u0926\u0947\u0936 \u0906\u092a\u0915\u0947 \u0932\u093f\u090f \u0915\u094d\u092f\u093e \u0915\u0930 \u0938\u0915\u0924\u093e \u0939\u0948",
	};
	static const char *const wanted[] = {
		"00:00:00.000 --> 00:00:03.000\nand so my fellow americans\nask not what your country\n\n"
		"00:00:03.000 --> 00:00:06.600\ncan do for you ask what you\ncan do for your country\n\n",
		"00:00:00.000 --> 00:00:03.300\n\u0437\u0434\u0440\u0430\u0432\u0441\u0442\u0432\u0443\u0439\u0442\u0435 \u043c\u043e\u0438 \u0434\u043e\u0440\u043e\u0433\u0438\u0435 \u0434\u0440\u0443\u0437\u044c\u044f\n"
		"\u0441\u0435\u0433\u043e\u0434\u043d\u044f \u043c\u044b \u0441 \u0432\u0430\u043c\u0438 \u0433\u043e\u0432\u043e\u0440\u0438\u043c \u043e \u043f\u043e\u0433\u043e\u0434\u0435\n\n", "00:00:00.000 --> 00:00:04.200\n\u092e\u0947\u0930\u0947 \u092a\u094d\u092f\u093e\u0930\u0947 \u0926\u0947\u0936\u0935\u093e\u0938\u093f\u092f\u094b\u0902 \u092f\u0939 \u092e\u0924 \u092a\u0942\u091b\u094b\n"
		"\u0915\u093f \u0926\u0947\u0936 \u0906\u092a\u0915\u0947 \u0932\u093f\u090f \u0915\u094d\u092f\u093e \u0915\u0930 \u0938\u0915\u0924\u093e \u0939\u0948\n\n",
	};
	for (int i = 0; i < 3; i++)
		expect_cues(texts[i], 0, 0, wanted[i]);
}

/* Greedily the last word would stand alone. */
static void no_cue_and_no_line_is_one_short_word(void **state) {
	expect_cues("aaaaaaaaa bbbbbbbbb ccccccccc ddddddddd eeeeeeeee fffffffff ggggggggg hhhhhhhhh you", 0, 0,
	            "00:00:00.000 --> 00:00:01.200\naaaaaaaaa bbbbbbbbb ccccccccc ddddddddd\n\n"
	            "00:00:01.200 --> 00:00:02.700\neeeeeeeee fffffffff\nggggggggg hhhhhhhhh you\n\n");
	expect_cues("one two three four five six seven eight nine", 0, 0, "00:00:00.000 --> 00:00:02.700\none two three four five\nsix seven eight nine\n\n");
}

static void lines_end_rather_behind_punctuation(void **state) {
	expect_cues("Well then, what do you say to this question now?", 0, 0,
	            "00:00:00.000 --> 00:00:03.000\nWell then, what do you\nsay to this question now?\n\n");
	expect_cues("That was all he said. What do you say to this one now?", 0, 0,
	            "00:00:00.000 --> 00:00:03.900\nThat was all he said.\nWhat do you say to this one now?\n\n");
}

static void lines_can_be_chosen(void **state) {
	expect_cues("one two three four five", 10, 1,
	            "00:00:00.000 --> 00:00:00.600\none two\n\n00:00:00.600 --> 00:00:00.900\nthree\n\n00:00:00.900 --> 00:00:01.500\nfour five\n\n");
	expect_cues("one two three four five", 10, 3, "00:00:00.000 --> 00:00:01.500\none two\nthree\nfour five\n\n");
	expect_cues("one two three four five six seven eight nine ten", 1000, 1,
	            "00:00:00.000 --> 00:00:03.000\none two three four five six seven eight nine ten\n\n");
	expect_cues("extraordinarily big", 5, 1, "00:00:00.000 --> 00:00:00.300\nextraordinarily\n\n00:00:00.300 --> 00:00:00.600\nbig\n\n");
	static const sn_transcript_options wrong[] = {
		{ .format = "srt", .line_width = -1 }, { .format = "srt", .line_width = 1001 }, { .format = "srt", .line_count = -1 },
		{ .format = "srt", .line_count = 101 },
	};
	const sn_transcript t = { .text = "" };
	for (int i = 0; i < 4; i++) {
		sn_transcript_stream *stream;
		char err[SN_ERRLEN], *text;
		assert_int_equal(sn_transcript_write(&text, NULL, &t, &wrong[i], err), SN_E_ARGUMENT);
		assert_non_null(strstr(err, "is outside 1 to"));
		assert_int_equal(sn_transcript_stream_begin(&stream, &wrong[i], err), SN_E_ARGUMENT);
	}
}

/* A segment without times of words is one cue, in lines. Chinese is cut between characters, which take two columns, and no line begins with
 * a full stop. */
static void text_without_words_is_broken_into_lines(void **state) {
	const sn_segment plain = segment(" one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen", NULL, 0);
	expect(&plain, "srt", "1\n00:00:01,000 --> 00:00:12,500\none two three four five six seven\neight nine ten eleven twelve thirteen\nfourteen fifteen sixteen seventeen\n\n");
	char text[26 * 3 + 1] = "";
	for (int i = 0; i < 22; i++)
		strcat(text, i == 11 ? "\u3002" : "\u6f22");
	const sn_segment chinese = segment(text, NULL, 0);
	char *const srt = format(&chinese, "srt"), *const first = strchr(strchr(srt, '\n') + 1, '\n') + 1;
	assert_int_equal(strcspn(first, "\n"), 12 * 3); /* behind the full stop */
	assert_int_equal(strcspn(first + 12 * 3 + 1, "\n"), 10 * 3);
	free(srt);
}

/* Languages without spaces, and words that the text does not hold. */
static void the_text_decides_what_is_between_words(void **state) {
	const sn_word words[] = { { 1, 2, "\xe4\xbd\xa0", 1 }, { 2, 3, "\xe5\xa5\xbd", 1 } }, strange[] = { { 1, 2, "nothing", 1 } };
	const sn_segment s = segment("\xe4\xbd\xa0\xe5\xa5\xbd", words, 2), other = segment(" like it", strange, 1);
	expect(&s, "srt", "1\n00:00:01,000 --> 00:00:03,000\n\xe4\xbd\xa0\xe5\xa5\xbd\n\n");
	expect(&other, "srt", "1\n00:00:01,000 --> 00:00:12,500\nlike it\n\n");
}

/* Piece by piece the same as at once, in every format that can be written so. */
static void what_is_written_as_it_comes_is_the_whole(void **state) {
	const sn_word words[] = { { 1, 2, "one", 1 }, { 2, 3, "two", 1 }, { 5, 6, "three", 1 } };
	sn_segment segments[] = { segment(" one two three ", words, 3), segment(" said\tsecond", NULL, 0), segment("third \n", NULL, 0) };
	sn_note note = { "clipped", "it was" };
	const sn_transcript whole = { .text = "one two three  said\tsecondthird", .language = "en", .task = "transcribe", .model = "m",
		.dtype = "f32", .duration = 12.5, .segments = segments, .segment_count = 3, .notes = &note, .note_count = 1 };
	const char *const names[] = { "text", "jsonl", "srt", "vtt", "tsv" };
	for (int i = 0; i < 5; i++)
		for (size_t count = 0; count <= 3; count += 3) {
			sn_transcript t = whole;
			sn_transcript_stream *stream;
			const char *piece;
			char joined[4096] = "", *text;
			size_t size;
			t.segment_count = count;
			t.text = count ? whole.text : "";
			assert_int_equal(sn_transcript_stream_open(&stream, names[i], "a.wav", NULL), SN_OK);
			for (size_t k = 0; k < count; k++) {
				assert_int_equal(sn_transcript_stream_add(stream, &segments[k], &piece, &size, NULL), SN_OK);
				assert_true(size > 0);
				strncat(joined, piece, size);
			}
			assert_int_equal(sn_transcript_stream_end(stream, &t, &piece, &size, NULL), SN_OK);
			strncat(joined, piece, size);
			sn_transcript_stream_close(&stream);
			assert_int_equal(sn_transcript_format(&text, NULL, &t, names[i], "a.wav", NULL), SN_OK);
			assert_string_equal(joined, text);
			free(text);
		}
	sn_transcript_stream *stream;
	char err[SN_ERRLEN];
	assert_int_equal(sn_transcript_stream_open(&stream, "json", NULL, err), SN_E_ARGUMENT);
	assert_non_null(strstr(err, "\"json\""));
	assert_non_null(strstr(err, SN_TRANSCRIPT_STREAMS));
}

/* A line's end before the first word is text, as a transcript has it. */
static void what_comes_before_the_first_word_is_kept(void **state) {
	const sn_segment segments[] = { segment("  ", NULL, 0), segment(" \n", NULL, 0), segment(" one", NULL, 0) };
	sn_transcript_stream *stream;
	const char *piece;
	char joined[64] = "";
	size_t size;
	assert_int_equal(sn_transcript_stream_open(&stream, "text", NULL, NULL), SN_OK);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(sn_transcript_stream_add(stream, &segments[i], &piece, &size, NULL), SN_OK);
		strncat(joined, piece, size);
	}
	assert_string_equal(joined, "\n one");
	sn_transcript_stream_close(&stream);
}

static long peak(void) {
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_maxrss;
}

/* A tree of all its words would take ten times the memory of what is written. */
static void json_of_a_long_transcript_takes_little_memory(void **state) {
	enum { SEGMENTS = 20000, WORDS = 5 };
	sn_word words[WORDS];
	for (int i = 0; i < WORDS; i++)
		words[i] = (sn_word){ i, i + 1, "word", 0.5f };
	sn_segment *const segments = malloc(SEGMENTS * sizeof *segments);
	for (int i = 0; i < SEGMENTS; i++)
		segments[i] = segment(" word word word word word", words, WORDS);
	const sn_transcript t = { .text = "", .language = "en", .task = "transcribe", .model = "m", .dtype = "f32", .segments = segments, .segment_count = SEGMENTS };
	char *text;
	size_t size;
	const long before = peak();
	assert_int_equal(sn_transcript_format(&text, &size, &t, "json", NULL, NULL), SN_OK);
	const long grown = peak() - before;
	assert_true(size > 5 << 20);
	if (!SANITIZED)
		assert_true(grown < (long)(4 * size >> 10));
	free(text);
	free(segments);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_lists_words), cmocka_unit_test(a_short_segment_is_one_subtitle),
		cmocka_unit_test(long_segments_are_cut_at_pauses_lengths_and_seconds),
		cmocka_unit_test(lines_are_as_wide_in_every_script), cmocka_unit_test(no_cue_and_no_line_is_one_short_word),
		cmocka_unit_test(lines_end_rather_behind_punctuation), cmocka_unit_test(lines_can_be_chosen),
		cmocka_unit_test(text_without_words_is_broken_into_lines),
		cmocka_unit_test(the_text_decides_what_is_between_words), cmocka_unit_test(what_is_written_as_it_comes_is_the_whole),
		cmocka_unit_test(what_comes_before_the_first_word_is_kept),
		cmocka_unit_test(json_of_a_long_transcript_takes_little_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
