/* The server's database: SQLite in WAL mode, one connection behind one lock. Everything that must survive a crash is committed with
 * synchronous=FULL before a function returns. */
#ifndef SN_STORE_DB_H
#define SN_STORE_DB_H

#include "base/error.h"

#include <sqlite3.h>

typedef struct sn_db sn_db;

/* Opens or makes the database, brings its tables up to this version. SN_E_IO, SN_E_NO_SPACE, SN_E_FORMAT (damaged, or of a later version). */
int sn_db_open(sn_db **out, const char *path, char *err);
void sn_db_close(sn_db **db);

/* One statement at a time: lock, steps, unlock. Statements are kept compiled by their text, which must be a literal.
 *	sn_query q;
 *	int result = sn_db_begin(db, &q, "SELECT a FROM t WHERE b = ?1 AND c = ?2", "it", number, text, err);
 *	while (result == SN_OK && (result = sn_db_row(&q, err)) == SN_OK) use(sqlite3_column_int64(q.statement, 0));
 *	sn_db_end(&q);                                    (always; result is SN_END after the last row)
 * types, one letter an argument: i int64_t, r double, t const char * (NULL: null), b const void * and size_t. */
typedef struct sn_query { sn_db *db; sqlite3_stmt *statement; } sn_query;
int sn_db_begin(sn_db *db, sn_query *query, const char *sql, const char *types, char *err, ...);
int sn_db_row(sn_query *query, char *err);
void sn_db_end(sn_query *query);
/* A statement without rows. *changed (may be NULL): rows that it changed. */
int sn_db_do(sn_db *db, int64_t *changed, const char *sql, const char *types, char *err, ...);

/* Several statements that happen together or not at all; the lock is held from begin to commit or rollback, nested calls of this thread
 * are fine. */
int sn_db_transaction(sn_db *db, char *err);
/* The same without waiting for the disk: survives a crash of the program, not a loss of power. */
int sn_db_transaction_unsynced(sn_db *db, char *err);
int sn_db_commit(sn_db *db, char *err);
void sn_db_rollback(sn_db *db);

/* Changes when another process (the command line) has written. */
int64_t sn_db_version(sn_db *db);

#endif
