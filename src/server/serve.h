/* Running a server. */
#ifndef SN_SERVER_SERVE_H
#define SN_SERVER_SERVE_H

#include "server/config.h"

#include "base/path.h"

struct sn_db;

/* Opens everything, calls ready(payload, url) when requests are taken, serves until SIGTERM or SIGINT (a second one gives up what is still
 * worked on). SIGHUP calls reload on another thread; the log tells what came of it. */
typedef struct sv_run {
	const sv_config *config;
	void (*ready)(void *payload, const char *url);
	int (*reload)(void *payload, sv_config *fresh, char *err); /* reads the sources again; may be NULL */
	void *payload;
} sv_run;
int sv_serve(const sv_run *run, char *err);

/* The database of the server that such a configuration runs: for the command line. */
int sv_store_open(struct sn_db **out, const sv_config *config, char *err);

/* HOME/server/NAME; makes the directories. */
int sv_store_path(char path[SN_PATH_MAX], const char *home, const char *name, char *err);

#endif
