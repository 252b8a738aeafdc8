#include "pull.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

int pull_hash_open(pull_hash *h, int64_t git_size, char *err) {
	char header[40];
	*h = (pull_hash){ 0 };
	if (gnutls_hash_init(&h->sha256, GNUTLS_DIG_SHA256) != 0 || (git_size >= 0 && gnutls_hash_init(&h->git, GNUTLS_DIG_SHA1) != 0)) {
		pull_hash_close(h, NULL, NULL);
		return sn_fail(err, SN_E_DEPENDENCY, "GnuTLS gives no SHA-256 or SHA-1");
	}
	if (h->git) /* the NUL belongs to it */
		gnutls_hash(h->git, header, (size_t)snprintf(header, sizeof header, "blob %lld", (long long)git_size) + 1);
	return SN_OK;
}

void pull_hash_add(pull_hash *h, const void *data, size_t size) {
	gnutls_hash(h->sha256, data, size);
	if (h->git)
		gnutls_hash(h->git, data, size);
}

static void finish(gnutls_hash_hd_t *held, char *text, int bytes) {
	uint8_t bits[32];
	if (*held)
		gnutls_hash_deinit(*held, bits);
	for (int i = 0; i < bytes && text && *held; i++)
		snprintf(text + 2 * i, 3, "%02x", bits[i]);
	*held = NULL;
}

void pull_hash_close(pull_hash *h, char sha256[65], char git[41]) {
	finish(&h->sha256, sha256, 32);
	finish(&h->git, git, 20);
}

int pull_hash_file(const char *path, const char *wanted, int64_t size, int *same, char sha256[65], char *err) {
	static char block[PULL_BLOCK];
	char git[41] = "", own[65] = "";
	struct stat st;
	pull_hash h;
	ssize_t count = 0;
	*same = 0;
	const int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (file < 0 || fstat(file, &st) != 0 || !S_ISREG(st.st_mode)) {
		errno = file >= 0 ? EINVAL : errno;
		const int code = sn_fail_errno(err, "%.300s cannot be read", path);
		if (file >= 0)
			close(file);
		return code;
	}
	int result = pull_hash_open(&h, strlen(wanted) == 40 ? st.st_size : -1, err);
	while (result == SN_OK && (count = read(file, block, sizeof block)) > 0)
		pull_hash_add(&h, block, (size_t)count);
	if (result == SN_OK && count < 0)
		result = sn_fail_errno(err, "%.300s cannot be read", path);
	close(file);
	if (result != SN_OK) {
		pull_hash_close(&h, NULL, NULL);
		return result;
	}
	pull_hash_close(&h, own, git);
	*same = (size < 0 || st.st_size == size) && strcasecmp(strlen(wanted) == 40 ? git : own, wanted) == 0;
	if (sha256)
		strcpy(sha256, own);
	return SN_OK;
}
