#include "cli/transcribe.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DOUBTFUL 0.5f /* confidence below which a word is coloured */

struct run;

/* A file, from when a thread takes it to when it is reported. */
typedef struct job {
	struct run *run;
	const transcribe_file *what;
	int index;
	sn_transcript_stream *stream; /* NULL: the format needs the whole */
	FILE *out;                    /* its own file, from the first text on */
	char *apart;                  /* what that is called until it is whole; NULL: as it shall be */
	FILE *held;                   /* for standard output, until those before it are done; its text is in `waiting` */
	char *waiting;
	size_t waiting_size;
	cli_progress progress;
	sn_transcript *t;             /* of a stream: its notes */
	char language[64];
	int written, done, code;      /* written: there was some text */
	char err[SN_ERRLEN];
} job;

typedef struct run {
	const transcribe_plan *plan;
	job *jobs;
	pthread_mutex_t lock;
	int next, front;              /* the next one to be taken; the one whose text goes to standard output at once */
	int lost;                     /* standard output: an exit status, already reported */
	int status;                   /* of the first failure */
} run;

/* ---- writing ---- */

/* What --skip-existing finds under its name the next time is whole. Links and devices are written where they are. */
static FILE *open_own(job *j) {
	struct stat st;
	const int is_there = lstat(j->what->path, &st) == 0, is_plain = !is_there || S_ISREG(st.st_mode);
	if (is_there && access(j->what->path, W_OK) != 0)
		return NULL;
	if (j->run->plan->apart && is_plain && asprintf(&j->apart, "%s.part", j->what->path) < 0) {
		j->apart = NULL;
		return NULL;
	}
	return fopen(j->apart ? j->apart : j->what->path, "w");
}

static int to_own_file(job *j, const char *text, size_t size) {
	if (!j->out)
		j->out = open_own(j);
	if (j->out && fwrite(text, 1, size, j->out) == size && fflush(j->out) == 0)
		return SN_OK;
	j->code = errno == ENOSPC ? SN_E_NO_SPACE : SN_E_IO;
	snprintf(j->err, sizeof j->err, "%s: %s", j->what->path, strerror(errno));
	return j->code;
}

/* Lock held. */
static int to_standard_output(job *j, const char *text, size_t size) {
	run *const r = j->run;
	if (r->lost)
		return SN_E_IO;
	if (j->index == r->front) {
		cli_progress_done(&j->progress);
		r->lost = sn_result_exit(cli_write(text, size));
		return r->lost ? SN_E_IO : SN_OK;
	}
	if (!j->held)
		j->held = open_memstream(&j->waiting, &j->waiting_size);
	if (j->held && fwrite(text, 1, size, j->held) == size)
		return SN_OK;
	snprintf(j->err, sizeof j->err, "no memory to hold its text");
	return j->code = SN_E_MEMORY;
}

/* Texts of several files one after the other are told apart as by head and tail. Lock held. */
static int put_head(job *j) {
	char *head;
	const int size = asprintf(&head, "%s==> %s <==\n", j->index ? "\n" : "", j->what->file);
	if (size >= 0 && isatty(STDOUT_FILENO))
		cli_tame(head, (size_t)size, "\n");
	const int result = size < 0 ? SN_E_MEMORY : to_standard_output(j, head, (size_t)size);
	if (size >= 0)
		free(head);
	return result;
}

static int put(job *j, const char *text, size_t size) {
	const transcribe_plan *const plan = j->run->plan;
	const int heads = !j->written && plan->named && strcmp(plan->format.format, "text") == 0;
	if (j->code != SN_OK || !size)
		return j->code;
	j->written = 1;
	if (j->what->path)
		return to_own_file(j, text, size);
	pthread_mutex_lock(&j->run->lock);
	int result = heads ? put_head(j) : SN_OK;
	if (result == SN_OK)
		result = to_standard_output(j, text, size);
	pthread_mutex_unlock(&j->run->lock);
	return result;
}

/* What waited for its turn. Lock held. */
static void release(job *j) {
	if (!j->held)
		return;
	const int failed = fclose(j->held) != 0;
	j->held = NULL;
	if (failed)
		j->run->lost = cli_fail(SN_E_MEMORY, j->what->file, "no memory to hold its text");
	else if (j->waiting_size)
		to_standard_output(j, j->waiting, j->waiting_size);
	free(j->waiting);
	j->waiting = NULL;
}

/* ---- one file ---- */

/* The words that are hardly right, in a colour. */
static int put_coloured(job *j, const char *text, size_t size, const sn_segment *segment) {
	char *lit = NULL;
	size_t room = 0;
	FILE *const out = open_memstream(&lit, &room);
	const char *at = text, *const end = text + size;
	for (int i = 0; out && i < segment->word_count; i++) {
		const sn_word *const w = &segment->words[i];
		const char *const word = *w->text ? memmem(at, (size_t)(end - at), w->text, strlen(w->text)) : NULL;
		if (!word)
			continue;
		fwrite(at, 1, (size_t)(word - at), out);
		fprintf(out, w->confidence < DOUBTFUL ? "\033[33m%s\033[0m" : "%s", w->text);
		at = word + strlen(w->text);
	}
	if (out)
		fwrite(at, 1, (size_t)(end - at), out);
	const int failed = !out || fclose(out) != 0, result = failed ? put(j, text, size) : put(j, lit, room);
	free(lit);
	return result;
}

static void take_segment(void *payload, const sn_segment *segment) {
	job *const j = payload;
	const char *text;
	size_t size;
	if (j->code == SN_OK)
		j->code = sn_transcript_stream_add(j->stream, segment, &text, &size, j->err);
	char *const tame = j->code == SN_OK && !j->what->path && isatty(STDOUT_FILENO) ? strndup(text, size) : NULL;
	if (tame) {
		cli_tame(tame, strlen(tame), "\n\t");
		size = strlen(text = tame);
	}
	if (j->code == SN_OK && !j->what->path && segment->word_count && strcmp(j->run->plan->format.format, "text") == 0 && cli_has_colors(stdout))
		put_coloured(j, text, size, segment);
	else
		put(j, j->code == SN_OK ? text : "", j->code == SN_OK ? size : 0);
	free(tame);
}

static int ask(void *payload, double seconds, double total) {
	job *const j = payload;
	pthread_mutex_lock(&j->run->lock);
	const int is_front = j->index == j->run->front, stop = cli_is_interrupted() || j->code != SN_OK || (j->run->lost && !j->what->path);
	pthread_mutex_unlock(&j->run->lock);
	return stop || (is_front && cli_progress_show(&j->progress, seconds, total));
}

static sn_transcript_options format_of(const job *j) {
	sn_transcript_options options = j->run->plan->format;
	options.file = j->run->plan->named ? j->what->file : NULL;
	return options;
}

static int write_whole(job *j, const sn_transcript *t, char *err) {
	char *text = NULL;
	size_t size = 0;
	const sn_transcript_options options = format_of(j);
	const int result = sn_transcript_write(&text, &size, t, &options, err);
	if (result == SN_OK)
		put(j, text, size);
	free(text);
	return result;
}

static int write_rest(job *j, const sn_transcript *t, char *err) {
	const char *text;
	size_t size;
	const int result = sn_transcript_stream_end(j->stream, t, &text, &size, err);
	if (result == SN_OK)
		put(j, text, size);
	return result;
}

/* A transcript without a word is a file, too. */
static void close_own(job *j) {
	if (j->what->path && j->code == SN_OK && !j->out)
		to_own_file(j, "", 0);
	int failed = j->out && fclose(j->out) != 0;
	if (!failed && j->code == SN_OK && j->apart)
		failed = rename(j->apart, j->what->path) != 0;
	if (failed && j->code == SN_OK) {
		j->code = errno == ENOSPC ? SN_E_NO_SPACE : SN_E_IO;
		snprintf(j->err, sizeof j->err, "%s: %s", j->what->path, strerror(errno));
	}
	free(j->apart);
	j->apart = NULL;
}

static void transcribe(job *j) {
	const transcribe_plan *const plan = j->run->plan;
	char err[SN_ERRLEN];
	sn_transcript *t = NULL;
	sn_stt_options o = *plan->stt;
	const sn_transcript_options options = format_of(j);
	const int streams = sn_transcript_stream_begin(&j->stream, &options, err) != SN_E_ARGUMENT;
	int result = streams && !j->stream ? SN_E_MEMORY : SN_OK;
	cli_progress_start(&j->progress, j->what->file);
	o.progress = ask;
	o.payload = j;
	o.segment = streams ? take_segment : NULL;
	o.keep = streams ? SN_OFF : SN_ON;
	if (result == SN_OK)
		result = sn_transcribe_file(&t, plan->model, j->what->file, &o, err);
	if (result == SN_OK)
		result = streams ? write_rest(j, t, err) : write_whole(j, t, err);
	else if (j->written && strcmp(plan->format.format, "text") == 0)
		put(j, "\n", 1);
	if (t)
		snprintf(j->language, sizeof j->language, "%s", t->language);
	if (result != SN_OK && j->code == SN_OK) {
		j->code = result;
		snprintf(j->err, sizeof j->err, "%s", err);
	}
	close_own(j);
	if (streams)
		j->t = t;
	else
		sn_transcript_free(&t);
}

/* ---- all of them ---- */

/* Says what is to be said of a file that is done. Lock held. */
static void report(job *j) {
	run *const r = j->run;
	int status = j->what->path ? 0 : r->lost;
	cli_progress_done(&j->progress);
	release(j);
	for (size_t i = 0; j->t && i < j->t->note_count && j->code == SN_OK && strcmp(r->plan->format.format, "jsonl") != 0; i++)
		cli_note(j->what->file, j->t->notes[i].message);
	if (j->code == SN_E_CANCELLED && !status)
		status = sn_result_exit(SN_E_CANCELLED);
	else if (j->code != SN_OK && !status)
		status = cli_fail(j->code, j->what->file, j->err);
	r->status = r->status ? r->status : status;
	if (r->plan->ended)
		r->plan->ended(r->plan->payload, j->index, status, j->language);
	sn_transcript_free(&j->t);
	sn_transcript_stream_close(&j->stream);
}

static void *work(void *payload) {
	run *const r = payload;
	pthread_mutex_lock(&r->lock);
	while (r->next < r->plan->count && !cli_is_interrupted()) {
		job *const j = &r->jobs[r->next++];
		pthread_mutex_unlock(&r->lock);
		transcribe(j);
		pthread_mutex_lock(&r->lock);
		j->done = 1;
		while (r->front < r->next && r->jobs[r->front].done) {
			report(&r->jobs[r->front]);
			if (++r->front < r->next)
				release(&r->jobs[r->front]);
		}
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

/* Threads of which the caller's is one. */
static void work_together(run *r) {
	const int most = r->plan->most < r->plan->count ? r->plan->most : r->plan->count;
	pthread_t *const threads = calloc((size_t)most, sizeof *threads);
	int others = 0;
	while (threads && others < most - 1 && pthread_create(&threads[others], NULL, work, r) == 0)
		others++;
	work(r);
	for (int i = 0; i < others; i++)
		pthread_join(threads[i], NULL);
	free(threads);
}

int transcribe_files(const transcribe_plan *plan) {
	run r = { .plan = plan, .lock = PTHREAD_MUTEX_INITIALIZER, .jobs = calloc((size_t)plan->count, sizeof(job)) };
	if (!r.jobs)
		return cli_fail(SN_E_MEMORY, NULL, "out of memory");
	for (int i = 0; i < plan->count; i++)
		r.jobs[i] = (job){ .run = &r, .what = &plan->files[i], .index = i };
	cli_catch_interrupts();
	work_together(&r);
	free(r.jobs);
	return cli_is_interrupted() ? cli_fail(SN_E_CANCELLED, NULL, "interrupted: what was written is what was heard so far") : r.status;
}
