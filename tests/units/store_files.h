/* A directory of its own for each test of the server's store, with a database. */
#ifndef STORE_FILES_H
#define STORE_FILES_H

#include "store/db.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define EXPECT_OK(call) do { if ((call) != SN_OK) fail_msg("%s: %s", #call, err); } while (0)

static char dir[64], err[SN_ERRLEN];
static sn_db *db;

static const char *path_of(const char *name) {
	static char path[256];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	return path;
}

static void open_db(void) { EXPECT_OK(sn_db_open(&db, path_of("sonant.db"), err)); }

static int begin_test(void **state) {
	strcpy(dir, "/tmp/sonant-store-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	open_db();
	return 0;
}

static int end_test(void **state) {
	char command[128];
	sn_db_close(&db);
	snprintf(command, sizeof command, "rm -rf '%s'", dir);
	return system(command) == 0 ? 0 : -1;
}

static inline int64_t number_of(const char *sql) {
	sn_query q;
	EXPECT_OK(sn_db_begin(db, &q, sql, "", err));
	EXPECT_OK(sn_db_row(&q, err));
	const int64_t number = sqlite3_column_int64(q.statement, 0);
	sn_db_end(&q);
	return number;
}

/* Regular files below dir/blobs; the path of the last one. */
static inline int count_files(char last[512]) {
	char name[256];
	int count = 0;
	snprintf(name, sizeof name, "%s", path_of("blobs"));
	DIR *const top = opendir(name);
	struct dirent *e, *f;
	while (top && (e = readdir(top))) {
		char part[512];
		snprintf(part, sizeof part, "%s/%s", name, e->d_name);
		DIR *const below = *e->d_name == '.' ? NULL : opendir(part);
		count += !below && *e->d_name != '.';
		while (below && (f = readdir(below)))
			if (*f->d_name != '.') {
				count++;
				if (last)
					snprintf(last, 512, "%.200s/%.200s", part, f->d_name);
			}
		if (below)
			closedir(below);
	}
	if (top)
		closedir(top);
	return count;
}

#endif
