/* Usage by key and day. */
#include "store_files.h"

#include "store/usage.h"

#include <pthread.h>

static sn_usage *usage;
static sn_usage_row *rows;
static int count;

static int begin_usage(void **state) { return begin_test(state) || sn_usage_open(&usage, db, err) != SN_OK ? -1 : 0; }

static int end_usage(void **state) {
	free(rows);
	rows = NULL;
	sn_usage_close(&usage);
	return end_test(state);
}

static void list(int days, int64_t key) {
	free(rows);
	EXPECT_OK(sn_usage_list(usage, days, key, &rows, &count, err));
}

static void add(int64_t key, int failed) {
	sn_usage_add(usage, &(sn_usage_row){ .key = key, .requests = 1, .failed = failed, .characters = 10, .audio = 1.5, .speech = 0.25 });
}

static void it_is_summed_by_key(void **state) {
	for (int i = 0; i < 8; i++)
		add(i % 2, i == 0);
	list(1, -1);
	assert_int_equal(count, 2);
	assert_int_equal(rows[0].key, 0);
	assert_int_equal(rows[0].requests, 4);
	assert_int_equal(rows[0].failed, 1);
	assert_int_equal(rows[1].failed, 0);
	assert_int_equal(rows[1].characters, 40);
	assert_true(rows[1].audio == 6 && rows[1].speech == 1);
	add(1, 0);
	list(1, 1);
	assert_int_equal(count, 1);
	assert_int_equal(rows[0].requests, 5);
	list(1, 77);
	assert_int_equal(count, 0);
}

static void it_survives_a_restart(void **state) {
	add(3, 0);
	sn_usage_close(&usage);
	EXPECT_OK(sn_usage_open(&usage, db, err));
	list(1, 3);
	assert_int_equal(count, 1);
	assert_int_equal(rows[0].requests, 1);
}

static void old_days_are_left_out_and_removed(void **state) {
	EXPECT_OK(sn_db_do(db, NULL, "INSERT INTO usage VALUES(date('now', '-1 day'), 1, 1, 0, 0, 0, 0),"
	                   " (date('now', '-9 days'), 1, 1, 0, 0, 0, 0)", "", err));
	add(1, 0);
	list(1, -1);
	assert_int_equal(count, 1);
	list(2, -1);
	assert_int_equal(count, 2);
	assert_true(strcmp(rows[0].day, rows[1].day) > 0);
	list(30, -1);
	assert_int_equal(count, 3);
	EXPECT_OK(sn_usage_retain(usage, 9, err));
	list(30, -1);
	assert_int_equal(count, 2);
}

static void a_full_database_loses_nothing(void **state) {
	EXPECT_OK(sn_db_do(db, NULL, "PRAGMA max_page_count = 1", "", err));
	for (int key = 0; key < 2000; key++)
		add(key, 0);
	assert_int_equal(sn_usage_flush(usage, err), SN_E_NO_SPACE);
	add(0, 0);
	EXPECT_OK(sn_db_do(db, NULL, "PRAGMA max_page_count = 100000", "", err));
	list(1, -1);
	assert_int_equal(count, 2000);
	assert_int_equal(rows[0].requests, 2);
}

static void *add_many(void *payload) {
	for (int i = 0; i < 20000; i++) {
		add(i % 7, 0);
		if (i % 500 == 0)
			sn_usage_flush(usage, NULL);
	}
	return NULL;
}

static void threads_lose_nothing(void **state) {
	pthread_t thread[3];
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, add_many, NULL), 0);
	for (int i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	list(2, -1);
	int64_t total = 0;
	for (int i = 0; i < count; i++)
		total += rows[i].requests;
	assert_int_equal(total, 60000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin_usage, end_usage)

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(it_is_summed_by_key), TEST(it_survives_a_restart), TEST(old_days_are_left_out_and_removed), TEST(a_full_database_loses_nothing),
		TEST(threads_lose_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
