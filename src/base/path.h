/* Paths of files as text. */
#ifndef SN_BASE_PATH_H
#define SN_BASE_PATH_H

#define SN_PATH_MAX 4096 /* bytes of a path, its NUL counted */

/* Writes "DIR/NAME". 0 when it does not fit; then out is "". */
int sn_path_join(char out[SN_PATH_MAX], const char *dir, const char *name);

int sn_path_is_directory(const char *path);
int sn_path_ends_with(const char *path, const char *end);

#endif
