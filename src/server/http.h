/* HTTP: libmicrohttpd in external epoll mode on the io thread, uploads to memory and unlinked files, replies whole or in pieces. */
#ifndef SN_SERVER_HTTP_H
#define SN_SERVER_HTTP_H

#include "server/server.h"

typedef struct sv_http sv_http;

/* Listens on the configuration's host and port; the opening thread is the io thread. Errors: SN_E_ARGUMENT (address, TLS files), SN_E_IO (the port is taken: says so). */
int sv_http_open(sv_http **out, sv_server *server, char *err);
void sv_http_close(sv_http **http); /* after sv_http_run has returned */
int sv_http_port(const sv_http *http);

/* The io loop; returns after sv_http_stop once all replies are out or the drain time is over. */
void sv_http_run(sv_http *http);
/* From any thread and from a signal handler: takes no new connections and ends the loop; a second call gives up what is still worked on. */
void sv_http_stop(sv_http *http);

/* Other descriptors of the io thread: `ready(payload, events)` is called on it. Only from the io thread. */
typedef struct sv_watch {
	void (*ready)(struct sv_watch *watch, uint32_t events);
	int fd;
} sv_watch;
int sv_http_watch(sv_http *http, sv_watch *watch, uint32_t events); /* EPOLLIN ...; 0 takes it out. -1: errno */
/* From any thread: the io thread looks at the library's connections at once, as it must after MHD_resume_connection. */
void sv_http_wake(const sv_http *http);
/* Runs fn(payload) on the io thread soon; from any thread. SN_E_MEMORY. */
int sv_http_call(sv_http *http, void (*fn)(void *payload), void *payload);

/* What goes on, for health and metrics. */
typedef struct sv_http_facts { int connections, receiving, working, replying; int64_t accepted, requests; } sv_http_facts;
void sv_http_describe(sv_http *http, sv_http_facts *facts);

#endif
