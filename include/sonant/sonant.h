/* Sonant: a speech engine. This header is the whole public C API, and its specification.
 *
 * An engine owns threads and loaded models; it is shared by any number of caller threads. A session (sn_stt, sn_tts) is one
 * mutable timeline: push input, pull results, finish, close. All computing happens on the engine's threads: a push hands data
 * over, a pull fetches what is ready.
 *
 *	sn_engine *engine; sn_model *model; sn_stt *stt; sn_event event; char err[SN_ERRLEN];
 *	if (sn_engine_open(&engine, NULL, err) != SN_OK) ...;                (NULL: defaults; every option has one)
 *	if (sn_model_load(&model, engine, "openai/whisper-base", NULL, err) != SN_OK) ...;
 *	if (sn_stt_open(&stt, model, NULL, err) != SN_OK) ...;
 *	while ((n = next_pcm(pcm)) > 0) {                                    (mono float32, 16 kHz, any chunk size)
 *		while ((code = sn_stt_push(stt, pcm, n, err)) == SN_AGAIN)       (full: take some results out first)
 *			while (sn_stt_pull(stt, &event, err) == SN_OK) show(&event);
 *		while (sn_stt_pull(stt, &event, err) == SN_OK) show(&event);     (SN_AGAIN: push more)
 *	}
 *	sn_stt_finish(stt, err);                                             (no more input; now a pull waits)
 *	while (sn_stt_pull(stt, &event, err) == SN_OK) show(&event);         (until SN_END or an error)
 *	sn_stt_close(&stt); sn_model_release(&model); sn_engine_close(&engine);
 *
 * Conventions. `T **out` comes first and is the caller's on success and NULL on failure. `x_close(T **)` sets the pointer to
 * NULL; closing NULL is a no-op. Pointers inside an event are borrowed and live until the next call on the same session.
 * Functions that can fail return an sn_result and describe the failure in `char *err` (SN_ERRLEN bytes, may be NULL).
 * Options are structs in which zero means the default, so `{0}` and NULL are valid; `reserved` must stay zero.
 * Strings are UTF-8. Times are in seconds, audio is float32 between -1 and 1. Each function may be called from any thread; the
 * calls on one session must not overlap, except sn_stt_cancel and sn_tts_cancel.
 */
#ifndef SONANT_SONANT_H
#define SONANT_SONANT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define SN_API __attribute__((visibility("default")))
#else
#define SN_API
#endif

/* ---- results ---- */

/* Bytes of a message buffer. Every `char *err` parameter points to SN_ERRLEN bytes or is NULL; on failure it
 * holds one sentence that says what was wrong, with which value, and what would be right. */
#define SN_ERRLEN 512

/* The one list of results: X(code, value, text, HTTP status, exit status of the program, Python exception). */
#define SN_RESULTS(X) \
	X(SN_OK, 0, "success", 200, 0, None) \
	X(SN_AGAIN, 1, "nothing ready yet", 202, 0, None) \
	X(SN_END, 2, "the stream has ended", 200, 0, None) \
	X(SN_E_ARGUMENT, -1, "invalid argument", 400, 2, ValueError) \
	X(SN_E_NOT_FOUND, -2, "not found", 404, 3, FileNotFoundError) \
	X(SN_E_FORMAT, -3, "malformed or unreadable input", 422, 4, FormatError) \
	X(SN_E_MODEL, -4, "unusable model files", 500, 5, ModelError) \
	X(SN_E_UNSUPPORTED, -5, "the model cannot do this", 422, 6, UnsupportedError) \
	X(SN_E_MEMORY, -6, "out of memory", 503, 7, MemoryError) \
	X(SN_E_IO, -7, "input or output failed", 500, 8, OSError) \
	X(SN_E_NO_SPACE, -8, "no space left", 507, 9, OSError) \
	X(SN_E_LIMIT, -9, "a limit was exceeded", 413, 10, LimitError) \
	X(SN_E_BUSY, -10, "too busy", 429, 11, BusyError) \
	X(SN_E_CANCELLED, -11, "cancelled", 499, 12, CancelledError) \
	X(SN_E_TIMEOUT, -12, "timed out", 504, 13, TimeoutError) \
	X(SN_E_DEPENDENCY, -13, "a needed program or library is missing", 501, 14, DependencyError) \
	X(SN_E_CLOSED, -14, "already closed or finished", 409, 15, ClosedError) \
	X(SN_E_INTERNAL, -15, "internal error", 500, 70, InternalError)

#define SN_X(code, value, text, http, exit, python) code = value,
typedef enum sn_result { SN_RESULTS(SN_X) } sn_result;
#undef SN_X

/* The list's entries for a code; an unknown code reads as SN_E_INTERNAL. Strings are static. */
SN_API const char *sn_result_name(int code);
SN_API const char *sn_result_text(int code);
SN_API int sn_result_http(int code);
SN_API int sn_result_exit(int code);

/* The library writes nothing by itself. A sink gets its remarks (packed weights that could not be kept, ...), up to level `most`; it
 * may be called from any thread, one call at a time, in the middle of the library's own work: of the library it may call sn_log_set alone, and
 * must not wait for what another thread does in it. NULL silences. This is the one setting that all
 * engines of a process share. */
typedef enum sn_log_level { SN_LOG_ERROR, SN_LOG_WARN, SN_LOG_INFO, SN_LOG_DEBUG } sn_log_level;
typedef void (*sn_log_sink)(sn_log_level level, const char *text, void *payload);
SN_API void sn_log_set(sn_log_level most, sn_log_sink sink, void *payload);

/* "0.1.0". Static. */
SN_API const char *sn_version(void);

/* ---- engine ---- */

typedef struct sn_engine sn_engine;
typedef struct sn_model sn_model;

/* Precision of the weights and products. SN_AUTO: int8 where the catalogue lists the model as accurate in it, else bf16
 * where this CPU multiplies it, else f32. Parts where precision would change results stay in f32 whatever is chosen. Models that
 * detect speech, embed voices, take noise out or rate audio compute in f32 only, and Kokoro in what its file holds. */
typedef enum sn_precision { SN_AUTO, SN_PRECISION_F32, SN_PRECISION_BF16, SN_PRECISION_INT8 } sn_precision;

typedef struct sn_engine_options {
	int threads;            /* threads that compute; 0: the CPUs this process may use, by its control groups, too; at most SN_MAX_THREADS */
	const char *home;       /* models and caches; NULL: $SONANT_HOME, else $XDG_CACHE_HOME/sonant, else ~/.cache/sonant */
	sn_precision precision; /* for models loaded without one of their own; those that compute in another only are loaded in that */
	int no_cache;           /* 1: keep packed weights in memory only, write nothing below home */
	/* 1: names of models, vocoders and voices are never paths: they come from the catalogue, home, the hub's cache, the bank, and the
	 * models' own speakers only. For names that strangers may give. */
	int no_paths;
	/* Bytes that loaded models may take, with all that they decode at once; 0: what the machine and the process's control groups have
	 * available. A model that would take more is not loaded. */
	int64_t max_memory;
	/* What computes. NULL, "cpu": this library's own kernels. "ort", "ort:cpu", "ort:cuda", "ort:tensorrt", "ort:openvino": ONNX Runtime with
	 * that provider, in float32, TensorRT also in float16 unless the precision is SN_PRECISION_F32 (int8 and bf16 are SN_E_UNSUPPORTED); libonnxruntime is opened then, and never otherwise. */
	const char *backend;
	int64_t reserved[6];
} sn_engine_options;

#define SN_MAX_THREADS 256

/* Starts an engine. options may be NULL. The home directory need not exist or be writable.
 * Returns SN_OK, SN_E_ARGUMENT (threads, precision or memory out of range, no such backend), SN_E_DEPENDENCY (what the backend needs is not
 * there: says what to install), SN_E_MEMORY. */
SN_API int sn_engine_open(sn_engine **out, const sn_engine_options *options, char *err);

/* Stops the threads. Close sessions and release models first; models still held keep the engine alive until they are released. */
SN_API void sn_engine_close(sn_engine **engine);

/* What the engine runs on. Borrowed from the engine. */
typedef struct sn_engine_info {
	int threads;
	const char *home;   /* resolved */
	const char *cpu;    /* instruction sets in use, e.g. "avx512 vnni bf16" */
	const char *cpu_why; /* why these: what the processor has, and what SONANT_CPU leaves of it */
} sn_engine_info;
SN_API void sn_engine_describe(const sn_engine *engine, sn_engine_info *info);

/* What the engine has done since it was opened, for monitoring. Stages: "encode" (windows of audio through an encoder), "decode" (steps of a
 * decoder), "speak" (text to mel spectrograms or sound), "vocode", "other". rows / steps is the mean size of a batch. */
#define SN_STAGES 5
typedef struct sn_stage_stats { const char *name; int64_t steps, rows; double seconds; } sn_stage_stats;
typedef struct sn_engine_stats {
	sn_stage_stats stages[SN_STAGES];
	int sessions[3];           /* open, by sn_priority */
	int ready[3];              /* of those, that have something to compute */
	double busy;               /* seconds in which something was computed */
	double queued;             /* seconds that sessions which had something to compute waited, all together */
	int64_t feature_hits, feature_misses; /* windows of audio whose encoding was there already */
} sn_engine_stats;
SN_API void sn_engine_measure(sn_engine *engine, sn_engine_stats *stats);

/* ---- models ---- */

/* What a model is for. VOCODE and EMBED serve models that speak: a vocoder makes sound of their mel spectrograms, a speaker encoder
 * makes a voice of a clip. DENOISE takes noise out of audio, SCORE rates it, PUNCTUATE puts marks and capitals into words. All can
 * be loaded to be described. */
typedef enum sn_task {
	SN_TASK_TRANSCRIBE = 1,
	SN_TASK_SPEAK = 2,
	SN_TASK_VAD = 3,
	SN_TASK_VOCODE = 4,
	SN_TASK_EMBED = 5,
	SN_TASK_DENOISE = 6,
	SN_TASK_SCORE = 7,
	SN_TASK_PUNCTUATE = 8
} sn_task;

typedef struct sn_model_options {
	sn_precision precision; /* SN_AUTO: the engine's */
	int task;               /* an sn_task that name "auto" is for; else, when not 0, the model must have it */
	int windows;            /* Whisper: audio windows of 30 s decoded together, 1..32; 0: 8, or as many as there is memory for */
	const char *backend;    /* as of sn_engine_options; NULL: the engine's */
	const char *language;   /* that "auto" is to know: a code or an English name; NULL or "auto": any */
	int64_t reserved[6];
} sn_model_options;

/* Loads a model, or takes another reference to one loaded with the same options. `name` is a catalogue name or alias
 * ("openai/whisper-base", "base", "joe"), "org/name" of a repository that was pulled or lies in the hub's cache, the name of a directory in
 * HOME/models or of a Piper voice, a directory, or a weights file (.onnx of a Piper voice, .pt, .pth) with its configuration beside it. NULL or "auto" (with options->task): the first installed of the task's default models that knows the language, to
 * transcribe and to speak else the first other installed model, by name, that does. Loading is atomic: on failure nothing changes for
 * models that are in use.
 * Returns SN_OK, SN_E_NOT_FOUND (unknown name or not installed: says how to install), SN_E_MODEL (damaged or unsuitable files:
 * names file and tensor), SN_E_UNSUPPORTED (the model lacks the task, or the options' precision: says which it has), SN_E_ARGUMENT,
 * SN_E_DEPENDENCY (the backend's), SN_E_IO, SN_E_LIMIT (max_memory of the engine), SN_E_MEMORY (more than the machine has: both say what
 * would fit). */
SN_API int sn_model_load(sn_model **out, sn_engine *engine, const char *name, const sn_model_options *options, char *err);

/* Gives a reference back; the last one frees the model. Sessions hold a reference of their own. */
SN_API void sn_model_release(sn_model **model);

/* What a model is and can do. Borrowed from the model; texts that do not apply are "", lists NULL. Asking a session for what
 * its model cannot do is an error that lists what it can. */
typedef struct sn_model_info {
	const char *name;          /* catalogue name, else the path it was loaded from */
	const char *path;
	/* Transcribe: "whisper", "wav2vec2". Speak: "vits", "yourtts", "bark", "kokoro" (sound), "speecht5", "tacotron2", "fastspeech2" (mel
	 * spectrograms, for a vocoder). Vocode: "hifigan", "melgan", "multiband-melgan", "waveglow", "griffin-lim". Embed:
	 * "speaker-encoder", "xvector". Vad: "silero-vad". Denoise: "deepfilternet". Score: "dnsmos". Punctuate: "bert". */
	const char *architecture;
	const char *precision;     /* "f32", "bf16", "int8" */
	int task;                  /* sn_task */
	int64_t parameters;
	int sample_rate;           /* of audio in (transcribe, embed) or out (speak, vocode); 0: the files do not state it */
	const char *const *languages; /* codes ("en", "de"); detection and translation need more than one */
	int language_count;
	/* 0 or 1, as are all has_. streams: results come before the input has ended; sn_stt_options.live is for architecture "whisper" only */
	int detects_language, translates, streams;
	int has_words;             /* transcribe: times of words */
	int windows;               /* most windows decoded together */
	/* speak: voices */
	int speakers;              /* in the model; 0: none of its own, a voice has to be given as an embedding */
	const char *const *speaker_names; /* [speakers], or NULL where they have numbers only */
	const char *const *emotions;
	int emotion_count;
	int embedding;             /* values of the voice embedding that it takes (embed: makes), 0: none */
	int embeds;                /* makes voices of clips: sn_voice_add */
	int has_presets;           /* takes .npz presets as voices */
	/* speak: controls */
	int has_speed, has_pitch, has_energy, has_noise, has_temperature, has_dropout;
	/* speak, vocode: mel spectrograms */
	const char *mel;           /* what their rows mean, in words: "80 mels of 22050 Hz, hop 256, ..." */
	const char *vocoder;       /* that a session takes by default: name or path, "griffin-lim" where there is none */
	double load_time;
	int from_cache;            /* packed weights came from disk */
	/* Bytes that it takes, estimated before it was loaded: while it decodes one window greedily, or speaks; and with all windows and
	 * sequences that it may decode at once. */
	int64_t memory, memory_most;
} sn_model_info;
SN_API void sn_model_describe(const sn_model *model, sn_model_info *info);

/* What computes the model: "cpu", or provider, version and precision ("ort:cuda, ONNX Runtime 1.20.1, f32"). Borrowed from the model. */
SN_API const char *sn_model_backend(const sn_model *model);

/* The bytes that a token of sn_segment.tokens writes, which may be a part of a UTF-8 character: to `text`, cut at size - 1, with a NUL.
 * Returns how many there are; 0 for special and timestamp tokens, ids out of range, and models without tokens. */
SN_API size_t sn_model_token(const sn_model *model, int32_t token, char *text, size_t size);

/* "en" gives "english"; NULL: an unknown code. Static. */
SN_API const char *sn_language_name(const char *code);

/* An entry of the catalogue, or of a model directory found in home. */
typedef struct sn_model_entry {
	const char *name, *architecture, *licence, *source;
	const char *aliases;       /* separated by one space; may be "" */
	int task;                  /* sn_task */
	uint64_t bytes;            /* of the files that the catalogue lists, installed or not; 0: it lists none */
	int installed;
	const char *path;          /* where it is or would be */
	int in_hub_cache;          /* it lies in the cache of the Hugging Face hub, not in home */
} sn_model_entry;
typedef struct sn_model_list { sn_model_entry *entries; size_t count; } sn_model_list;

/* Lists what the catalogue knows and what is installed. Reads the disk, loads nothing. Free with sn_model_list_free.
 * Returns SN_OK, SN_E_MODEL (a damaged catalogue), SN_E_IO, SN_E_MEMORY. */
SN_API int sn_model_list_read(sn_model_list **out, sn_engine *engine, char *err);
SN_API void sn_model_list_free(sn_model_list **list);

/* One figure of a measurement: the median of `runs` runs in `unit` ("s", "ms", "Gflop/s", "MB"). */
typedef struct sn_measure { char name[40], unit[16]; double median, best; int runs; } sn_measure;

/* Times the parts of a loaded model on the engine's threads, each `runs` times (1..1000; 0: 5): Whisper: one encoder window and
 * one decoder step; models that speak: 3.2 s of speech, whatever they would say of its length, with their own vocoder; vocoders:
 * 3.2 s; Wav2Vec2: a clip of 11 s; detectors of speech and denoisers: 10 s; scores: a window; speaker encoders: 3 s; marks: 128
 * tokens. Writes at most `max` figures and *count. Sessions of the engine wait meanwhile.
 * Returns SN_OK, SN_E_ARGUMENT, SN_E_BUSY (a session uses the model), SN_E_MEMORY, and what a session's opening returns. */
SN_API int sn_model_measure(sn_model *model, int runs, sn_measure *measures, size_t max, size_t *count, char *err);

/* ---- models for other programs ---- */

#define SN_EXPORT_MAX 64       /* sequences or windows */

/* How far such a call is: the part that it is about to do, and the share of all that is done where that is known, else -1. Called on the
 * caller's thread; a value other than 0 cancels (SN_E_CANCELLED). */
typedef int (*sn_part_progress)(void *payload, const char *part, double share);

typedef struct sn_export_options { /* 0: the default in brackets */
	const char *format;        /* "onnx" [that] */
	int task;                  /* as in sn_model_options, for name "auto" */
	int sequences, windows;    /* Whisper: for so many sequences and audio windows the states have room [1 and 1] */
	sn_part_progress progress; /* parts are graphs */
	void *payload;
	int64_t reserved[6];
} sn_export_options;

/* Writes a model as ONNX into the directory `dir`: a file for each graph, their weights in float32 in "model.weights" beside them, the
 * checkpoint's tokenizer and configuration, and "manifest.json", which names graphs, inputs, outputs, states, types and shapes. docs/onnx.md says
 * what each graph is and how a program runs them. `name` is as in sn_model_load. ONNX Runtime is not needed for it. `dir` must not be there, or
 * be empty, and appears whole or not at all. options may be NULL.
 * Returns SN_OK, SN_E_ARGUMENT (`dir` has files in it; options), SN_E_NOT_FOUND, SN_E_UNSUPPORTED (the model has no graphs), SN_E_MODEL,
 * SN_E_IO, SN_E_NO_SPACE, SN_E_CANCELLED, SN_E_MEMORY. */
SN_API int sn_model_export(sn_engine *engine, const char *name, const sn_export_options *options, const char *dir, char *err);

typedef struct sn_quantize_options { /* 0: the default in brackets */
	sn_precision precision;    /* SN_PRECISION_INT8 or SN_PRECISION_BF16 [needed] */
	int task;                  /* as in sn_model_options, for name "auto" */
	const char *measure;       /* a directory of texts (*.txt) and, for a model that transcribes, the clips that they are said in (NAME.wav for
	                            * NAME.txt, or another format): word errors before and after [not measured] */
	const char *language;      /* of those [the model's, or as it is detected] */
	sn_part_progress progress; /* parts are tensors, and then texts */
	void *payload;
	int64_t reserved[6];
} sn_quantize_options;

/* A tensor that was narrowed. */
typedef struct sn_quantized_layer {
	const char *name;
	const char *type;          /* "int8", "bfloat16", "float16" */
	int64_t rows, columns;
	int64_t bytes_before, bytes;
	double error;              /* |stored - original| / |original| */
} sn_quantized_layer;

typedef struct sn_quantized {
	const char *model, *architecture, *precision;
	const sn_quantized_layer *layers;
	size_t layer_count;
	int64_t parameters;        /* each counted once, whatever names it has */
	int64_t bytes_f32;         /* of all tensors in float32 */
	int64_t bytes_before, bytes; /* of all tensors, as they were and as they are stored */
	double error;              /* root mean square of the layers', by their values */
	int texts;                 /* that were measured; 0: the next are not known */
	int64_t words;
	double wer_before, wer_after; /* of speech: what a model that transcribes makes of it. Before: the original in float32 */
} sn_quantized;

/* Writes a checkpoint with narrower weights into the directory `dir`: "model.safetensors", all else that belongs to the model (tokenizer,
 * configuration, licence, voices, adapters of languages), and "quantized.json" that says what was done. It is loaded like any other, by
 * all backends. docs/models.md says how tensors are stored. `dir` must not be there, or be empty, and appears whole, once it has been
 * loaded for a test, or not at all. *out is freed with sn_quantized_free.
 * Returns SN_OK, SN_E_ARGUMENT, SN_E_NOT_FOUND, SN_E_UNSUPPORTED (weights in ONNX graphs, a model that computes in one precision only: before
 * anything is written; a model with nothing to narrow), SN_E_MODEL, SN_E_LIMIT (what belongs to it is too much), SN_E_IO, SN_E_NO_SPACE,
 * SN_E_CANCELLED, SN_E_MEMORY, and with `measure` what transcribing and speaking return. */
SN_API int sn_model_quantize(sn_quantized **out, sn_engine *engine, const char *name, const sn_quantize_options *options, const char *dir, char *err);
SN_API void sn_quantized_free(sn_quantized **quantized);

/* ---- getting models ---- */

/* The library itself opens no connection and reads no archive: the program sonant-pull does, which these calls start and wait for. Any
 * number may run at once, in this process and in others: each holds a lock on the one model that it changes. docs/hub.md says what is
 * asked of whom. */

/* How far a pull is. Borrowed for the time of the call. */
typedef struct sn_pull_state {
	const char *model;
	const char *file;          /* that moved last; "" before the first */
	int64_t file_bytes, file_total;
	int64_t bytes, total;      /* of all files, those that were there already included; total 0: not known yet */
	double rate;               /* bytes a second over the last seconds */
	const char *note;          /* a sentence to be shown once (a fallback, a wait for another pull), or NULL */
} sn_pull_state;
/* Called on the caller's thread, at least twice a second; a value other than 0 cancels (SN_E_CANCELLED). */
typedef int (*sn_pull_progress)(void *payload, const sn_pull_state *state);

typedef struct sn_pull_options {
	const char *home;          /* as in sn_engine_options */
	const char *revision;      /* branch, tag or commit of the repository; NULL: "main", or the catalogue's */
	const char *source;        /* NULL or "auto": the hub, then packages of the catalogue; "hub"; "packages" */
	const char *include;       /* more files than those that are needed: patterns separated by commas ("adapter.deu.*") */
	const char *endpoint;      /* of the hub; NULL: $HF_ENDPOINT, else https://huggingface.co */
	const char *token;         /* NULL: $HF_TOKEN, else the file that `hf auth login` writes; "": none */
	const char *index;         /* of packages; NULL: pip's */
	const char *certificates;  /* PEM file of authorities; NULL: the environment's, else the system's */
	int dry;                   /* 1: say what would be fetched, fetch nothing */
	int force;                 /* 1: check every file of an installed model and fetch what differs; take models of unknown kinds, too */
	sn_pull_progress progress;
	void *payload;
	int64_t reserved[8];
} sn_pull_options;

typedef struct sn_pull_file {
	const char *name;
	int64_t bytes;
	int64_t present;           /* bytes of it that need not be fetched (any more) */
} sn_pull_file;

/* Texts that do not apply are "". */
typedef struct sn_pulled {
	const char *model, *path;
	const char *source;        /* "hub", "hub-cache" (lies there, nothing was fetched) or "packages" */
	const char *repository, *revision; /* the hub's; a commit */
	int already;               /* it was there, whole */
	int64_t bytes, fetched;    /* of all files; that came over the network */
	const sn_pull_file *files;
	size_t file_count;
} sn_pulled;

/* Installs a model in HOME/models, whole or not at all. `name` is a name or alias of the catalogue, "org/name" of the Hugging Face hub, or
 * "org/name/folder" of a repository that holds several. Only files that Sonant reads are taken, in one layout of weights. What was
 * broken off goes on where it stopped; every file is checked by its SHA-256 (small ones of the hub by git's SHA-1).
 * options may be NULL. Free the result with sn_pulled_free.
 * Returns SN_OK, SN_E_ARGUMENT, SN_E_NOT_FOUND (no such model, repository, revision; or it is gated: says what to do), SN_E_UNSUPPORTED
 * (nothing in it that Sonant reads), SN_E_FORMAT (a wrong hash or size, an answer that is none), SN_E_IO (network, read-only store),
 * SN_E_NO_SPACE (says how much is missing), SN_E_BUSY (the hub asks to wait), SN_E_LIMIT, SN_E_CANCELLED, SN_E_MEMORY,
 * SN_E_DEPENDENCY (sonant-pull is missing). */
SN_API int sn_models_pull(sn_pulled **out, const char *name, const sn_pull_options *options, char *err);
SN_API void sn_pulled_free(sn_pulled **pulled);

typedef struct sn_flaw {
	const char *file;
	const char *what;          /* "changed", "missing", "extra", "unreadable" */
	const char *message;       /* the same in a sentence */
} sn_flaw;

typedef struct sn_verified {
	const char *model, *path, *source, *revision; /* as in sn_pulled */
	size_t file_count;         /* that were compared */
	int64_t bytes;
	const sn_flaw *flaws;
	size_t flaw_count;         /* 0: every file is what it was when it was installed */
} sn_verified;

/* Reads every file of an installed model and compares it with the hashes that were written down when it was installed, with the
 * catalogue's, or in the hub's cache with the names of its blobs. Of the options home, progress and payload count.
 * Returns SN_OK (with or without flaws), SN_E_NOT_FOUND, SN_E_UNSUPPORTED (nothing says what its files should be), and as above. */
SN_API int sn_models_verify(sn_verified **out, const char *name, const sn_pull_options *options, char *err);
SN_API void sn_verified_free(sn_verified **verified);

/* Deletes a model of HOME/models and its packed weights, and what a broken-off pull of it left. *freed (may be NULL): bytes. Links are
 * deleted, not followed; the hub's cache is left alone. Of the options home and force count: without force a model that a process has
 * open is SN_E_BUSY (as far as the system tells of other users' processes).
 * Returns SN_OK, SN_E_NOT_FOUND, SN_E_ARGUMENT, SN_E_UNSUPPORTED (it lies in the hub's cache), SN_E_BUSY, SN_E_IO. */
SN_API int sn_models_remove(const char *name, const sn_pull_options *options, int64_t *freed, char *err);

/* ---- speech to text ---- */

typedef struct sn_stt sn_stt;

typedef enum sn_switch { SN_DEFAULT, SN_OFF, SN_ON } sn_switch;

/* Which of several sessions is computed first. Inside a class all get equal shares of time. */
typedef enum sn_priority { SN_PRIORITY_INTERACTIVE, SN_PRIORITY_REALTIME, SN_PRIORITY_BATCH } sn_priority;

typedef struct sn_word {
	double start, end;         /* seconds from the start of the audio */
	const char *text;          /* without the space before it */
	float confidence;          /* 0..1: probability that it is right (Whisper: fitted, see docs/confidence.md) */
} sn_word;

typedef struct sn_segment {
	int id;                    /* 0, 1, ... */
	double start, end;         /* seconds from the start of the audio */
	const char *text;          /* as the model wrote it: words begin with a space where the language uses them */
	const int32_t *tokens;     /* with timestamp tokens */
	int token_count;
	const float *token_logprobs; /* [token_count], natural logarithms; NULL where the model has none */
	float temperature;         /* that gave the text: 0, or the fallback's */
	float avg_logprob, compression_ratio, no_speech_prob; /* of the window it came from */
	float confidence;          /* 0..1: the share of its words that is probably right: the mean of theirs */
	const sn_word *words;      /* where they were asked for and the model has them (sn_model_info.has_words), else NULL */
	int word_count;
} sn_segment;

/* Something that the caller should know: a stage skipped, retried or limited, a guard that fired and what it did. */
typedef struct sn_note {
	/* "no_speech", "no_text", "too_short", "truncated", "clipped", "decoder_fallback", "language_uncertain", "denoised", "retried",
	 * "retry_failed", ...; guards, once for each place (the eighth counts the rest): "guard_repetition", "guard_silence",
	 * "guard_prompt", "guard_anomaly" */
	const char *code;
	const char *message;
} sn_note;

/* Called by the one-call helpers on the caller's thread; a value other than 0 cancels (SN_E_CANCELLED). total 0: unknown. */
typedef int (*sn_progress)(void *payload, double seconds, double total);
/* Called for each finished segment, in order. */
typedef void (*sn_segment_ready)(void *payload, const sn_segment *segment);

/* 0: the default in brackets; milliseconds below 0: none, at most 10000. For models that read windows of speech (Whisper); Wav2Vec2 hears
 * all of the audio. */
typedef struct sn_vad_settings {
	float threshold;           /* 0..1: probability from which on it is speech (0.5); to transcribe below 1 */
	int min_speech;            /* ms; shorter stretches are dropped (0; live: 100) */
	int min_silence;           /* ms; a shorter silence does not end a stretch of speech (160; live: 400) */
	int pad;                   /* ms of silence kept on both sides (400) */
} sn_vad_settings;

typedef struct sn_stt_options {
	const char *language;      /* code or English name; NULL or "auto": detect on the first window */
	const char *task;          /* NULL or "transcribe"; "translate": into English */
	const char *prompt;        /* text that the first window (with vad: every window) is taken to follow: names, style */
	int beam;                  /* 1..SN_MAX_BEAM; 0: 5. 1: greedy */
	float temperature;         /* first temperature, 0..1 */
	sn_switch fallback;        /* default on: repeat a failed window at 0.2 steps up to 1.0 */
	sn_switch vad;             /* decode only speech, windows in batches; default: on where the silero-vad model is installed */
	sn_switch condition;       /* without vad: give each window the text before it; default on */
	int previous_tokens;       /* most tokens of that text; 0: half the model's context less one (223); at most that */
	sn_switch timestamps;      /* default on; off: one segment a window, slightly faster */
	/* Times of words; on: SN_E_UNSUPPORTED where the model has none; default: where it has them. In scripts without spaces a word is a
	 * character or what one token writes. Those of a translation say where the model listened while it wrote, not where a word is said. */
	sn_switch words;
	int batch;                 /* windows decoded together with vad; 0: the model's `windows` */
	uint64_t seed;             /* of sampling at temperatures above 0 */
	sn_priority priority;
	sn_progress progress;      /* one-call helpers only, as are the next two */
	sn_segment_ready segment;
	void *payload;             /* of both */
	sn_switch denoise;         /* take noise out before anything else hears the audio; default: off */
	sn_vad_settings vad_settings;
	sn_switch guards;          /* against loops, text on silence, echoes of the prompt; default: on. Off: the reference's thresholds only */
	const char *hotwords;      /* words and phrases, separated by commas, that are made likelier where they fit the sound */
	sn_switch punctuate;       /* models without punctuation: write it and capitals; default: on where the text lacks them */
	const char *punctuation;   /* token classifier (SN_TASK_PUNCTUATE) for that; NULL: an installed one, else rules and pauses */
	/* One-call helpers: when the transcript's confidence is below min_confidence (0..1; 0: never) the next of the listed models tries;
	 * the most confident result is kept, `attempts` of the transcript names all. `segment` is then called when it is known which. */
	float min_confidence;
	const char *const *retry_models;
	int retry_model_count;     /* 0..SN_MAX_RETRIES */
	/* A speaker is being listened to while speaking: PARTIAL and COMMIT events come as early as they can, and a pause of
	 * vad_settings.min_silence ends an utterance (a shorter one where it has become long; docs/live.md). Whisper models, decoded
	 * greedily (beam above 1 is SN_E_UNSUPPORTED), with vad; not for the one-call helpers. SN_PRIORITY_REALTIME unless `priority`
	 * says batch. */
	sn_switch live;
	int partial_interval;      /* live: ms of new audio between PARTIAL events, 0: 320; below 0: none */
	uint64_t share;            /* sessions of one share (a customer, an API key) take turns as if they were one; 0: each is its own */
	/* Sessions only: called, from any thread and perhaps during a call on the session, when a push or pull that returned SN_AGAIN may go
	 * on, and when the session ends. With it no call on the session ever waits: SN_AGAIN instead, after finish too. It must not call the
	 * session and must not wait; a closed session calls it no more once sn_stt_close has returned. Text that is read back (verify) and speech
	 * with `stream` also go on by themselves only when pulled. */
	void (*ready)(void *payload);
	void *ready_payload;
	/* One-call helpers: off: the transcript has no text and no segments, so that memory does not grow with what is said; they go to
	 * `segment` alone. With retry models they are kept until it is known which go there. Default: on. */
	sn_switch keep;
	double from, length;       /* one-call helpers: seconds at which to begin, and how many to hear (0: all); times stay those of the whole audio */
	int64_t reserved[2];
} sn_stt_options;

#define SN_MAX_BEAM 16
#define SN_STT_RATE 16000
#define SN_STT_MAX_PUSH ((size_t)1 << 20)      /* samples of one push */
#define SN_STT_MAX_QUEUE ((size_t)480000)      /* samples waiting beyond which a push waits */
#define SN_STT_MAX_EVENTS 512                  /* events waiting to be pulled beyond which a session rests */
#define SN_MAX_PROMPT ((size_t)4096)           /* bytes */
#define SN_MAX_HOTWORDS ((size_t)4096)         /* bytes */
#define SN_MAX_RETRIES 8

/* Opens a session on a model that transcribes. The session holds a reference to the model.
 * Returns SN_OK, SN_E_ARGUMENT (an option out of range, unknown language or task), SN_E_UNSUPPORTED (the model cannot do it:
 * language, translation, words; or is no speech-to-text model), SN_E_NOT_FOUND (vad or denoise on and no model for it installed;
 * punctuation), SN_E_LIMIT (prompt or hotwords too long), SN_E_FORMAT (hotwords: invalid UTF-8), SN_E_BUSY (too many sessions), SN_E_MEMORY,
 * and those of sn_model_load for the models that the options name. */
SN_API int sn_stt_open(sn_stt **out, sn_model *model, const sn_stt_options *options, char *err);

/* Hands over `count` samples (0 is fine), mono float32 at 16 kHz, copied. All or none are taken. Waits while the queue is full.
 * Returns SN_OK; SN_AGAIN (none taken: the session rests until events are pulled; pull, then push the same again); SN_E_FORMAT
 * (NaN or infinity: says where; none taken); SN_E_LIMIT (more than SN_STT_MAX_PUSH); SN_E_CLOSED (after finish);
 * SN_E_CANCELLED; or the error that ended the session. */
SN_API int sn_stt_push(sn_stt *stt, const float *pcm, size_t count, char *err);

/* No more input will come. Returns SN_OK, SN_E_CLOSED (finished before), SN_E_CANCELLED, or the error that ended the session. */
SN_API int sn_stt_finish(sn_stt *stt, char *err);

typedef enum sn_event_kind {
	SN_EVENT_LANGUAGE = 1, /* language and language_confidence are known; live: again when speech tells better */
	SN_EVENT_SEGMENT,      /* a final segment; live: an utterance, whose text is that of its COMMIT events joined */
	SN_EVENT_NOTE,
	SN_EVENT_PARTIAL,      /* live: what may follow the committed text; replaces the partial before */
	SN_EVENT_COMMIT        /* live: more text of the utterance, which will not change any more */
} sn_event_kind;

typedef struct sn_event {
	sn_event_kind kind;
	const char *language;  /* LANGUAGE */
	float language_confidence; /* 0..1; 1 where the language was given */
	sn_segment segment;    /* SEGMENT */
	sn_note note;          /* NOTE */
	const char *text;      /* PARTIAL and COMMIT: words begin with a space where the language uses them */
	const sn_word *words;  /* COMMIT: of that text, where words are on */
	int word_count;
	double position;       /* seconds of audio that are done; live: that it rests on, of a SEGMENT up to the decision that it ended */
} sn_event;

/* Fetches the next event. Before sn_stt_finish it never waits (SN_AGAIN: nothing ready); after it, it waits for the next one.
 * Returns SN_OK (*event is filled, its pointers live until the next call on the session), SN_AGAIN, SN_END (all was pulled),
 * SN_E_CANCELLED, or the error that ended the session. */
SN_API int sn_stt_pull(sn_stt *stt, sn_event *event, char *err);

/* Ends the session within one step of the engine: a waiting push or pull returns SN_E_CANCELLED. From any thread. */
SN_API void sn_stt_cancel(sn_stt *stt);
SN_API void sn_stt_close(sn_stt **stt);

/* A model that tried, see sn_stt_options.retry_models. */
typedef struct sn_attempt {
	const char *model, *dtype;
	float confidence;          /* avg_confidence of its transcript */
	int kept;                  /* its transcript is the one given */
} sn_attempt;

/* A whole transcription. */
typedef struct sn_transcript {
	const char *text;          /* all segments, without the leading space */
	const char *language;      /* code; "" where there was nothing to tell it from */
	const char *task;          /* "transcribe" or "translate" */
	float language_confidence; /* 0..1 */
	float avg_confidence;      /* of the segments, weighted by duration; 0 without segments */
	double duration;           /* of what was heard of the audio, see `from` and `length` */
	double processing_time;    /* from the call to its end */
	const char *model, *dtype;
	sn_segment *segments;
	size_t segment_count;
	sn_note *notes;            /* an empty text always has one that says why */
	size_t note_count;
	const sn_attempt *attempts; /* in the order of trying; one without retry models */
	int attempt_count;
} sn_transcript;

/* Transcribes a file in any format that is read in process (wav, flac, ogg, opus, mp3) or that FFmpeg reads; path "-": standard
 * input. Any rate and channel count. Memory does not grow with the length of the audio. Free *out with sn_transcript_free.
 * Returns SN_OK, SN_E_NOT_FOUND, SN_E_FORMAT (not audio, empty, truncated header, not a number: says where), SN_E_DEPENDENCY
 * (the sonant-decode helper is needed and missing), SN_E_IO, and what sn_stt_open and sn_stt_pull return. */
SN_API int sn_transcribe_file(sn_transcript **out, sn_model *model, const char *path, const sn_stt_options *options, char *err);

/* The same for the bytes of a file, */
SN_API int sn_transcribe_memory(sn_transcript **out, sn_model *model, const void *data, size_t size,
                                const sn_stt_options *options, char *err);

/* and for samples: mono float32 at 16 kHz. */
SN_API int sn_transcribe_pcm(sn_transcript **out, sn_model *model, const float *pcm, size_t count, const sn_stt_options *options,
                             char *err);

SN_API void sn_transcript_free(sn_transcript **transcript);

#define SN_TRANSCRIPT_FORMATS "text, json, verbose_json, jsonl, srt, vtt, tsv"

typedef struct sn_transcript_options {
	const char *format;        /* of SN_TRANSCRIPT_FORMATS; NULL: "text" */
	const char *file;          /* becomes the JSON's "file"; NULL: it has none */
	int line_width;            /* columns of a line of "srt" and "vtt", 1..1000; wide characters, as Chinese ones, take two; 0: 42 */
	int line_count;            /* most lines of a cue, 1..100; 0: 2 */
	int64_t reserved[4];
} sn_transcript_options;

/* Writes a transcript: "text" (one line), "json" (one line: everything but the decoder's numbers), "verbose_json" (with tokens,
 * log probabilities and so on of each segment, indented), "jsonl" (a line for each segment, with its words; the last one holds the rest),
 * "srt", "vtt", "tsv" (milliseconds). Words are in both JSON formats (`word_timestamps`). Where a
 * segment has any, "srt" and "vtt" cut it into cues of at most 7 seconds that fit into the lines, at pauses, else as evenly as they can and
 * rather behind punctuation; a segment without times of words is one cue of as many lines as it needs. options may be NULL. *text is malloc'ed
 * (free() it), ends with a newline and a NUL that *size does not count (size may be NULL).
 * Returns SN_OK, SN_E_ARGUMENT (unknown format: lists them; lines out of range), SN_E_MEMORY. */
SN_API int sn_transcript_write(char **text, size_t *size, const sn_transcript *transcript, const sn_transcript_options *options, char *err);
/* The same with the default lines. file may be NULL. */
SN_API int sn_transcript_format(char **text, size_t *size, const sn_transcript *transcript, const char *format, const char *file,
                                char *err);

/* The same, written as it comes: what to write for each finished segment, in order, and at the end. Joined it is what
 * sn_transcript_write gives of the whole; what was written for a segment never changes. */
#define SN_TRANSCRIPT_STREAMS "text, jsonl, srt, vtt, tsv"
typedef struct sn_transcript_stream sn_transcript_stream;

/* options: as above. Returns SN_OK, SN_E_ARGUMENT (a format that needs the whole: lists the others; lines out of range), SN_E_MEMORY. */
SN_API int sn_transcript_stream_begin(sn_transcript_stream **out, const sn_transcript_options *options, char *err);
SN_API int sn_transcript_stream_open(sn_transcript_stream **out, const char *format, const char *file, char *err);
/* *text lives until the next call on the stream. Returns SN_OK, SN_E_LIMIT, SN_E_MEMORY. */
SN_API int sn_transcript_stream_add(sn_transcript_stream *stream, const sn_segment *segment, const char **text, size_t *size, char *err);
/* What ends it; of the transcript all but text and segments is used. */
SN_API int sn_transcript_stream_end(sn_transcript_stream *stream, const sn_transcript *transcript, const char **text, size_t *size,
                                    char *err);
SN_API void sn_transcript_stream_close(sn_transcript_stream **stream);

/* ---- text to speech ---- */

typedef struct sn_tts sn_tts;

typedef struct sn_tts_options {
	/* NULL or "default": the model's default. Else a speaker of the model by its name or number, a voice of the bank
	 * (sn_voice_add), or the path of an embedding (.npy) or preset (.npz); looked for in this order. */
	const char *voice;
	const char *language;      /* of the text, a code or English name that the model has; NULL or "auto": the model's first */
	float speed;               /* 0.25..4; 0: 1 */
	uint64_t seed;             /* of the model's noise; the same seed gives the same samples. 0 is a seed like any other */
	float noise, noise_duration; /* of the voice and of its rhythm, 0..2; 0: the voice's own, below 0: none */
	float pause;               /* seconds of silence between sentences, 0..10; 0: none beyond what the voice makes itself */
	sn_priority priority;
	sn_progress progress;      /* one-call helpers only: seconds of speech made */
	void *payload;
	/* Makes sound of a mel spectrogram: a catalogue name, a directory or file, or "griffin-lim". NULL: the one in the model's
	 * files, else the one that belongs to it beside them, else an installed one that fits exactly, else Griffin-Lim with a note. */
	const char *vocoder;
	const char *emotion;       /* one of the model's; NULL: none */
	float pitch, energy;       /* factors 0.25..4 of what the model predicts; 0: 1 */
	float temperature;         /* of sampled tokens, up to 2; 0: the model's own, below 0: the likeliest token always */
	sn_switch dropout;         /* of prenets that draw it while speaking; default: as the reference does */
	sn_switch normalise;       /* read numbers, dates, units, abbreviations, ... as words; default: on */
	sn_switch ssml;            /* the text is SSML: one <speak> document; default: where it begins with "<speak" or "<?xml" */
	/* Text comes piece by piece as it is written (a language model's tokens): clauses are spoken as soon as they are whole. */
	sn_switch stream;
	/* Looks at the speech. One-call helpers that write to a file or memory look at each sentence (length, silence, clipping) and speak
	 * it again where it is bad, unless this is off. On: the whole is rated, too (sn_speech.quality; sessions: see sn_tts_check), and
	 * noise is taken out of a file whose background is bad. */
	sn_switch check;
	/* Sessions look at each sentence, too, before it is given out: a pull then waits for whole sentences. Default: off. */
	sn_switch inspect;
	/* Each sentence is read back by verify_model before it is given out, and is bad where too many words differ; sn_speech.word_error_rate
	 * is that of all. Default: off. Also in sessions, where a pull then waits for it. */
	sn_switch verify;
	const char *verify_model;  /* NULL: the default model that transcribes */
	/* A bad sentence is spoken again, with another seed, at most so often, up to SN_MAX_RETRIES; the best is kept. 0: 1; below 0: never. */
	int retries;
	uint64_t share;            /* as in sn_stt_options, as are the next two */
	void (*ready)(void *payload);
	void *ready_payload;
	int64_t reserved[4];
} sn_tts_options;

#define SN_TTS_MAX_TEXT ((size_t)65536)        /* bytes of text waiting in a session, and of one push */
#define SN_SPEAK_MAX_TEXT ((size_t)512 << 10)  /* bytes of text of a one-call helper */
#define SN_TTS_MAX_CHUNKS 8                    /* chunks waiting to be pulled beyond which a session rests */

/* Opens a session on a model that speaks; a model that makes mel spectrograms gets its vocoder here. Returns SN_OK, SN_E_ARGUMENT
 * (an option out of range; a voice or vocoder that does not fit the model: names both sides), SN_E_UNSUPPORTED (not a
 * text-to-speech model; a language, emotion or control that it lacks: lists what it has), SN_E_NOT_FOUND (voice, vocoder),
 * SN_E_DEPENDENCY (the sonant-phonemize helper is needed and missing), SN_E_BUSY, SN_E_MEMORY, and those of sn_model_load. */
SN_API int sn_tts_open(sn_tts **out, sn_model *model, const sn_tts_options *options, char *err);

/* Hands over text: whole sentences are spoken as they come, the rest waits for more text or finish. Sentences are cut, read as words
 * and turned into phonemes here. Waits while SN_TTS_MAX_TEXT bytes wait. Returns SN_OK, or, with nothing taken and the session as it
 * was: SN_AGAIN (it rests until audio is pulled; pull, then push the same again); SN_E_FORMAT (invalid UTF-8: says where; a push holds
 * whole characters, but SSML may come in any pieces); SN_E_LIMIT (more than SN_TTS_MAX_TEXT bytes at once).
 * A sentence that cannot be spoken (too long for the model, no phonemizer) and malformed SSML (says line and column) end the text
 * where they stand: this push and all later ones return the error, what came before is spoken, and behind it sn_tts_pull returns the
 * error. Also SN_E_CLOSED, SN_E_CANCELLED.
 * With `stream` pieces may be as small as a character: a first clause is spoken as soon as it is whole (a dozen words where no mark
 * comes), then whole sentences while there is speech ahead of the listener, clauses when there is little. Numbers, dates, abbreviations
 * and addresses are never cut. Which pieces are spoken together depends on time then, so the samples are not the same each time. */
SN_API int sn_tts_push(sn_tts *tts, const char *text, size_t size, char *err);

/* No more text will come. Returns SN_OK, SN_E_CLOSED, SN_E_CANCELLED, SN_E_ARGUMENT (there was nothing to speak: empty, without a
 * letter or digit, or of letters that the voice does not know), and the error that ended the text; the session is finished all the
 * same, and what it has can be pulled. */
SN_API int sn_tts_finish(sn_tts *tts, char *err);

typedef struct sn_audio {
	const float *pcm;          /* mono, -1..1 (louder samples are clipped); borrowed until the next call on the session */
	size_t count;
	int sample_rate;           /* the model's */
	int sentence;              /* which sentence it belongs to, from 0 */
	/* SSML: the name of a <mark> that is reached here; count is 0 then. Inside a sentence it stands between the right chunks where
	 * the model plans the length of sounds (VITS, YourTTS), to within a word; with other models before the sentence. Else NULL. */
	const char *mark;
} sn_audio;

/* Fetches the next chunk of speech; the first is short. Waiting as sn_stt_pull.
 * Returns SN_OK, SN_AGAIN, SN_END, SN_E_CANCELLED, or the error that ended the session. */
SN_API int sn_tts_pull(sn_tts *tts, sn_audio *audio, char *err);

SN_API void sn_tts_cancel(sn_tts *tts);
SN_API void sn_tts_close(sn_tts **tts);

/* "left_out" (characters or sounds that the voice does not know), "romanised" (written in Latin letters for the voice), "clipped",
 * "no_vocoder" (Griffin-Lim stood in), "remark" (the model's on a sentence: cut short, spoken again), "foreign_script" (letters that the
 * language lacks); of SSML: "ssml_ignored", "ssml_value", "ssml_break", "ssml_prosody", "ssml_phoneme", "ssml_say_as", "ssml_voice",
 * "ssml_language", "ssml_marks"; of a check: "spoken_again", "too_long", "too_short", "silent", "silence_inside", "offset", "misread",
 * "not_rated", "not_verified", "noisy", "enhanced" */
typedef struct sn_speech_note { char code[32], message[224]; } sn_speech_note;

#define SN_SPEECH_NOTES 16
#define SN_SPEECH_MARKS 64

typedef struct sn_speech_mark { char name[64]; double time; } sn_speech_mark;

/* Facts of a synthesis, complete after SN_END. */
typedef struct sn_speech {
	double duration;           /* of the speech */
	double processing_time;    /* from opening the session (helpers: from the call) */
	double first_audio;        /* until the first chunk was ready */
	int sample_rate, sentences;
	int64_t samples;
	char model[256], dtype[8], voice[64];
	char vocoder[256];         /* "" where the model makes sound itself */
	int note_count;
	sn_speech_note notes[SN_SPEECH_NOTES];
	int mark_count;            /* reached so far, in order; the first SN_SPEECH_MARKS are listed */
	sn_speech_mark marks[SN_SPEECH_MARKS];
	float quality;             /* 1..5 (DNSMOS overall), 0: not rated */
	float word_error_rate;     /* of verify, 0..; below 0: not verified */
	int attempts;              /* most that a sentence took; 1: nothing was spoken again */
} sn_speech;
/* What is known now. Never waits; quality is 0 before sn_tts_check. */
SN_API void sn_tts_result(const sn_tts *tts, sn_speech *speech);

/* The same after SN_END with the rating of what was pulled, where options->check is on. The network that rates runs behind every
 * session while speech is pulled, which never waits for it; this waits for what it still has to do. Where it lags more than a minute
 * behind, the oldest speech goes unrated. Later calls return the same at once.
 * Returns SN_OK, SN_AGAIN (where options->ready is set, which tells when it may be asked again), SN_E_ARGUMENT (the speech has not ended),
 * SN_E_CANCELLED, and what rating returns; *speech is filled in any case. */
SN_API int sn_tts_check(sn_tts *tts, sn_speech *speech, char *err);

/* Writes samples to an audio file, for speech that is written while it is made. path "-": standard output; format as sn_speak_file.
 * Mono, -1..1. A file appears under its name, whole, at sn_writer_finish; what can only be appended to (a pipe) is written as it comes.
 * Returns SN_OK, SN_E_ARGUMENT (format, rate), SN_E_NOT_FOUND (no such folder), SN_E_IO, SN_E_NO_SPACE, SN_E_MEMORY. */
typedef struct sn_writer sn_writer;
SN_API int sn_writer_open(sn_writer **out, const char *path, const char *format, int sample_rate, char *err);
SN_API int sn_writer_write(sn_writer *writer, const float *pcm, size_t count, char *err);
SN_API int sn_writer_finish(sn_writer *writer, char *err);
/* The rate of the audio that is written. */
SN_API int sn_writer_rate(const sn_writer *writer);
/* Unfinished: nothing is left behind. */
SN_API void sn_writer_close(sn_writer **writer);

typedef struct sn_writer_options {             /* 0: the default in brackets */
	const char *format;        /* as sn_speak_file ("wav") */
	int sample_rate;           /* of the samples that are written; needed */
	int output_rate;           /* 1000..768000 (the same); mp3 and opus take the next higher that they know */
	int bitrate;               /* mp3, opus: bit/s (the encoder's own choice) */
	size_t most;               /* memory: bytes beyond which writing ends with SN_E_LIMIT (2 GiB) */
	int64_t reserved[4];
} sn_writer_options;

/* A writer whose encoded bytes are handed to `write` as they come, inside sn_writer_write and sn_writer_finish; a wav header says "until
 * the end". What `write` returns but SN_OK ends the writing with that error. Returns what sn_writer_open returns. */
SN_API int sn_writer_open_callback(sn_writer **out, int (*write)(void *payload, const void *data, size_t size), void *payload,
                                   const sn_writer_options *options, char *err);

/* A writer to memory. What it has written is there after sn_writer_finish; *size bytes, free() them. */
SN_API int sn_writer_open_memory(sn_writer **out, const sn_writer_options *options, char *err);
SN_API void *sn_writer_take(sn_writer *writer, size_t *size);

/* ---- streams of audio ----
 * Audio that comes piece by piece, to mono float32: for live sessions. No call waits. */

typedef struct sn_reader sn_reader;

typedef struct sn_reader_options {             /* 0: the default in brackets */
	/* Bare samples, little endian, channels interleaved: "pcm16", "float32", "g711_ulaw", "g711_alaw". Containers, read by the sandboxed
	 * sonant-decode: "webm", "opus" or "ogg", "mp3", "flac", "wav", "auto": what it turns out to be ("auto") */
	const char *format;
	int sample_rate;           /* of bare samples, 1000..768000 (16000) */
	int channels;              /* of bare samples, 1..8 (1); they are averaged */
	int output_rate;           /* 1000..768000 (16000) */
	int64_t reserved[4];
} sn_reader_options;

/* options may be NULL. Returns SN_OK, SN_E_ARGUMENT, SN_E_DEPENDENCY (a container, and the helper is missing), SN_E_IO, SN_E_MEMORY. */
SN_API int sn_reader_open(sn_reader **out, const sn_reader_options *options, char *err);

/* Hands over bytes, cut anywhere; *taken says how many. Returns SN_OK, SN_AGAIN (none: pull, or wait for the descriptor), SN_E_CLOSED, or the
 * error that ended the stream. */
SN_API int sn_reader_push(sn_reader *reader, const void *data, size_t size, size_t *taken, char *err);
SN_API int sn_reader_finish(sn_reader *reader, char *err);

/* Up to `most` samples. Returns SN_OK (at least one), SN_AGAIN (push more, or wait for the descriptor), SN_END (finished, and all were
 * pulled), SN_E_FORMAT (damaged, not audio, NaN or infinity), SN_E_LIMIT, SN_E_MEMORY, SN_E_IO. */
SN_API int sn_reader_pull(sn_reader *reader, float *pcm, size_t most, size_t *count, char *err);

/* To be polled: readable when a pull, writable when a push may go on. -1: bare samples, which need no waiting. */
SN_API int sn_reader_descriptor(const sn_reader *reader);
SN_API void sn_reader_close(sn_reader **reader);

/* Speaks text to a file; path "-": standard output. format: "wav", "flac", "mp3", "opus", "pcm" (16-bit little endian), or
 * NULL: by the path's ending (none: wav). A file that already exists is replaced; on failure no half-written file is left.
 * speech may be NULL.
 * Returns SN_OK, SN_E_ARGUMENT (format), SN_E_IO, SN_E_NO_SPACE, and what sn_tts_open, push, finish and pull return. */
SN_API int sn_speak_file(sn_model *model, const char *text, size_t size, const char *path, const char *format,
                         const sn_tts_options *options, sn_speech *speech, char *err);

/* The same to memory: *data is malloc'ed (free() it). format NULL: "wav". */
SN_API int sn_speak_memory(void **data, size_t *data_size, sn_model *model, const char *text, size_t size, const char *format,
                           const sn_tts_options *options, sn_speech *speech, char *err);

/* The same to samples: *pcm (free() it) holds *count samples of speech->sample_rate Hz, mono, -1..1: those that the pulls of a session
 * with the same options give, but for sentences that were spoken again. With `check` on and `speech` given, noise is taken out of them
 * where the background is bad, as out of a file. NULL and 0 on failure, and where nothing but marks came of the text.
 * Returns SN_OK, SN_E_LIMIT (2 GiB of samples), SN_E_CANCELLED, and what sn_tts_open, push, finish and pull return. */
SN_API int sn_speak_pcm(float **pcm, size_t *count, sn_model *model, const char *text, size_t size, const sn_tts_options *options,
                        sn_speech *speech, char *err);

/* ---- voices ----
 * The bank in HOME/voices keeps voices under names. A voice is an embedding (of a clip, or from a file), a preset, a clip that each
 * model embeds by itself when it speaks, or a name for a speaker inside a model. */

typedef enum sn_voice_kind { SN_VOICE_SPEAKER = 1, SN_VOICE_EMBEDDING, SN_VOICE_PRESET, SN_VOICE_CLIP } sn_voice_kind;

typedef struct sn_voice_entry {
	const char *name;
	sn_voice_kind kind;
	int in_bank;               /* 0: a speaker of the model that was asked for */
	const char *speaker;       /* SPEAKER: its name or number in the model, else "" */
	const char *model;         /* that it was made with or belongs to; "": any that takes it */
	const char *architecture;  /* of that model, or "" */
	int embedding;             /* values; 0: none */
	const char *language, *licence, *source; /* as they were given, or "" */
	const char *created;       /* "2026-01-31T12:00:00Z", or "" */
	const char *path;          /* its directory in the bank, or "" */
} sn_voice_entry;
typedef struct sn_voice_list { sn_voice_entry *entries; size_t count; } sn_voice_list;

#define SN_MAX_VOICES 4096                     /* in the bank */
#define SN_MAX_VOICE_NAME ((size_t)63)         /* bytes: letters, digits, "-", "_", "." (not first); not a number alone, not "default" or "auto" */
#define SN_MAX_VOICE_FACT ((size_t)255)        /* bytes of each fact */

/* The voices of the bank and, where model is not NULL, the speakers inside it, which come first. Free with sn_voice_list_free.
 * A damaged voice is left out and logged. Returns SN_OK, SN_E_IO, SN_E_LIMIT, SN_E_MEMORY. */
SN_API int sn_voice_list_read(sn_voice_list **out, sn_engine *engine, const sn_model *model, char *err);
SN_API void sn_voice_list_free(sn_voice_list **list);

typedef struct sn_voice_facts {
	const char *language, *licence, *source; /* free text, may be NULL */
	const char *speaker;       /* instead of a path: name or number of a speaker in the model */
	int64_t reserved[4];
} sn_voice_facts;

/* Adds a voice to the bank. `path` is one of: audio of a voice in any format that is read, at least a second of it and at most the
 * first minute (model: a speaker encoder, or one that speaks and embeds; it makes the embedding now. NULL: the clip itself is kept);
 * an embedding (.npy) or preset (.npz), which must fit the model where one is given; a directory that sn_voice_export wrote. facts
 * may be NULL. The voice appears whole or not at all.
 * Returns SN_OK, SN_E_ARGUMENT (a bad name, one that is taken, a clip that is too short, a file that does not fit the model),
 * SN_E_UNSUPPORTED (the model makes no embeddings), SN_E_NOT_FOUND, SN_E_FORMAT, SN_E_LIMIT (SN_MAX_VOICES), SN_E_IO,
 * SN_E_NO_SPACE, SN_E_MEMORY. */
SN_API int sn_voice_add(sn_engine *engine, sn_model *model, const char *name, const char *path, const sn_voice_facts *facts,
                        char *err);

/* Removes a voice from the bank. Returns SN_OK, SN_E_ARGUMENT (a bad name), SN_E_NOT_FOUND, SN_E_IO. */
SN_API int sn_voice_remove(sn_engine *engine, const char *name, char *err);

/* Copies a voice out of the bank: into a new directory NAME below `path` where that is a directory (all of it, for sn_voice_add on
 * another machine), else its data to the file `path`. Nothing is overwritten.
 * Returns SN_OK, SN_E_ARGUMENT (a speaker has no data to write; the target exists), SN_E_NOT_FOUND, SN_E_IO, SN_E_NO_SPACE. */
SN_API int sn_voice_export(sn_engine *engine, const char *name, const char *path, char *err);

/* ---- quality ----
 * What audio is like: measured from its samples, and as listeners would rate it, estimated by DNSMOS (Reddy et al. 2022: P.835 scores
 * of speech signal, background noise and overall; P.808 score). Scores are computed behind every session, never in front of one. */

typedef struct sn_quality_options {
	const char *model;         /* that scores (SN_TASK_SCORE); NULL: the default one */
	sn_switch scores;          /* on: SN_E_NOT_FOUND where no model is installed; default: where one is; off: only measure */
	sn_switch personalised;    /* and the scores that count other voices as noise; default: off */
	/* Most windows of 9.01 s that are rated, 1..1024; 0: SN_QUALITY_WINDOWS; below 0: all, one each second as the reference does. When there
	 * are more, every 2nd, 4th, 8th, ... is. */
	int windows;
	sn_vad_settings vad;       /* where silero-vad is installed; defaults: 0.5, 250, 100, 30 */
	sn_progress progress;      /* _file and _memory: seconds of audio heard */
	void *payload;
	int64_t reserved[8];
} sn_quality_options;

#define SN_QUALITY_WINDOWS 52                  /* all of a minute */

/* Means over the rated windows, 1 (bad) to 5 (excellent); all 0: not rated. */
typedef struct sn_scores {
	float overall, signal, background; /* ITU-T P.835 */
	float p808;                /* ITU-T P.808 */
	int windows;               /* rated */
} sn_scores;

#define SN_MAX_PROBLEMS 12
#define SN_LEVEL_FLOOR (-100.0f)               /* dB that stand for silence */

/* "silent", "too_short", "quiet", "loud", "clipped", "dc", "noisy", "narrow", "mostly_silence", "no_speech", "poor_signal", "poor_overall" */
typedef struct sn_problem { char code[24], message[168]; } sn_problem;

typedef struct sn_quality {
	double duration;
	int sample_rate, channels; /* of the file; of samples: as given, 1 */
	/* 1 to 5: scores.overall, less what problems that DNSMOS is deaf to take from it (clipping, silence, loudness, bandwidth); where
	 * nothing was rated, what the signal-to-noise ratio allows, less the same. */
	float score;
	sn_scores scores, personalised;
	int windows_possible;      /* windows that an exact rating has */
	/* Estimated, dB 0..100: power of speech over that between speech, less the latter; without silero-vad of loud over quiet parts. */
	float snr;
	float noise_floor;         /* dBFS: level of what the ratio takes for background */
	float loudness;            /* LUFS, integrated over all of it (EBU R128) */
	float loudness_range;      /* LU */
	float peak, true_peak;     /* dBFS; dBTP: between the samples, too */
	float rms;                 /* dBFS */
	float dc;                  /* mean of the samples, -1..1 */
	float clipping;            /* 0..1: share of samples in runs of three or more at the largest magnitude, when that is near full scale */
	int64_t clipped_runs;
	float silence;             /* 0..1: share of time without sound (below -60 dBFS, or all but level with the noise floor) */
	float bandwidth;           /* Hz up to which there is energy */
	float speech;              /* 0..1: share of time with speech; below 0: not known */
	int problem_count;         /* worst first */
	sn_problem problems[SN_MAX_PROBLEMS];
} sn_quality;

/* Rates a file as sn_transcribe_file reads it ("-": standard input), the bytes of a file, or mono samples of any rate from 1000 to
 * 768000 Hz. Memory does not grow with the length. Returns SN_OK, SN_E_ARGUMENT (options, rate), SN_E_CANCELLED, what reading returns
 * (SN_E_NOT_FOUND, SN_E_FORMAT, SN_E_DEPENDENCY, SN_E_IO), and what sn_model_load returns for the model. */
SN_API int sn_quality_file(sn_quality *quality, sn_engine *engine, const char *path, const sn_quality_options *options, char *err);
SN_API int sn_quality_memory(sn_quality *quality, sn_engine *engine, const void *data, size_t size, const sn_quality_options *options,
                             char *err);
SN_API int sn_quality_pcm(sn_quality *quality, sn_engine *engine, const float *pcm, size_t count, int sample_rate,
                          const sn_quality_options *options, char *err);

/* Writes a rating as "text" (a line a fact) or "json" (one line). As sn_transcript_format. */
SN_API int sn_quality_format(char **text, size_t *size, const sn_quality *quality, const char *format, const char *file, char *err);

/* ---- analysis ---- */

typedef struct sn_analysis_options {
	sn_quality_options quality; /* scores: only where they are on; its progress and payload are used */
	sn_switch language;        /* heard by a model that transcribes and detects; default: where the default model is a multilingual Whisper */
	sn_switch words;           /* transcribe: _file and not standard input, which is read once; default: off */
	const char *model;         /* that transcribes; NULL: the default one */
	int64_t reserved[8];
} sn_analysis_options;

typedef struct sn_interval { double start, end; } sn_interval; /* seconds */

typedef struct sn_band { float center, level; } sn_band; /* an octave: its middle in Hz; dBFS */

/* A stretch of time of point_interval seconds. */
typedef struct sn_analysis_point {
	float low, high;           /* least and largest sample, at 16 kHz */
	float level;               /* dBFS */
	float pitch;               /* Hz, 0: none */
	float speech;              /* 0..1: probability of speech; 0 where silero-vad is not installed */
} sn_analysis_point;

#define SN_ANALYSIS_MAX_POINTS 2048
#define SN_ANALYSIS_MAX_SPEECH 8192            /* stretches of speech that are listed */

typedef struct sn_analysis {
	sn_quality quality;
	const char *format;        /* of the file: "wav", "mp3", ... */
	float crest;               /* dB: peak above RMS */
	float crossings;           /* of zero, a second */
	float centroid, rolloff;   /* Hz; 95 % of the power lies below the latter */
	const sn_band *bands;
	int band_count;
	float pitch_median, pitch_low, pitch_high; /* Hz; 5 % of the pitched time lies below the low, 5 % above the high one; 0: no pitch */
	float pitched;             /* 0..1: share of time with a pitch */
	const sn_interval *speech;     /* where silero-vad is installed */
	size_t speech_count;
	const char *language;      /* code; "": not asked for, or unknown */
	float language_confidence; /* 0..1 */
	const sn_analysis_point *points; /* over time; at most SN_ANALYSIS_MAX_POINTS, whose interval of at least 10 ms grows with the length */
	size_t point_count;
	double point_interval;
	const sn_transcript *transcript; /* with words; NULL where none was asked for */
	const sn_note *notes;
	size_t note_count;
	double processing_time;
} sn_analysis;

/* Looks at a file as sn_transcribe_file reads it ("-": standard input). Memory does not grow with the length. Free *out with
 * sn_analysis_free. options may be NULL. Returns what sn_quality_file and, where they are asked for, sn_model_load and
 * sn_transcribe_file return; SN_E_ARGUMENT (words of standard input). */
SN_API int sn_analyze_file(sn_analysis **out, sn_engine *engine, const char *path, const sn_analysis_options *options, char *err);
SN_API void sn_analysis_free(sn_analysis **analysis);

/* "text" (a line a fact) or "json" (one line, without the points). As sn_transcript_format. */
SN_API int sn_analysis_format(char **text, size_t *size, const sn_analysis *analysis, const char *format, const char *file, char *err);

/* Draws a PNG of width x height pixels (480..8192 x 360..8192; 0: 1600 x 900): waveform, log-mel spectrogram with pitch, speech, and the words
 * over time. title: above it, may be NULL. A file that already exists is replaced; on failure nothing is left.
 * Returns SN_OK, SN_E_ARGUMENT (size), SN_E_IO, SN_E_NO_SPACE, SN_E_MEMORY. */
SN_API int sn_analysis_plot(const sn_analysis *analysis, const char *path, int width, int height, const char *title, char *err);

/* ---- conversion ---- */

typedef struct sn_convert_options {            /* 0: the default in brackets */
	const char *format;        /* "wav", "flac", "mp3", "opus", "pcm" (by the path's ending, none: wav) */
	int sample_rate;           /* 1000..768000 (the input's); mp3 and opus take the next higher that they know */
	int bits;                  /* wav, flac, pcm: 16 or 24; wav, pcm: 32, which is float (16) */
	int bitrate;               /* mp3, opus: bit/s (the encoder's own choice) */
	double start, end;         /* seconds of the input that are taken (all) */
	float gain;                /* dB by which samples are raised, -60..60; beyond full scale they are clipped */
	float loudness;            /* LUFS, -40..-5: brought to by EBU R128, true peaks kept below -1 dBTP (left as it is); not together with gain */
	sn_progress progress;      /* seconds read */
	void *payload;
	int64_t reserved[8];
} sn_convert_options;

typedef struct sn_conversion {
	double duration, processing_time;          /* of the output */
	char input_format[32];
	int input_rate, input_channels;
	const char *format;                        /* static */
	int sample_rate, channels, bits;           /* channels: 1, the mean of the input's; bits 0: the format has none */
	float gain, peak;                          /* dB that all samples were raised by; dBFS of the result */
	float limited;                             /* dB by which peaks were lowered at most, for the sake of the loudness */
	int64_t clipped;                           /* samples beyond full scale */
	char note[192];                            /* what is odd about the input, or "" */
} sn_conversion;

/* Converts a file as sn_transcribe_file reads it ("-": standard input) to a file as sn_speak_file writes it ("-": standard output);
 * both may be the same. Memory does not grow with the length. options and facts may be NULL.
 * Returns SN_OK, SN_E_ARGUMENT (options, a format that cannot be written: lists those that can; a start behind the end), SN_E_CANCELLED,
 * SN_E_IO, SN_E_NO_SPACE, and what reading returns (SN_E_NOT_FOUND, SN_E_FORMAT, SN_E_DEPENDENCY). */
SN_API int sn_convert_file(sn_conversion *facts, const char *path, const char *out_path, const sn_convert_options *options, char *err);

/* ---- enhancement ----
 * Makes a recording of speech better to listen to. In this order: clipped peaks are repaired, a high-pass takes off rumble and a
 * constant offset, DeepFilterNet takes noise out, a compressor evens out the level, the loudness is brought to a target (EBU R128), a
 * limiter keeps true peaks below a ceiling. Channels are averaged: the result is mono. */

typedef struct sn_enhance_options {            /* 0: the default in brackets */
	sn_switch denoise;         /* on: SN_E_NOT_FOUND where no model is installed (default: where one is and the recording is noisy) */
	float attenuation_limit;   /* dB by which noise is lowered at most, 1..100 (24); 100: without a limit */
	sn_switch normalise;       /* bring the loudness to the target (on) */
	float loudness;            /* that target: LUFS, integrated over one channel, -40..-5 (-16) */
	float ceiling;             /* of true peaks, dBTP, -20..-0.1 (-1) */
	sn_switch compress;        /* 2:1 above the mean loudness (off) */
	sn_switch declip;          /* repair runs of up to 4 ms (on) */
	sn_switch highpass;        /* second order, 60 Hz (on) */
	sn_switch scores;          /* rate input and result by DNSMOS: SN_E_NOT_FOUND where no model is installed (off) */
	int sample_rate;           /* of the result, 8000..192000 (the input's) */
	sn_progress progress;      /* seconds that are done in the present pass, of those of the input */
	void *payload;
	int64_t reserved[8];
} sn_enhance_options;

#define SN_ENHANCE_STAGES 6

/* What one stage did: "declip", "highpass", "denoise", "compress", "loudness", "limit". */
typedef struct sn_enhance_stage {
	const char *name;          /* static */
	int done;                  /* 0: skipped, or there was nothing to do */
	char message[192];         /* what it did, or why not */
} sn_enhance_stage;

typedef struct sn_enhanced_levels {
	float loudness, range;     /* LUFS integrated, LU (EBU R128, one channel) */
	float true_peak, rms;      /* dBTP, dBFS */
	float noise_floor, snr;    /* dBFS of the quiet parts; dB, estimated from quiet and loud parts */
	float score;               /* DNSMOS overall, 1..5; 0: not rated */
} sn_enhanced_levels;

typedef struct sn_enhancement {
	double duration, processing_time;
	int input_rate, input_channels, sample_rate;
	sn_enhanced_levels before, after;
	int64_t clipped, repaired; /* samples */
	float noise_reduction;     /* dB by which the quiet parts fell, whatever the gain; 0 where nothing was taken out */
	float gain;                /* dB, towards the target */
	float compression, limited; /* dB: mean of the compressor's reduction, largest of the limiter's */
	char denoiser[256];        /* model, "" where none was used */
	sn_enhance_stage stages[SN_ENHANCE_STAGES];
	char note[192];            /* what is odd about the input, or "" */
} sn_enhancement;

/* Enhances a file as sn_transcribe_file reads it ("-": standard input) to a file as sn_speak_file writes it ("-": standard output;
 * format NULL: by the path's ending); both may be the same. Samples lie in a temporary file between passes, so memory does not grow with
 * the length. facts may be NULL.
 * Returns SN_OK, SN_E_ARGUMENT (options, format; nothing but silence is no error), SN_E_CANCELLED, SN_E_NO_SPACE, what reading returns
 * (SN_E_NOT_FOUND, SN_E_FORMAT, SN_E_DEPENDENCY, SN_E_IO), and what sn_model_load returns for the model. */
SN_API int sn_enhance_file(sn_enhancement *facts, sn_engine *engine, const char *path, const char *out_path, const char *format,
                           const sn_enhance_options *options, char *err);

/* The same for mono samples of any rate from 8000 to 192000 Hz. *out (free() it) holds *out_count samples of options->sample_rate. */
SN_API int sn_enhance_pcm(float **out, size_t *out_count, sn_enhancement *facts, sn_engine *engine, const float *pcm, size_t count,
                          int sample_rate, const sn_enhance_options *options, char *err);

#ifdef __cplusplus
}
#endif
#endif
