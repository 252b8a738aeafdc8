#include "pull.h"

#include <ctype.h>
#include <curl/curl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static const char *variable(const char *name) {
	const char *const value = getenv(name);
	return value ? value : "";
}

static int is_true(const char *value) {
	return strcasecmp(value, "1") == 0 || strcasecmp(value, "on") == 0 || strcasecmp(value, "yes") == 0 || strcasecmp(value, "true") == 0;
}

int pull_config_offline(void) { return is_true(variable("HF_HUB_OFFLINE")) || is_true(variable("TRANSFORMERS_OFFLINE")); }

static const char *user_home(void) {
	const struct passwd *const user = *variable("HOME") ? NULL : getpwuid(getuid());
	return *variable("HOME") ? variable("HOME") : user && user->pw_dir ? user->pw_dir : "/";
}

/* The first line of a file without the space around it; 0: there is none. */
static int read_line(const char *path, char line[1024]) {
	FILE *const file = fopen(path, "r");
	char text[1024] = "";
	if (!file || !fgets(text, sizeof text, file))
		text[0] = 0;
	if (file)
		fclose(file);
	const char *from = text;
	while (isspace((unsigned char)*from))
		from++;
	size_t size = strlen(from);
	while (size && isspace((unsigned char)from[size - 1]))
		size--;
	snprintf(line, 1024, "%.*s", (int)size, from);
	return *line != 0;
}

/* Moves "name:password@" from a URL to userinfo. */
static void take_login(char *url, char userinfo[PULL_LOGIN]) {
	char *const scheme = strstr(url, "://"), *const start = scheme ? scheme + 3 : url, *at = NULL;
	*userinfo = 0;
	for (char *c = start; *c && !strchr("/?#", *c); c++)
		at = *c == '@' ? c : at;
	if (!at)
		return;
	char *const text = curl_easy_unescape(NULL, start, (int)(at - start), NULL);
	snprintf(userinfo, PULL_LOGIN, "%s%s", text ? text : "", text && strchr(text, ':') ? "" : ":");
	curl_free(text);
	memmove(start, at + 1, strlen(at + 1) + 1);
}

/* ---- the hub ---- */

const char *pull_config_endpoint(const json_t *request, char userinfo[PULL_LOGIN]) {
	static char endpoint[1024];
	const char *const asked = pull_text(request, "endpoint"), *const set = *asked ? asked : variable("HF_ENDPOINT");
	snprintf(endpoint, sizeof endpoint, "%s", *set ? set : "https://huggingface.co");
	for (size_t size = strlen(endpoint); size && endpoint[size - 1] == '/'; size--)
		endpoint[size - 1] = 0;
	take_login(endpoint, userinfo);
	return endpoint;
}

int pull_config_is_local(const char *url) {
	static const char *const hosts[] = { "localhost", "127.0.0.1", "[::1]" };
	const char *const host = strncmp(url, "http://", 7) == 0 ? url + 7 : "";
	for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
		const size_t size = strlen(hosts[i]);
		if (strncmp(host, hosts[i], size) == 0 && (!host[size] || host[size] == ':' || host[size] == '/'))
			return 1;
	}
	return 0;
}

/* $HF_TOKEN, else what the hub's own clients have stored. */
static void find_token(char token[1024]) {
	char path[SN_STORE_PATH], home[SN_STORE_PATH];
	const char *const set = *variable("HF_TOKEN") ? variable("HF_TOKEN") : variable("HUGGING_FACE_HUB_TOKEN");
	*token = 0;
	if (*set) {
		snprintf(token, 1024, "%s", set);
	} else if (!is_true(variable("HF_HUB_DISABLE_IMPLICIT_TOKEN"))) {
		if (*variable("HF_HOME"))
			snprintf(home, sizeof home, "%s", variable("HF_HOME"));
		else if (*variable("XDG_CACHE_HOME"))
			snprintf(home, sizeof home, "%s/huggingface", variable("XDG_CACHE_HOME"));
		else
			snprintf(home, sizeof home, "%s/.cache/huggingface", user_home());
		if (*variable("HF_TOKEN_PATH"))
			read_line(variable("HF_TOKEN_PATH"), token);
		else if (sn_path_join(path, home, "token"))
			read_line(path, token);
	}
}

const char *pull_config_token(const json_t *request, const char *endpoint) {
	static char token[1024];
	const json_t *const asked = json_object_get(request, "token");
	if (json_is_string(asked))
		snprintf(token, sizeof token, "%s", json_string_value(asked));
	else
		find_token(token);
	for (const char *c = token; *c; c++)
		if (!isgraph((unsigned char)*c)) { /* it would be another header's line */
			pull_note("the token for the hub holds characters that none has and is not sent");
			*token = 0;
		}
	if (*token && strncmp(endpoint, "https://", 8) != 0 && !pull_config_is_local(endpoint)) {
		pull_note("the token is not sent to %s, which does not speak https", endpoint);
		*token = 0;
	}
	return token;
}

static const char *first_readable(const char *const *names, int count) {
	for (int i = 0; i < count; i++)
		if (*variable(names[i]) && access(variable(names[i]), R_OK) == 0)
			return variable(names[i]);
	return "";
}

const char *pull_config_certificates(const json_t *request) {
	static const char *const names[] = { "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE" };
	const char *const asked = pull_text(request, "certificates");
	return *asked ? asked : first_readable(names, 3);
}

/* ---- pip ---- */

/* "KEY = VALUE" or "KEY: VALUE" below [global], [install] or [download]. */
static void read_pip_file(const char *path, const char *key, char value[1024]) {
	char line[2048], section[64] = "";
	FILE *const file = path && *path ? fopen(path, "r") : NULL;
	while (file && fgets(line, sizeof line, file)) {
		line[strcspn(line, "\r\n")] = 0;
		if (sscanf(line, " [%63[^]]", section) == 1 || isspace((unsigned char)*line) || strchr("#;", *line))
			continue;
		const size_t size = strcspn(line, " \t=:"), more = strspn(line + size, " \t=:");
		const int counts = strcmp(section, "global") == 0 || strcmp(section, "install") == 0 || strcmp(section, "download") == 0;
		if (counts && size == strlen(key) && strncasecmp(line, key, size) == 0 && line[size + more])
			snprintf(value, 1024, "%.1023s", line + size + more);
	}
	if (file)
		fclose(file);
	for (size_t size = strlen(value); size && isspace((unsigned char)value[size - 1]); size--)
		value[size - 1] = 0;
}

/* As pip looks for it: the machine's file, the user's two, the environment's, then variables; the last one wins. */
static const char *pip_setting(const char *name, const char *key, char value[1024]) {
	char path[SN_STORE_PATH];
	*value = 0;
	if (*variable(name)) {
		snprintf(value, 1024, "%s", variable(name));
		return value;
	}
	if (strcmp(variable("PIP_CONFIG_FILE"), "/dev/null") == 0)
		return value;
	read_pip_file("/etc/xdg/pip/pip.conf", key, value);
	read_pip_file("/etc/pip.conf", key, value);
	snprintf(path, sizeof path, "%s/.pip/pip.conf", user_home());
	read_pip_file(path, key, value);
	if (*variable("XDG_CONFIG_HOME"))
		snprintf(path, sizeof path, "%s/pip/pip.conf", variable("XDG_CONFIG_HOME"));
	else
		snprintf(path, sizeof path, "%s/.config/pip/pip.conf", user_home());
	read_pip_file(path, key, value);
	if (*variable("VIRTUAL_ENV") && sn_path_join(path, variable("VIRTUAL_ENV"), "pip.conf"))
		read_pip_file(path, key, value);
	read_pip_file(variable("PIP_CONFIG_FILE"), key, value);
	return value;
}

const char *pull_config_index(const json_t *request, char userinfo[PULL_LOGIN]) {
	static char index[1100], set[1024];
	const char *const asked = pull_text(request, "index");
	if (*asked) /* of a server's configuration: without the path that pip's has */
		snprintf(index, sizeof index, "%.1023s/simple", asked);
	else
		snprintf(index, sizeof index, "%s", *pip_setting("PIP_INDEX_URL", "index-url", set) ? set : "https://pypi.org/simple");
	for (size_t size = strlen(index); size && index[size - 1] == '/'; size--)
		index[size - 1] = 0;
	take_login(index, userinfo);
	return index;
}

const char *pull_config_index_certificates(const json_t *request) {
	static char set[1024];
	if (*pull_text(request, "certificates") || *pull_text(request, "index"))
		return pull_text(request, "certificates");
	return *pip_setting("PIP_CERT", "cert", set) && access(set, R_OK) == 0 ? set : pull_config_certificates(request);
}
