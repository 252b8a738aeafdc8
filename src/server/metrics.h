/* What is counted and timed, shown as Prometheus text and JSON. One list gives each its name, kind and help. */
#ifndef SN_SERVER_METRICS_H
#define SN_SERVER_METRICS_H

#include "server/server.h"

/* X(id, name, help). Counters only grow. */
#define SV_COUNTERS(X) \
	X(AUDIO_SECONDS, "audio_seconds_total", "audio that came in to be transcribed or looked at") \
	X(SPEECH_SECONDS, "speech_seconds_total", "speech that went out") \
	X(CHARACTERS, "characters_total", "characters of text that came in to be spoken") \
	X(RETRIES, "retries_total", "transcriptions tried again by another model") \
	X(GUARDS, "guards_total", "guards that fired") \
	X(SHED, "shed_total", "requests refused because a queue or limit was full") \
	X(RESULT_HITS, "result_hits_total", "requests answered from the result cache") \
	X(AUDIO_HITS, "audio_hits_total", "requests answered from the audio cache") \
	X(BYTES_IN, "request_bytes_total", "bytes of requests' bodies") \
	X(BYTES_OUT, "reply_bytes_total", "bytes of replies' bodies") \
	X(MODEL_LOADS, "model_loads_total", "models loaded") \
	X(MODEL_FAILURES, "model_load_failures_total", "models that could not be loaded") \
	X(SOCKETS_OPENED, "sockets_opened_total", "WebSocket sessions") \
	X(SOCKET_ERRORS, "socket_errors_total", "WebSocket sessions that ended with an error")
/* Histograms: X(id, scale, name, help). Scales: SECONDS, FACTOR (of real time), SCORE (1 to 5), SHARE (0 to 1). */
#define SV_HISTOGRAMS(X) \
	X(QUEUE, SECONDS, "queue_seconds", "from a request's last byte to its turn") \
	X(FIRST_AUDIO, SECONDS, "first_audio_seconds", "from a request's arrival to the first sound") \
	X(FIRST_TEXT, SECONDS, "first_text_seconds", "from a request's arrival to the first text") \
	X(FINAL_TEXT, SECONDS, "final_text_seconds", "from a request's arrival to the whole text") \
	X(PARTIAL, SECONDS, "partial_seconds", "from live audio's arrival to the partial that rests on it") \
	X(STT_FACTOR, FACTOR, "stt_realtime_factor", "processing time of a transcription by the duration of its audio") \
	X(TTS_FACTOR, FACTOR, "tts_realtime_factor", "processing time of speech by its duration") \
	X(QUALITY, SCORE, "quality_score", "DNSMOS of speech that was made or of audio that was rated, 1 to 5") \
	X(CONFIDENCE, SHARE, "confidence", "of transcripts, 0 to 1") \
	X(MODEL_LOAD, SECONDS, "model_load_seconds", "loading of models")

typedef struct sv_metrics sv_metrics;
#define SV_X(id, name, help) SV_COUNT_##id,
typedef enum sv_counter { SV_COUNTERS(SV_X) SV_COUNTER_COUNT } sv_counter;
#undef SV_X
#define SV_X(id, scale, name, help) SV_TIME_##id,
typedef enum sv_histogram { SV_HISTOGRAMS(SV_X) SV_HISTOGRAM_COUNT } sv_histogram;
#undef SV_X

int sv_metrics_open(sv_metrics **out, sv_server *server, char *err);
void sv_metrics_close(sv_metrics **metrics);
/* Any thread; NULL metrics: nothing. */
void sv_metrics_add(sv_metrics *metrics, sv_counter counter, double value);
void sv_metrics_observe(sv_metrics *metrics, sv_histogram histogram, double value);
/* A request has ended: by route and status, its times, and its facts (as sv_metrics_work does); also the access log. Once for each, when
 * nobody writes its facts any more; any thread. Status 499: the client went before it got an answer. */
void sv_metrics_request(sv_metrics *metrics, const sv_request *request, int status, int64_t bytes_in, int64_t bytes_out);
/* Work that is no request of its own has ended: a session of a WebSocket, an item of a job. Its facts and the key's usage. facts->processing
 * and first as in sv_facts; total: seconds from its arrival to its end, 0: not told (jobs). */
void sv_metrics_work(sv_metrics *metrics, const sv_key *key, const sv_facts *facts, double total, int failed);

/* "sonant_..." lines, free() it; or the same as an object. With what other parts describe (http, workers, caches, engine, models, sockets,
 * batch, memory). NULL: no memory. */
char *sv_metrics_text(sv_metrics *metrics, size_t *size);
json_t *sv_metrics_json(sv_metrics *metrics);

/* Bytes of memory that the process has, from /proc; 0: not known. */
int64_t sv_resident_bytes(void);

#endif
