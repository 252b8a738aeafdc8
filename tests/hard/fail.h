/* Memory, threads, descriptors and child processes that fail when a test says so. The program is linked with --wrap for the functions of
 * fail.c, so what Sonant itself asks for fails, in a sanitizer build too. What libsndfile, LAME, ICU, gnutls, libpng, zlib and the C
 * library ask for inside themselves does not: some of them abort or lose memory then, which nothing here could mend. What Jansson asks for does, except while it reads. */
#ifndef TEST_FAIL_H
#define TEST_FAIL_H

#include <stddef.h>

typedef enum fail_kind { FAIL_MEMORY, FAIL_DESCRIPTORS } fail_kind; /* the latter: and processes and threads */
typedef enum fail_whose { FAIL_CALLER, FAIL_ALL } fail_whose;       /* requests of the calling thread; of every thread */

void fail_setup(void);

/* The n-th request from now on fails, once; 0: none does, but they are counted. */
void fail_arm(fail_kind kind, fail_whose whose, long n);
/* Back to normal; how many requests there were. */
long fail_disarm(void);
/* Where the last request that failed was made, for addr2line. */
size_t fail_where(void);

/* Blocks, maps and descriptors that exist; those that came after `mark` of fail_mark are named on stderr by where they were made. */
long fail_held(void);
long fail_mark(void);
void fail_name_held(long mark);
#endif
