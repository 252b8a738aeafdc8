/* From HTTP to a WebSocket: the handshake's checks (RFC 6455, 4.2), who may open one, and the browser's ways to send a key. */
#ifndef SN_SERVER_UPGRADE_H
#define SN_SERVER_UPGRADE_H

#include "server/connection.h"

#define SV_MAX_KEY_TEXT 128

/* The key of a request for a WebSocket that has no Authorization header: of the query's api_key, or OpenAI's subprotocol
 * "openai-insecure-api-key.KEY". NULL: there is none, or it is no such request. */
const char *sv_upgrade_key(sv_connection *connection, char text[SV_MAX_KEY_TEXT]);

#endif
