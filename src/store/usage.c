#include "store/usage.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BUCKETS 256
#define PAUSE 5              /* seconds between writes */
#define MAX_PENDING 65536    /* rows; more would be keys that do not exist */
#define MAX_ROWS 200000      /* of a list */

typedef struct pending {
	struct pending *next;
	sn_usage_row row;
} pending;

struct sn_usage {
	sn_db *db;
	pthread_mutex_t lock, flushing; /* flushing before lock */
	pthread_cond_t news;
	pthread_t writer;
	int writing, stopping, count;
	pending *bucket[BUCKETS];
};

static void day_of(time_t when, char day[12]) {
	struct tm t;
	strftime(day, 12, "%Y-%m-%d", gmtime_r(&when, &t));
}

/* "Today" and the days before it: the first of `days`. */
static void first_day(int days, char day[12]) { day_of(time(NULL) - (time_t)86400 * (days > 0 ? days - 1 : 0), day); }

/* ---- adding ---- */

static void sum(sn_usage_row *to, const sn_usage_row *row) {
	to->requests += row->requests;
	to->failed += row->failed;
	to->characters += row->characters;
	to->audio += row->audio;
	to->speech += row->speech;
}

/* Lock held. */
static void add(sn_usage *u, const sn_usage_row *row, const char day[12]) {
	pending **const bucket = &u->bucket[(uint64_t)row->key % BUCKETS];
	for (pending *p = *bucket; p; p = p->next)
		if (p->row.key == row->key && strcmp(p->row.day, day) == 0) {
			sum(&p->row, row);
			return;
		}
	pending *const p = u->count < MAX_PENDING ? malloc(sizeof *p) : NULL;
	if (!p)
		return;
	*p = (pending){ *bucket, *row };
	memcpy(p->row.day, day, sizeof p->row.day);
	*bucket = p;
	u->count++;
}

void sn_usage_add(sn_usage *u, const sn_usage_row *row) {
	char day[12];
	day_of(time(NULL), day);
	pthread_mutex_lock(&u->lock);
	add(u, row, day);
	pthread_mutex_unlock(&u->lock);
}

/* ---- writing ---- */

static int write_rows(sn_usage *u, pending *const *bucket, char *err) {
	int result = sn_db_transaction_unsynced(u->db, err);
	if (result != SN_OK)
		return result;
	for (int i = 0; i < BUCKETS; i++)
		for (const pending *p = bucket[i]; p && result == SN_OK; p = p->next) {
			const sn_usage_row *const r = &p->row;
			result = sn_db_do(u->db, NULL, "INSERT INTO usage(day, key, requests, failed, audio, characters, speech)"
			                  " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)"
			                  " ON CONFLICT(day, key) DO UPDATE SET requests = requests + ?3, failed = failed + ?4, audio = audio + ?5,"
			                  " characters = characters + ?6, speech = speech + ?7", "tiiirir", err, r->day, r->key, r->requests, r->failed,
			                  r->audio, r->characters, r->speech);
		}
	if (result == SN_OK)
		return sn_db_commit(u->db, err);
	sn_db_rollback(u->db);
	return result;
}

int sn_usage_flush(sn_usage *u, char *err) {
	pending *taken[BUCKETS];
	pthread_mutex_lock(&u->flushing);
	pthread_mutex_lock(&u->lock);
	const int count = u->count;
	memcpy(taken, u->bucket, sizeof taken);
	memset(u->bucket, 0, sizeof u->bucket);
	u->count = 0;
	pthread_mutex_unlock(&u->lock);
	const int result = count ? write_rows(u, taken, err) : SN_OK;
	pthread_mutex_lock(&u->lock);
	for (int i = 0; i < BUCKETS; i++)
		for (pending *p = taken[i], *next; p; p = next) {
			next = p->next;
			if (result != SN_OK)
				add(u, &p->row, p->row.day);
			free(p);
		}
	pthread_mutex_unlock(&u->lock);
	pthread_mutex_unlock(&u->flushing);
	return result;
}

static void *write_behind(void *payload) {
	sn_usage *const u = payload;
	struct timespec until;
	pthread_mutex_lock(&u->lock);
	while (!u->stopping) {
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += PAUSE;
		while (!u->stopping && pthread_cond_timedwait(&u->news, &u->lock, &until) == 0)
			;
		pthread_mutex_unlock(&u->lock);
		sn_usage_flush(u, NULL);
		pthread_mutex_lock(&u->lock);
	}
	pthread_mutex_unlock(&u->lock);
	return NULL;
}

int sn_usage_open(sn_usage **out, sn_db *db, char *err) {
	pthread_condattr_t clock;
	sn_usage *const u = *out = calloc(1, sizeof *u);
	if (!u)
		return sn_fail(err, SN_E_MEMORY, "no memory for the usage");
	u->db = db;
	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_mutex_init(&u->lock, NULL);
	pthread_mutex_init(&u->flushing, NULL);
	pthread_cond_init(&u->news, &clock);
	pthread_condattr_destroy(&clock);
	u->writing = pthread_create(&u->writer, NULL, write_behind, u) == 0;
	if (u->writing)
		return SN_OK;
	sn_usage_close(out);
	return sn_fail(err, SN_E_MEMORY, "no thread for the usage");
}

void sn_usage_close(sn_usage **held) {
	sn_usage *const u = *held;
	*held = NULL;
	if (!u)
		return;
	pthread_mutex_lock(&u->lock);
	u->stopping = 1;
	pthread_cond_signal(&u->news);
	pthread_mutex_unlock(&u->lock);
	if (u->writing)
		pthread_join(u->writer, NULL);
	sn_usage_flush(u, NULL);
	for (int i = 0; i < BUCKETS; i++)
		for (pending *p = u->bucket[i], *next; p; p = next) {
			next = p->next;
			free(p);
		}
	pthread_cond_destroy(&u->news);
	pthread_mutex_destroy(&u->flushing);
	pthread_mutex_destroy(&u->lock);
	free(u);
}

/* ---- reading ---- */

static void take_row(sn_usage_row *row, sqlite3_stmt *s) {
	const char *const day = (const char *)sqlite3_column_text(s, 0);
	snprintf(row->day, sizeof row->day, "%s", day ? day : "");
	row->key = sqlite3_column_int64(s, 1);
	row->requests = sqlite3_column_int64(s, 2);
	row->failed = sqlite3_column_int64(s, 3);
	row->audio = sqlite3_column_double(s, 4);
	row->characters = sqlite3_column_int64(s, 5);
	row->speech = sqlite3_column_double(s, 6);
}

int sn_usage_list(sn_usage *u, int days, int64_t key, sn_usage_row **out, int *count, char *err) {
	sn_query q;
	char day[12];
	int room = 0;
	*out = NULL;
	*count = 0;
	sn_usage_flush(u, NULL); /* where the disk is full the list lacks the last seconds */
	first_day(days, day);
	int result = sn_db_begin(u->db, &q, "SELECT day, key, requests, failed, audio, characters, speech FROM usage WHERE day >= ?1"
	                     " AND (?2 < 0 OR key = ?2) ORDER BY day DESC, key LIMIT ?3", "tii", err, day, key, (int64_t)MAX_ROWS);
	while (result == SN_OK && (result = sn_db_row(&q, err)) == SN_OK) {
		if (*count == room) {
			room = room ? 2 * room : 64;
			sn_usage_row *const grown = realloc(*out, (size_t)room * sizeof **out);
			if (!grown) {
				result = sn_fail(err, SN_E_MEMORY, "no memory for the usage");
				break;
			}
			*out = grown;
		}
		take_row(&(*out)[(*count)++], q.statement);
	}
	sn_db_end(&q);
	if (result == SN_END)
		return SN_OK;
	free(*out);
	*out = NULL;
	*count = 0;
	return result;
}

int sn_usage_retain(sn_usage *u, int days, char *err) {
	char day[12];
	first_day(days, day);
	return sn_db_do(u->db, NULL, "DELETE FROM usage WHERE day < ?1", "t", err, day);
}
