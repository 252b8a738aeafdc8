/* Sends hostile bytes to the server's HTTP side: framing, routes, queries, forms, JSON and their checks against the API's document. Every
 * operation is answered by what it was given. An input is what one client sends, from connecting to hanging up. */
#include "server/api.h"
#include "server/auth.h"
#include "server/config.h"
#include "server/connection.h"
#include "store/db.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_OPERATIONS 256
#define FIRST_MS 20 /* for the first byte of an answer */
#define REST_MS 3   /* silence after which there is no more */
#define ALIVE 64    /* inputs between looks whether it still answers */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static sv_server server;
static sv_config config;

/* Fields must be JSON that can be written again, files as large as they say. */
static void mirror(sv_request *r, sv_reply *reply) {
	for (int i = 0; i < r->upload_count; i++)
		if (r->uploads[i].fd >= 0 && lseek(r->uploads[i].fd, 0, SEEK_END) != (off_t)r->uploads[i].size)
			abort();
	sv_reply_json(reply, 200, json_deep_copy(r->params));
}

static void *serve(void *payload) {
	char err[SN_ERRLEN];
	if (sv_http_open(&server.http, &server, err) != SN_OK) {
		fprintf(stderr, "%s\n", err);
		abort();
	}
	pthread_barrier_wait(payload);
	sv_http_run(server.http);
	return NULL;
}

static void start(void) {
	static sv_operation operations[MAX_OPERATIONS + 1];
	static const sv_operation *const tables[] = { operations, NULL };
	static json_t *document;
	pthread_barrier_t barrier;
	pthread_t thread;
	char err[SN_ERRLEN] = "";
	const char *path, *method;
	json_t *methods, *operation;
	int count = 0;
	document = json_loadb(sv_openapi_text, sv_openapi_size, 0, NULL);
	json_object_foreach(json_object_get(document, "paths"), path, methods)
		json_object_foreach(methods, method, operation)
			if (count < MAX_OPERATIONS)
				operations[count++] = (sv_operation){ json_string_value(json_object_get(operation, "operationId")), mirror, 1, NULL };
	sv_config_defaults(&config);
	config.port = 0;
	strcpy(config.hosts, "*"); /* those of the inputs */
	config.max_body = 1 << 20;
	config.max_json = 1 << 16;
	atomic_store(&server.config, &config);
	pthread_barrier_init(&barrier, NULL, 2);
	if (sv_api_open(&server.api, sv_openapi_text, sv_openapi_size, tables, err) != SN_OK || sn_db_open(&server.db, ":memory:", err) != SN_OK ||
	    sv_auth_open(&server.auth, &server, err) != SN_OK || sv_workers_open(&server.workers, &server, 1, err) != SN_OK ||
	    pthread_create(&thread, NULL, serve, &barrier) != 0) {
		fprintf(stderr, "%s\n", err);
		abort();
	}
	pthread_barrier_wait(&barrier);
	pthread_barrier_destroy(&barrier);
}

/* What comes back, at most `room` bytes; the rest is read and forgotten. */
static size_t ask(const void *data, size_t size, char *answer, size_t room) {
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)sv_http_port(server.http)),
		                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const struct linger at_once = { 1, 0 };
	const int fd = socket(AF_INET, SOCK_STREAM, 0);
	char rest[4096];
	size_t total = 0;
	ssize_t got = 1;
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
		abort();
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once); /* no ports left in TIME_WAIT */
	for (size_t sent = 0; sent < size;) {
		const ssize_t part = send(fd, (const char *)data + sent, size - sent, MSG_NOSIGNAL);
		if (part <= 0)
			break;
		sent += (size_t)part;
	}
	while (got > 0 && poll(&(struct pollfd){ fd, POLLIN, 0 }, 1, total ? REST_MS : FIRST_MS) > 0) {
		got = total < room ? recv(fd, answer + total, room - total, 0) : recv(fd, rest, sizeof rest, 0);
		total += got > 0 && total < room ? (size_t)got : 0;
	}
	close(fd);
	return total;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	static const char live[] = "GET /health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
	static int runs;
	char answer[16];
	if (!server.http)
		start();
	const size_t got = ask(data, size, answer, sizeof answer);
	if (got >= 7 && memcmp(answer, "HTTP/1.", 7) != 0)
		abort();
	if (++runs % ALIVE != 0)
		return 0;
	size_t alive = 0;
	for (int i = 0; i < 100 && !alive; i++) /* a machine that is busy takes its time */
		alive = ask(live, sizeof live - 1, answer, sizeof answer);
	if (alive < 12 || memcmp(answer + 9, "200", 3) != 0)
		abort();
	return 0;
}
