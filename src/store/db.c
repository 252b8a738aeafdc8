#include "store/db.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define MAX_STATEMENTS 128
#define BUSY_MS 10000
#define CHECKED_PAGES 2048

struct sn_db {
	sqlite3 *connection;
	pthread_mutex_t lock; /* recursive */
	int unsynced;         /* a transaction that does not wait for the disk */
	int count;
	struct { const char *sql; sqlite3_stmt *statement; } kept[MAX_STATEMENTS];
};

/* Each entry brings a database of the version before to its own. */
static const char *const migrations[] = {
	"CREATE TABLE keys(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, hash BLOB NOT NULL UNIQUE, use INTEGER NOT NULL,"
	" manage INTEGER NOT NULL, per_minute INTEGER NOT NULL, sessions INTEGER NOT NULL, created TEXT NOT NULL, revoked TEXT);"
	"CREATE TABLE jobs(id TEXT PRIMARY KEY, kind TEXT NOT NULL, key INTEGER NOT NULL, state TEXT NOT NULL, created TEXT NOT NULL,"
	" created_at REAL NOT NULL, finished TEXT, finished_at REAL, items INTEGER NOT NULL, done INTEGER NOT NULL DEFAULT 0,"
	" failed INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;"
	"CREATE INDEX jobs_by_key ON jobs(key, created_at); CREATE INDEX jobs_by_state ON jobs(state, created_at);"
	"CREATE TABLE items(job TEXT NOT NULL REFERENCES jobs ON DELETE CASCADE, at INTEGER NOT NULL, name TEXT, state TEXT NOT NULL,"
	" params TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, input BLOB, result TEXT, output BLOB, output_type TEXT,"
	" PRIMARY KEY(job, at)) WITHOUT ROWID;"
	"CREATE INDEX items_by_state ON items(state, job, at);"
	"CREATE TABLE blobs(hash BLOB PRIMARY KEY, size INTEGER NOT NULL, uses INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE cache(kind INTEGER NOT NULL, key BLOB NOT NULL, blob BLOB NOT NULL, size INTEGER NOT NULL,"
	" used REAL NOT NULL, PRIMARY KEY(kind, key)) WITHOUT ROWID;"
	"CREATE INDEX cache_by_use ON cache(kind, used);"
	"CREATE TABLE usage(day TEXT NOT NULL, key INTEGER NOT NULL, requests INTEGER NOT NULL, failed INTEGER NOT NULL,"
	" audio REAL NOT NULL, characters INTEGER NOT NULL, speech REAL NOT NULL, PRIMARY KEY(day, key)) WITHOUT ROWID;"
	"CREATE TABLE settings(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;",
};
#define VERSION ((int)(sizeof migrations / sizeof *migrations))

static int failed(const sn_db *db, int code, const char *what, char *err) {
	const int number = db->connection ? sqlite3_system_errno(db->connection) : 0;
	const int full = code == SQLITE_FULL || (code == SQLITE_IOERR && (number == ENOSPC || number == EDQUOT || number == EFBIG));
	const int result = full ? SN_E_NO_SPACE : code == SQLITE_NOMEM ? SN_E_MEMORY
		: code == SQLITE_CORRUPT || code == SQLITE_NOTADB ? SN_E_FORMAT : SN_E_IO;
	return sn_fail(err, result, "the server's database: %s: %s", what, db->connection ? sqlite3_errmsg(db->connection) : sqlite3_errstr(code));
}

static int run(sn_db *db, const char *sql, char *err) {
	const int code = sqlite3_exec(db->connection, sql, NULL, NULL, NULL);
	return code == SQLITE_OK ? SN_OK : failed(db, code, "a statement failed", err);
}

/* ---- opening ---- */

static int version_of(sn_db *db, int *version, char *err) {
	sn_query q;
	int result = sn_db_begin(db, &q, "PRAGMA user_version", "", err);
	if (result == SN_OK)
		result = sn_db_row(&q, err);
	if (result == SN_OK)
		*version = sqlite3_column_int(q.statement, 0);
	sn_db_end(&q);
	return result;
}

static int migrate(sn_db *db, char *err) {
	int version = 0;
	int result = version_of(db, &version, err);
	if (result == SN_OK && version > VERSION)
		result = sn_fail(err, SN_E_FORMAT, "the server's database is of version %d; this program knows %d", version, VERSION);
	for (; result == SN_OK && version < VERSION; version++) {
		char *const mark = sqlite3_mprintf("PRAGMA user_version = %d", version + 1);
		result = mark ? sn_db_transaction(db, err) : sn_fail(err, SN_E_MEMORY, "no memory for the database");
		if (result == SN_OK && ((result = run(db, migrations[version], err)) != SN_OK || (result = run(db, mark, err)) != SN_OK))
			sn_db_rollback(db);
		else if (result == SN_OK)
			result = sn_db_commit(db, err);
		sqlite3_free(mark);
	}
	return result;
}

/* Damage is told at the start rather than by some later request. Large databases are not looked through: that would take seconds. */
static int check(sn_db *db, char *err) {
	sn_query q;
	int64_t pages = 0;
	int result = sn_db_begin(db, &q, "PRAGMA page_count", "", err);
	if (result == SN_OK && (result = sn_db_row(&q, err)) == SN_OK)
		pages = sqlite3_column_int64(q.statement, 0);
	sn_db_end(&q);
	if (result != SN_OK || pages > CHECKED_PAGES)
		return result;
	result = sn_db_begin(db, &q, "PRAGMA quick_check(1)", "", err);
	if (result == SN_OK)
		result = sn_db_row(&q, err);
	const char *const said = result == SN_OK ? (const char *)sqlite3_column_text(q.statement, 0) : NULL;
	if (said && strcmp(said, "ok") != 0)
		result = sn_fail(err, SN_E_FORMAT, "the server's database is damaged: %s", said);
	sn_db_end(&q);
	return result;
}

int sn_db_open(sn_db **out, const char *path, char *err) {
	pthread_mutexattr_t kind;
	sn_db *db = *out = calloc(1, sizeof *db);
	if (!db)
		return sn_fail(err, SN_E_MEMORY, "no memory for the database");
	pthread_mutexattr_init(&kind);
	pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&db->lock, &kind);
	pthread_mutexattr_destroy(&kind);
	const int code = sqlite3_open_v2(path, &db->connection, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
	int result = code == SQLITE_OK ? SN_OK : failed(db, code, path, err);
	if (result == SN_OK)
		sqlite3_busy_timeout(db->connection, BUSY_MS);
	if (result == SN_OK)
		result = run(db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF", err);
	if (result == SN_OK)
		result = check(db, err);
	if (result == SN_OK)
		result = migrate(db, err);
	if (result != SN_OK)
		sn_db_close(out);
	return result;
}

void sn_db_close(sn_db **held) {
	sn_db *const db = *held;
	*held = NULL;
	if (!db)
		return;
	for (int i = 0; i < db->count; i++)
		sqlite3_finalize(db->kept[i].statement);
	sqlite3_close(db->connection);
	pthread_mutex_destroy(&db->lock);
	free(db);
}

/* ---- statements ---- */

/* The compiled form of a literal. A statement that is in use (a nested call) is compiled anew and not kept. */
static int prepare(sn_db *db, const char *sql, sqlite3_stmt **out, char *err) {
	for (int i = 0; i < db->count; i++)
		if (db->kept[i].sql == sql && !sqlite3_stmt_busy(db->kept[i].statement)) {
			*out = db->kept[i].statement;
			return SN_OK;
		}
	const int code = sqlite3_prepare_v3(db->connection, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL);
	if (code != SQLITE_OK)
		return failed(db, code, "a statement is not understood", err);
	if (db->count < MAX_STATEMENTS) {
		db->kept[db->count].sql = sql;
		db->kept[db->count++].statement = *out;
	}
	return SN_OK;
}

static int bind(sn_db *db, sqlite3_stmt *s, const char *types, va_list args, char *err) {
	int code = SQLITE_OK;
	for (int i = 1; *types && code == SQLITE_OK; types++, i++) {
		if (*types == 'i') {
			code = sqlite3_bind_int64(s, i, va_arg(args, int64_t));
		} else if (*types == 'r') {
			code = sqlite3_bind_double(s, i, va_arg(args, double));
		} else if (*types == 't') {
			code = sqlite3_bind_text(s, i, va_arg(args, const char *), -1, SQLITE_TRANSIENT);
		} else {
			const void *const data = va_arg(args, const void *);
			const size_t size = va_arg(args, size_t);
			code = sqlite3_bind_blob64(s, i, data, size, SQLITE_TRANSIENT);
		}
	}
	return code == SQLITE_OK ? SN_OK : failed(db, code, "a value cannot be bound", err);
}

static int begin(sn_db *db, sn_query *q, const char *sql, const char *types, va_list args, char *err) {
	*q = (sn_query){ db, NULL };
	pthread_mutex_lock(&db->lock);
	const int result = prepare(db, sql, &q->statement, err);
	return result == SN_OK ? bind(db, q->statement, types, args, err) : result;
}

int sn_db_begin(sn_db *db, sn_query *q, const char *sql, const char *types, char *err, ...) {
	va_list args;
	va_start(args, err);
	const int result = begin(db, q, sql, types, args, err);
	va_end(args);
	return result;
}

int sn_db_row(sn_query *q, char *err) {
	const int code = sqlite3_step(q->statement);
	return code == SQLITE_ROW ? SN_OK : code == SQLITE_DONE ? SN_END : failed(q->db, code, "a statement failed", err);
}

void sn_db_end(sn_query *q) {
	sn_db *const db = q->db;
	int kept = 0;
	for (int i = 0; i < db->count; i++)
		kept |= db->kept[i].statement == q->statement;
	if (kept) {
		sqlite3_reset(q->statement);
		sqlite3_clear_bindings(q->statement);
	} else {
		sqlite3_finalize(q->statement);
	}
	pthread_mutex_unlock(&db->lock);
}

int sn_db_do(sn_db *db, int64_t *changed, const char *sql, const char *types, char *err, ...) {
	sn_query q;
	va_list args;
	va_start(args, err);
	int result = begin(db, &q, sql, types, args, err);
	va_end(args);
	while (result == SN_OK)
		result = sn_db_row(&q, err);
	if (changed)
		*changed = sqlite3_changes64(db->connection);
	sn_db_end(&q);
	return result == SN_END ? SN_OK : result;
}

/* ---- transactions ---- */

int sn_db_transaction(sn_db *db, char *err) {
	pthread_mutex_lock(&db->lock);
	const int result = run(db, "BEGIN IMMEDIATE", err);
	if (result != SN_OK)
		pthread_mutex_unlock(&db->lock);
	return result;
}

int sn_db_transaction_unsynced(sn_db *db, char *err) {
	pthread_mutex_lock(&db->lock);
	int result = run(db, "PRAGMA synchronous = NORMAL", err);
	if (result == SN_OK)
		result = sn_db_transaction(db, err);
	if (result != SN_OK)
		run(db, "PRAGMA synchronous = FULL", NULL);
	db->unsynced = result == SN_OK;
	pthread_mutex_unlock(&db->lock);
	return result;
}

static void leave(sn_db *db) {
	if (db->unsynced)
		run(db, "PRAGMA synchronous = FULL", NULL);
	db->unsynced = 0;
	pthread_mutex_unlock(&db->lock);
}

int sn_db_commit(sn_db *db, char *err) {
	const int result = run(db, "COMMIT", err);
	if (result != SN_OK)
		run(db, "ROLLBACK", NULL);
	leave(db);
	return result;
}

void sn_db_rollback(sn_db *db) {
	run(db, "ROLLBACK", NULL);
	leave(db);
}

int64_t sn_db_version(sn_db *db) {
	sn_query q;
	int64_t version = 0;
	if (sn_db_begin(db, &q, "PRAGMA data_version", "", NULL) == SN_OK && sn_db_row(&q, NULL) == SN_OK)
		version = sqlite3_column_int64(q.statement, 0);
	sn_db_end(&q);
	return version;
}
