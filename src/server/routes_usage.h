/* Usage by key and day. */
#ifndef SN_SERVER_ROUTES_USAGE_H
#define SN_SERVER_ROUTES_USAGE_H

#include "server/server.h"

/* GET /audio/usage: a key sees its own, one that manages those of all. */
void sv_route_usage(sv_request *request, sv_reply *reply);

#endif
