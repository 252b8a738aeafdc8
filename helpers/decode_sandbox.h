/* What sonant-decode may do to the machine once it looks at its input. */
#ifndef SN_HELPERS_DECODE_SANDBOX_H
#define SN_HELPERS_DECODE_SANDBOX_H

/* Limits memory, processor time, files and core dumps, forbids new privileges, and leaves only the system calls that decoding needs: opening
 * fails with EACCES (some codecs look for a file and do without), anything else that is not on the list kills the process.
 * 0: it cannot be set up. */
int sandbox_enter(void);

/* Attempts "open", "socket", "exec" or "write" (to a descriptor other than 1). The exit status: 0 it was refused, 3 it was possible,
 * 2 an unknown word. Most refusals kill instead. */
int sandbox_try(const char *what);

#endif
