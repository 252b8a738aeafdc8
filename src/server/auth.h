/* Who may ask: keys in memory, counts of each key's requests, comparison in constant time. */
#ifndef SN_SERVER_AUTH_H
#define SN_SERVER_AUTH_H

#include "server/server.h"

typedef struct sv_auth_table sv_auth_table;

int sv_auth_open(sv_auth_table **out, sv_server *server, char *err);
void sv_auth_close(sv_auth_table **table);
/* Reads the keys again when the database has changed. io thread, every tick. */
void sv_auth_refresh(sv_auth_table *table);
/* Whether a request without a key is refused: by require_key, or because others than this machine can connect. */
int sv_auth_required(const sv_server *server);
int sv_is_loopback(const char *host);
/* SN_E_ARGUMENT: keys are needed and there is none; says how one is made. */
int sv_auth_check(const sv_server *server, char *err);
/* The key of a text. SN_OK; SN_E_NOT_FOUND. */
int sv_auth_find(sv_auth_table *table, const char *text, sv_key *key);
/* Counts a request or session against the key's limits. 0, or the seconds after which it may try again. */
int sv_auth_enter(sv_auth_table *table, const sv_key *key);
void sv_auth_leave(sv_auth_table *table, const sv_key *key);

#endif
