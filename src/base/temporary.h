/* Temporary files without a name. */
#ifndef SN_BASE_TEMPORARY_H
#define SN_BASE_TEMPORARY_H

/* A descriptor for reading and writing of a file in TMPDIR, /var/tmp or /tmp, the first of them where it can be; or -1 with errno. The file
 * is gone with its last descriptor. */
int sn_temporary_file(void);
/* The same in this directory. */
int sn_temporary_file_in(const char *dir);

#endif
