/* Names, aliases and places of models. */
#include "store/models.h"

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

static char dir[] = "/tmp/sonant-store-XXXXXX";

static const char *path_of(const char *name) {
	static char path[4][512];
	static int turn;
	turn = (turn + 1) % 4;
	snprintf(path[turn], sizeof path[turn], "%s/%s", dir, name);
	return path[turn];
}

static void make(const char *directory) { assert_int_equal(mkdir(path_of(directory), 0700), 0); }

static void write_text(const char *name, const char *text) {
	FILE *file = fopen(path_of(name), "w");
	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static sn_store *open_store(void) {
	char err[SN_ERRLEN] = "";
	sn_store *store;
	if (sn_store_open(&store, path_of("home"), err) != SN_OK)
		fail_msg("%s", err);
	return store;
}

static void expect_place(const sn_store *store, const char *model, const char *name, const char *path, const char *architecture) {
	char err[SN_ERRLEN] = "";
	sn_model_place place;
	if (sn_store_resolve(store, model, &place, err) != SN_OK)
		fail_msg("%s", err);
	assert_string_equal(place.name, name);
	assert_string_equal(place.path, path);
	assert_string_equal(place.architecture, architecture);
}

static void expect_unknown(const sn_store *store, const char *model, const char *says) {
	char err[SN_ERRLEN] = "";
	sn_model_place place;
	assert_int_equal(sn_store_resolve(store, model, &place, err), SN_E_NOT_FOUND);
	if (!strstr(err, says))
		fail_msg("'%s' lacks '%s'", err, says);
}

static void names_and_aliases_mean_the_same(void **state) {
	static const char *const same[][2] = {
		{ "base", "openai/whisper-base" }, { "whisper-base", "openai/whisper-base" }, { "OpenAI/Whisper-Base", "openai/whisper-base" },
		{ "tiny.en", "openai/whisper-tiny.en" }, { "large", "openai/whisper-large-v3" }, { "whisper-large", "openai/whisper-large" }, { "joe", "en_US-joe-medium" }, { "silero-vad", "silero-vad" },
	};
	sn_store *store = open_store();
	for (size_t i = 0; i < sizeof same / sizeof same[0]; i++)
		assert_string_equal(sn_store_find(store, same[i][0])->name, same[i][1]);
	assert_null(sn_store_find(store, "whisper"));
	char folder[SN_STORE_NAME];
	assert_true(sn_store_piper("en_GB-northern_english_male-medium", folder));
	assert_string_equal(folder, "rhasspy/piper-voices/en/en_GB/northern_english_male/medium");
	assert_false(sn_store_piper("en_US-joe", folder) || sn_store_piper("en_US-joe-huge", folder) || sn_store_piper("en-us-joe-medium", folder) ||
	             sn_store_piper("en_US-joe-medium.onnx", folder));
	sn_store_close(&store);
	assert_null(store);
}

static void the_catalogue_is_whole(void **state) {
	sn_store *store = open_store();
	assert_true(sn_store_count(store) >= 4);
	for (int i = 0; i < sn_store_count(store); i++) {
		const sn_catalogue_entry *entry = sn_store_at(store, i);
		int64_t size = 0;
		assert_true(*entry->licence && *entry->directory && *entry->architecture && *entry->origin);
		assert_int_equal(entry->package_count > 0, entry->file_count > 0); /* neither: the user puts the files there */
		assert_true(!*entry->vocoder || sn_store_find(store, entry->vocoder));
		for (int k = 0; k < entry->file_count; k++) {
			assert_int_equal(strlen(entry->files[k].sha256), 64);
			size += entry->files[k].size;
		}
		assert_int_equal(size, entry->size);
		assert_true((size > 0 || !entry->package_count) && sn_catalogue_allows(entry, "f32"));
		for (int k = 0; k < entry->alias_count; k++)
			assert_ptr_equal(sn_store_find(store, entry->aliases[k]), entry);
	}
	assert_false(sn_catalogue_allows(sn_store_find(store, "joe"), "int8"));
	for (int i = 0; sn_store_default(store, "transcribe", i); i++)
		assert_non_null(sn_store_find(store, sn_store_default(store, "transcribe", i)));
	assert_non_null(sn_store_default(store, "speak", 0));
	assert_null(sn_store_default(store, "dance", 0));
	sn_store_close(&store);
}

static void models_are_found_where_they_lie(void **state) {
	sn_store *store = open_store();
	expect_unknown(store, "base", "not installed");
	expect_unknown(store, "whisper-bsae", "known are openai/whisper-base ");
	expect_unknown(store, "nothing-like-it", "silero-vad");
	expect_unknown(store, "nothing-like-it", "org/name of the hub");
	expect_unknown(store, "de_DE-thorsten_emotional-x_low", "pull rhasspy/piper-voices/de/de_DE/thorsten_emotional/x_low'");
	expect_unknown(store, "", "openai/whisper-tiny.en");
	make("home");
	make("home/models");
	make("home/models/whisper-base");
	write_text("home/models/whisper-base/config.json", "{}");
	expect_unknown(store, "base", "not installed"); /* files are missing */
	const sn_catalogue_entry *base = sn_store_find(store, "base");
	for (int i = 0; i < base->file_count; i++) {
		char name[256];
		snprintf(name, sizeof name, "home/models/whisper-base/%s", base->files[i].name);
		write_text(name, "{}");
	}
	expect_place(store, "base", "openai/whisper-base", path_of("home/models/whisper-base"), "whisper");
	sn_model_place place;
	assert_int_equal(sn_store_resolve(store, path_of("home/models/whisper-base"), &place, NULL), SN_OK);
	assert_ptr_equal(place.entry, base);
	make("home/models/own");
	write_text("home/models/own/config.json", "{\"model_type\": \"vits\"}");
	expect_place(store, "own", "own", path_of("home/models/own"), "vits");
	expect_place(store, path_of("home/models/own"), "own", path_of("home/models/own"), "vits");
	sn_store_close(&store);
}

static void architectures_are_known_by_files(void **state) {
	char architecture[32];
	make("voice");
	write_text("voice/a.onnx", "");
	sn_store_architecture(path_of("voice"), architecture);
	assert_string_equal(architecture, "");
	write_text("voice/a.onnx.json", "{}");
	sn_store_architecture(path_of("voice"), architecture);
	assert_string_equal(architecture, "vits");
	sn_store_architecture(path_of("voice/a.onnx"), architecture);
	assert_string_equal(architecture, "vits");
	make("translated");
	FILE *file = fopen(path_of("translated/model.bin"), "wb");
	assert_int_equal(fwrite("\6\0\0\0\x0c\0WhisperSpec\0\3\0\0\0", 1, 22, file), 22);
	fclose(file);
	sn_store_architecture(path_of("translated"), architecture);
	assert_string_equal(architecture, "whisper");
	write_text("translated/model.bin", "short");
	sn_store_architecture(path_of("translated"), architecture);
	assert_string_equal(architecture, "");
	sn_store_architecture(path_of("nowhere"), architecture);
	assert_string_equal(architecture, "");
}

static void pipes_are_not_waited_for(void **state) {
	char architecture[32];
	make("pipe");
	assert_int_equal(mkfifo(path_of("pipe/model.bin"), 0600), 0);
	assert_int_equal(mkfifo(path_of("pipe/config.json"), 0600), 0);
	sn_store_architecture(path_of("pipe"), architecture);
	assert_string_equal(architecture, "");
}

static void the_hubs_cache_is_read(void **state) {
	make("hub");
	make("hub/models--org--thing");
	make("hub/models--org--thing/refs");
	make("hub/models--org--thing/snapshots");
	make("hub/models--org--thing/snapshots/aaa");
	make("hub/models--org--thing/snapshots/bbb");
	write_text("hub/models--org--thing/snapshots/bbb/config.json", "{\"model_type\": \"whisper\"}");
	write_text("hub/models--org--thing/snapshots/bbb/model.safetensors", "x");
	write_text("hub/models--org--thing/refs/main", "bbb");
	make("hub/datasets--org--speech");
	make("hub/models--openai--whisper-small");
	make("hub/models--openai--whisper-small/snapshots");
	make("hub/models--openai--whisper-small/snapshots/ccc");
	write_text("hub/models--openai--whisper-small/snapshots/ccc/config.json", "{\"model_type\": \"whisper\"}");
	assert_int_equal(symlink("../../blobs/nothing", path_of("hub/models--openai--whisper-small/snapshots/ccc/model.safetensors")), 0);
	setenv("HF_HUB_CACHE", path_of("hub"), 1);
	sn_store *store = open_store();
	expect_place(store, "org/thing", "org/thing", path_of("hub/models--org--thing/snapshots/bbb"), "whisper");
	expect_unknown(store, "openai/whisper-small", "run 'sonant models pull");
	expect_unknown(store, "org/other", "no model 'org/other'");
	expect_unknown(store, "org/../thing", "no model");
	sn_model_place *list;
	int count, found = 0;
	assert_int_equal(sn_store_list(store, &list, &count, NULL), SN_OK);
	for (int i = 0; i < count; i++)
		found += strcmp(list[i].name, "org/thing") == 0;
	assert_int_equal(found, 1);
	free(list);
	sn_store_close(&store);
	unsetenv("HF_HUB_CACHE");
}

static void packed_files_have_a_place_or_a_reason(void **state) {
	char path[SN_STORE_PATH], note[SN_ERRLEN], err[SN_ERRLEN];
	sn_store *store = open_store();
	sn_store_packed_path(store, "openai/whisper-base", 0x2a, "int8-avx512", path, note);
	assert_string_equal(note, "");
	assert_string_equal(path, path_of("home/packed/whisper-base-000000000000002a-int8-avx512.pack"));
	struct stat st;
	assert_int_equal(stat(path_of("home/packed"), &st), 0);
	sn_store_close(&store);
	assert_int_equal(sn_store_open(&store, "/proc/none", err), SN_OK);
	sn_store_packed_path(store, "x", 1, "f32", path, note);
	assert_string_equal(path, "");
	assert_non_null(strstr(note, "cannot make '/proc/none/packed'"));
	sn_store_close(&store);
}

static int setup(void **state) {
	setenv("HF_HUB_CACHE", "/nonexistent", 1);
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state) {
	char command[64];
	snprintf(command, sizeof command, "rm -rf %s", dir);
	return system(command);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_and_aliases_mean_the_same),
		cmocka_unit_test(the_catalogue_is_whole),
		cmocka_unit_test(models_are_found_where_they_lie),
		cmocka_unit_test(architectures_are_known_by_files),
		cmocka_unit_test(pipes_are_not_waited_for),
		cmocka_unit_test(the_hubs_cache_is_read),
		cmocka_unit_test(packed_files_have_a_place_or_a_reason),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
