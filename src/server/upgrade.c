#include "server/upgrade.h"

#include "server/config.h"
#include "server/origin.h"
#include "server/ws_session.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <string.h>

#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#define KEY_CHARACTERS 24 /* 16 bytes in base64 */
#define KEY_PROTOCOL "openai-insecure-api-key."

static const char *header(const sv_connection *c, const char *name) { return MHD_lookup_connection_value(c->mhd, MHD_HEADER_KIND, name); }

const char *sv_upgrade_key(sv_connection *c, char text[SV_MAX_KEY_TEXT]) {
	const char *const query = MHD_lookup_connection_value(c->mhd, MHD_GET_ARGUMENT_KIND, "api_key");
	const char *list = header(c, "Sec-WebSocket-Protocol"), *item;
	size_t size;
	if (!sv_has_item(header(c, "Upgrade"), "websocket", 1))
		return NULL;
	if (query && *query && strlen(query) < SV_MAX_KEY_TEXT)
		return strcpy(text, query);
	while (list && (item = sv_next_item(&list, &size)))
		if (size > strlen(KEY_PROTOCOL) && size - strlen(KEY_PROTOCOL) < SV_MAX_KEY_TEXT && strncmp(item, KEY_PROTOCOL, strlen(KEY_PROTOCOL)) == 0) {
			snprintf(text, SV_MAX_KEY_TEXT, "%.*s", (int)(size - strlen(KEY_PROTOCOL)), item + strlen(KEY_PROTOCOL));
			return text;
		}
	return NULL;
}

static int is_key(const char *key) {
	return key && strlen(key) == KEY_CHARACTERS &&
	       strspn(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") == KEY_CHARACTERS - 2 && strcmp(key + KEY_CHARACTERS - 2, "==") == 0;
}

/* 1: the request asks for a WebSocket as it should; else it was answered. */
static int asks_well(sv_connection *c, sv_reply *reply) {
	const char *const version = header(c, "Sec-WebSocket-Version");
	if (!sv_has_item(header(c, "Upgrade"), "websocket", 1) || !sv_has_item(header(c, "Connection"), "upgrade", 1)) {
		sv_reply_header(reply, "Upgrade", "websocket");
		sv_reply_status(reply, 426, SN_E_ARGUMENT, "Upgrade", "this is a WebSocket: ask with Connection: Upgrade and Upgrade: websocket");
	} else if (!version || strcmp(version, "13") != 0) {
		sv_reply_header(reply, "Sec-WebSocket-Version", "13");
		sv_reply_status(reply, 426, SN_E_ARGUMENT, "Sec-WebSocket-Version", "the version of WebSockets that is spoken here is 13");
	} else if (!is_key(header(c, "Sec-WebSocket-Key"))) {
		sv_reply_status(reply, 400, SN_E_ARGUMENT, "Sec-WebSocket-Key", "Sec-WebSocket-Key must be 16 bytes in base64");
	} else if (!sv_origin_may(c)) {
		sv_reply_status(reply, 403, SN_E_ARGUMENT, "Origin", "pages of this origin may not call; cors_origins lists those that may");
	} else {
		return 1;
	}
	return 0;
}

static int has_place(sv_connection *c, sv_reply *reply) {
	sv_server *const server = c->request.server;
	sv_socket_facts facts;
	sv_sockets_describe(server->sockets, &facts);
	if (atomic_load(&server->stopping))
		sv_reply_retry(reply, 503, 5, "the server is stopping");
	else if (facts.transcribe + facts.speak + facts.realtime >= server->config->max_sockets)
		sv_reply_retry(reply, 503, 10, "there are as many WebSocket sessions as there may be");
	else
		return 1;
	return 0;
}

/* base64(SHA-1(key and GUID)) */
static int accept_of(const char *key, char text[32]) {
	char joined[KEY_CHARACTERS + sizeof GUID];
	uint8_t hash[20];
	gnutls_datum_t encoded, data = { hash, sizeof hash };
	snprintf(joined, sizeof joined, "%s%s", key, GUID);
	if (gnutls_hash_fast(GNUTLS_DIG_SHA1, joined, strlen(joined), hash) != 0 || gnutls_base64_encode2(&data, &encoded) != 0)
		return 0;
	snprintf(text, 32, "%.*s", (int)encoded.size, (const char *)encoded.data);
	gnutls_free(encoded.data);
	return 1;
}

static const ws_protocol *protocol_of(const sv_connection *c) {
	const char *const operation = c->request.route->operation;
	return strcmp(operation, "streamTranscribe") == 0 ? &ws_stt_protocol : strcmp(operation, "streamSynthesize") == 0 ? &ws_tts_protocol
	                                                                                                                   : &ws_realtime_protocol;
}

static void upgraded(void *payload, struct MHD_Connection *mhd, void *held, const char *early, size_t early_size, MHD_socket fd,
                     struct MHD_UpgradeResponseHandle *handle) {
	sv_connection *const c = payload;
	(void)mhd, (void)held;
	ws_session_open(c->request.server->sockets, &c->request, protocol_of(c), handle, fd, early, early_size);
}

static void upgrade(sv_request *request, sv_reply *reply) {
	sv_connection *const c = request->connection;
	const ws_protocol *const protocol = protocol_of(c);
	char accept[32];
	if (!asks_well(c, reply) || !has_place(c, reply))
		return;
	if (!accept_of(header(c, "Sec-WebSocket-Key"), accept)) {
		sv_reply_fail(reply, SN_E_INTERNAL, NULL, "the handshake's hash cannot be made");
		return;
	}
	reply->response = MHD_create_response_for_upgrade(upgraded, c);
	if (!reply->response) {
		sv_reply_fail(reply, SN_E_MEMORY, NULL, "no memory for the WebSocket");
		return;
	}
	reply->answered = 1;
	reply->status = 101;
	sv_reply_header(reply, "Upgrade", "websocket");
	sv_reply_header(reply, "Sec-WebSocket-Accept", accept);
	if (protocol->subprotocol && sv_has_item(header(c, "Sec-WebSocket-Protocol"), protocol->subprotocol, 0))
		sv_reply_header(reply, "Sec-WebSocket-Protocol", protocol->subprotocol);
}

const sv_operation sv_operations_sockets[] = {
	{ "streamTranscribe", upgrade, 1, NULL }, { "streamSynthesize", upgrade, 1, NULL }, { "openaiRealtime", upgrade, 1, NULL }, { 0 },
};
