/* Which web pages may call, and under which names this server is called. A page in somebody's browser reaches what only this machine
 * should, so where no key is asked for, these are all that stands between. */
#ifndef SN_SERVER_ORIGIN_H
#define SN_SERVER_ORIGIN_H

#include "server/connection.h"

/* The next of a header's or an option's list of items; *at goes behind it. NULL: no more. */
const char *sv_next_item(const char **at, size_t *size);
int sv_has_item(const char *list, const char *wanted, int any_case); /* list may be NULL */

/* Whether cors_origins has it. */
int sv_origin_listed(const sv_connection *connection, const char *origin);
/* Whether the page that asks may: none does, it is listed, or it is this server's own. */
int sv_origin_may(const sv_connection *connection);
/* Whether the request's Host is a name of this server's: by its own name for it, a page of another origin passes for one of ours. Asked of
 * servers on the loopback only: behind another address, names are for its operator to know. */
int sv_host_may(const sv_connection *connection);

#endif
