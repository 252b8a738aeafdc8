/* The two caches and the files below them. */
#include "store_files.h"

#include "store/cache.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <time.h>

#define MB ((int64_t)1 << 20)

static sn_blobs *blobs;
static sn_cache *cache;

static void open_cache(int64_t limit, int64_t memory) {
	EXPECT_OK(sn_blobs_open(&blobs, db, path_of("blobs"), err));
	EXPECT_OK(sn_cache_open(&cache, db, blobs, SN_CACHE_RESULT, limit, memory, err));
}

static void close_cache(void) {
	sn_cache_close(&cache);
	sn_blobs_close(&blobs);
}

/* As after a restart: memory empty, all written. */
static void reopen(int64_t limit, int64_t memory) {
	close_cache();
	open_cache(limit, memory);
}

static int end_cache(void **state) {
	close_cache();
	return end_test(state);
}

static void key_of(int number, uint8_t key[32]) {
	memset(key, 7, 32);
	memcpy(key, &number, sizeof number);
	key[9] = (uint8_t)number;
}

static void put(int number, size_t size) {
	uint8_t key[32];
	char facts[64];
	char *const data = malloc(size + 1);
	key_of(number, key);
	memset(data, number, size);
	snprintf(facts, sizeof facts, "{\"number\":%d}", number);
	sn_cache_put(cache, key, data, size, facts);
	free(data);
}

static int is_there(int number, size_t size, int peek) {
	uint8_t key[32];
	char facts[64];
	key_of(number, key);
	const sn_cached *e = peek ? sn_cache_peek(cache, key) : sn_cache_get(cache, key);
	if (!e)
		return 0;
	snprintf(facts, sizeof facts, "{\"number\":%d}", number);
	assert_string_equal(e->facts, facts);
	assert_int_equal(e->size, size);
	for (size_t i = 0; i < size; i++)
		assert_int_equal(((const uint8_t *)e->data)[i], (uint8_t)number);
	sn_cached_release(&e);
	assert_null(e);
	return 1;
}

static void what_is_put_is_found_at_once(void **state) {
	open_cache(MB, MB);
	assert_false(is_there(1, 100, 0));
	put(1, 100);
	put(2, 0);
	assert_true(is_there(1, 100, 1));
	assert_true(is_there(2, 0, 1));
	assert_false(is_there(3, 0, 1));
	sn_cache_facts f;
	sn_cache_describe(cache, &f);
	assert_int_equal(f.entries, 2);
	assert_int_equal(f.hits, 2);
	assert_int_equal(f.misses, 1);
}

static void it_survives_a_restart(void **state) {
	open_cache(MB, MB);
	put(1, 5000);
	reopen(MB, MB);
	assert_false(is_there(1, 5000, 1)); /* only on disk */
	assert_true(is_there(1, 5000, 0));
	assert_true(is_there(1, 5000, 1));
}

static void it_works_without_memory(void **state) {
	open_cache(MB, 0);
	put(1, 3000);
	for (int i = 0; i < 3000 && (number_of("SELECT count(*) FROM cache") == 0 || is_there(1, 3000, 1)); i++)
		nanosleep(&(struct timespec){ 0, 10000000 }, NULL);
	assert_true(is_there(1, 3000, 0));
	assert_false(is_there(1, 3000, 1));
}

static void the_longest_unused_goes(void **state) {
	open_cache(10 * 4096, MB);
	for (int i = 0; i < 10; i++)
		put(i, 4000);
	assert_true(is_there(0, 4000, 1)); /* used, so 1 is the oldest */
	put(10, 4000);
	assert_true(is_there(0, 4000, 1));
	assert_false(is_there(1, 4000, 0));
	reopen(10 * 4096, MB);
	assert_int_equal(count_files(NULL), 10);
	assert_true(is_there(0, 4000, 0));
	assert_false(is_there(1, 4000, 0));
	/* the order of use is kept, too: 0 was used last */
	sn_cache_set_limit(cache, 4096);
	assert_true(is_there(0, 4000, 0));
	assert_false(is_there(10, 4000, 0));
	reopen(4096, MB);
	assert_int_equal(count_files(NULL), 1);
	assert_int_equal(number_of("SELECT count(*) FROM blobs"), 1);
}

static void memory_has_a_limit(void **state) {
	open_cache(100 * MB, 100000);
	for (int i = 0; i < 100; i++)
		put(i, 5000);
	reopen(100 * MB, 100000);
	for (int i = 0; i < 100; i++)
		assert_true(is_there(i, 5000, 0));
	sn_cache_facts f;
	sn_cache_describe(cache, &f);
	assert_true(f.memory > 50000 && f.memory <= 100000);
	assert_true(is_there(99, 5000, 1));
	assert_false(is_there(0, 5000, 1));
}

static void limit_zero_keeps_nothing(void **state) {
	open_cache(0, MB);
	put(1, 10);
	assert_false(is_there(1, 10, 0));
	reopen(MB, MB);
	put(1, 10);
	reopen(0, MB); /* a limit that has become smaller */
	assert_false(is_there(1, 10, 0));
	reopen(MB, MB);
	assert_false(is_there(1, 10, 0));
	assert_int_equal(count_files(NULL), 0);
}

static void too_large_is_not_kept(void **state) {
	open_cache(MB, MB);
	put(1, (size_t)2 * MB);
	assert_false(is_there(1, (size_t)2 * MB, 0));
	sn_cache_facts f;
	sn_cache_describe(cache, &f);
	assert_int_equal(f.failed, 1);
}

static void an_entry_outlives_its_eviction(void **state) {
	uint8_t key[32];
	open_cache(MB, MB);
	put(5, 1000);
	key_of(5, key);
	const sn_cached *e = sn_cache_get(cache, key);
	sn_cache_clear(cache);
	assert_false(is_there(5, 1000, 0));
	assert_int_equal(((const char *)e->data)[999], 5);
	sn_cached_release(&e);
	put(5, 1000);
	assert_true(is_there(5, 1000, 0));
	reopen(MB, MB);
	assert_true(is_there(5, 1000, 0));
	assert_int_equal(count_files(NULL), 1);
}

static void damage(int truncated) {
	char path[512];
	assert_int_equal(count_files(path), 1);
	const int fd = open(path, O_WRONLY);
	if (truncated)
		assert_int_equal(ftruncate(fd, 100), 0);
	else
		assert_int_equal(pwrite(fd, "x", 1, 500), 1);
	close(fd);
}

static void a_damaged_file_is_a_miss(void **state) {
	for (int truncated = 0; truncated < 2; truncated++) {
		open_cache(MB, MB);
		put(1, 1000);
		reopen(MB, MB);
		damage(truncated);
		assert_false(is_there(1, 1000, 0));
		put(1, 1000);
		reopen(MB, MB);
		assert_true(is_there(1, 1000, 0));
		assert_int_equal(count_files(NULL), 1);
		close_cache();
	}
	open_cache(MB, MB);
}

static void equal_content_is_one_file(void **state) {
	uint8_t key[2][32];
	open_cache(MB, MB);
	for (int i = 0; i < 2; i++) {
		key_of(i, key[i]);
		sn_cache_put(cache, key[i], "same", 4, "{}");
	}
	reopen(MB, MB);
	assert_int_equal(count_files(NULL), 1);
	assert_int_equal(number_of("SELECT uses FROM blobs"), 2);
	sn_cache_clear(cache);
	reopen(MB, MB);
	assert_int_equal(count_files(NULL), 0);
}

static void a_full_disk_is_no_error(void **state) {
	struct rlimit before, small = { 65536, RLIM_INFINITY };
	signal(SIGXFSZ, SIG_IGN);
	open_cache(100 * MB, 4 * MB);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small.rlim_max = before.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	put(1, 300000);
	sn_cache_facts f = { 0 };
	for (int i = 0; i < 3000 && !f.failed; i++) {
		nanosleep(&(struct timespec){ 0, 10000000 }, NULL);
		sn_cache_describe(cache, &f);
	}
	const int found = is_there(1, 300000, 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(f.failed, 1);
	assert_true(found); /* from memory */
	put(2, 300000);
	reopen(100 * MB, 4 * MB);
	assert_true(is_there(2, 300000, 0));
	assert_false(is_there(1, 300000, 0));
	assert_int_equal(count_files(NULL), 1);
}

static void a_full_database_is_no_error(void **state) {
	open_cache(100 * MB, 0);
	EXPECT_OK(sn_db_do(db, NULL, "PRAGMA max_page_count = 1", "", err)); /* that is: no page more */
	for (int i = 0; i < 200; i++)
		put(i, 100);
	sn_cache_close(&cache);
	EXPECT_OK(sn_db_do(db, NULL, "PRAGMA max_page_count = 100000", "", err));
	EXPECT_OK(sn_cache_open(&cache, db, blobs, SN_CACHE_RESULT, MB, MB, err));
	sn_cache_facts f;
	sn_cache_describe(cache, &f);
	assert_true(f.entries < 200);
	assert_int_equal(count_files(NULL), f.entries);
	put(300, 100);
	reopen(MB, MB);
	assert_true(is_there(300, 100, 0));
}

static void strays_of_a_crash_go(void **state) {
	open_cache(MB, MB);
	put(1, 100);
	close_cache();
	EXPECT_OK(sn_db_do(db, NULL, "DELETE FROM settings", "", err)); /* as if it had not been closed */
	mkdir(path_of("blobs/ab"), 0700);
	close(open(path_of("blobs/new-3"), O_CREAT | O_WRONLY, 0600));
	close(open(path_of("blobs/ab/cdef"), O_CREAT | O_WRONLY, 0600));
	close(open(path_of("blobs/ab/00112233445566778899aabbccddeeff00112233445566778899aabbccddee"), O_CREAT | O_WRONLY, 0600));
	open_cache(MB, MB);
	assert_int_equal(count_files(NULL), 1);
	assert_true(is_there(1, 100, 0));
}

static void two_servers_need_two_homes(void **state) {
	sn_blobs *second;
	open_cache(MB, MB);
	assert_int_equal(sn_blobs_open(&second, db, path_of("blobs"), err), SN_E_BUSY);
	assert_null(second);
}

static void *churn(void *payload) {
	const int self = *(int *)payload;
	uint64_t seed = (uint64_t)self + 1;
	for (int i = 0; i < 3000; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		const int number = (int)(seed >> 33) % 60;
		const size_t size = (size_t)number * 97;
		if (seed >> 60 < 5)
			put(number, size);
		else
			is_there(number, size, seed >> 60 < 10);
		if (seed >> 54 == 0)
			sn_cache_clear(cache);
	}
	return NULL;
}

static void threads_get_what_was_put(void **state) {
	pthread_t thread[4];
	int self[4] = { 0, 1, 2, 3 };
	open_cache(30 * 4096, 20000);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, churn, &self[i]), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	reopen(30 * 4096, 20000);
	sn_cache_facts f;
	sn_cache_describe(cache, &f);
	assert_true(f.bytes <= 30 * 4096);
	assert_int_equal(number_of("SELECT count(*) FROM cache"), f.entries);
	assert_int_equal(number_of("SELECT count(*) FROM blobs"), count_files(NULL));
}

static void peeking_is_a_look_up(void **state) {
	struct timespec from, to;
	open_cache(MB, MB);
	put(1, 32000);
	uint8_t key[32];
	key_of(1, key);
	clock_gettime(CLOCK_MONOTONIC, &from);
	for (int i = 0; i < 100000; i++) {
		const sn_cached *e = sn_cache_peek(cache, key);
		assert_non_null(e);
		sn_cached_release(&e);
	}
	clock_gettime(CLOCK_MONOTONIC, &to);
	const double seconds = (double)(to.tv_sec - from.tv_sec) + 1e-9 * (double)(to.tv_nsec - from.tv_nsec);
	print_message("# a peek takes %.0f ns\n", seconds * 1e4);
	assert_true(seconds < 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin_test, end_cache)

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(what_is_put_is_found_at_once), TEST(it_survives_a_restart), TEST(it_works_without_memory), TEST(the_longest_unused_goes),
		TEST(memory_has_a_limit), TEST(limit_zero_keeps_nothing), TEST(too_large_is_not_kept), TEST(an_entry_outlives_its_eviction),
		TEST(a_damaged_file_is_a_miss), TEST(equal_content_is_one_file), TEST(a_full_disk_is_no_error), TEST(a_full_database_is_no_error),
		TEST(strays_of_a_crash_go), TEST(two_servers_need_two_homes), TEST(threads_get_what_was_put), TEST(peeking_is_a_look_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
