/* sonant-phonemize: text to IPA by espeak-ng, for libsonant on the other end of standard input and output.
 *
 * This source is under the licence of the project (Apache-2.0). It is linked with libespeak-ng, which is under the GNU
 * General Public License, version 3 or later, and so the program as built is too. It shares no address space with
 * libsonant: it reads requests and writes replies (src/text/phonemize_wire.h). */
#include "base/buf.h"
#include "text/phonemize_wire.h"

#include <errno.h>
#include <espeak-ng/speak_lib.h>
#include <fcntl.h>
#include <limits.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>
#include <wchar.h>
#include <wctype.h>

static int read_all(void *data, size_t size) {
	char *at = data;
	while (size) {
		ssize_t n = read(0, at, size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return 0;
		at += n;
		size -= (size_t)n;
	}
	return 1;
}

static int write_all(const void *data, size_t size) {
	const char *at = data;
	while (size) {
		ssize_t n = write(1, at, size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return 0;
		at += n;
		size -= (size_t)n;
	}
	return 1;
}

static int reply(int code, const void *body, size_t size) {
	sn_wire_reply head = { SN_WIRE_MAGIC, code, (uint32_t)size };
	return write_all(&head, sizeof head) && write_all(body, size);
}

static int reply_text(int code, const char *text) { return reply(code, text, strlen(text)); }

/* ---- which punctuation ended a clause: espeak-ng's public interface does not tell ---- */

typedef struct mark {
	const wchar_t *characters;
	char terminator; /* 0: a pause that voices have no sign for */
	int sentence_end;
} mark;

/* By what espeak-ng 1.52 reports for each character of Unicode. */
static const mark marks[] = {
	{ L".\u06d4\u0701\u0704\u1362\u166e\u1803\u1809\u2cf9\u2cfe\u2e33\u2e3c\ua4ff\ua60e\ua6f3\ufe12\ufe52\uff61", '.', 1 },
	{ L"?\u037e\u061f\u0709\u1367\u1945\u2047\u2753\u2754\u2cfa\u2cfb\ua60f\ua6f7\ufe16\ufe56", '?', 1 },
	{ L"!\u0703\u07f9\u1944\u203c\u2755\u2757\u2762\u2763\ufe15\ufe57", '!', 1 },
	{ L",\u055d\u060c\u0702\u07f8\u0f14\u1363\u1802\u1808\u2e32\u2e34\u2e41\ua4fe\ua60d\ua6f5\ufe10\ufe11\ufe50\ufe51\uff64", ',', 0 },
	{ L":\u0706\u0707\u1365\u1366\u1804\u2982\ua6f4\ufe13\ufe55", ':', 0 },
	{ L";\u0387\u061b\u0708\u1364\u2013\u2014\u204f\u2e35\u2e3a\u2e3b\ua6f6\ufe14\ufe31\ufe32\ufe54", ';', 0 },
	{ L"\u0589\u0964\u0df4\u0f0d\u3002\uff01\uff0e\uff1f\u0700\u0965\u0f0e\u10fb\u1368\u2029", 0, 1 },
	{ L"\u00a1\u00bf\u1801\u2026\u22ee\u22ef\u22f0\u22f1\u3001\ufe19\uff0c\uff1a\uff1b", 0, 0 },
};

static const mark *find_mark(wchar_t c) {
	for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++)
		if (c && wcschr(marks[i].characters, c))
			return &marks[i];
	return NULL;
}

/* `clause`: the characters espeak-ng took for one clause; `last`: the text has ended with it. As espeak-ng reads: of
 * several marks in a row the first counts, three dots are a pause, an empty line ends a sentence without a sign, and
 * marks before any letter are none. */
static mark clause_end(const wchar_t *clause, int length, int last) {
	int lines = 0, spoken = 0, end = length;
	for (; end > 0 && iswspace((wint_t)clause[end - 1]); end--)
		lines += clause[end - 1] == '\n';
	for (int i = 0; i < end && !spoken; i++)
		spoken = iswalnum((wint_t)clause[i]) != 0;
	int first = end;
	while (first > 0 && find_mark(clause[first - 1]))
		first--;
	if (first == end || !(spoken || lines))
		return (mark){ NULL, 0, lines > 1 || last };
	if (lines > 1)
		return (mark){ NULL, 0, 1 };
	if (end - first >= 3 && clause[first] == '.' && clause[first + 1] == '.' && clause[first + 2] == '.')
		return (mark){ NULL, 0, 0 };
	return *find_mark(clause[first]);
}

/* ---- one request ---- */

/* Length of the valid UTF-8 character at text (size > 0) and its code, or 0. */
static int decode(const unsigned char *text, size_t size, wchar_t *code) {
	static const unsigned least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned c = text[0];
	int length = c < 0x80 ? 1 : c >= 0xc2 && c < 0xe0 ? 2 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xf0 && c < 0xf5 ? 4 : 0;
	if (!length || (size_t)length > size)
		return 0;
	if (length > 1)
		c &= 0xffu >> (length + 1);
	for (int i = 1; i < length; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (text[i] & 0x3f);
	}
	if (c < least[length] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	*code = (wchar_t)c;
	return length;
}

/* Replaces by spaces what espeak-ng would misread: invalid bytes, control characters (its embedded commands), private use. */
static void clean(unsigned char *text, size_t size) {
	for (size_t i = 0; i < size;) {
		wchar_t c = 0;
		int length = decode(text + i, size - i, &c), bad = !length;
		if (bad)
			length = 1;
		else
			bad = (c < 0x20 && c != '\n') || (c >= 0x7f && c < 0xa0) || (c >= 0xe000 && c < 0xf900);
		if (bad)
			memset(text + i, ' ', (size_t)length);
		i += (size_t)length;
	}
}

static int characters(const char *text, const char *end, wchar_t *out) {
	int count = 0;
	while (text < end) {
		int length = decode((const unsigned char *)text, (size_t)(end - text), &out[count]);
		text += length ? length : 1;
		count += length > 0;
	}
	return count;
}

/* A clause, behind which its phonemes follow. */
typedef struct part_clause {
	sn_wire_clause wire;
	int goes_on; /* the part of the text that it is in ended before it did */
} part_clause;

/* German phonemes whose IPA espeak-ng before 1.52 spells with question marks. */
static void add_phonemes(sn_buf *out, part_clause *clause, const char *phonemes) {
	static const char *const mended[][2] = { { "??", "ʊɐ" }, { "i?", "iɐ" } };
	size_t head = out->size;
	sn_buf_add(out, clause, sizeof *clause);
	for (const char *s = phonemes; *s;) {
		const char *text = NULL;
		for (size_t i = 0; !text && i < sizeof mended / sizeof mended[0]; i++)
			if (strncmp(s, mended[i][0], 2) == 0)
				text = mended[i][1];
		sn_buf_add(out, text ? text : s, text ? strlen(text) : 1);
		s += text ? 2 : 1;
	}
	clause->wire.size = (uint32_t)(out->size - head - sizeof *clause);
	if (!out->failed)
		memcpy(out->data + head, clause, sizeof *clause);
}

/* text: `size` cleaned bytes and a space, without which espeak-ng drops a last one-letter word; they are those `at` of the whole text,
 * which ends with them if `last`. wide: room for as many characters. */
static void phonemize(const char *text, size_t size, size_t at, int last, wchar_t *wide, sn_buf *out) {
	const char *begin = text, *end = text + size;
	const void *next = text;
	while (next && !out->failed) {
		const char *before = next;
		const char *phonemes = espeak_TextToPhonemes(&next, espeakCHARS_UTF8, espeakPHONEMES_IPA);
		if (!phonemes || (next && (const char *)next <= before))
			break;
		/* The last character taken is the first of the next clause: espeak-ng keeps it in mind. */
		const char *stop = next ? (const char *)next - 1 : end;
		while (next && stop > begin && (*stop & 0xc0) == 0x80)
			stop--;
		mark ended = clause_end(wide, characters(begin, stop, wide), last && !next);
		part_clause clause = { .wire = { .begin = (uint32_t)(at + (size_t)(begin - text)), .end = (uint32_t)(at + (size_t)(stop - text)),
			                             .terminator = (uint8_t)ended.terminator, .sentence_end = (uint8_t)ended.sentence_end },
			                   .goes_on = !last && !next && !ended.characters && !ended.sentence_end };
		add_phonemes(out, &clause, phonemes);
		begin = stop;
	}
}

/* Unread characters of the request before would start this one. */
static void forget(void) {
	const void *blank = " ";
	for (int i = 0; blank && i < 4; i++)
		espeak_TextToPhonemes(&blank, espeakCHARS_UTF8, espeakPHONEMES_IPA);
}

/* ---- voices ---- */

#define MANDARIN "cmn"
#define PINYIN "cmn-latn-pinyin"
#define LATIN "en"

static int has_voice(const char *name) {
	static char current[SN_WIRE_VOICE_MAX + 1];
	if (strcmp(name, current) == 0)
		return 1;
	current[0] = 0;
	if (espeak_SetVoiceByName(name) != EE_OK)
		return 0;
	strcpy(current, name);
	return 1;
}

static int before_1_52(void) {
	const char *path;
	char *minor;
	const long major = strtol(espeak_Info(&path), &minor, 10);
	return major < 1 || (major == 1 && *minor == '.' && strtol(minor + 1, NULL, 10) < 52);
}

/* *by_script: the voice reads all but Latin letters. The pinyin that "cmn" makes of Chinese characters is read as English before espeak-ng
 * 1.52. Its voice of pinyin reads them well, and Latin words as pinyin. */
static int choose_voice(const char *name, int *by_script) {
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_+";
	const size_t mandarin = sizeof MANDARIN - 1;
	*by_script = 0;
	if (!*name || strlen(name) > SN_WIRE_VOICE_MAX || strspn(name, allowed) != strlen(name))
		return 0;
	if (strncmp(name, MANDARIN, mandarin) == 0 && (!name[mandarin] || name[mandarin] == '+') && before_1_52())
		*by_script = has_voice(PINYIN);
	return *by_script || has_voice(name);
}

/* ---- text of two scripts ---- */

/* What a request needs, made once. */
typedef struct room {
	char *text, *part;
	wchar_t *wide;
	sn_buf own, latin, out; /* part_clause and phonemes by the voice asked for, and by that of Latin letters; the reply */
} room;

static int is_latin(wchar_t c) {
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= 0xc0 && c < 0x250 && c != 0xd7 && c != 0xf7);
}

/* Where the part at text ends: before the first letter or digit of another kind than its first one. */
static size_t part_end(const char *text, size_t size, int *latin) {
	int kind = -1;
	size_t i = 0;
	while (i < size) {
		wchar_t c = 0;
		const int length = decode((const unsigned char *)text + i, size - i, &c), is = is_latin(c);
		if (is || iswalnum((wint_t)c)) {
			if (kind >= 0 && kind != is)
				break;
			kind = is;
		}
		i += (size_t)(length ? length : 1);
	}
	*latin = kind > 0;
	return i;
}

/* All parts of Latin letters, or all others: a voice is slow to load. */
static void phonemize_kind(room *r, size_t size, int latin, sn_buf *out) {
	size_t length;
	for (size_t at = 0; at < size && !out->failed; at += length) {
		int is = 0;
		length = part_end(r->text + at, size - at, &is);
		if (is != latin)
			continue;
		if (!has_voice(latin ? LATIN : PINYIN)) {
			out->failed = SN_E_UNSUPPORTED;
			return;
		}
		memcpy(r->part, r->text + at, length);
		memcpy(r->part + length, " ", 2);
		forget();
		phonemize(r->part, length, at, at + length == size, r->wide, out);
	}
}

/* The clause at *at, and past it; without `take` it is only looked at. */
static part_clause clause_at(const sn_buf *from, size_t *at, int take) {
	part_clause clause = { .wire = { .begin = UINT32_MAX } };
	if (*at < from->size)
		memcpy(&clause, from->data + *at, sizeof clause);
	if (take)
		*at += sizeof clause + clause.wire.size;
	return clause;
}

/* The clauses of both in the order of the text, those that go on with what they go on with. */
static void join(room *r) {
	size_t own = 0, latin = 0, head = 0;
	part_clause clause = { 0 }, open = { 0 };
	while (own < r->own.size || latin < r->latin.size) {
		const int is_own = clause_at(&r->own, &own, 0).wire.begin < clause_at(&r->latin, &latin, 0).wire.begin;
		const sn_buf *const from = is_own ? &r->own : &r->latin;
		clause = clause_at(from, is_own ? &own : &latin, 1);
		const char *const phonemes = from->data + (is_own ? own : latin) - clause.wire.size;
		const uint32_t begin = open.goes_on ? open.wire.begin : clause.wire.begin;
		if (!open.goes_on) {
			head = r->out.size;
			sn_buf_add(&r->out, &clause.wire, sizeof clause.wire);
		} else if (open.wire.size && clause.wire.size) {
			sn_buf_text(&r->out, " ");
		}
		sn_buf_text(&r->out, !is_own && clause.wire.size ? "(" LATIN ")" : "");
		sn_buf_add(&r->out, phonemes, clause.wire.size);
		sn_buf_text(&r->out, !is_own && clause.wire.size ? "(" MANDARIN ")" : "");
		clause.wire.begin = begin;
		clause.wire.size = (uint32_t)(r->out.size - head - sizeof clause.wire);
		if (!r->out.failed)
			memcpy(r->out.data + head, &clause.wire, sizeof clause.wire);
		open = clause;
	}
}

/* ---- requests ---- */

static int serve(room *r) {
	sn_wire_request request;
	char voice[SN_WIRE_VOICE_MAX + 1] = "", *const text = r->text;
	int by_script;
	if (!read_all(&request, sizeof request) || request.magic != SN_WIRE_MAGIC || request.voice > SN_WIRE_VOICE_MAX ||
	    request.text > SN_WIRE_TEXT_MAX || !read_all(voice, request.voice) || !read_all(text, request.text))
		return 0;
	if (!choose_voice(voice, &by_script))
		return reply_text(SN_E_UNSUPPORTED, "espeak-ng has no such voice");
	size_t size = request.text;
	clean((unsigned char *)text, size);
	while (size && (text[size - 1] == ' ' || text[size - 1] == '\n'))
		size--;
	memcpy(text + size, " ", 2);
	sn_buf_clear(&r->own);
	sn_buf_clear(&r->latin);
	sn_buf_clear(&r->out);
	if (by_script) {
		phonemize_kind(r, size, 1, &r->latin);
		phonemize_kind(r, size, 0, &r->own);
	} else {
		forget();
		phonemize(text, size, 0, 1, r->wide, &r->own);
	}
	int failed = r->own.failed ? r->own.failed : r->latin.failed; /* the last clause may be half made */
	if (!failed) {
		join(r);
		failed = r->out.failed;
	}
	if (failed)
		return reply_text(failed, failed == SN_E_UNSUPPORTED ? "espeak-ng lacks the voice " LATIN " or " PINYIN
		                                                     : "the phonemes of this text take too much room");
	return reply(SN_OK, r->out.data ? r->out.data : "", r->out.size);
}

/* ---- sandbox ---- */

#ifdef __SANITIZE_ADDRESS__
#define MEMORY_MAX RLIM_INFINITY /* its shadow counts */
#else
#define MEMORY_MAX ((rlim_t)256 << 20)
#endif

static int limit(int what, rlim_t value) {
	struct rlimit limit = { value, value };
	return setrlimit((__rlimit_resource_t)what, &limit) == 0;
}

/* After this the process can read files and answer, nothing else: voices and dictionaries are read when first asked for. */
static int lock_down(void) {
	static const int allowed[] = { SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(close), SCMP_SYS(lseek), SCMP_SYS(fstat), SCMP_SYS(stat),
		                           SCMP_SYS(newfstatat), SCMP_SYS(getdents64), SCMP_SYS(brk), SCMP_SYS(mmap), SCMP_SYS(munmap),
		                           SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(mprotect), SCMP_SYS(futex), SCMP_SYS(exit),
		                           SCMP_SYS(exit_group), SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigaction),
		                           SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday), SCMP_SYS(getrandom), SCMP_SYS(access),
		                           SCMP_SYS(fcntl), SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(sigaltstack),
		                           SCMP_SYS(sched_yield), SCMP_SYS(clock_nanosleep) };
	if (!limit(RLIMIT_CORE, 0) || !limit(RLIMIT_FSIZE, 0) || !limit(RLIMIT_NOFILE, 32) || !limit(RLIMIT_DATA, MEMORY_MAX) ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return 0;
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (!filter)
		return 0;
	int failed = 0;
	for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++)
		failed |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0) < 0;
	const scmp_datum_t own = (scmp_datum_t)getpid();
	failed |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, SCMP_A0(SCMP_CMP_EQ, own)) < 0; /* abort() */
	const uint64_t writing = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | O_APPEND;
	failed |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, writing, 0)) < 0;
	failed |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(open), 1, SCMP_A1(SCMP_CMP_MASKED_EQ, writing, 0)) < 0;
	failed |= seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1) < 0; /* espeak-ng has started threads */
	failed |= seccomp_load(filter) < 0;
	seccomp_release(filter);
	return !failed;
}

/* The folder for espeak-ng to look for its data in: that of this program where the data lie beside it, else NULL for where the system has
 * them. It is made the current folder, since espeak-ng cuts longer paths. */
static const char *data_folder(void) {
	char path[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
	if (length <= 0)
		return NULL;
	path[length] = 0;
	char *slash = strrchr(path, '/');
	if (!slash || (size_t)(slash - path) + sizeof "/espeak-ng-data" > sizeof path)
		return NULL;
	strcpy(slash, "/espeak-ng-data");
	if (access(path, R_OK | X_OK) != 0)
		return NULL;
	*slash = 0;
	return chdir(path) == 0 ? "." : NULL;
}

/* The argument, which may be missing, is a voice to load at once. */
int main(int count, char **arguments) {
	signal(SIGPIPE, SIG_IGN);
	if (espeak_Initialize(AUDIO_OUTPUT_SYNCHRONOUS, 0, data_folder(), espeakINITIALIZE_DONT_EXIT) < 0)
		return !reply_text(SN_E_DEPENDENCY, "espeak-ng found no data (Debian: espeak-ng-data)");
	if (!lock_down())
		return !reply_text(SN_E_DEPENDENCY, "sonant-phonemize could not enter its sandbox (seccomp)");
	room r = { .text = malloc(SN_WIRE_TEXT_MAX + 2), .part = malloc(SN_WIRE_TEXT_MAX + 2), .wide = malloc((SN_WIRE_TEXT_MAX + 2) * sizeof(wchar_t)) };
	sn_buf_init(&r.own, SN_WIRE_REPLY_MAX);
	sn_buf_init(&r.latin, SN_WIRE_REPLY_MAX);
	sn_buf_init(&r.out, SN_WIRE_REPLY_MAX);
	int by_script = 0;
	if (!r.text || !r.part || !r.wide)
		return !reply_text(SN_E_MEMORY, "out of memory in sonant-phonemize");
	if (count > 1 && choose_voice(arguments[1], &by_script))
		forget();
	if (reply(SN_OK, NULL, 0))
		while (serve(&r))
			;
	free(r.text);
	free(r.part);
	free(r.wide);
	sn_buf_free(&r.own);
	sn_buf_free(&r.latin);
	sn_buf_free(&r.out);
	return 0;
}
