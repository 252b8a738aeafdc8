#include "speech/lane.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECE 0.03            /* seconds that a piece of the encoder should take */
#define EAR_PIECE 0.01        /* of an ear's encoder: a partial may wait behind it */
#define GATHERING 1.0         /* seconds that a search may wait for others at most */
#define MEL_BLOCK (12 * SN_MEL_GROUP)
#define MEL_BLOCKS 64         /* a window has at most 3000 / MEL_BLOCK + 1 */

/* What an entry of the cross attention holds: the encoding of these features. */
typedef struct known {
	float *mel;                   /* [2 * source_positions, mels] */
	int is_whole;                 /* encoded to its end */
	int64_t used;                 /* when last: a count of windows */
} known;

struct sn_lane {
	sn_whisper *whisper;
	const sn_whisper_config *config;
	sn_sched *sched;
	nn_pool *pool;
	sn_mel *mel;
	int windows, rows, first;     /* first: place whose rows go first in the next step */
	sn_place places[SN_LANE_MAX_WINDOWS];
	int32_t *free_slots;          /* [rows], a stack */
	int free_count;
	const sn_job *awaited;        /* who has no place, and so many slots are kept for; NULL: nobody */
	int awaited_slots;
	sn_place *encoding;           /* who holds the encoder */
	int begun, budget;
	known known[SN_LANE_MAX_WINDOWS]; /* by entry */
	int64_t encoded;              /* windows that were asked for */
	sn_whisper_row batch[2 * SN_WHISPER_MAX_ROWS];
	sn_place *members[SN_LANE_MAX_WINDOWS]; /* of the present decoder step */
	sn_mel_view view;             /* of the features being made */
	int64_t frames;
	float *mel_input;
	float peaks[MEL_BLOCKS], peak;
	sn_ear ears[SN_EARS];
	float *ear_logits;            /* [SN_EAR_ROWS, vocab]; NULL: nobody listens yet */
};

static size_t mel_size(const sn_lane *lane) {
	return 2 * (size_t)lane->config->source_positions * (size_t)lane->config->mels * sizeof(float);
}

int sn_lane_open(sn_lane **out, sn_whisper *whisper, int windows, int rows, sn_sched *sched, nn_pool *pool, char *err) {
	*out = NULL;
	sn_lane *lane = calloc(1, sizeof *lane);
	int32_t *slots = calloc((size_t)rows, sizeof *slots);
	if (!lane || !slots) {
		free(lane);
		free(slots);
		return sn_fail(err, SN_E_MEMORY, "no memory for %d windows and %d sequences", windows, rows);
	}
	*lane = (sn_lane){ .whisper = whisper, .config = sn_whisper_get_config(whisper), .sched = sched, .pool = pool,
	                   .windows = windows, .rows = rows, .free_slots = slots, .free_count = rows, .budget = 25 };
	for (int i = 0; i < rows; i++)
		slots[i] = rows - 1 - i;
	int result = sn_mel_open(&lane->mel, lane->config->mels, err);
	for (int i = 0; i < windows && result == SN_OK; i++) {
		lane->places[i].entry = i;
		lane->known[i].mel = malloc(mel_size(lane));
		result = lane->known[i].mel ? sn_search_new(&lane->places[i].search, whisper, err) : sn_fail(err, SN_E_MEMORY, "no memory for a window");
	}
	if (result != SN_OK)
		sn_lane_close(&lane);
	*out = lane;
	return result;
}

void sn_lane_close(sn_lane **held) {
	sn_lane *lane = *held;
	*held = NULL;
	if (!lane)
		return;
	for (int i = 0; i < lane->windows; i++) {
		sn_search_free(&lane->places[i].search);
		free(lane->known[i].mel);
	}
	for (int i = 0; i < SN_EARS; i++)
		sn_whisper_encoder_close(&lane->ears[i].encoder);
	free(lane->ear_logits);
	sn_mel_close(&lane->mel);
	free(lane->free_slots);
	free(lane);
}

sn_whisper *sn_lane_whisper(const sn_lane *lane) { return lane->whisper; }
int sn_lane_windows(const sn_lane *lane) { return lane->windows; }

static int places_of(const sn_lane *lane, const sn_job *job) {
	int count = 0;
	for (int i = 0; i < lane->windows; i++)
		count += lane->places[i].job == job;
	return count;
}

/* Would a place for the job leave none to others? */
static int is_greedy(const sn_lane *lane, const sn_job *job, int slots) {
	const int is_last = places_of(lane, NULL) < 2 || lane->free_count - slots < SN_LANE_BEST_OF;
	return is_last && places_of(lane, job) > 0;
}

/* Lower ones go first, as in the scheduler. */
static int class_of(const sn_job *job) {
	return job->priority == SN_PRIORITY_REALTIME ? 0 : job->priority == SN_PRIORITY_INTERACTIVE ? 1 : 2;
}

/* Are the slots, or the last place, kept for somebody else? */
static int is_kept(const sn_lane *lane, const sn_job *job, int slots) {
	const sn_job *const other = lane->awaited;
	return other && other != job && class_of(job) >= class_of(other) &&
		(lane->free_count - slots < lane->awaited_slots || places_of(lane, NULL) < 2);
}

sn_place *sn_lane_take(sn_lane *lane, sn_job *job, int slots) {
	if (lane->encoding || lane->free_count < slots || is_greedy(lane, job, slots) || is_kept(lane, job, slots))
		return NULL;
	sn_place *place = NULL; /* whose encoding was used longest ago */
	for (sn_place *p = lane->places; p < lane->places + lane->windows; p++)
		if (!p->job && (!place || lane->known[p->entry].used < lane->known[place->entry].used))
			place = p;
	if (!place)
		return NULL;
	place->job = job;
	place->slot_count = slots;
	for (int i = 0; i < slots; i++)
		place->slots[i] = lane->free_slots[--lane->free_count];
	place->searching = place->detecting = 0;
	place->failed = SN_OK;
	if (lane->awaited == job)
		lane->awaited = NULL;
	lane->encoding = place;
	lane->begun = 0;
	return place;
}

void sn_lane_await(sn_lane *lane, sn_job *job, int slots) {
	if (places_of(lane, job) > 0 || (lane->awaited && class_of(lane->awaited) <= class_of(job)))
		return;
	lane->awaited = job;
	lane->awaited_slots = slots;
}

void sn_lane_withdraw(sn_lane *lane, const sn_job *job) {
	if (lane->awaited != job)
		return;
	lane->awaited = NULL;
	sn_sched_wake_all(lane->sched);
}

void sn_lane_give(sn_lane *lane, sn_place *place) {
	for (int i = place->slot_count; i-- > 0;)
		lane->free_slots[lane->free_count++] = place->slots[i];
	if (lane->encoding == place)
		lane->encoding = NULL;
	place->job = NULL;
	place->slot_count = place->searching = place->detecting = 0;
	sn_sched_wake_all(lane->sched);
}

static void mel_block(void *payload, int64_t task, int worker) {
	sn_lane *lane = payload;
	int64_t first = task * MEL_BLOCK, count = lane->frames - first < MEL_BLOCK ? lane->frames - first : MEL_BLOCK;
	float *out = lane->mel_input + first * lane->config->mels;
	lane->peaks[task] = sn_mel_block(lane->mel, &lane->view, first, count, out);
}

static void mel_scale(void *payload, int64_t task, int worker) {
	sn_lane *lane = payload;
	int64_t first = task * MEL_BLOCK, count = lane->frames - first < MEL_BLOCK ? lane->frames - first : MEL_BLOCK;
	sn_mel_normalise(lane->mel_input + first * lane->config->mels, count * lane->config->mels, lane->peak);
}

/* `frames` frames of the view to mel[whole, mels], zeros behind them. */
static void features(sn_lane *lane, const sn_mel_view *view, int64_t frames, float *mel, int64_t whole) {
	const int64_t blocks = (frames + MEL_BLOCK - 1) / MEL_BLOCK;
	lane->view = *view;
	lane->frames = frames;
	lane->mel_input = mel;
	nn_pool_run(lane->pool, mel_block, lane, blocks);
	lane->peak = lane->peaks[0];
	for (int64_t i = 1; i < blocks; i++)
		lane->peak = lane->peaks[i] > lane->peak ? lane->peaks[i] : lane->peak;
	nn_pool_run(lane->pool, mel_scale, lane, blocks);
	memset(mel + frames * lane->config->mels, 0, (size_t)((whole - frames) * lane->config->mels) * sizeof *mel);
}

void sn_lane_features(sn_lane *lane, sn_place *place, const sn_mel_view *view, int64_t frames) {
	features(lane, view, frames, sn_whisper_mel_input(lane->whisper), 2 * (int64_t)lane->config->source_positions);
}

/* The budget of a piece, of which `budget` took `spent` seconds, that should take `piece`. */
static int next_budget(int budget, double spent, double piece) {
	const double wanted = budget * piece / (spent + 1e-6);
	return wanted < 1 ? 1 : wanted > 100 ? 100 : (int)wanted;
}

/* Features that were encoded lately need not be again: a place that nobody uses has their encoding still, and gives its entry in exchange. */
static int recall(sn_lane *lane, sn_place *place) {
	const float *const mel = sn_whisper_mel_input(lane->whisper);
	for (sn_place *p = lane->places; p < lane->places + lane->windows; p++) {
		known *const k = &lane->known[p->entry];
		if ((p->job && p != place) || !k->is_whole || memcmp(k->mel, mel, mel_size(lane)) != 0)
			continue;
		const int entry = place->entry;
		place->entry = p->entry;
		p->entry = entry;
		k->used = ++lane->encoded;
		return 1;
	}
	return 0;
}

static void begin_encoding(sn_lane *lane, const sn_place *place) {
	known *const k = &lane->known[place->entry];
	memcpy(k->mel, sn_whisper_mel_input(lane->whisper), mel_size(lane));
	k->is_whole = 0;
	k->used = ++lane->encoded;
	sn_whisper_encode_begin(lane->whisper, place->entry);
}

void sn_lane_forget(sn_lane *lane, const sn_place *place) { lane->known[place->entry].is_whole = 0; }

int sn_lane_encode(sn_lane *lane, sn_place *place, char *err) {
	double start = sn_now();
	if (!lane->begun) {
		const int hit = recall(lane, place);
		sn_sched_count_feature(lane->sched, hit);
		if (hit) {
			lane->encoding = NULL;
			sn_sched_wake_all(lane->sched);
			return SN_OK;
		}
		begin_encoding(lane, place);
	}
	lane->begun = 1;
	int result = sn_whisper_encode_next(lane->whisper, lane->budget, err);
	sn_sched_count(lane->sched, SN_STAGE_ENCODE, result != SN_AGAIN, start);
	if (result == SN_AGAIN) {
		lane->budget = next_budget(lane->budget, sn_now() - start, PIECE);
		return result;
	}
	lane->known[place->entry].is_whole = result == SN_OK;
	lane->encoding = NULL;
	sn_sched_wake_all(lane->sched);
	return result;
}

int sn_lane_detect(sn_lane *lane, sn_place *place, char *err) {
	const sn_search_options options = { .beam = 1 };
	int result = sn_search_start(place->search, place->entry, place->slots, place->slot_count, &lane->config->sot, 1, 0, &options,
	                             err);
	place->searching = place->detecting = result == SN_OK;
	place->since = sn_now();
	return result;
}

int sn_lane_search(sn_lane *lane, sn_place *place, const int32_t *prompt, int count, int sot_index,
                   const sn_search_options *options, char *err) {
	int result = sn_search_start(place->search, place->entry, place->slots, place->slot_count, prompt, count, sot_index, options,
	                             err);
	place->searching = result == SN_OK;
	place->since = sn_now();
	return result;
}

int sn_lane_gathers(const sn_lane *lane, const sn_job *job) {
	const sn_job *const other = lane->encoding ? lane->encoding->job : NULL;
	if (!other || other == job || job->priority == SN_PRIORITY_REALTIME || places_of(lane, other) > 1 ||
	    (other->priority == SN_PRIORITY_BATCH && job->priority != SN_PRIORITY_BATCH))
		return 0;
	const double now = sn_now();
	for (int i = 0; i < lane->windows; i++)
		if (lane->places[i].job == job && lane->places[i].searching && now - lane->places[i].since > GATHERING)
			return 0;
	return 1;
}

static void choose_tokens(void *payload, int64_t task, int worker) {
	sn_lane *lane = payload;
	sn_place *place = lane->members[task];
	if (place->detecting) {
		place->language = sn_search_language(place->search, &place->language_probability);
		place->detecting = place->searching = 0;
	} else if (sn_search_advance(place->search)) {
		place->searching = 0;
	}
}

/* The members of a step that failed. */
static void end_searches(sn_lane *lane, int count, int code, const char *why) {
	for (int i = 0; i < count; i++) {
		sn_place *const place = lane->members[i];
		place->searching = place->detecting = 0;
		place->failed = code;
		snprintf(place->why, sizeof place->why, "%s", why);
	}
}

void sn_lane_decode(sn_lane *lane) {
	int rows = 0, count = 0, first = lane->first;
	double start = sn_now();
	for (int i = 0; i < lane->windows; i++) {
		sn_place *place = &lane->places[(first + i) % lane->windows];
		if (!place->searching)
			continue;
		int more = sn_search_rows(place->search, lane->batch + rows);
		if (rows + more > SN_WHISPER_MAX_ROWS) { /* long prompts: this one leads the next step */
			lane->first = (int)(place - lane->places);
			break;
		}
		rows += more;
		lane->members[count++] = place;
	}
	char why[SN_ERRLEN];
	const int result = sn_whisper_decode(lane->whisper, lane->batch, rows, why);
	if (result == SN_OK)
		nn_pool_run(lane->pool, choose_tokens, lane, count);
	else
		end_searches(lane, count, result, why);
	double spent = sn_now() - start;
	sn_sched_count(lane->sched, SN_STAGE_DECODE, rows, start);
	for (int i = 0; i < count; i++) {
		sn_place *place = lane->members[i];
		sn_sched_charge(lane->sched, place->job, spent / count);
		if (place->searching)
			continue;
		sn_sched_lock(lane->sched);
		sn_sched_wake(lane->sched, place->job);
		sn_sched_unlock(lane->sched);
	}
}

/* ---- live sessions ---- */

int sn_lane_listen(sn_lane *lane, char *err) {
	if (lane->ear_logits)
		return SN_OK;
	int result = SN_OK;
	for (int i = 0; i < SN_EARS && result == SN_OK; i++) {
		sn_ear *const ear = &lane->ears[i];
		sn_whisper_encoder_close(&ear->encoder); /* of an attempt that failed */
		*ear = (sn_ear){ .entry = lane->windows + i, .slot = lane->rows + i, .budget = 5 };
		result = sn_whisper_encoder_open(&ear->encoder, lane->whisper, err);
	}
	if (result != SN_OK)
		return result;
	lane->ear_logits = malloc((size_t)SN_EAR_ROWS * (size_t)lane->config->vocab * sizeof *lane->ear_logits);
	return lane->ear_logits ? SN_OK : sn_fail(err, SN_E_MEMORY, "no memory for the logits of %d rows", SN_EAR_ROWS);
}

sn_ear *sn_lane_ear_take(sn_lane *lane, sn_ear_kind kind, sn_job *job) {
	sn_ear *const ear = &lane->ears[kind];
	if (ear->job)
		return NULL;
	ear->job = job;
	return ear;
}

void sn_lane_ear_give(sn_lane *lane, sn_ear *ear) {
	ear->job = NULL;
	sn_sched_wake_all(lane->sched);
}

void sn_lane_ear_features(sn_lane *lane, sn_ear *ear, const sn_mel_view *view, int64_t frames, int positions) {
	ear->positions = positions;
	ear->begun = 0;
	features(lane, view, frames, sn_whisper_encoder_mel(ear->encoder), 2 * (int64_t)positions);
}

int sn_lane_ear_encode(sn_lane *lane, sn_ear *ear, char *err) {
	const double start = sn_now();
	if (!ear->begun)
		sn_whisper_encoder_begin(ear->encoder, ear->entry, ear->positions);
	ear->begun = 1;
	const int result = sn_whisper_encoder_next(ear->encoder, ear->budget, err);
	sn_sched_count(lane->sched, SN_STAGE_ENCODE, result != SN_AGAIN, start);
	if (result == SN_AGAIN)
		ear->budget = next_budget(ear->budget, sn_now() - start, EAR_PIECE);
	return result;
}

float *sn_lane_ear_logits(sn_lane *lane) { return lane->ear_logits; }
