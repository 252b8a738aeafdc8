/* WebSockets: upgraded connections in the io thread's epoll, frames by wslay, sessions of the engine run by workers. */
#ifndef SN_SERVER_SOCKETS_H
#define SN_SERVER_SOCKETS_H

#include "server/server.h"

typedef struct sv_sockets sv_sockets;

int sv_sockets_open(sv_sockets **out, sv_server *server, char *err);
/* Every session gets a closing frame (1001) and is cancelled. io thread, before the loop's last turns. */
void sv_sockets_stop(sv_sockets *sockets);
void sv_sockets_close(sv_sockets **sockets);
typedef struct sv_socket_facts { int transcribe, speak, realtime; int64_t opened, bytes_in, bytes_out; } sv_socket_facts;
void sv_sockets_describe(sv_sockets *sockets, sv_socket_facts *facts);

#endif
