#include "pull.h"

#include <curl/curl.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define TOGETHER 4       /* files at once */
#define REDIRECTS 8L
#define STALL 30L        /* seconds of less than a kilobyte each */
#define TRIES 4          /* in a row that bring nothing new */
#define MOST_TRIES 40    /* of one file */

int pull_http_open(char *err) {
	return curl_global_init(CURL_GLOBAL_DEFAULT) == 0 ? SN_OK : sn_fail(err, SN_E_DEPENDENCY, "libcurl cannot be used");
}

void pull_http_close(void) { curl_global_cleanup(); }

/* ---- what every request has ---- */

typedef struct request {
	CURL *easy;
	struct curl_slist *headers;
	char why[CURL_ERROR_SIZE];
	pull_answer answer;
} request;

static void copy_value(char *out, size_t size, const char *value, size_t length) {
	while (length && isspace((unsigned char)*value))
		value++, length--;
	while (length && isspace((unsigned char)value[length - 1]))
		length--;
	snprintf(out, size, "%.*s", (int)(length < size ? length : size - 1), value);
}

static int64_t number(const char *text) {
	char *end;
	errno = 0;
	const long long value = strtoll(text, &end, 10);
	return errno || end == text || value < 0 ? -1 : value;
}

static void clear_answer(pull_answer *a) {
	*a = (pull_answer){ .length = -1, .linked_size = -1, .retry_after = -1, .range_first = -1, .range_total = -1 };
}

/* Headers that the hub gives with a redirect tell of the file behind it, so they are kept; the rest is the last answer's. */
static size_t read_header(char *line, size_t size, size_t count, void *payload) {
	pull_answer *const a = payload;
	const struct { const char *name; char *text; size_t size; int64_t *number; } known[] = {
		{ "x-error-code:", a->error_code, sizeof a->error_code, NULL }, { "x-error-message:", a->error_message, sizeof a->error_message, NULL },
		{ "etag:", a->etag, sizeof a->etag, NULL }, { "x-linked-etag:", a->linked_etag, sizeof a->linked_etag, NULL },
		{ "x-repo-commit:", a->commit, sizeof a->commit, NULL }, { "content-type:", a->type, sizeof a->type, NULL },
		{ "content-length:", NULL, 0, &a->length }, { "x-linked-size:", NULL, 0, &a->linked_size },
		{ "retry-after:", NULL, 0, &a->retry_after },
	};
	const size_t length = size * count;
	char text[64];
	if (length > 5 && strncmp(line, "HTTP/", 5) == 0) {
		*a->etag = *a->type = 0;
		a->length = a->range_first = a->range_total = -1;
	}
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		const size_t name = strlen(known[i].name);
		if (length <= name || strncasecmp(line, known[i].name, name) != 0)
			continue;
		if (known[i].text)
			copy_value(known[i].text, known[i].size, line + name, length - name);
		else
			copy_value(text, sizeof text, line + name, length - name), *known[i].number = number(text);
	}
	long long first, last, total;
	copy_value(text, sizeof text, line, length);
	const int read = strncasecmp(text, "content-range:", 14) == 0 ? sscanf(text + 14, " bytes %lld-%lld/%lld", &first, &last, &total) : 0;
	a->range_first = read >= 2 ? first : a->range_first;
	a->range_total = read == 3 ? total : a->range_total; /* may be "*" */
	return length;
}

static void add_header(request *r, const char *name, const char *value) {
	char line[1200];
	snprintf(line, sizeof line, "%s: %s", name, value);
	struct curl_slist *const more = curl_slist_append(r->headers, line);
	r->headers = more ? more : r->headers;
}

static void close_request(request *r) {
	curl_easy_cleanup(r->easy);
	curl_slist_free_all(r->headers);
	r->easy = NULL;
	r->headers = NULL;
}

static int is_below(const char *url, const char *base) {
	const size_t size = strlen(base);
	return size && strncmp(url, base, size) == 0 && (url[size] == '/' || url[size] == 0);
}

static long stall(void) {
	const char *const set = getenv("HF_HUB_DOWNLOAD_TIMEOUT");
	const int64_t seconds = set ? number(set) : -1;
	return seconds > 0 && seconds < 3600 ? (long)seconds : STALL;
}

/* The token goes to the hub's endpoint and, as libcurl keeps it from other hosts than the first, nowhere else. userinfo NULL: p's, for
 * the same place. */
static int open_request(request *r, const pull *p, const char *url, const char *userinfo) {
	const int insecure = strncmp(url, "http://", 7) == 0;
	CURL *const c = r->easy = curl_easy_init();
	if (!c)
		return 0;
	if (!userinfo)
		userinfo = !*p->endpoint || is_below(url, p->endpoint) ? p->userinfo : "";
	clear_answer(&r->answer);
	*r->why = 0;
	if (*p->token && *p->endpoint && is_below(url, p->endpoint)) {
		curl_easy_setopt(c, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
		curl_easy_setopt(c, CURLOPT_XOAUTH2_BEARER, p->token);
	} else if (*userinfo) {
		curl_easy_setopt(c, CURLOPT_USERPWD, userinfo);
	} else if (!*p->endpoint) { /* of packages; never together with a token */
		curl_easy_setopt(c, CURLOPT_NETRC, (long)CURL_NETRC_OPTIONAL);
	}
	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, insecure ? "http,https" : "https");
	curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
	curl_easy_setopt(c, CURLOPT_MAXREDIRS, REDIRECTS);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, PULL_CONNECT);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1024L);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, stall());
	curl_easy_setopt(c, CURLOPT_USERAGENT, "sonant/" SONANT_VERSION);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, r->why);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, read_header);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, &r->answer);
	if (*p->certificates)
		curl_easy_setopt(c, CURLOPT_CAINFO, p->certificates);
	return 1;
}

static void read_status(request *r, CURLcode code) {
	curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &r->answer.status);
	if (code != CURLE_OK)
		snprintf(r->answer.why, sizeof r->answer.why, "%s", *r->why ? r->why : curl_easy_strerror(code));
}

/* ---- pages ---- */

static size_t to_buffer(char *data, size_t size, size_t count, void *target) {
	return sn_buf_add(target, data, size * count) == SN_OK ? size * count : 0;
}

int pull_http_page(const pull *p, const char *url, const char *accept, sn_buf *body, pull_answer *answer, char *err) {
	request r = { 0 };
	if (!open_request(&r, p, url, NULL))
		return sn_fail(err, SN_E_MEMORY, "no memory for a request");
	if (accept)
		add_header(&r, "Accept", accept);
	curl_easy_setopt(r.easy, CURLOPT_HTTPHEADER, r.headers);
	curl_easy_setopt(r.easy, CURLOPT_TIMEOUT, 120L);
	if (body) {
		curl_easy_setopt(r.easy, CURLOPT_ACCEPT_ENCODING, "");
		curl_easy_setopt(r.easy, CURLOPT_WRITEFUNCTION, to_buffer);
		curl_easy_setopt(r.easy, CURLOPT_WRITEDATA, body);
	} else {
		curl_easy_setopt(r.easy, CURLOPT_NOBODY, 1L);
	}
	const CURLcode code = curl_easy_perform(r.easy);
	read_status(&r, code);
	*answer = r.answer;
	close_request(&r);
	if (code == CURLE_OK)
		return SN_OK;
	if (body && body->failed == SN_E_LIMIT)
		return sn_fail(err, SN_E_LIMIT, "%.300s answers with more than %zu MB", url, body->max >> 20);
	return sn_fail(err, SN_E_IO, "%.300s: %s", url, answer->why);
}

int pull_http_url(const pull *p, const char *remote, char url[PULL_URL]) {
	sn_buf text;
	sn_buf_init(&text, PULL_URL - 1);
	sn_buf_printf(&text, "%s/%s/resolve/%s/", p->endpoint, p->repository, p->commit);
	for (const char *part = remote; *part; part += strcspn(part, "/")) {
		part += *part == '/';
		char *const escaped = curl_easy_escape(NULL, part, (int)strcspn(part, "/"));
		sn_buf_printf(&text, "%s%s", part == remote ? "" : "/", escaped ? escaped : "");
		curl_free(escaped);
	}
	const int good = text.failed == SN_OK;
	if (good)
		strcpy(url, text.data);
	sn_buf_free(&text);
	return good;
}

/* ---- files ---- */

/* One file on its way. */
typedef struct transfer {
	pull *p;
	pull_file *file;
	const char *userinfo;
	request request;
	pull_hash hash;
	char url[PULL_URL], path[SN_STORE_PATH], tag_path[SN_STORE_PATH], tag[256];
	int64_t have, best;          /* bytes in the part; the most there were */
	int out, tries, all_tries, resumed, begun, again, result; /* result: what the body showed before its end */
	double not_before;
	char err[SN_ERRLEN];
} transfer;

/* Bytes of the part count again from the start. */
static int start_anew(transfer *t) {
	pull_hash_close(&t->hash, NULL, NULL);
	t->p->bytes -= t->have;
	t->have = 0;
	t->resumed = 0;
	if (ftruncate(t->out, 0) != 0 || lseek(t->out, 0, SEEK_SET) != 0)
		return sn_fail_errno(t->err, "%.200s cannot be written", t->path);
	return pull_hash_open(&t->hash, strlen(t->file->hash) == 40 ? t->file->size : -1, t->err);
}

/* Takes up what is in the part; its tag says which version of the file the server gave. */
static int open_part(transfer *t) {
	static char block[PULL_BLOCK];
	ssize_t count = 0;
	t->out = open(t->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
	if (t->out < 0)
		return sn_fail_errno(t->err, "%.300s cannot be written", t->path);
	const int tag = open(t->tag_path, O_RDONLY | O_CLOEXEC);
	count = tag >= 0 ? read(tag, t->tag, sizeof t->tag - 1) : 0;
	t->tag[count > 0 ? count : 0] = 0;
	if (tag >= 0)
		close(tag);
	int result = pull_hash_open(&t->hash, strlen(t->file->hash) == 40 ? t->file->size : -1, t->err);
	while (result == SN_OK && (count = read(t->out, block, sizeof block)) > 0) {
		pull_hash_add(&t->hash, block, (size_t)count);
		t->have += count;
	}
	t->resumed = t->have > 0;
	t->best = t->have;
	if (result == SN_OK && (count < 0 || (t->file->size >= 0 && t->have > t->file->size)))
		result = start_anew(t);
	return result;
}

static void keep_tag(transfer *t) {
	const char *const tag = t->request.answer.etag;
	const int out = *tag == '"' ? open(t->tag_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666) : -1;
	snprintf(t->tag, sizeof t->tag, "%s", *tag == '"' ? tag : "");
	if (out < 0) {
		unlink(t->tag_path);
		return;
	}
	if (write(out, tag, strlen(tag)) < 0) /* then the next pull asks without it */
		unlink(t->tag_path);
	close(out);
}

/* "W/"-less and without its quotes. */
static const char *bare_tag(const char *tag, char out[256]) {
	snprintf(out, 256, "%s", *tag == '"' ? tag + 1 : tag);
	out[strcspn(out, "\"")] = 0;
	return out;
}

/* Looks at the headers before the first byte of a body. A result; SN_AGAIN: the body is of no interest. */
static int begin_body(transfer *t) {
	const pull_answer *const a = &t->request.answer;
	const pull_file *const f = t->file;
	char tag[256];
	long status = 0;
	curl_easy_getinfo(t->request.easy, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200 && status != 206)
		return SN_AGAIN;
	if (strncasecmp(a->type, "text/html", 9) == 0 && !sn_path_ends_with(f->name, ".html"))
		return sn_fail(t->err, SN_E_FORMAT, "%.200s answers with a web page instead of %.100s: is a proxy or a login page in between?", t->url, f->name);
	bare_tag(a->linked_etag, tag);
	if (*tag && strlen(tag) == strlen(f->hash) && strcasecmp(tag, f->hash) != 0)
		return sn_fail(t->err, SN_E_FORMAT, "%.100s: the hub offers the hash %.64s, its listing has %.64s", f->name, tag, f->hash);
	if (status == 206 && (a->range_first != t->have || (f->size >= 0 && a->range_total >= 0 && a->range_total != f->size)))
		return sn_fail(t->err, SN_E_FORMAT, "%.100s: asked for from byte %lld of %lld, the server sends from %lld of %lld", f->name, (long long)t->have,
		               (long long)f->size, (long long)a->range_first, (long long)a->range_total);
	if (status == 200 && t->have > 0 && start_anew(t) != SN_OK)
		return SN_E_IO;
	if (f->size >= 0 && a->length >= 0 && a->length != f->size - t->have)
		return sn_fail(t->err, SN_E_FORMAT, "%.100s: the server speaks of %lld bytes where the listing leaves %lld", f->name, (long long)a->length,
		               (long long)(f->size - t->have));
	keep_tag(t);
	return SN_OK;
}

static int write_all(int out, const char *data, size_t size) {
	while (size) {
		const ssize_t count = write(out, data, size);
		if (count < 0 && errno != EINTR)
			return 0;
		data += count > 0 ? count : 0;
		size -= count > 0 ? (size_t)count : 0;
	}
	return 1;
}

static size_t to_part(char *data, size_t size, size_t count, void *payload) {
	transfer *const t = payload;
	const size_t length = size * count;
	if (!t->begun) {
		t->begun = 1;
		t->result = begin_body(t);
	}
	if (t->result != SN_OK) /* also the body of a refusal, which might not end */
		return 0;
	const int64_t most = t->file->size >= 0 ? t->file->size : PULL_MAX_FILE;
	if ((int64_t)length > most - t->have) {
		t->result = sn_fail(t->err, SN_E_FORMAT, "%.100s: the server sends more than the %lld bytes that the listing states", t->file->name,
		                    (long long)most);
		return 0;
	}
	if (!write_all(t->out, data, length)) {
		const int full = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;
		t->result = sn_fail_errno(t->err, "%.200s cannot be written", t->path);
		if (full)
			t->result = sn_fail(t->err, SN_E_NO_SPACE, "the disk of %.200s is full: %.100s needs %lld bytes more; what came is kept for the next pull",
			                    t->p->models, t->file->name, (long long)(most - t->have));
		return 0;
	}
	pull_hash_add(&t->hash, data, length);
	t->have += (int64_t)length;
	t->p->bytes += (int64_t)length;
	t->p->fetched += (int64_t)length;
	if (!pull_show(t->p, t->file->name, t->have, t->file->size))
		t->result = sn_fail(t->err, SN_E_CANCELLED, "nobody waits for the model any more");
	return t->result == SN_OK ? length : 0;
}

/* Asks for what is missing of the part. */
static int ask(transfer *t, CURLM *multi) {
	char range[48];
	t->begun = 0;
	t->result = SN_OK;
	t->request.headers = NULL;
	if (!open_request(&t->request, t->p, t->url, t->userinfo))
		return sn_fail(t->err, SN_E_MEMORY, "no memory for a request");
	if (t->have > 0) {
		snprintf(range, sizeof range, "%lld-", (long long)t->have);
		curl_easy_setopt(t->request.easy, CURLOPT_RANGE, range);
		if (*t->tag)
			add_header(&t->request, "If-Range", t->tag);
	}
	curl_easy_setopt(t->request.easy, CURLOPT_HTTPHEADER, t->request.headers);
	curl_easy_setopt(t->request.easy, CURLOPT_WRITEFUNCTION, to_part);
	curl_easy_setopt(t->request.easy, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(t->request.easy, CURLOPT_PRIVATE, t);
	return curl_multi_add_handle(multi, t->request.easy) == CURLM_OK ? SN_OK : sn_fail(t->err, SN_E_MEMORY, "no memory for a request");
}

/* The part is complete: SN_OK, SN_AGAIN (it was spoilt before and is fetched anew), or what is wrong with it. */
static int check_part(transfer *t) {
	char sha256[65] = "", git[41] = "";
	pull_file *const f = t->file;
	pull_hash_close(&t->hash, sha256, git);
	const char *const own = strlen(f->hash) == 40 ? git : sha256;
	if (*f->hash && strcasecmp(own, f->hash) != 0) {
		if (t->resumed && !t->again) {
			t->again = 1;
			return start_anew(t) == SN_OK ? SN_AGAIN : SN_E_IO;
		}
		unlink(t->path);
		unlink(t->tag_path);
		return sn_fail(t->err, SN_E_FORMAT, "%.100s came with the %s %s instead of %s; nothing was installed", f->name,
		               strlen(f->hash) == 40 ? "SHA-1" : "SHA-256", own, f->hash);
	}
	strcpy(f->sha256, sha256);
	if (fsync(t->out) != 0)
		return sn_fail_errno(t->err, "%.200s cannot be written", t->path);
	f->size = t->have;
	f->whole = 1;
	return SN_OK;
}

/* After an answer, whole or not: SN_OK the file is done, SN_AGAIN ask again (not_before says when), else it failed. */
static int judge(transfer *t, CURLcode code) {
	const pull_file *const f = t->file;
	if (t->result == SN_AGAIN && code == CURLE_WRITE_ERROR)
		code = CURLE_OK; /* the body was of no interest */
	read_status(&t->request, code);
	const pull_answer *const a = &t->request.answer;
	if (t->result != SN_OK && t->result != SN_AGAIN)
		return t->result;
	if (code == CURLE_OK && !t->begun && a->status == 200 && (t->result = begin_body(t)) != SN_OK) /* an empty body */
		return t->result;
	const int broken = code != CURLE_OK || a->status >= 500 || a->status == 416;
	if (code == CURLE_TOO_MANY_REDIRECTS)
		return sn_fail(t->err, SN_E_IO, "%.300s leads in circles: more than %ld redirects", t->url, REDIRECTS);
	if (code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_PEER_FAILED_VERIFICATION)
		return sn_fail(t->err, SN_E_IO, "%.250s: %s", t->url, a->why);
	if (!broken && a->status != 200 && a->status != 206)
		return pull_hub_explain(t->p, a, f->remote, t->err);
	if (!broken && (f->size < 0 || t->have == f->size))
		return check_part(t);
	if (a->status == 416 && start_anew(t) != SN_OK)
		return SN_E_IO;
	t->tries = t->have > t->best ? 0 : t->tries + 1;
	t->best = t->have > t->best ? t->have : t->best;
	if (t->tries >= TRIES || ++t->all_tries >= MOST_TRIES)
		return sn_fail(t->err, SN_E_IO, "%.200s: %s after %lld of %lld bytes; a new pull goes on from there", t->url,
		               *a->why ? a->why : a->status >= 500 ? "the server failed" : "it ended", (long long)t->have, (long long)f->size);
	t->not_before = pull_now() + 0.25 * (double)(1 << t->tries);
	return SN_AGAIN;
}

static void close_transfer(transfer *t) {
	close_request(&t->request);
	pull_hash_close(&t->hash, NULL, NULL);
	if (t->out >= 0)
		close(t->out);
	free(t);
}

static transfer *new_transfer(pull *p, pull_file *file, int *result, char *err) {
	transfer *const t = calloc(1, sizeof *t);
	if (!t) {
		*result = sn_fail(err, SN_E_MEMORY, "no memory for a transfer");
		return NULL;
	}
	t->p = p;
	t->file = file;
	t->out = -1;
	return t;
}

/* Begins or ends transfers that libcurl has done with; *result is the first failure. */
static void harvest(CURLM *multi, transfer *running[TOGETHER], int *result, char *err) {
	int left;
	for (CURLMsg *message; (message = curl_multi_info_read(multi, &left));) {
		transfer *t = NULL;
		const CURLcode code = message->data.result;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&t);
		const int end = judge(t, code);
		curl_multi_remove_handle(multi, t->request.easy);
		close_request(&t->request);
		if (end == SN_AGAIN)
			continue;
		if (end != SN_OK && *result == SN_OK)
			*result = sn_fail(err, end, "%s", t->err);
		for (int i = 0; i < TOGETHER; i++)
			running[i] = running[i] == t ? NULL : running[i];
		close_transfer(t);
	}
}

/* Runs transfers until all are done or one has failed; `next` gives them, NULL: no more. */
static int run(pull *p, transfer *(*next)(pull *, void *, int *, char *), void *payload, char *err) {
	transfer *running[TOGETHER] = { 0 };
	CURLM *const multi = curl_multi_init();
	int result = multi ? SN_OK : sn_fail(err, SN_E_MEMORY, "no memory for requests"), more = 1, busy = 1, active;
	while (result == SN_OK && busy) {
		busy = 0;
		for (int i = 0; i < TOGETHER && result == SN_OK; i++) {
			if (!running[i] && more) {
				running[i] = next(p, payload, &result, err);
				more = running[i] != NULL;
			}
			if (running[i] && !running[i]->request.easy && pull_now() >= running[i]->not_before && result == SN_OK) {
				const int sent = ask(running[i], multi);
				result = sent == SN_OK ? SN_OK : sn_fail(err, sent, "%s", running[i]->err);
			}
			busy += running[i] != NULL;
		}
		if (result == SN_OK && busy && (curl_multi_perform(multi, &active) != CURLM_OK || curl_multi_poll(multi, NULL, 0, 100, NULL) != CURLM_OK))
			result = sn_fail(err, SN_E_IO, "libcurl cannot go on");
		harvest(multi, running, &result, err);
		if (result == SN_OK && !pull_show(p, "", 0, 0))
			result = sn_fail(err, SN_E_CANCELLED, "nobody waits for the model any more");
	}
	for (int i = 0; i < TOGETHER; i++)
		if (running[i]) {
			if (running[i]->request.easy)
				curl_multi_remove_handle(multi, running[i]->request.easy);
			close_transfer(running[i]);
		}
	curl_multi_cleanup(multi);
	return result;
}

static transfer *next_file(pull *p, void *payload, int *result, char *err) {
	int *const at = payload;
	while (*at < p->count && p->files[*at].whole)
		++*at;
	transfer *const t = *at < p->count ? new_transfer(p, &p->files[(*at)++], result, err) : NULL;
	if (!t)
		return NULL;
	*result = !pull_http_url(p, t->file->remote, t->url) ? sn_fail(t->err, SN_E_LIMIT, "the URL of %.200s is too long", t->file->remote)
		: pull_place_part(p, t->file, "", t->path, t->err);
	if (*result == SN_OK)
		*result = pull_place_part(p, t->file, ".tag", t->tag_path, t->err);
	if (*result == SN_OK)
		*result = open_part(t);
	if (*result == SN_OK && t->file->size >= 0 && t->have == t->file->size && t->resumed) { /* broken off just before its end */
		*result = check_part(t);
		*result = *result == SN_AGAIN ? SN_OK : *result;
	}
	if (*result == SN_OK && !t->file->whole)
		return t;
	if (*result != SN_OK)
		sn_fail(err, *result, "%s", t->err);
	close_transfer(t);
	return *result == SN_OK ? next_file(p, payload, result, err) : NULL;
}

int pull_http_files(pull *p, char *err) {
	int at = 0;
	return run(p, next_file, &at, err);
}

typedef struct single { const char *url, *userinfo, *path; pull_file *file; int given; } single;

static transfer *next_single(pull *p, void *payload, int *result, char *err) {
	single *const s = payload;
	transfer *const t = s->given++ ? NULL : new_transfer(p, s->file, result, err);
	if (!t)
		return NULL;
	t->userinfo = s->userinfo;
	*result = snprintf(t->url, sizeof t->url, "%s", s->url) >= (int)sizeof t->url ||
		snprintf(t->path, sizeof t->path, "%s", s->path) >= (int)sizeof t->path ||
		snprintf(t->tag_path, sizeof t->tag_path, "%s.tag", s->path) >= (int)sizeof t->tag_path
		? sn_fail(t->err, SN_E_LIMIT, "a path or URL is too long") : open_part(t);
	if (*result == SN_OK)
		return t;
	sn_fail(err, *result, "%s", t->err);
	close_transfer(t);
	return NULL;
}

int pull_http_one(pull *p, const char *url, const char *userinfo, const char *path, int64_t size, const char *hash, char *err) {
	pull_file *const file = calloc(1, sizeof *file);
	single s = { url, userinfo, path, file, 0 };
	if (!file)
		return sn_fail(err, SN_E_MEMORY, "no memory for a transfer");
	const char *const slash = strrchr(path, '/');
	snprintf(file->name, sizeof file->name, "%s", slash ? slash + 1 : path);
	snprintf(file->remote, sizeof file->remote, "%s", file->name);
	snprintf(file->hash, sizeof file->hash, "%s", hash);
	file->size = size;
	const int result = run(p, next_single, &s, err);
	char tag[SN_STORE_PATH];
	if (result == SN_OK && snprintf(tag, sizeof tag, "%s.tag", path) < (int)sizeof tag)
		unlink(tag);
	p->file = NULL;
	free(file);
	return result;
}
