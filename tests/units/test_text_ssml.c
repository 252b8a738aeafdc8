/* SSML to what is said, and clauses of text that is still being written. */
#include "test_text.h"

#include "base/buf.h"
#include "text/clauses.h"
#include "text/ssml.h"

/* ---- SSML ---- */

/* Events as a line of text: "a", <break 0.5>, [rate=1.2: ...]. */
static int write_event(void *payload, const sn_ssml_event *e, char *err) {
	static const char *const names[] = { "", "say-as ", "ipa ", "break", "mark ", "|", "note " };
	sn_buf *out = payload;
	char style[160] = "";
	if (e->style->rate != 1)
		sprintf(style + strlen(style), "rate=%.3g ", (double)e->style->rate);
	if (e->style->pitch != 1)
		sprintf(style + strlen(style), "pitch=%.3g ", (double)e->style->pitch);
	if (e->style->gain != 1)
		sprintf(style + strlen(style), "gain=%.3g ", (double)e->style->gain);
	if (*e->style->language)
		sprintf(style + strlen(style), "lang=%s ", e->style->language);
	if (*e->style->voice)
		sprintf(style + strlen(style), "voice=%s ", e->style->voice);
	if (e->kind == SN_SSML_TEXT && !*style) {
		sn_buf_add(out, e->text, e->size);
	} else if (e->kind == SN_SSML_END) {
		sn_buf_text(out, "|");
	} else if (e->kind == SN_SSML_BREAK_OF) {
		sn_buf_printf(out, "{break %g}", e->seconds);
	} else if (e->kind == SN_SSML_NOTE) {
		sn_buf_printf(out, "{note %s}", e->value);
	} else {
		sn_buf_printf(out, "{%s%s%s%s%s%s%s%.*s}", names[e->kind], e->value, *e->format ? "/" : "", e->format, *e->detail ? "/" : "",
		              e->detail, *e->value && e->size ? ":" : style, (int)e->size, e->text);
	}
	return SN_OK;
}

/* Reads a document in pieces of `step` bytes. */
static int read_ssml(const char *text, size_t size, size_t step, sn_buf *out, char *err) {
	sn_ssml *ssml;
	sn_buf_clear(out);
	if (sn_ssml_open(&ssml, write_event, out, err) != SN_OK)
		fail_msg("%s", err);
	int result = SN_OK;
	for (size_t i = 0; result == SN_OK && i < size; i += step)
		result = sn_ssml_push(ssml, text + i, size - i < step ? size - i : step, size - i <= step, err);
	sn_ssml_close(&ssml);
	assert_null(ssml);
	return result;
}

static void expect_ssml(const char *text, const char *expected) {
	char err[SN_ERRLEN] = "";
	sn_buf out;
	sn_buf_init(&out, 1 << 20);
	if (read_ssml(text, strlen(text), 1 << 20, &out, err) != SN_OK)
		fail_msg("%s: %s", text, err);
	assert_string_equal(out.data ? out.data : "", expected);
	sn_buf_free(&out);
}

static void refused(const char *text, int code, const char *says) {
	char err[SN_ERRLEN] = "";
	sn_buf out;
	sn_buf_init(&out, 1 << 20);
	for (size_t step = 1; step < 4096; step *= 64) {
		assert_int_equal(read_ssml(text, strlen(text), step, &out, err), code);
		if (!strstr(err, says))
			fail_msg("\"%s\" lacks \"%s\"", err, says);
	}
	sn_buf_free(&out);
}

static void every_element(void **state) {
	expect_ssml("<speak>Hello <b>x</b> &amp; &#65;.</speak>", "Hello {note ssml_ignored}x & A.");
	expect_ssml("<?xml version=\"1.0\"?>\n<speak version=\"1.1\" xmlns=\"http://www.w3.org/2001/10/synthesis\" xml:lang=\"en-US\">a</speak>",
	            "{lang=en-US a}");
	expect_ssml("<speak><p><s>One</s><s>Two</s></p></speak>", "||One||Two||");
	expect_ssml("<speak>a<break time=\"500ms\"/>b<break time='1.5s'/>c<break strength=\"strong\"/><break/><break strength='none'/></speak>",
	            "a{break 0.5}b{break 1.5}c{break 0.8}{break 0.5}{break 0}");
	expect_ssml("<speak><break time='99s'/><break time='soon'/></speak>", "{note ssml_break}{break 10}{note ssml_value}{break 0.5}");
	expect_ssml("<speak><prosody rate='slow'>a<prosody rate='200%'>b</prosody></prosody><prosody rate='+20%'>c</prosody></speak>",
	            "{rate=0.75 a}{rate=1.5 b}{rate=1.2 c}");
	expect_ssml("<speak><prosody rate='-25%' pitch='+12st'>a</prosody><prosody rate='1.25' pitch='high'>b</prosody></speak>",
	            "{rate=0.75 pitch=2 a}{rate=1.25 pitch=1.15 b}");
	expect_ssml("<speak><prosody volume='+6dB'>a</prosody><prosody volume='50'>b</prosody><prosody volume='silent'>c</prosody></speak>",
	            "{gain=2 a}{gain=0.5 b}{gain=0 c}");
	expect_ssml("<speak><prosody rate='warp' contour='(0%,+20Hz)'>a</prosody></speak>", "{note ssml_value}{note ssml_prosody}a");
	expect_ssml("<speak><emphasis level='strong'>a</emphasis></speak>", "{note ssml_ignored}a");
	expect_ssml("<speak><say-as interpret-as='date' format='mdy' detail='1'>1/2/2024</say-as></speak>", "{say-as date/mdy/1:1/2/2024}");
	expect_ssml("<speak><say-as interpret-as='characters'>a<b>b</b>c</say-as></speak>", "{say-as characters:abc}");
	expect_ssml("<speak><phoneme alphabet='ipa' ph='təˈmeɪtoʊ'>tomato</phoneme></speak>", "{ipa təˈmeɪtoʊ:tomato}");
	expect_ssml("<speak><phoneme alphabet='x-sampa' ph='t@\"meItoU'>tomato</phoneme></speak>", "{ipa təˈmeɪtoʊ:tomato}");
	expect_ssml("<speak><phoneme alphabet='klingon' ph='x'>tomato</phoneme><phoneme>b</phoneme></speak>", "{note ssml_phoneme}tomato{note ssml_phoneme}b");
	expect_ssml("<speak><sub alias='World Wide Web'>WWW</sub> it</speak>", "World Wide Web it");
	expect_ssml("<speak>a <lang xml:lang='fr-FR'>oui</lang> b</speak>", "a {lang=fr-FR oui} b");
	expect_ssml("<speak><voice name='anna'>a</voice><voice gender='female'>b</voice></speak>", "{voice=anna a}{note ssml_value}b");
	expect_ssml("<speak>a<mark name='here'/>b<mark/></speak>", "a{mark here}b{note ssml_value}");
	expect_ssml("<speak><metadata><x>no</x></metadata>a<audio src='x.wav'>b</audio><!-- no --><![CDATA[<c>]]></speak>",
	            "a{note ssml_ignored}b<c>");
	expect_ssml("<!DOCTYPE speak PUBLIC \"-//W3C//DTD SYNTHESIS 1.0//EN\" \"http://www.w3.org/TR/x.dtd\"><speak>a</speak>", "a");
}

static void pieces_say_the_same(void **state) {
	static const char text[] = "\xef\xbb\xbf<?xml version='1.0'?><speak>Zwölf <prosody rate=\"fast\">schnelle</prosody> &lt;Boxkämpfer&gt;"
							   "<break time='1s'/><say-as interpret-as='ordinal'>3</say-as> <mark name='ä'/>😀</speak>\n";
	char err[SN_ERRLEN] = "";
	sn_buf whole, pieces;
	sn_buf_init(&whole, 1 << 16);
	sn_buf_init(&pieces, 1 << 16);
	assert_int_equal(read_ssml(text, strlen(text), 1 << 16, &whole, err), SN_OK);
	for (size_t step = 1; step < 9; step++) {
		assert_int_equal(read_ssml(text, strlen(text), step, &pieces, err), SN_OK);
		if (step > 3) /* text comes in more events then, each with its style */
			continue;
		assert_non_null(strstr(pieces.data, "{break 1}{say-as ordinal:3} {mark ä}😀"));
	}
	sn_buf_free(&whole);
	sn_buf_free(&pieces);
}

static void malformed(void **state) {
	refused("<speak>\n<p>a</s></speak>", SN_E_FORMAT, "line 2, column");
	refused("<speak>a", SN_E_FORMAT, "line 1");
	refused("<speak", SN_E_FORMAT, "line 1");
	refused("<speak>a</speak>b", SN_E_FORMAT, "behind </speak>");
	refused("<html>a</html>", SN_E_FORMAT, "<speak> was expected");
	refused("<speak>&nbsp;</speak>", SN_E_FORMAT, "entity");
	refused("<speak a='1' a='2'>b</speak>", SN_E_FORMAT, "duplicate");
	refused("<speak>\xff</speak>", SN_E_FORMAT, "line 1, column 8");
	refused("<speak>\x01</speak>", SN_E_FORMAT, "column 8");
	char err[SN_ERRLEN] = "";
	sn_buf out;
	sn_buf_init(&out, 1 << 16);
	assert_int_equal(read_ssml("<speak>a\0b</speak>", 18, 64, &out, err), SN_E_FORMAT);
	sn_buf_free(&out);
}

static void hostile(void **state) {
	refused("<!DOCTYPE s [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;\"><!ENTITY c \"&b;&b;&b;&b;\">]><speak>&c;</speak>", SN_E_FORMAT,
	        "not allowed");
	refused("<!DOCTYPE s [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><speak>&x;</speak>", SN_E_FORMAT, "not allowed");
	refused("<!DOCTYPE s SYSTEM \"http://localhost/x.dtd\"><speak>&x;</speak>", SN_E_FORMAT, "entity");
	static char text[1 << 20];
	strcpy(text, "<speak>");
	for (int i = 0; i < 100; i++)
		strcat(text, "<p>");
	refused(text, SN_E_LIMIT, "64 deep");
	strcpy(text, "<speak x='");
	memset(text + 10, 'a', 200000);
	strcpy(text + 200010, "'>a</speak>");
	refused(text, SN_E_LIMIT, "16384 bytes");
	strcpy(text, "<speak><say-as interpret-as='digits'>");
	memset(text + 37, '1', 200000);
	strcpy(text + 200037, "</say-as></speak>");
	refused(text, SN_E_LIMIT, "4096 bytes");
}

static void beginnings(void **state) {
	static const struct {
		const char *text;
		int is;
	} cases[] = { { "<speak>", 1 }, { " \n<speak ", 1 }, { "<?xml version", 1 }, { "\xef\xbb\xbf<speak>", 1 }, { "<spea", -1 }, { "", -1 }, { " ", -1 },
		          { "<", -1 }, { "<b>", 0 }, { "Hello", 0 }, { "speak", 0 } };
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_int_equal(sn_ssml_begins(cases[i].text, strlen(cases[i].text)), cases[i].is);
}

/* ---- clauses ---- */

/* Pieces with | behind those that end a sentence and / behind the others; what is not whole in brackets. */
static void cut_all(const char *text, const char *locale, int early, sn_buf *out) {
	int sentence_end = 0;
	size_t at = 0, size = strlen(text), end;
	sn_buf_clear(out);
	while ((end = sn_clause_end(text + at, size - at, locale, early, &sentence_end)) > 0) {
		while (text[at] == ' ' || text[at] == '\n') {
			at++;
			end--;
		}
		sn_buf_add(out, text + at, end);
		sn_buf_text(out, sentence_end ? "|" : "/");
		at += end;
	}
	sn_buf_printf(out, "[%s]", text + at);
}

/* The same where the text comes byte by byte and each piece is taken as soon as it is there. */
static void cut_as_it_comes(const char *text, const char *locale, int early, sn_buf *out) {
	int sentence_end = 0;
	size_t at = 0, size = strlen(text);
	sn_buf_clear(out);
	for (size_t have = 1; have <= size; have++) {
		if (((unsigned char)text[have] & 0xc0) == 0x80)
			continue;
		size_t end = sn_clause_end(text + at, have - at, locale, early, &sentence_end);
		if (!end)
			continue;
		while (text[at] == ' ' || text[at] == '\n') {
			at++;
			end--;
		}
		sn_buf_add(out, text + at, end);
		sn_buf_text(out, sentence_end ? "|" : "/");
		at += end;
	}
	sn_buf_printf(out, "[%s]", text + at);
}

static void expect_cut(const char *text, const char *locale, int early, const char *expected) {
	sn_buf out;
	sn_buf_init(&out, 1 << 16);
	cut_all(text, locale, early, &out);
	assert_string_equal(out.data, expected);
	cut_as_it_comes(text, locale, early, &out);
	assert_string_equal(out.data, expected);
	sn_buf_free(&out);
}

static void first_clauses_come_early(void **state) {
	expect_cut("Well, I think so, but then again", "en", 1, "Well, I think so,/[ but then again]");
	expect_cut("Sure! Here is what I found: two things", "en", 1, "Sure!|Here is what I found:/[ two things]");
	expect_cut("Sure! Here is what I found: two things.", "en", 0, "Sure!|[ Here is what I found: two things.]");
	expect_cut("one two three four five six seven eight nine ten eleven twelve thirteen", "en", 1,
	           "one two three four five six seven eight nine ten eleven twelve/[ thirteen]");
	expect_cut("A title\n\nThe text", "en", 0, "A title|[\n\nThe text]");
	expect_cut("你好世界朋友们，今天天气很好。我们", "zh", 1, "你好世界朋友们，/今天天气很好。|[我们]");
	expect_cut("\"Is it?\" he asked the old man, who said \"no.\" Then", "en", 1, "\"Is it?\"|he asked the old man,/who said \"no.\"|[ Then]");
}

static void nothing_is_cut_inside(void **state) {
	static const char *const whole[] = {
		"It costs 1,234.50 dollars at 10:30 on", "We met on May 3, 2024 in", "Ask Dr. Smith about it at", "See No. 5 in the",
		"Go to https://example.com/a,b?c=d;e now", "the U.S. troops went", "one two three four five six seven eight nine ten eleven 12 000 things",
"Mr. J. R. Tolkien wrote", "it weighs 5 kg and", "e.g. this one here",
		"The U.S. Army met", "J.R.R. Tolkien wrote", "Come at 5 p.m. Monday", "Nissan Motor Co. Ltd. makes", "He left the U.S. I", "at 5 p.m.",
	};
	for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) {
		char expected[256];
		snprintf(expected, sizeof expected, "[%s]", whole[i]);
		expect_cut(whole[i], "en", 1, expected);
	}
	expect_cut("He left the U.S. It is big. At 5 p.m. Bring it", "en", 1, "He left the U.S.|It is big.|At 5 p.m.|[ Bring it]");
	expect_cut("Am 3. Oktober kam er, z. B. mit dem Zug, an. Gut so", "de", 1, "Am 3. Oktober kam er,/z. B. mit dem Zug, an.|[ Gut so]");
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_element), cmocka_unit_test(pieces_say_the_same), cmocka_unit_test(malformed), cmocka_unit_test(hostile),
		cmocka_unit_test(beginnings), cmocka_unit_test(first_clauses_come_early), cmocka_unit_test(nothing_is_cut_inside),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
