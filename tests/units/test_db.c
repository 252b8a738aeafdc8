/* The server's database: what hostile text, other processes, crashes and full disks do to it; and the keys in it. */
#include "store_files.h"

#include "store/keys.h"

#include <pthread.h>
#include <sys/wait.h>

#define TEXTS 6
static const char *const hostile[TEXTS] = { "'; DROP TABLE keys; --", "\" OR 1=1", "%s%n?1", "\xff\xfe", "", "a\nb\r\t" };

static void hostile_text_is_only_text(void **state) {
	for (int i = 0; i < TEXTS; i++) {
		sn_query q;
		EXPECT_OK(sn_db_do(db, NULL, "INSERT OR REPLACE INTO settings(name, value) VALUES(?1, ?1)", "t", err, hostile[i]));
		EXPECT_OK(sn_db_begin(db, &q, "SELECT value FROM settings WHERE name = ?1", "t", err, hostile[i]));
		EXPECT_OK(sn_db_row(&q, err));
		assert_string_equal((const char *)sqlite3_column_text(q.statement, 0), hostile[i]);
		sn_db_end(&q);
	}
	assert_int_equal(number_of("SELECT count(*) FROM keys"), 0);
}

static void a_key_has_no_hostile_name(void **state) {
	for (int i = 0; i < TEXTS; i++) {
		sn_key key = { .use = 1 };
		char text[SN_KEY_TEXT];
		snprintf(key.name, sizeof key.name, "%s", hostile[i]);
		assert_int_equal(sn_keys_add(db, &key, text, err), SN_E_ARGUMENT);
	}
}

static void keys_have_names(void **state) {
	sn_key key = { .name = "radio", .use = 1 };
	char text[SN_KEY_TEXT], name[SN_KEY_NAME] = "x";
	EXPECT_OK(sn_keys_add(db, &key, text, err));
	EXPECT_OK(sn_keys_name(db, key.id, name, err));
	assert_string_equal(name, "radio");
	EXPECT_OK(sn_keys_name(db, key.id + 1, name, err));
	assert_string_equal(name, "");
	assert_int_equal(sn_keys_add(db, &key, text, err), SN_E_ARGUMENT); /* the name is taken */
}

static void a_rollback_leaves_nothing(void **state) {
	for (int unsynced = 0; unsynced < 2; unsynced++) {
		EXPECT_OK(unsynced ? sn_db_transaction_unsynced(db, err) : sn_db_transaction(db, err));
		EXPECT_OK(sn_db_do(db, NULL, "INSERT INTO settings(name, value) VALUES('a', 'b')", "", err));
		sn_db_rollback(db);
		assert_int_equal(number_of("SELECT count(*) FROM settings"), 0);
		assert_int_equal(number_of("PRAGMA synchronous"), 2);
	}
	EXPECT_OK(sn_db_transaction_unsynced(db, err));
	assert_int_equal(number_of("PRAGMA synchronous"), 1);
	EXPECT_OK(sn_db_do(db, NULL, "INSERT INTO settings(name, value) VALUES('a', 'b')", "", err));
	EXPECT_OK(sn_db_commit(db, err));
	assert_int_equal(number_of("SELECT count(*) FROM settings"), 1);
	assert_int_equal(number_of("PRAGMA synchronous"), 2);
}

static void *hold_lock(void *payload) {
	sqlite3 *const other = payload;
	usleep(300000);
	assert_int_equal(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
	return NULL;
}

static void another_process_may_write_meanwhile(void **state) {
	sqlite3 *other;
	pthread_t thread;
	const int64_t before = sn_db_version(db);
	assert_int_equal(sqlite3_open(path_of("sonant.db"), &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE; INSERT INTO settings(name, value) VALUES('theirs', '')", NULL, NULL, NULL),
	                 SQLITE_OK);
	assert_int_equal(pthread_create(&thread, NULL, hold_lock, other), 0);
	EXPECT_OK(sn_db_do(db, NULL, "INSERT INTO settings(name, value) VALUES('ours', '')", "", err));
	pthread_join(thread, NULL);
	sqlite3_close(other);
	assert_int_equal(number_of("SELECT count(*) FROM settings"), 2);
	assert_true(sn_db_version(db) != before);
}

static void a_full_database_says_so_and_recovers(void **state) {
	char text[4001];
	memset(text, 'x', 4000);
	text[4000] = 0;
	EXPECT_OK(sn_db_do(db, NULL, "PRAGMA max_page_count = 1", "", err));
	int result = SN_OK, count = 0;
	EXPECT_OK(sn_db_transaction(db, err));
	for (; count < 100 && result == SN_OK; count++)
		result = sn_db_do(db, NULL, "INSERT INTO settings(name, value) VALUES(?1, ?2)", "it", err, (int64_t)count, text);
	assert_int_equal(result, SN_E_NO_SPACE);
	sn_db_rollback(db);
	assert_int_equal(number_of("SELECT count(*) FROM settings"), 0);
	EXPECT_OK(sn_db_do(db, NULL, "PRAGMA max_page_count = 100000", "", err));
	EXPECT_OK(sn_db_do(db, NULL, "INSERT INTO settings(name, value) VALUES('a', ?1)", "t", err, text));
}

static void a_later_version_is_refused(void **state) {
	EXPECT_OK(sn_db_do(db, NULL, "PRAGMA user_version = 9999", "", err));
	sn_db_close(&db);
	assert_int_equal(sn_db_open(&db, path_of("sonant.db"), err), SN_E_FORMAT);
	assert_non_null(strstr(err, "9999"));
	assert_null(db);
}

static void damage_is_told_at_the_start(void **state) {
	char name[256];
	sn_db_close(&db);
	snprintf(name, sizeof name, "%s", path_of("sonant.db"));
	struct stat st;
	assert_int_equal(stat(name, &st), 0);
	for (off_t at = 0; at < st.st_size; at += 4096) {
		char page[4096], noise[4096];
		memset(noise, 0xa5, sizeof noise);
		const int fd = open(name, O_RDWR);
		assert_int_equal(pread(fd, page, sizeof page, at), sizeof page);
		assert_int_equal(pwrite(fd, noise, sizeof noise, at), sizeof noise);
		assert_int_equal(sn_db_open(&db, name, err), SN_E_FORMAT);
		assert_null(db);
		assert_int_equal(pwrite(fd, page, sizeof page, at), sizeof page);
		close(fd);
	}
	EXPECT_OK(sn_db_open(&db, name, err));
}

static void what_is_committed_survives_a_kill(void **state) {
	sn_db_close(&db);
	const pid_t child = fork();
	if (child == 0) {
		if (sn_db_open(&db, path_of("sonant.db"), err) == SN_OK && sn_db_transaction(db, err) == SN_OK
		    && sn_db_do(db, NULL, "INSERT INTO settings(name, value) VALUES('kept', '')", "", err) == SN_OK && sn_db_commit(db, err) == SN_OK
		    && sn_db_transaction(db, err) == SN_OK)
			sn_db_do(db, NULL, "INSERT INTO settings(name, value) VALUES('lost', '')", "", err);
		kill(getpid(), SIGKILL);
	}
	waitpid(child, NULL, 0);
	open_db();
	assert_int_equal(number_of("SELECT count(*) FROM settings WHERE name = 'kept'"), 1);
	assert_int_equal(number_of("SELECT count(*) FROM settings"), 1);
}

static void *increment(void *payload) {
	char why[SN_ERRLEN];
	for (int i = 0; i < 200; i++) {
		if ((i % 2 ? sn_db_transaction_unsynced(db, why) : sn_db_transaction(db, why)) != SN_OK)
			return "no transaction";
		if (sn_db_do(db, NULL, "UPDATE settings SET value = value + 1 WHERE name = 'n'", "", why) != SN_OK)
			return "no update";
		if (i % 5 == 4)
			sn_db_rollback(db);
		else if (sn_db_commit(db, why) != SN_OK)
			return "no commit";
	}
	return NULL;
}

static void transactions_of_threads_do_not_mix(void **state) {
	pthread_t thread[3];
	EXPECT_OK(sn_db_do(db, NULL, "INSERT INTO settings(name, value) VALUES('n', 0)", "", err));
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, increment, NULL), 0);
	for (int i = 0; i < 3; i++) {
		void *why;
		pthread_join(thread[i], &why);
		if (why)
			fail_msg("%s", (char *)why);
	}
	assert_int_equal(number_of("SELECT value FROM settings WHERE name = 'n'"), 3 * 160);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin_test, end_test)

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(hostile_text_is_only_text), TEST(a_key_has_no_hostile_name), TEST(keys_have_names), TEST(a_rollback_leaves_nothing),
		TEST(another_process_may_write_meanwhile), TEST(a_full_database_says_so_and_recovers), TEST(a_later_version_is_refused),
		TEST(damage_is_told_at_the_start), TEST(what_is_committed_survives_a_kill), TEST(transactions_of_threads_do_not_mix),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
