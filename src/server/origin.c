#include "server/origin.h"

#include "server/auth.h"
#include "server/config.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static const char *header(const sv_connection *c, const char *name) { return MHD_lookup_connection_value(c->mhd, MHD_HEADER_KIND, name); }

/* ---- lists ---- */

const char *sv_next_item(const char **at, size_t *size) {
	const char *const item = *at + strspn(*at, " \t,");
	*size = strcspn(item, ",");
	*at = item + *size;
	while (*size && (item[*size - 1] == ' ' || item[*size - 1] == '\t'))
		--*size;
	return *size ? item : NULL;
}

int sv_has_item(const char *list, const char *wanted, int any_case) {
	const char *item;
	size_t size;
	while (list && (item = sv_next_item(&list, &size)))
		if (size == strlen(wanted) && (any_case ? strncasecmp(item, wanted, size) : strncmp(item, wanted, size)) == 0)
			return 1;
	return 0;
}

/* ---- pages ---- */

int sv_origin_listed(const sv_connection *c, const char *origin) {
	const char *const list = c->request.server->config->cors_origins;
	return strcmp(list, "*") == 0 || sv_has_item(list, origin, 0);
}

/* Sec-Fetch-Site is the browser's own word, which no page can write: it counts where a proxy gives another Host. */
int sv_origin_may(const sv_connection *c) {
	const char *const origin = header(c, "Origin"), *const host = header(c, "Host"), *const site = header(c, "Sec-Fetch-Site");
	if (!origin || sv_origin_listed(c, origin) || (site && strcmp(site, "same-origin") == 0))
		return 1;
	const char *const authority = strstr(origin, "://");
	return authority && host && strcasecmp(authority + 3, host) == 0;
}

/* ---- names of this server ---- */

/* Without its port and an address's brackets. 0: it is too long for a name. */
static int bare_host(const char *host, char *out, size_t room) {
	const int bracket = *host == '[';
	const size_t size = strcspn(host + bracket, bracket ? "]" : ":");
	snprintf(out, room, "%.*s", (int)(size < room ? size : room - 1), host + bracket);
	return size < room;
}

static int ends_with(const char *text, const char *end) {
	const size_t size = strlen(text), tail = strlen(end);
	return size >= tail && strcasecmp(text + size - tail, end) == 0;
}

int sv_host_may(const sv_connection *c) {
	const sv_config *const config = c->request.server->config;
	const char *const host = header(c, "Host");
	char name[256];
	struct in6_addr address;
	if (!host || !sv_is_loopback(config->host))
		return 1;
	if (!bare_host(host, name, sizeof name))
		return 0;
	return inet_pton(AF_INET, name, &address) == 1 || inet_pton(AF_INET6, name, &address) == 1 || strcasecmp(name, "localhost") == 0 ||
	       ends_with(name, ".localhost") || strcasecmp(name, config->host) == 0 || strcmp(config->hosts, "*") == 0 || sv_has_item(config->hosts, name, 1);
}
