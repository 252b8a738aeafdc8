/* One index of all entries in memory, in the order of their use; of some the bytes are in memory, too. A thread writes behind: what is new,
 * what has gone, and when entries were used. An entry's file holds its facts, a NUL and its data. */
#include "store/cache.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BLOCK 4096                        /* of a file system: what a small entry takes all the same */
#define MAX_PENDING ((int64_t)128 << 20)   /* bytes that wait to be written */
#define BATCH 256                         /* entries of a transaction */
#define PAUSE 5                           /* seconds until news of use alone are written */
#define USED_STEP 60.0                    /* seconds by which the order on disk may be wrong after a crash */
#define LARGE 8                           /* an entry of more than this part of the memory stays on disk only */
#define MAX_ENTRIES ((size_t)1 << 22)

typedef struct entry {
	sn_cached shown;                      /* first */
	atomic_int references;
	size_t room;
	char *bytes;                          /* facts, NUL, data */
} entry;

typedef struct node {
	uint8_t key[32], blob[SN_BLOB_HASH];
	int64_t size;                         /* on disk, in whole blocks */
	double used, written;                 /* wall clock; as the database has it */
	entry *held;                          /* bytes in memory, or NULL */
	struct node *chain, *queue;
	struct node *newer, *older;           /* of all */
	struct node *hotter, *colder;         /* of those in memory */
	unsigned stored : 1, queued : 1, dead : 1;
} node;

/* What the writer does about an entry. */
typedef struct job {
	node *node;
	entry *bytes;                         /* to be written, or NULL */
	uint8_t blob[SN_BLOB_HASH];
	double used;
	int remove, update, staged, result;
} job;

struct sn_cache {
	sn_db *db;
	sn_blobs *blobs;
	sn_cache_kind kind;
	pthread_mutex_t lock;
	pthread_cond_t news;
	pthread_t writer;
	job *jobs;                            /* [BATCH] */
	int writing, stopping, urgent;
	int64_t limit, memory_limit, pending;
	node **table;
	size_t buckets;                       /* a power of two */
	node *newest, *oldest, *hottest, *coldest;
	node *first, **last;                  /* queue of the writer */
	sn_cache_facts facts;
};

static double wall(void) {
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- entries ---- */

/* Takes over the bytes. */
static entry *new_entry(char *bytes, size_t facts, size_t size) {
	entry *const e = bytes ? malloc(sizeof *e) : NULL;
	if (!e) {
		free(bytes);
		return NULL;
	}
	*e = (entry){ .shown = { bytes + facts + 1, size, bytes }, .room = facts + 1 + size, .bytes = bytes };
	atomic_init(&e->references, 1);
	return e;
}

static entry *copy_entry(const void *data, size_t size, const char *facts, size_t facts_size) {
	char *const bytes = malloc(facts_size + 1 + size);
	if (!bytes)
		return NULL;
	memcpy(bytes, facts, facts_size);
	bytes[facts_size] = 0;
	if (size)
		memcpy(bytes + facts_size + 1, data, size);
	return new_entry(bytes, facts_size, size);
}

static entry *retain(entry *e) {
	atomic_fetch_add(&e->references, 1);
	return e;
}

static void release(entry *e) {
	if (!e || atomic_fetch_sub(&e->references, 1) != 1)
		return;
	free(e->bytes);
	free(e);
}

void sn_cached_release(const sn_cached **shown) {
	release((entry *)*shown);
	*shown = NULL;
}

static int64_t cost(const entry *e) { return (int64_t)(sizeof *e + e->room); }

/* ---- index; lock held ---- */

static size_t bucket_of(const sn_cache *c, const uint8_t key[32]) {
	uint64_t bits;
	memcpy(&bits, key, sizeof bits); /* of a SHA-256 */
	return (size_t)bits & (c->buckets - 1);
}

static node *find(const sn_cache *c, const uint8_t key[32]) {
	node *n = c->table[bucket_of(c, key)];
	while (n && memcmp(n->key, key, 32) != 0)
		n = n->chain;
	return n;
}

static void grow(sn_cache *c) {
	const size_t before = c->buckets;
	if ((size_t)c->facts.entries < before)
		return;
	node **const old = c->table, **const table = calloc(2 * before, sizeof *table);
	if (!table)
		return;
	c->table = table;
	c->buckets = 2 * before;
	for (size_t i = 0; i < before; i++)
		for (node *n = old[i], *next; n; n = next) {
			node **const at = &table[bucket_of(c, n->key)];
			next = n->chain;
			n->chain = *at;
			*at = n;
		}
	free(old);
}

static void lead(sn_cache *c, node *n) {
	n->newer = NULL;
	n->older = c->newest;
	*(c->newest ? &c->newest->newer : &c->oldest) = n;
	c->newest = n;
}

static void unlink_node(sn_cache *c, node *n) {
	*(n->newer ? &n->newer->older : &c->newest) = n->older;
	*(n->older ? &n->older->newer : &c->oldest) = n->newer;
}

static void insert(sn_cache *c, node *n) {
	grow(c);
	node **const at = &c->table[bucket_of(c, n->key)];
	n->chain = *at;
	*at = n;
	lead(c, n);
	c->facts.entries++;
	c->facts.bytes += n->size;
}

static void warm(sn_cache *c, node *n, entry *e) {
	n->held = e;
	n->hotter = NULL;
	n->colder = c->hottest;
	*(c->hottest ? &c->hottest->hotter : &c->coldest) = n;
	c->hottest = n;
	c->facts.memory += cost(e);
}

static entry *chill(sn_cache *c, node *n) {
	entry *const e = n->held;
	if (!e)
		return NULL;
	*(n->hotter ? &n->hotter->colder : &c->hottest) = n->colder;
	*(n->colder ? &n->colder->hotter : &c->coldest) = n->hotter;
	n->held = NULL;
	c->facts.memory -= cost(e);
	return e;
}

static void enqueue(sn_cache *c, node *n, int urgent) {
	if (!n->queued) {
		n->queued = 1;
		n->queue = NULL;
		*c->last = n;
		c->last = &n->queue;
	}
	if (urgent && !c->urgent) {
		c->urgent = 1;
		pthread_cond_signal(&c->news);
	}
}

/* Out of the index; its row and file go with the writer. */
static void drop(sn_cache *c, node *n) {
	node **at = &c->table[bucket_of(c, n->key)];
	while (*at != n)
		at = &(*at)->chain;
	*at = n->chain;
	unlink_node(c, n);
	c->facts.entries--;
	c->facts.bytes -= n->size;
	entry *const e = chill(c, n);
	if (e && !n->stored && n->queued)
		c->pending -= cost(e);
	release(e);
	n->dead = 1;
	if (n->stored || n->queued)
		enqueue(c, n, 1);
	else
		free(n);
}

static void shrink(sn_cache *c) {
	while (c->oldest && (c->facts.bytes > c->limit || (size_t)c->facts.entries > MAX_ENTRIES)) {
		c->facts.evicted++;
		drop(c, c->oldest);
	}
	for (node *n = c->coldest, *next; n && c->facts.memory - c->pending > c->memory_limit; n = next) {
		next = n->hotter;
		if (n->stored)
			release(chill(c, n));
		else if (!n->queued)
			drop(c, n); /* the disk did not take it */
	}
}

static void touch(sn_cache *c, node *n) {
	n->used = wall();
	unlink_node(c, n);
	lead(c, n);
	if (n->held) {
		entry *const e = chill(c, n);
		warm(c, n, e);
	}
	if (n->stored && n->used - n->written > USED_STEP)
		enqueue(c, n, 0);
}

/* ---- writing behind ---- */

/* Lock held: what is to be done about each of the queue's first. */
static int take_jobs(sn_cache *c, job *jobs) {
	int count = 0;
	while (c->first && count < BATCH) {
		node *const n = c->first;
		c->first = n->queue;
		if (!c->first)
			c->last = &c->first;
		jobs[count] = (job){ .node = n, .used = n->used, .remove = n->dead && n->stored, .update = !n->dead && n->stored };
		if (!n->dead && !n->stored && n->held)
			jobs[count].bytes = retain(n->held);
		count++;
	}
	if (!c->first)
		c->urgent = 0;
	return count;
}

static int remove_row(sn_cache *c, const uint8_t key[32]) {
	uint8_t blob[SN_BLOB_HASH];
	int there = 0;
	sn_query q;
	int result = sn_db_begin(c->db, &q, "DELETE FROM cache WHERE kind = ?1 AND key = ?2 RETURNING blob", "ib", NULL, (int64_t)c->kind, key,
	                         (size_t)32);
	while (result == SN_OK && (result = sn_db_row(&q, NULL)) == SN_OK)
		if (sqlite3_column_bytes(q.statement, 0) == sizeof blob) {
			memcpy(blob, sqlite3_column_blob(q.statement, 0), sizeof blob);
			there = 1;
		}
	sn_db_end(&q);
	return result != SN_END ? result : there ? sn_blobs_drop(c->blobs, blob, NULL) : SN_OK;
}

static int write_row(sn_cache *c, const job *j) {
	const int64_t kind = c->kind;
	const uint8_t *const key = j->node->key;
	if (j->update)
		return sn_db_do(c->db, NULL, "UPDATE cache SET used = ?3 WHERE kind = ?1 AND key = ?2", "ibr", NULL, kind, key, (size_t)32, j->used);
	int result = j->remove || j->bytes ? remove_row(c, key) : SN_OK;
	if (result != SN_OK || !j->bytes)
		return result;
	const int64_t size = (int64_t)j->bytes->room;
	result = sn_blobs_keep(c->blobs, j->blob, size, NULL);
	return result != SN_OK ? result
		: sn_db_do(c->db, NULL, "INSERT INTO cache(kind, key, blob, size, used) VALUES(?1, ?2, ?3, ?4, ?5)", "ibbir", NULL, kind, key, (size_t)32,
		           j->blob, sizeof j->blob, size, j->used);
}

/* Files first, then all rows at once; nothing waits for the disk. */
static void do_jobs(sn_cache *c, job *jobs, int count) {
	for (int i = 0; i < count; i++)
		if (jobs[i].bytes) {
			jobs[i].result = sn_blobs_stage(c->blobs, jobs[i].bytes->bytes, jobs[i].bytes->room, 0, jobs[i].blob, NULL);
			jobs[i].staged = jobs[i].result == SN_OK;
		}
	int result = sn_db_transaction_unsynced(c->db, NULL);
	const int begun = result == SN_OK;
	for (int i = 0; i < count && result == SN_OK; i++)
		if (jobs[i].result == SN_OK)
			result = write_row(c, &jobs[i]);
	if (result == SN_OK)
		result = sn_db_commit(c->db, NULL);
	else if (begun)
		sn_db_rollback(c->db);
	for (int i = 0; i < count; i++) {
		if (jobs[i].staged)
			sn_blobs_unstage(c->blobs, jobs[i].blob);
		if (jobs[i].result == SN_OK)
			jobs[i].result = result;
	}
	sn_blobs_tidy(c->blobs);
}

/* Lock held. A removal that failed is tried again; at the end it is left to the next start, which finds the row. */
static void end_job(sn_cache *c, job *j) {
	node *const n = j->node;
	n->queued = 0;
	if (j->bytes) {
		if (!n->dead)
			c->pending -= cost(j->bytes);
		n->stored = j->result == SN_OK;
		memcpy(n->blob, j->blob, sizeof n->blob);
		c->facts.failed += j->result != SN_OK;
		if (n->stored && cost(j->bytes) > c->memory_limit / LARGE)
			release(chill(c, n));
		release(j->bytes);
	}
	n->written = j->used;
	if (!n->dead)
		return;
	if (!n->stored || (j->remove && (j->result == SN_OK || c->stopping))) {
		free(n);
		return;
	}
	n->queued = 1; /* before a later entry of the same key */
	n->queue = c->first;
	c->first = n;
	if (!n->queue)
		c->last = &n->queue;
	c->urgent |= !j->remove;
}

static void *write_behind(void *payload) {
	sn_cache *const c = payload;
	job *const jobs = c->jobs;
	pthread_mutex_lock(&c->lock);
	for (;;) {
		struct timespec until;
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += PAUSE;
		while (!c->urgent && !c->stopping)
			if (pthread_cond_timedwait(&c->news, &c->lock, &until) != 0)
				break;
		const int count = take_jobs(c, jobs);
		if (!count && c->stopping)
			break;
		if (!count)
			continue;
		pthread_mutex_unlock(&c->lock);
		do_jobs(c, jobs, count);
		pthread_mutex_lock(&c->lock);
		for (int i = 0; i < count; i++)
			end_job(c, &jobs[i]);
		shrink(c);
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

/* ---- opening ---- */

static int64_t blocks(int64_t size) { return (size + BLOCK - 1) / BLOCK * BLOCK; }

static int read_index(sn_cache *c, char *err) {
	sn_query q;
	int result = sn_db_begin(c->db, &q, "SELECT key, blob, size, used FROM cache WHERE kind = ?1 ORDER BY used", "i", err, (int64_t)c->kind);
	while (result == SN_OK && (result = sn_db_row(&q, err)) == SN_OK) {
		sqlite3_stmt *const s = q.statement;
		if (sqlite3_column_bytes(s, 0) != 32 || sqlite3_column_bytes(s, 1) != SN_BLOB_HASH || sqlite3_column_int64(s, 2) < 0)
			continue;
		node *const n = calloc(1, sizeof *n);
		if (!n) {
			result = sn_fail(err, SN_E_MEMORY, "no memory for the cache's index");
			break;
		}
		memcpy(n->key, sqlite3_column_blob(s, 0), 32);
		memcpy(n->blob, sqlite3_column_blob(s, 1), SN_BLOB_HASH);
		n->size = blocks(sqlite3_column_int64(s, 2));
		n->used = n->written = sqlite3_column_double(s, 3);
		n->stored = 1;
		insert(c, n);
	}
	sn_db_end(&q);
	return result == SN_END ? SN_OK : result;
}

int sn_cache_open(sn_cache **out, sn_db *db, sn_blobs *blobs, sn_cache_kind kind, int64_t limit, int64_t memory, char *err) {
	sn_cache *const c = *out = calloc(1, sizeof *c);
	if (c) {
		c->table = calloc(1024, sizeof *c->table);
		c->jobs = calloc(BATCH, sizeof *c->jobs);
	}
	if (!c || !c->table || !c->jobs) {
		if (c) {
			free(c->table);
			free(c->jobs);
		}
		free(c);
		*out = NULL;
		return sn_fail(err, SN_E_MEMORY, "no memory for the cache");
	}
	pthread_condattr_t clock;
	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->news, &clock);
	pthread_condattr_destroy(&clock);
	c->db = db;
	c->blobs = blobs;
	c->kind = kind;
	c->limit = limit;
	c->memory_limit = memory;
	c->buckets = 1024;
	c->last = &c->first;
	int result = read_index(c, err);
	shrink(c);
	c->facts.evicted = 0;
	if (result == SN_OK) {
		c->writing = pthread_create(&c->writer, NULL, write_behind, c) == 0;
		result = c->writing ? SN_OK : sn_fail(err, SN_E_MEMORY, "no thread for the cache");
	}
	if (result != SN_OK)
		sn_cache_close(out);
	return result;
}

void sn_cache_close(sn_cache **held) {
	sn_cache *const c = *held;
	*held = NULL;
	if (!c)
		return;
	pthread_mutex_lock(&c->lock);
	for (node *n = c->newest; n; n = n->older)
		if (n->stored && n->used > n->written)
			enqueue(c, n, 0);
	c->stopping = 1;
	pthread_cond_signal(&c->news);
	pthread_mutex_unlock(&c->lock);
	if (c->writing)
		pthread_join(c->writer, NULL);
	for (node *n = c->first, *next; n; n = next) {
		next = n->queue;
		if (n->dead)
			free(n);
	}
	for (node *n = c->newest, *next; n; n = next) {
		next = n->older;
		release(n->held);
		free(n);
	}
	pthread_cond_destroy(&c->news);
	pthread_mutex_destroy(&c->lock);
	free(c->table);
	free(c->jobs);
	free(c);
}

void sn_cache_set_limit(sn_cache *c, int64_t limit) {
	pthread_mutex_lock(&c->lock);
	c->limit = limit;
	shrink(c);
	pthread_mutex_unlock(&c->lock);
}

void sn_cache_clear(sn_cache *c) {
	pthread_mutex_lock(&c->lock);
	while (c->oldest)
		drop(c, c->oldest);
	pthread_mutex_unlock(&c->lock);
}

void sn_cache_describe(sn_cache *c, sn_cache_facts *facts) {
	pthread_mutex_lock(&c->lock);
	*facts = c->facts;
	pthread_mutex_unlock(&c->lock);
}

/* ---- use ---- */

const sn_cached *sn_cache_peek(sn_cache *c, const uint8_t key[32]) {
	pthread_mutex_lock(&c->lock);
	node *const n = find(c, key);
	entry *const e = n && n->held ? retain(n->held) : NULL;
	if (e) {
		touch(c, n);
		c->facts.hits++;
	}
	pthread_mutex_unlock(&c->lock);
	return e ? &e->shown : NULL;
}

static entry *load(sn_cache *c, const uint8_t blob[SN_BLOB_HASH]) {
	void *bytes;
	size_t size;
	if (sn_blobs_read(c->blobs, blob, &bytes, &size, NULL) != SN_OK)
		return NULL;
	const size_t facts = strlen(bytes); /* a NUL follows the bytes */
	if (facts < size)
		return new_entry(bytes, facts, size - facts - 1);
	free(bytes);
	return NULL;
}

const sn_cached *sn_cache_get(sn_cache *c, const uint8_t key[32]) {
	const sn_cached *const near = sn_cache_peek(c, key);
	uint8_t blob[SN_BLOB_HASH];
	if (near)
		return near;
	pthread_mutex_lock(&c->lock);
	node *n = find(c, key);
	const int there = n && n->stored;
	if (there)
		memcpy(blob, n->blob, sizeof blob);
	pthread_mutex_unlock(&c->lock);
	entry *const e = there ? load(c, blob) : NULL;
	pthread_mutex_lock(&c->lock);
	n = there ? find(c, key) : NULL;
	if (n && n->stored && memcmp(n->blob, blob, sizeof blob) == 0) {
		if (!e) {
			drop(c, n); /* damaged */
			c->facts.failed++;
		} else {
			if (!n->held && cost(e) <= c->memory_limit / LARGE)
				warm(c, n, retain(e));
			touch(c, n);
			shrink(c);
		}
	}
	*(e ? &c->facts.hits : &c->facts.misses) += 1;
	pthread_mutex_unlock(&c->lock);
	return e ? &e->shown : NULL;
}

/* Lock held. 0: the limits forbid it. */
static int admit(sn_cache *c, const uint8_t key[32], entry *e) {
	if (!c->writing || blocks((int64_t)e->room) > c->limit || c->pending + cost(e) > MAX_PENDING)
		return 0;
	node *const n = calloc(1, sizeof *n);
	if (!n)
		return 0;
	memcpy(n->key, key, 32);
	n->size = blocks((int64_t)e->room);
	n->used = wall();
	insert(c, n);
	warm(c, n, retain(e));
	c->pending += cost(e);
	enqueue(c, n, 1);
	shrink(c);
	return 1;
}

void sn_cache_put(sn_cache *c, const uint8_t key[32], const void *data, size_t size, const char *facts) {
	const size_t facts_size = facts ? strlen(facts) : 0;
	if (size > SN_CACHE_MAX_ENTRY || facts_size >= SN_CACHE_FACTS)
		return;
	pthread_mutex_lock(&c->lock);
	const int wanted = c->limit > 0 && !find(c, key);
	pthread_mutex_unlock(&c->lock);
	entry *const e = wanted ? copy_entry(data, size, facts ? facts : "", facts_size) : NULL;
	pthread_mutex_lock(&c->lock);
	if (wanted && !find(c, key) && (!e || !admit(c, key, e)))
		c->facts.failed++;
	pthread_mutex_unlock(&c->lock);
	release(e);
}
