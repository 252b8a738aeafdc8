#include "server/form.h"

#include "server/api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct sv_form {
	sv_form_sink sink;
	void *payload;
	enum { BEFORE, BOUNDARY, HEADERS, BODY, AFTER } state; /* BOUNDARY: behind one, on its line */
	char delimiter[SV_FORM_BOUNDARY + 8]; /* CR LF -- boundary: its CR stands nowhere else in it */
	size_t delimiter_size, matched;
	char line[2];                         /* what follows a boundary: "--", or the line's end */
	int line_size;
	char headers[SV_FORM_HEADERS];        /* of the part: lines that end with a NUL */
	size_t fill, line_start;
	sv_form_part part;
};

/* ---- header values ---- */

/* A value of a parameter, plain or quoted, from behind its '='. Inside quotes a backslash stands before '"' and '\\' only: names of
 * files of old browsers have single ones. Returns what follows. */
static const char *take_value(const char *at, char *out, size_t room) {
	const int quoted = *at == '"';
	size_t n = 0;
	for (at += quoted; *at && (quoted ? *at != '"' : !strchr("; \t", *at)); at++) {
		if (quoted && *at == '\\' && (at[1] == '"' || at[1] == '\\'))
			at++;
		if (n + 1 < room)
			out[n++] = *at;
	}
	out[n] = 0;
	return at + (quoted && *at == '"');
}

/* The parameter of a header "value; name=...; other="..."". 0: it has none of that name. */
static int parameter(const char *header, const char *name, char *out, size_t room) {
	const size_t size = strlen(name);
	char other[4];
	for (const char *at = header + strcspn(header, ";"); *at == ';'; at += strcspn(at, ";")) {
		at += 1 + strspn(at + 1, " \t");
		const size_t length = strcspn(at, "= \t;");
		const char *const equals = at + length + strspn(at + length, " \t");
		const int found = length == size && strncasecmp(at, name, size) == 0;
		at = equals;
		if (*equals == '=')
			at = take_value(equals + 1 + strspn(equals + 1, " \t"), found ? out : other, found ? room : sizeof other);
		if (*equals == '=' && found)
			return 1;
	}
	return 0;
}

/* charset'language'text with %XX, in place, as UTF-8. 0: another charset than UTF-8 and Latin-1, or no such value. */
static int decode_extended(char *text, size_t room) {
	const char *const language = strchr(text, '\'');
	const char *from = language ? strchr(language + 1, '\'') : NULL;
	const int latin = strncasecmp(text, "iso-8859-1'", 11) == 0;
	char out[SV_FORM_NAME];
	size_t n = 0;
	if (!from || (!latin && strncasecmp(text, "utf-8'", 6) != 0))
		return 0;
	while (*++from && n + 3 < sizeof out) {
		const int high = *from == '%' ? sv_hex(from[1]) : -1, low = high >= 0 ? sv_hex(from[2]) : -1;
		const unsigned char byte = low >= 0 ? (unsigned char)(high * 16 + low) : (unsigned char)*from;
		from += low >= 0 ? 2 : 0;
		if (latin && byte >= 0x80)
			out[n++] = (char)(0xc0 | byte >> 6);
		if (byte) /* a NUL would end the name */
			out[n++] = (char)(latin && byte >= 0x80 ? 0x80 | (byte & 0x3f) : byte);
	}
	out[n] = 0;
	snprintf(text, room, "%s", out);
	return 1;
}

/* filename* counts before filename, which then is a stand-in for those that do not know it. */
static void take_disposition(sv_form_part *p, const char *value) {
	char extended[SV_FORM_NAME];
	parameter(value, "name", p->name, sizeof p->name);
	const int plain = parameter(value, "filename", p->file_name, sizeof p->file_name);
	const int other = parameter(value, "filename*", extended, sizeof extended);
	p->is_file = plain || other;
	if (other && decode_extended(extended, sizeof extended))
		memcpy(p->file_name, extended, sizeof extended);
}

static int begin_part(sv_form *f, char *err) {
	static const char disposition[] = "Content-Disposition:", encoding[] = "Content-Transfer-Encoding:";
	f->part = (sv_form_part){ .is_file = 0 };
	for (const char *line = f->headers; line < f->headers + f->fill; line += strlen(line) + 1) {
		if (strncasecmp(line, disposition, sizeof disposition - 1) == 0)
			take_disposition(&f->part, line + sizeof disposition - 1);
		if (strncasecmp(line, encoding, sizeof encoding - 1) == 0) {
			const char *const value = line + sizeof encoding - 1;
			snprintf(f->part.encoding, sizeof f->part.encoding, "%.*s", (int)strcspn(value + strspn(value, " \t"), " \t;"), value + strspn(value, " \t"));
		}
	}
	if (!*f->part.name)
		return sn_fail(err, SN_E_FORMAT, "a part of the form has no name; Content-Disposition: form-data; name=\"file\" would be right");
	f->fill = f->line_start = 0;
	f->state = BODY;
	return f->sink.begin(f->payload, &f->part);
}

/* ---- the pieces ---- */

/* One byte of a part's headers. Lines end with CR LF, or LF alone; one that begins with a space goes on with the one before. */
static int take_header(sv_form *f, char byte, char *err) {
	if (f->fill == SV_FORM_HEADERS)
		return sn_fail(err, SN_E_LIMIT, "the headers of a part of the form are longer than %zu bytes", SV_FORM_HEADERS);
	if (!byte)
		return sn_fail(err, SN_E_FORMAT, "a header of a part of the form has a NUL");
	if (byte != '\n') {
		if ((byte == ' ' || byte == '\t') && f->fill == f->line_start && f->fill) {
			f->headers[f->fill - 1] = ' ';
			f->line_start = f->fill - 1; /* the line has the space at least: it is not the empty one */
		} else {
			f->headers[f->fill++] = byte;
		}
		return SN_OK;
	}
	if (f->fill > f->line_start && f->headers[f->fill - 1] == '\r')
		f->fill--;
	if (f->fill == f->line_start)
		return begin_part(f, err);
	f->headers[f->fill++] = 0;
	f->line_start = f->fill;
	return SN_OK;
}

/* One byte behind a boundary: "--" ends the form; spaces, and then the line's end, begin a part. */
static int take_boundary(sv_form *f, char byte, char *err) {
	if (!f->line_size && (byte == ' ' || byte == '\t'))
		return SN_OK;
	f->line[f->line_size++] = byte;
	if (f->line_size == 1 && (byte == '-' || byte == '\r'))
		return SN_OK;
	if (f->line_size == 2 && f->line[0] == '-' && byte == '-')
		f->state = AFTER;
	else if (byte == '\n' && (f->line_size == 1 || f->line[0] == '\r'))
		f->state = HEADERS;
	else
		return sn_fail(err, SN_E_FORMAT, "the form is malformed: a boundary is followed by byte %u; a line's end or \"--\" would be right",
		               (unsigned char)f->line[f->line[0] == '-' || f->line[0] == '\r']);
	f->line_size = 0;
	return SN_OK;
}

/* What belongs to the part; before the first boundary to nobody. */
static int give(sv_form *f, const void *data, size_t size) {
	return size && f->state == BODY ? f->sink.data(f->payload, data, size) : SN_OK;
}

/* Bytes of a part, or those before the first, up to the next boundary, which are given on in one piece. Returns how many were taken, *result
 * SN_OK or an error. */
static size_t take_body(sv_form *f, const char *data, size_t size, int *result) {
	size_t at = 0, held = f->matched; /* of what is matched, that which came before data */
	*result = SN_OK;
	while (at < size && f->matched < f->delimiter_size && *result == SN_OK) {
		if (data[at] == f->delimiter[f->matched]) {
			f->matched++;
			at++;
		} else if (f->matched) { /* it was no boundary; a CR here may begin one */
			*result = give(f, f->delimiter, held);
			f->matched = held = 0;
		} else {
			const char *const next = memchr(data + at, '\r', size - at);
			at = next ? (size_t)(next - data) : size;
		}
	}
	if (*result == SN_OK)
		*result = give(f, data, at - (f->matched - held));
	if (f->matched < f->delimiter_size)
		return at;
	f->matched = 0;
	if (*result == SN_OK && f->state == BODY)
		*result = f->sink.end(f->payload);
	f->state = BOUNDARY;
	return at;
}

int sv_form_take(sv_form *f, const void *data, size_t size, char *err) {
	const char *at = data;
	int result = SN_OK;
	for (size_t left = size; left && result == SN_OK && f->state != AFTER;) {
		size_t taken = 1;
		if (f->state == HEADERS)
			result = take_header(f, *at, err);
		else if (f->state == BOUNDARY)
			result = take_boundary(f, *at, err);
		else
			taken = take_body(f, at, left, &result);
		at += taken;
		left -= taken;
	}
	if (result != SN_OK)
		f->state = AFTER;
	return result;
}

int sv_form_end(sv_form *f, char *err) {
	return f->state == AFTER    ? SN_OK
		: f->state == BEFORE ? sn_fail(err, SN_E_FORMAT, "the form is malformed: its boundary does not come in it")
		                     : sn_fail(err, SN_E_FORMAT, "the form is cut short: its last boundary is missing");
}

/* ---- opening ---- */

int sv_form_open(sv_form **out, const char *content_type, const sv_form_sink *sink, void *payload, char *err) {
	char boundary[SV_FORM_BOUNDARY + 2];
	*out = NULL;
	if (!parameter(content_type, "boundary", boundary, sizeof boundary) || !*boundary)
		return sn_fail(err, SN_E_FORMAT, "the form lacks its boundary: Content-Type: multipart/form-data; boundary=... would be right");
	if (strlen(boundary) > SV_FORM_BOUNDARY || strchr(boundary, '\r'))
		return sn_fail(err, SN_E_FORMAT, "the form's boundary is longer than %d bytes", SV_FORM_BOUNDARY);
	sv_form *const f = *out = calloc(1, sizeof *f);
	if (!f)
		return sn_fail(err, SN_E_MEMORY, "no memory for the form");
	f->sink = *sink;
	f->payload = payload;
	f->delimiter_size = (size_t)snprintf(f->delimiter, sizeof f->delimiter, "\r\n--%s", boundary);
	f->matched = 2; /* the first boundary may stand at the very beginning */
	return SN_OK;
}

void sv_form_close(sv_form **held) {
	free(*held);
	*held = NULL;
}
