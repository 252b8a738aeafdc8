/* What is counted and timed, shown as Prometheus text and JSON. One list gives each its name, kind and help. */
#ifndef SN_SERVER_METRICS_H
#define SN_SERVER_METRICS_H

#include "server/server.h"

/* X(id, name, help). Counters only grow. */
#define SV_COUNTERS(X) \
	X(AUDIO_SECONDS, "audio_seconds_total", "audio that came in to be transcribed or looked at") \
	X(SPEECH_SECONDS, "speech_seconds_total", "speech that was made") \
	X(CHARACTERS, "characters_total", "characters of text that came in to be spoken") \
	X(RETRIES, "retries_total", "transcriptions tried again by another model") \
	X(GUARDS, "guards_total", "guards that fired") \
	X(SHED, "shed_total", "requests refused because a queue or limit was full") \
	X(MODEL_LOADS, "model_loads_total", "models loaded") \
	X(MODEL_FAILURES, "model_load_failures_total", "models that could not be loaded") \
	X(SOCKETS_OPENED, "sockets_opened_total", "WebSocket sessions") \
	X(SOCKET_ERRORS, "socket_errors_total", "WebSocket sessions that ended with an error")
/* Histograms: seconds unless the name says else. */
#define SV_HISTOGRAMS(X) \
	X(QUEUE, "queue_seconds", "from a request's arrival to its turn") \
	X(FIRST_AUDIO, "first_audio_seconds", "from a request's arrival to the first sound") \
	X(FIRST_TEXT, "first_text_seconds", "from a request's arrival to the first text") \
	X(FINAL_TEXT, "final_text_seconds", "from a request's arrival to the whole text") \
	X(PARTIAL, "partial_seconds", "from live audio's arrival to the partial that rests on it") \
	X(STT_FACTOR, "stt_realtime_factor", "processing time of a transcription by the duration of its audio") \
	X(TTS_FACTOR, "tts_realtime_factor", "processing time of speech by its duration") \
	X(QUALITY, "quality_score", "DNSMOS of speech that was made, 1 to 5") \
	X(CONFIDENCE, "confidence", "of transcripts, 0 to 1") \
	X(MODEL_LOAD, "model_load_seconds", "loading of models")

typedef struct sv_metrics sv_metrics;
#define SV_X(id, name, help) SV_COUNT_##id,
typedef enum sv_counter { SV_COUNTERS(SV_X) SV_COUNTER_COUNT } sv_counter;
#undef SV_X
#define SV_X(id, name, help) SV_TIME_##id,
typedef enum sv_histogram { SV_HISTOGRAMS(SV_X) SV_HISTOGRAM_COUNT } sv_histogram;
#undef SV_X

int sv_metrics_open(sv_metrics **out, sv_server *server, char *err);
void sv_metrics_close(sv_metrics **metrics);
/* Any thread; NULL metrics: nothing. */
void sv_metrics_add(sv_metrics *metrics, sv_counter counter, double value);
void sv_metrics_observe(sv_metrics *metrics, sv_histogram histogram, double value);
/* A request has ended: by route and status, its times, and its facts; also usage and the access log. io thread, once for each. */
void sv_metrics_request(sv_metrics *metrics, const sv_request *request, int status, int64_t bytes_in, int64_t bytes_out);

/* "sonant_..." lines, free() it; or the same as an object. With what other parts describe (http, workers, caches, engine, models, sockets,
 * batch, memory). NULL: no memory. */
char *sv_metrics_text(sv_metrics *metrics, size_t *size);
json_t *sv_metrics_json(sv_metrics *metrics);

#endif
