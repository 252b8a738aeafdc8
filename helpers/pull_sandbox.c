/* What is read from the network can then neither be written elsewhere than among the models, nor executed. */
#include "pull.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LEAST_ABI 2 /* the first that lets files be renamed from one directory to another */

void pull_sandbox(const char *writable) {
	const uint64_t changes = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |
		LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |
		LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_REFER;
	const struct landlock_ruleset_attr rules = { .handled_access_fs = changes | LANDLOCK_ACCESS_FS_EXECUTE };
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) < LEAST_ABI)
		return;
	const int set = (int)syscall(SYS_landlock_create_ruleset, &rules, sizeof rules, 0);
	const int below = writable ? open(writable, O_PATH | O_CLOEXEC) : -1;
	const struct landlock_path_beneath_attr models = { .allowed_access = changes, .parent_fd = below };
	if (set >= 0 && (!writable || (below >= 0 && syscall(SYS_landlock_add_rule, set, LANDLOCK_RULE_PATH_BENEATH, &models, 0) == 0)))
		syscall(SYS_landlock_restrict_self, set, 0);
	if (below >= 0)
		close(below);
	if (set >= 0)
		close(set);
}
