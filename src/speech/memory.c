#include "speech/memory.h"

#include "base/path.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX 16384                 /* bytes read of a file of the kernel */
#define OWN ((size_t)6 << 20)          /* of a loaded Whisper, beside its plans: vocabulary, alignment */

#define GIVEN "what models may take leaves"
#define FOUND "this machine or its control group has"

/* ---- what the machine has ---- */

/* The kernel's file as text; 0 where there is none. */
static int read_text(char text[FILE_MAX], const char *root, const char *path, const char *name) {
	char file[2 * SN_PATH_MAX];
	if (snprintf(file, sizeof file, "%s%s%s", root, path, name) >= (int)sizeof file)
		return 0;
	FILE *in = fopen(file, "re");
	const size_t size = in ? fread(text, 1, FILE_MAX - 1, in) : 0;
	if (in)
		fclose(in);
	text[size] = 0;
	return size > 0;
}

/* The number behind `key` at the start of a line. */
static int field(const char *text, const char *key, uint64_t *value) {
	const size_t length = strlen(key);
	for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
		if (strncmp(line, key, length) == 0)
			return sscanf(line + length, "%lu", value) == 1;
	return 0;
}

static int number(const char *root, const char *path, const char *name, uint64_t *value) {
	char text[FILE_MAX];
	return read_text(text, root, path, name) && sscanf(text, "%lu", value) == 1; /* "max" is no number */
}

typedef struct group_files {
	const char *limit, *used, *stat, *reclaimable;
} group_files;

/* What one control group leaves: its limit less what is used and cannot be dropped. */
static size_t left_in(const char *root, const char *group, const void *kind) {
	const group_files *const files = kind;
	uint64_t limit, used, cached = 0;
	char stat[FILE_MAX];
	if (!number(root, group, files->limit, &limit) || !number(root, group, files->used, &used))
		return SIZE_MAX;
	if (read_text(stat, root, group, files->stat))
		field(stat, files->reclaimable, &cached);
	used -= cached < used ? cached : used;
	return used < limit ? (size_t)(limit - used) : 0;
}

/* What one group has of something; SIZE_MAX: no limit. kind: names of its files. */
typedef size_t (*group_ask)(const char *root, const char *group, const void *kind);

/* The least that the group and those above it have. Inside a container the path of the host may name nothing. */
static size_t least_above(const char *root, const char *mount, const char *path, group_ask ask, const void *kind) {
	char group[SN_PATH_MAX];
	size_t least = SIZE_MAX;
	if (snprintf(group, sizeof group, "%s%s", mount, path) >= (int)sizeof group)
		return least;
	for (size_t length = strlen(group); length >= strlen(mount);) {
		group[length] = 0;
		const size_t left = ask(root, group, kind);
		least = left < least ? left : least;
		while (length > strlen(mount) && group[length - 1] != '/')
			length--;
		length = length > strlen(mount) ? length - 1 : 0;
	}
	return least;
}

/* Is `name` one of the controllers of a line's second field, "cpu,cpuacct"? */
static int is_listed(const char *list, const char *end, const char *name) {
	const size_t length = strlen(name);
	for (const char *at = list; at < end; at += strcspn(at, ",:") + 1)
		if (strncmp(at, name, length) == 0 && (at[length] == ',' || at + length == end))
			return 1;
	return 0;
}

/* The least of all groups of this process: of the one hierarchy (v2), and of the older one of `controller` (v1). */
static size_t least_of_groups(const char *root, const char *controller, group_ask ask, const void *v2, const void *v1) {
	char text[FILE_MAX], mount[64], *rest = text;
	size_t least = SIZE_MAX;
	if (!read_text(text, root, "/proc/self/cgroup", ""))
		return least;
	snprintf(mount, sizeof mount, "/sys/fs/cgroup/%s", controller);
	for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
		const char *const first = strchr(line, ':'), *const second = first ? strchr(first + 1, ':') : NULL;
		if (!second)
			continue;
		size_t left = SIZE_MAX;
		if (strncmp(line, "0::", 3) == 0)
			left = least_above(root, "/sys/fs/cgroup", second + 1, ask, v2);
		else if (is_listed(first + 1, second, controller))
			left = least_above(root, mount, second + 1, ask, v1);
		least = left < least ? left : least;
	}
	return least;
}

static size_t left_in_groups(const char *root) {
	static const group_files v2 = { "/memory.max", "/memory.current", "/memory.stat", "inactive_file " };
	static const group_files v1 = { "/memory.limit_in_bytes", "/memory.usage_in_bytes", "/memory.stat", "total_inactive_file " };
	return least_of_groups(root, "memory", left_in, &v2, &v1);
}

size_t sn_memory_available(const char *root) {
	char text[FILE_MAX];
	uint64_t kilobytes;
	size_t free = SIZE_MAX;
	if (read_text(text, root, "/proc/meminfo", "") && field(text, "MemAvailable:", &kilobytes))
		free = (size_t)kilobytes << 10;
	const size_t groups = left_in_groups(root);
	return groups < free ? groups : free;
}

/* CPUs of one group: "150000 100000" in one file, or the two numbers in two; "max" and -1: no limit. */
static size_t cpus_in(const char *root, const char *group, const void *kind) {
	const char *const *const files = kind;
	char text[FILE_MAX];
	int64_t quota = -1, period = 0;
	if (read_text(text, root, group, files[0]))
		sscanf(text, "%ld %ld", &quota, &period);
	if (files[1] && read_text(text, root, group, files[1]))
		sscanf(text, "%ld", &period);
	return quota > 0 && period > 0 ? (size_t)(quota / period + (quota % period > 0)) : SIZE_MAX;
}

size_t sn_cpus_allowed(const char *root) {
	static const char *const v2[2] = { "/cpu.max" }, *const v1[2] = { "/cpu.cfs_quota_us", "/cpu.cfs_period_us" };
	return least_of_groups(root, "cpu", cpus_in, v2, v1);
}

/* ---- what a model takes ---- */

const char *sn_memory_text(char text[SN_MEMORY_TEXT], size_t bytes) {
	if (bytes < 1000000000)
		snprintf(text, SN_MEMORY_TEXT, "%.0f MB", (double)bytes / 1e6);
	else
		snprintf(text, SN_MEMORY_TEXT, "%.1f GB", (double)bytes / 1e9);
	return text;
}

/* Features are kept twice: as they came, and as the encoder reads them. */
size_t sn_memory_of(const sn_load_need *n, int rows, int windows) {
	return n->weights + n->work + OWN + (size_t)windows * (n->window + n->input + 2 * n->logits) + (size_t)rows * (n->sequence + n->logits);
}

int sn_memory_rows(const sn_memory_request *r, int windows) {
	const int rows = windows * r->sequences;
	return (rows < r->rows ? r->rows : rows) + r->ears;
}

size_t sn_memory_most(const sn_memory_request *r, const sn_load_need *need, int windows) {
	const int ears = windows > 1 ? r->ears : 0;
	return sn_memory_of(need, windows * r->sequences + ears, windows + ears);
}

/* The same in another precision, about: keys and values are float32 where all is, else bfloat16. */
static size_t in_precision(const sn_memory_request *r, const sn_load_need *need, nn_dtype dtype) {
	static const size_t bytes[] = { [NN_DTYPE_F32] = 4, [NN_DTYPE_BF16] = 2, [NN_DTYPE_INT8] = 1 };
	sn_load_need other = *need;
	other.weights = need->weights / bytes[r->dtype] * bytes[dtype];
	if (r->dtype == NN_DTYPE_F32) {
		other.window /= 2;
		other.sequence /= 2;
	}
	return sn_memory_most(r, &other, 1);
}

/* The largest published Whisper that would fit as int8, or NULL: parameters and what one window takes beside them. */
static const char *smaller_model(const sn_memory_request *r, int64_t parameters) {
	static const struct { const char *name; int64_t parameters; size_t beside; } published[] = {
		{ "large-v3-turbo", 809000000, (size_t)260 << 20 }, { "medium", 769000000, (size_t)520 << 20 }, { "small", 244000000, (size_t)240 << 20 },
		{ "base", 74000000, (size_t)120 << 20 }, { "tiny", 39000000, (size_t)80 << 20 },
	};
	for (size_t i = 0; i < sizeof published / sizeof published[0]; i++)
		if (published[i].parameters < parameters && (size_t)published[i].parameters + published[i].beside <= r->budget)
			return published[i].name;
	return NULL;
}

static void advise(const sn_memory_request *r, const sn_load_need *need, char *text, size_t size) {
	char amount[SN_MEMORY_TEXT];
	int fewer = r->windows - 1;
	while (fewer > 0 && sn_memory_most(r, need, fewer) > r->budget)
		fewer--;
	const nn_dtype narrow = r->dtype == NN_DTYPE_F32 && in_precision(r, need, NN_DTYPE_BF16) <= r->budget ? NN_DTYPE_BF16 : NN_DTYPE_INT8;
	const char *const smaller = smaller_model(r, need->parameters);
	if (fewer > 0)
		snprintf(text, size, "%d window%s at a time would fit", fewer, fewer > 1 ? "s" : "");
	else if (r->dtype != NN_DTYPE_INT8 && in_precision(r, need, narrow) <= r->budget)
		snprintf(text, size, "as %s it would take about %s", narrow == NN_DTYPE_BF16 ? "bf16" : "int8",
		         sn_memory_text(amount, in_precision(r, need, narrow)));
	else if (smaller)
		snprintf(text, size, "the model %s would fit as int8", smaller);
	else
		snprintf(text, size, "no smaller one is known that would fit");
}

int sn_memory_fit(sn_memory_request *r, const sn_load_need *need, char *err) {
	static const char *const dtypes[] = { [NN_DTYPE_F32] = "f32", [NN_DTYPE_BF16] = "bf16", [NN_DTYPE_INT8] = "int8" };
	const int wanted = r->windows;
	while (r->flexible && r->windows > 1 && sn_memory_most(r, need, r->windows) > r->budget)
		r->windows--;
	const size_t takes = sn_memory_most(r, need, r->windows);
	if (takes <= r->budget)
		return SN_OK;
	r->windows = r->flexible ? 1 : wanted;
	char all[SN_MEMORY_TEXT], weights[SN_MEMORY_TEXT], left[SN_MEMORY_TEXT], advice[80];
	advise(r, need, advice, sizeof advice);
	return sn_fail(err, r->given ? SN_E_LIMIT : SN_E_MEMORY, "the model \"%.80s\" as %s takes up to %s (%s of weights, %d window%s at a time); %s %s: %s",
	               r->name, dtypes[r->dtype], sn_memory_text(all, takes), sn_memory_text(weights, need->weights), r->windows,
	               r->windows > 1 ? "s" : "", r->given ? GIVEN : FOUND, sn_memory_text(left, r->budget), advice);
}

int sn_memory_allow(const char *name, size_t takes, size_t budget, int given, char *err) {
	char all[SN_MEMORY_TEXT], left[SN_MEMORY_TEXT];
	if (takes <= budget)
		return SN_OK;
	return sn_fail(err, given ? SN_E_LIMIT : SN_E_MEMORY, "the model \"%.80s\" takes about %s; %s %s", name, sn_memory_text(all, takes),
	               given ? GIVEN : FOUND, sn_memory_text(left, budget));
}
