#include "decode_sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define MAX_MEMORY (INT64_C(1) << 30) /* address space, libraries included */
#define MAX_CPU_SECONDS 3600          /* 48 hours of audio at the most costly codecs */

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#endif

/* Soft limit `value`, hard limit `grace` above it: what only the soft one ends dies of its own signal. Both stay below what is in force. */
static int limit(int resource, rlim_t value, rlim_t grace) {
	struct rlimit now;
	if (getrlimit(resource, &now) != 0)
		return 0;
	const rlim_t hard = value + grace < now.rlim_max ? value + grace : now.rlim_max;
	return setrlimit(resource, &(struct rlimit){ hard > grace ? hard - grace : hard, hard }) == 0;
}

static int set_limits(void) {
	int ok = limit(RLIMIT_CPU, MAX_CPU_SECONDS, 1) && limit(RLIMIT_FSIZE, 0, 0) && limit(RLIMIT_CORE, 0, 0) && limit(RLIMIT_NOFILE, 3, 0);
#if !defined(SANITIZED) /* whose shadow is terabytes of address space */
	ok = ok && limit(RLIMIT_AS, MAX_MEMORY, 0);
#endif
	return ok;
}

static const int allowed[] = {
	SCMP_SYS(lseek), SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(close), SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap),
	SCMP_SYS(madvise), SCMP_SYS(futex), SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(restart_syscall), SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(getpid), SCMP_SYS(gettid),
	SCMP_SYS(getrandom), SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity), SCMP_SYS(getrusage), SCMP_SYS(times),
	SCMP_SYS(poll), SCMP_SYS(ppoll),
#if defined(SANITIZED)
	SCMP_SYS(sigaltstack), SCMP_SYS(rt_sigaction), SCMP_SYS(readlink), SCMP_SYS(tgkill),
#endif
};

static const int refused[] = { SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(stat), SCMP_SYS(statx),
	SCMP_SYS(readlink), SCMP_SYS(ioctl), SCMP_SYS(uname), SCMP_SYS(sysinfo) };

static int add_rules(scmp_filter_ctx filter) {
	int error = 0;
	for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++)
		error |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
		seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), refused[i], 0); /* one of them may be allowed above, or not exist here */
	error |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(read), 1, SCMP_A0(SCMP_CMP_EQ, 0, 0));
	error |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(write), 1, SCMP_A0(SCMP_CMP_EQ, 1, 0));
	error |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	error |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	error |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1, SCMP_A2(SCMP_CMP_EQ, 0, 0)); /* look, not change */
	return error == 0;
}

/* A decoder that spins on hostile input writes nothing, and so would not notice that its reader has gone. */
static void end_without_reader(int number) {
	const int kept = errno;
	struct pollfd out = { .fd = 1 };
	if (poll(&out, 1, 0) == 1 && (out.revents & (POLLERR | POLLHUP)))
		_exit(1);
	errno = kept;
}

static int watch_reader(void) {
	const struct sigaction action = { .sa_handler = end_without_reader, .sa_flags = SA_RESTART };
	const struct itimerval second = { { 1, 0 }, { 1, 0 } };
	return sigaction(SIGALRM, &action, NULL) == 0 && setitimer(ITIMER_REAL, &second, NULL) == 0;
}

int sandbox_enter(void) {
	close_range(3, ~0u, 0);
	if (!set_limits() || !watch_reader() || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return 0;
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int ok = filter && add_rules(filter) && seccomp_load(filter) == 0;
	seccomp_release(filter);
	return ok;
}

int sandbox_try(const char *what) {
	int possible;
	if (!strcmp(what, "open"))
		possible = open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0;
	else if (!strcmp(what, "socket"))
		possible = socket(AF_INET, SOCK_STREAM, 0) >= 0;
	else if (!strcmp(what, "exec"))
		possible = execve("/bin/true", (char *[]){ "true", NULL }, NULL) == 0 || errno != EACCES;
	else if (!strcmp(what, "write"))
		possible = write(2, "", 1) >= 0;
	else if (!strcmp(what, "linger"))
		for (;;)
			sched_yield();
	else
		return 2;
	return possible ? 3 : 0;
}
