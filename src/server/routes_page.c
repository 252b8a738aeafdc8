/* The page at / and what it is made of, from memory. */
#include "server/config.h"
#include "server/connection.h"
#include "server/page.h"

#include <stdio.h>
#include <string.h>

/* Nothing from elsewhere, nothing inline, in nobody's frame. blob: is audio that the page has recorded, received or drawn itself. */
static const char policy[] = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self' blob:; "
	"connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

static const sv_page_file *find_file(const char *name) {
	for (int i = 0; i < sv_page_file_count; i++)
		if (strcmp(sv_page_files[i].name, name) == 0)
			return &sv_page_files[i];
	return NULL;
}

/* Whether the client has this very content: If-None-Match is a list of tags, or *. */
static int is_held(const sv_request *request, const sv_page_file *file) {
	const char *const tags = MHD_lookup_connection_value(request->connection->mhd, MHD_HEADER_KIND, MHD_HTTP_HEADER_IF_NONE_MATCH);
	return tags && (strcmp(tags, "*") == 0 || strstr(tags, file->tag) != NULL);
}

static void reply_file(sv_request *request, sv_reply *reply, const sv_page_file *file, const char *name) {
	char message[160];
	if (!request->server->config->page)
		file = NULL;
	if (!file) {
		snprintf(message, sizeof message, request->server->config->page ? "the page has no file \"%.80s\"" : "the page is switched off", name);
		sv_reply_fail(reply, SN_E_NOT_FOUND, NULL, message);
		return;
	}
	sv_reply_header(reply, MHD_HTTP_HEADER_ETAG, file->tag);
	sv_reply_header(reply, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache"); /* asked for anew each time, answered 304 */
	sv_reply_header(reply, "Content-Security-Policy", policy);
	sv_reply_header(reply, "X-Frame-Options", "DENY");
	sv_reply_header(reply, "Referrer-Policy", "no-referrer");
	sv_reply_header(reply, "Cross-Origin-Opener-Policy", "same-origin");
	sv_reply_header(reply, "Cross-Origin-Resource-Policy", "same-origin");
	sv_reply_header(reply, "Permissions-Policy", "microphone=(self), camera=(), geolocation=()");
	if (is_held(request, file))
		sv_reply_bytes(reply, 304, file->type, (void *)"", 0, NULL);
	else
		sv_reply_bytes(reply, 200, file->type, (void *)(uintptr_t)file->data, file->size, NULL);
}

static void page(sv_request *request, sv_reply *reply) { reply_file(request, reply, &sv_page_files[0], ""); }

static void page_file(sv_request *request, sv_reply *reply) {
	const char *const name = sv_text(request, "file", "");
	reply_file(request, reply, find_file(name), name);
}

const sv_operation sv_operations_page[] = { { "page", page, 1, NULL }, { "pageFile", page_file, 1, NULL }, { 0 } };
