/* What there is, what a model takes, and loads that are refused for it. test_memory FIXTURES: tests/fixtures/tiny. */
#include "speech/memory.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <setjmp.h>
#include <cmocka.h>

static const char *fixtures;
static char root[] = "/tmp/sonant-memory-XXXXXX";

/* A file of the kernel below `root`, its folders made. */
static void put(const char *path, const char *text) {
	char file[600];
	snprintf(file, sizeof file, "%s%s", root, path);
	for (char *slash = strchr(file + strlen(root) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		assert_true(mkdir(file, 0700) == 0 || errno == EEXIST);
		*slash = '/';
	}
	FILE *out = fopen(file, "w");
	assert_non_null(out);
	fputs(text, out);
	fclose(out);
}

static void machine_and_groups_are_read(void **state) {
	assert_true(sn_memory_available(root) == SIZE_MAX); /* nothing is known */
	put("/proc/meminfo", "MemTotal:       24000000 kB\nMemFree:         1000 kB\nMemAvailable:    8000000 kB\n");
	assert_true(sn_memory_available(root) == (size_t)8000000 << 10);
	put("/proc/self/cgroup", "0::/user.slice/app\n");
	put("/sys/fs/cgroup/user.slice/app/memory.max", "max\n");
	put("/sys/fs/cgroup/user.slice/app/memory.current", "5000\n");
	assert_true(sn_memory_available(root) == (size_t)8000000 << 10);
	put("/sys/fs/cgroup/user.slice/memory.max", "4000000000\n"); /* the group above has a limit, and file pages that can go */
	put("/sys/fs/cgroup/user.slice/memory.current", "3000000000\n");
	put("/sys/fs/cgroup/user.slice/memory.stat", "anon 2000000000\ninactive_anon 7\ninactive_file 500000000\n");
	assert_true(sn_memory_available(root) == 1500000000);
	put("/proc/self/cgroup", "0::/../../host/path/that/is/not/here\n"); /* in a container the group is the mount itself */
	put("/sys/fs/cgroup/memory.max", "900000000\n");
	put("/sys/fs/cgroup/memory.current", "1000000000\n");
	assert_true(sn_memory_available(root) == 0);
	put("/proc/self/cgroup", "11:cpu:/\n5:memory:/docker/abc\n1:name=systemd:/\n");
	put("/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes", "2000000000\n");
	put("/sys/fs/cgroup/memory/docker/abc/memory.usage_in_bytes", "1900000000\n");
	put("/sys/fs/cgroup/memory/docker/abc/memory.stat", "cache 5\ntotal_inactive_file 300000000\n");
	assert_true(sn_memory_available(root) == 400000000);
	put("/proc/meminfo", "nonsense");
	put("/proc/self/cgroup", "::::\n0:\n");
	assert_true(sn_memory_available(root) == SIZE_MAX);
	(void)state;
}

static void a_share_of_the_cpus_is_read(void **state) {
	put("/proc/self/cgroup", "0::/\n");
	assert_true(sn_cpus_allowed(root) == SIZE_MAX); /* nothing is known */
	put("/sys/fs/cgroup/cpu.max", "max 100000\n");
	assert_true(sn_cpus_allowed(root) == SIZE_MAX);
	put("/sys/fs/cgroup/cpu.max", "200000 100000\n");
	assert_true(sn_cpus_allowed(root) == 2);
	put("/proc/self/cgroup", "0::/app.slice/one\n"); /* the least of the group and those above it */
	put("/sys/fs/cgroup/app.slice/one/cpu.max", "400000 100000\n");
	assert_true(sn_cpus_allowed(root) == 2);
	put("/sys/fs/cgroup/app.slice/cpu.max", "150000 100000\n");
	put("/sys/fs/cgroup/cpu.max", "max 100000\n");
	assert_true(sn_cpus_allowed(root) == 2);
	put("/sys/fs/cgroup/app.slice/cpu.max", "10000 100000\n");
	assert_true(sn_cpus_allowed(root) == 1);
	put("/proc/self/cgroup", "7:cpuset:/docker/abc\n4:cpu,cpuacct:/docker/abc\n");
	put("/sys/fs/cgroup/cpu/docker/abc/cpu.cfs_quota_us", "-1\n");
	put("/sys/fs/cgroup/cpu/docker/abc/cpu.cfs_period_us", "100000\n");
	assert_true(sn_cpus_allowed(root) == SIZE_MAX);
	put("/sys/fs/cgroup/cpu/docker/abc/cpu.cfs_quota_us", "300000\n");
	assert_true(sn_cpus_allowed(root) == 3);
	put("/sys/fs/cgroup/cpu/docker/abc/cpu.cfs_period_us", "0\n");
	assert_true(sn_cpus_allowed(root) == SIZE_MAX);
	put("/proc/self/cgroup", "::::\n:,:\n4:cpu");
	assert_true(sn_cpus_allowed(root) == SIZE_MAX);
	(void)state;
}

/* Large-v3 as int8, about. */
static const sn_load_need large = { .weights = 1550000000, .work = 150000000, .window = 246000000, .sequence = 74000000, .input = 1536000,
	.logits = 207464, .parameters = 1543000000 };

static void fewer_windows_are_taken(void **state) {
	char err[SN_ERRLEN] = "";
	sn_memory_request r = { .name = "large", .dtype = NN_DTYPE_INT8, .budget = SIZE_MAX, .windows = 8, .ears = 2, .flexible = 1,
		.sequences = 5, .rows = 5 };
	assert_int_equal(sn_memory_fit(&r, &large, err), SN_OK);
	assert_int_equal(r.windows, 8);
	r.budget = sn_memory_of(&large, 17, 5);
	assert_int_equal(sn_memory_fit(&r, &large, err), SN_OK);
	assert_int_equal(r.windows, 3);
	r.windows = 8;
	r.budget -= 1;
	assert_int_equal(sn_memory_fit(&r, &large, err), SN_OK);
	assert_int_equal(r.windows, 2);
	r.windows = 8;
	r.flexible = 0; /* asked for: says how many would fit */
	assert_int_equal(sn_memory_fit(&r, &large, err), SN_E_MEMORY);
	assert_non_null(strstr(err, "8 windows at a time"));
	assert_non_null(strstr(err, "2 windows at a time would fit"));
	(void)state;
}

static void what_would_fit_is_named(void **state) {
	char err[SN_ERRLEN] = "";
	sn_load_need wide = large;
	wide.weights *= 4;
	wide.window *= 2;
	wide.sequence *= 2;
	sn_memory_request r = { .name = "large", .dtype = NN_DTYPE_F32, .budget = 6000000000, .given = 1, .windows = 8, .ears = 2, .flexible = 1,
		.sequences = 5, .rows = 5 };
	assert_int_equal(sn_memory_fit(&r, &wide, err), SN_E_LIMIT);
	assert_non_null(strstr(err, "as f32 takes up to 7."));
	assert_non_null(strstr(err, "leaves 6.0 GB"));
	assert_non_null(strstr(err, "as bf16 it would take about"));
	r.budget = 3500000000;
	assert_int_equal(sn_memory_fit(&r, &wide, err), SN_E_LIMIT);
	assert_non_null(strstr(err, "as int8 it would take about"));
	r.budget = 1000000000;
	assert_int_equal(sn_memory_fit(&r, &wide, err), SN_E_LIMIT);
	assert_non_null(strstr(err, "the model small would fit as int8"));
	r.budget = 1000000;
	assert_int_equal(sn_memory_fit(&r, &wide, err), SN_E_LIMIT);
	assert_non_null(strstr(err, "no smaller one is known"));
	(void)state;
}

static sn_engine *engine_with(int64_t max_memory) {
	char err[SN_ERRLEN];
	sn_engine *engine;
	const sn_engine_options options = { .threads = 1, .home = root, .no_cache = 1, .max_memory = max_memory };
	if (sn_engine_open(&engine, &options, err) != SN_OK)
		fail_msg("%s", err);
	return engine;
}

static int load(sn_model **model, sn_engine *engine, const char *name, int windows, char *err) {
	char path[600];
	snprintf(path, sizeof path, "%s/%s", fixtures, name);
	const sn_model_options options = { .windows = windows, .precision = SN_PRECISION_F32 };
	return sn_model_load(model, engine, path, &options, err);
}

static void loads_keep_to_the_budget(void **state) {
	char err[SN_ERRLEN];
	sn_model *model, *second;
	sn_model_info info;
	sn_engine *engine = engine_with(0);
	assert_int_equal(load(&model, engine, "whisper", 8, err), SN_OK);
	sn_model_describe(model, &info);
	const int64_t eight = info.memory_most;
	assert_true(info.memory > 0 && info.memory < eight);
	sn_model_release(&model);
	sn_engine_close(&engine);

	engine = engine_with(eight - 1);
	assert_int_equal(load(&model, engine, "whisper", 8, err), SN_E_LIMIT);
	assert_non_null(strstr(err, "7 windows at a time would fit"));
	assert_null(model);
	assert_int_equal(load(&model, engine, "whisper", 0, err), SN_OK); /* takes what there is */
	sn_model_describe(model, &info);
	assert_int_equal(info.windows, 7);
	assert_int_equal(load(&second, engine, "whisper-128mel", 0, err), SN_E_LIMIT); /* nothing is left */
	assert_int_equal(load(&second, engine, "wav2vec2-base", 0, err), SN_E_LIMIT);
	assert_non_null(strstr(err, "takes about"));
	assert_int_equal(load(&second, engine, "whisper", 0, err), SN_OK); /* the one that is there */
	assert_ptr_equal(second, model);
	sn_model_release(&second);
	sn_model_release(&model);
	assert_int_equal(load(&second, engine, "whisper-128mel", 1, err), SN_OK); /* given back */
	sn_model_release(&second);
	sn_engine_close(&engine);

	const sn_engine_options negative = { .max_memory = -1 };
	assert_int_equal(sn_engine_open(&engine, &negative, err), SN_E_ARGUMENT);
	(void)state;
}

static int64_t memory_of(sn_engine *engine, const char *path) {
	char err[SN_ERRLEN];
	sn_model *model;
	sn_model_info info;
	if (sn_model_load(&model, engine, path, &(sn_model_options){ .precision = SN_PRECISION_F32 }, err) != SN_OK)
		fail_msg("%s", err);
	sn_model_describe(model, &info);
	const int64_t memory = info.memory_most;
	sn_model_release(&model);
	return memory;
}

/* Of a model with its vocoder: whether it got its vocoder. */
static int has_vocoder(sn_engine *engine) {
	char err[SN_ERRLEN];
	sn_model *model;
	sn_model_info info;
	if (load(&model, engine, "fastspeech2-conformer-with-hifigan", 0, err) != SN_OK)
		fail_msg("%s", err);
	sn_model_describe(model, &info);
	const int has = *info.vocoder != 0;
	sn_model_release(&model);
	return has;
}

static void a_vocoder_counts_beside_its_model(void **state) {
	char path[600];
	snprintf(path, sizeof path, "%s/fastspeech2-conformer-with-hifigan", fixtures);
	sn_engine *engine = engine_with(0);
	const int64_t one = memory_of(engine, path); /* of the same files, so the vocoder takes as much */
	sn_engine_close(&engine);
	engine = engine_with(2 * one);
	assert_true(has_vocoder(engine));
	sn_engine_close(&engine);
	engine = engine_with(2 * one - 1);
	assert_false(has_vocoder(engine));
	sn_engine_close(&engine);
	(void)state;
}

/* A directory of several voices, of which the first is read. */
static void what_lies_beside_a_voice_hides_nothing(void **state) {
	char command[2600], path[300], err[SN_ERRLEN];
	sn_model *model;
	snprintf(path, sizeof path, "%s/voices", root);
	snprintf(command, sizeof command, "mkdir %s && for i in a b; do cp %s/vits-piper/voice.onnx %s/$i.onnx && cp %s/vits-piper/voice.onnx.json "
	         "%s/$i.onnx.json || exit 1; done", path, fixtures, path, fixtures, path);
	assert_int_equal(system(command), 0);
	sn_engine *engine = engine_with(0);
	const int64_t memory = memory_of(engine, path);
	assert_true(memory > 0);
	sn_engine_close(&engine);
	engine = engine_with(memory - 1);
	assert_int_equal(sn_model_load(&model, engine, path, &(sn_model_options){ .precision = SN_PRECISION_F32 }, err), SN_E_LIMIT);
	sn_engine_close(&engine);
	(void)state;
}

int main(int argc, char **argv) {
	fixtures = argv[argc - 1];
	if (!mkdtemp(root))
		return 1;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(machine_and_groups_are_read), cmocka_unit_test(a_share_of_the_cpus_is_read),
		cmocka_unit_test(fewer_windows_are_taken), cmocka_unit_test(what_would_fit_is_named),
		cmocka_unit_test(loads_keep_to_the_budget), cmocka_unit_test(a_vocoder_counts_beside_its_model),
		cmocka_unit_test(what_lies_beside_a_voice_hides_nothing),
	};
	const int failed = cmocka_run_group_tests(tests, NULL, NULL);
	char command[100];
	snprintf(command, sizeof command, "rm -r %s", root);
	return failed + (system(command) != 0);
}
