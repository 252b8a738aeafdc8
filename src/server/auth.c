#include "server/auth.h"

#include "base/clock.h"
#include "server/config.h"
#include "server/connection.h"
#include "server/upgrade.h"
#include "store/keys.h"

#include <gnutls/gnutls.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_HEADER 256

/* Requests of a key: a bucket that fills with `rate` a minute, at most one minute's worth. */
typedef struct account {
	int64_t key;
	double tokens, filled;
	int sessions;
} account;

struct sv_auth_table {
	sv_server *server;
	pthread_mutex_t lock;
	sn_key *keys;
	int count;
	int64_t version;
	account accounts[SN_MAX_KEYS + 1]; /* [0]: without a key */
	int account_count;
};

static int load(sv_auth_table *t, char *err) {
	sn_key *keys;
	int count;
	const int64_t version = sn_db_version(t->server->db);
	const int result = sn_keys_list(t->server->db, &keys, &count, err);
	if (result != SN_OK)
		return result;
	pthread_mutex_lock(&t->lock);
	sn_key *const old = t->keys;
	t->keys = keys;
	t->count = count;
	t->version = version;
	pthread_mutex_unlock(&t->lock);
	free(old);
	return SN_OK;
}

int sv_auth_open(sv_auth_table **out, sv_server *server, char *err) {
	sv_auth_table *const t = *out = calloc(1, sizeof *t);
	if (!t)
		return sn_fail(err, SN_E_MEMORY, "no memory for the keys");
	t->server = server;
	pthread_mutex_init(&t->lock, NULL);
	const int result = load(t, err);
	if (result != SN_OK)
		sv_auth_close(out);
	return result;
}

void sv_auth_close(sv_auth_table **held) {
	sv_auth_table *const t = *held;
	*held = NULL;
	if (!t)
		return;
	pthread_mutex_destroy(&t->lock);
	free(t->keys);
	free(t);
}

void sv_auth_refresh(sv_auth_table *t) {
	if (sn_db_version(t->server->db) != t->version)
		load(t, NULL);
}

int sv_is_loopback(const char *host) {
	return strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0 || strcmp(host, "localhost") == 0;
}

int sv_auth_required(const sv_server *server) {
	const char *const rule = server->config->require_key;
	return strcmp(rule, "on") == 0 || (strcmp(rule, "auto") == 0 && !sv_is_loopback(server->config->host));
}

int sv_auth_check(const sv_server *server, char *err) {
	const sv_config *const config = server->config;
	int usable = 0;
	for (int i = 0; i < server->auth->count; i++)
		usable += !server->auth->keys[i].revoked;
	if (usable || !sv_auth_required(server))
		return SN_OK;
	return sn_fail(err, SN_E_ARGUMENT, "%s needs API keys and there is none: make one with \"sonant serve keys add NAME%s%s\", or set "
	               "require_key = off where everyone who can connect may do everything",
	               sv_is_loopback(config->host) ? "require_key = on" : config->host, *config->home ? " --home " : "", config->home);
}

/* All hashes are compared, so that time tells nothing. */
int sv_auth_find(sv_auth_table *t, const char *text, sv_key *key) {
	uint8_t hash[32];
	int found = -1;
	if (sn_keys_hash(text, hash) != SN_OK)
		return SN_E_NOT_FOUND;
	pthread_mutex_lock(&t->lock);
	for (int i = 0; i < t->count; i++)
		if (gnutls_memcmp(t->keys[i].hash, hash, sizeof hash) == 0 && !t->keys[i].revoked)
			found = i;
	if (found >= 0) {
		const sn_key *const k = &t->keys[found];
		*key = (sv_key){ .id = k->id, .use = k->use, .manage = k->manage, .per_minute = k->per_minute, .sessions = k->sessions };
		snprintf(key->name, sizeof key->name, "%s", k->name);
	}
	pthread_mutex_unlock(&t->lock);
	return found >= 0 ? SN_OK : SN_E_NOT_FOUND;
}

/* Lock held. NULL: there are more keys than can be. */
static account *account_of(sv_auth_table *t, int64_t key) {
	for (int i = 0; i < t->account_count; i++)
		if (t->accounts[i].key == key)
			return &t->accounts[i];
	if (t->account_count == SN_MAX_KEYS + 1)
		return NULL;
	account *const a = &t->accounts[t->account_count++];
	*a = (account){ .key = key, .tokens = -1 };
	return a;
}

int sv_auth_enter(sv_auth_table *t, const sv_key *key) {
	const sv_config *const config = t->server->config;
	const double rate = key->per_minute ? key->per_minute : (double)config->rate, now = sn_now();
	const int64_t most = key->sessions ? key->sessions : config->key_sessions;
	int wait = 0;
	pthread_mutex_lock(&t->lock);
	account *const a = account_of(t, key->id);
	if (a && rate > 0) {
		a->tokens = a->tokens < 0 ? rate : fmin(rate, a->tokens + (now - a->filled) * rate / 60);
		a->filled = now;
		wait = a->tokens < 1 ? (int)ceil((1 - a->tokens) * 60 / rate) : 0;
	}
	if (a && !wait && most > 0 && a->sessions >= most)
		wait = 1;
	if (a && !wait) {
		a->tokens -= rate > 0;
		a->sessions++;
	}
	pthread_mutex_unlock(&t->lock);
	return wait;
}

void sv_auth_leave(sv_auth_table *t, const sv_key *key) {
	pthread_mutex_lock(&t->lock);
	account *const a = account_of(t, key->id);
	if (a)
		a->sessions--;
	pthread_mutex_unlock(&t->lock);
}

/* ---- a request ---- */

static int refuse(sv_connection *c, int status, int code, const char *message) {
	if (status == 401)
		sv_reply_header(&c->reply, "WWW-Authenticate", "Bearer");
	sv_reply_status(&c->reply, status, code, NULL, message);
	return code;
}

int sv_auth(sv_connection *c) {
	sv_server *const server = c->request.server;
	const char *const header = MHD_lookup_connection_value(c->mhd, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION);
	char text[SV_MAX_KEY_TEXT];
	const sv_route *const route = c->request.route;
	const int required = sv_auth_required(server), asked = required && route->scope != SV_SCOPE_NONE;
	const int bearer = header && strncasecmp(header, "Bearer ", 7) == 0 && header[7 + strspn(header + 7, " ")] && strlen(header) <= MAX_HEADER;
	const char *const key = bearer ? header + 7 + strspn(header + 7, " ") : header ? NULL : sv_upgrade_key(c, text);
	if (header && !bearer && asked)
		return refuse(c, 401, SN_E_ARGUMENT, "the Authorization header is no \"Bearer KEY\"");
	if (!required) /* what stands for a key in a client, or is a proxy's, is no mistake; a real key gives its name */
		c->request.key = (sv_key){ .use = 1, .manage = 1 };
	if (key && sv_auth_find(server->auth, key, &c->request.key) != SN_OK && asked)
		return refuse(c, 401, SN_E_ARGUMENT, "the API key is not known or was revoked");
	if (route->scope == SV_SCOPE_NONE)
		return SN_OK;
	if (!key && required)
		return refuse(c, 401, SN_E_ARGUMENT, "an API key is needed: Authorization: Bearer KEY");
	if (!(route->scope == SV_SCOPE_MANAGE ? c->request.key.manage : c->request.key.use))
		return refuse(c, 403, SN_E_ARGUMENT, route->scope == SV_SCOPE_MANAGE ? "the key lacks the scope \"manage\"" : "the key lacks the scope \"use\"");
	const int wait = sv_auth_enter(server->auth, &c->request.key);
	if (wait) {
		sv_reply_retry(&c->reply, 429, wait, "the key's limit is reached");
		return SN_E_BUSY;
	}
	c->entered = 1;
	return SN_OK;
}
