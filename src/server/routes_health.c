/* Whether the server lives, is ready, and what it is doing. */
#include "server/api.h"
#include "server/connection.h"

#include "base/clock.h"

#include <string.h>

static void live(sv_request *request, sv_reply *reply) {
	(void)request;
	sv_reply_bytes(reply, 200, "text/plain", "ok\n", 3, NULL);
}

static void health(sv_request *request, sv_reply *reply) {
	sv_http_facts facts;
	sv_http_describe(request->server->http, &facts);
	sv_reply_json(reply, 200, json_pack("{s:s, s:s, s:f, s:[]}", "status", atomic_load(&request->server->stopping) ? "stopping" : "ok", "version",
	                                    sn_version(), "uptime", sn_now() - request->server->started, "models"));
}

static void openapi(sv_request *request, sv_reply *reply) {
	(void)request;
	sv_reply_bytes(reply, 200, "application/json", (void *)(uintptr_t)sv_openapi_text, sv_openapi_size, NULL);
}

const sv_operation sv_operations_health[] = {
	{ "live", live, 1, NULL }, { "health", health, 1, NULL }, { "openapi", openapi, 1, NULL }, { 0 },
};
