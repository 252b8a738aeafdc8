/* Who gets the places of a Whisper that several sessions want. test_lane FIXTURES: tests/fixtures/tiny. */
#include "speech/engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define WIDE 16 /* of the 40 slots of 8 windows */

static const char *fixtures;
static sn_engine *engine;
static sn_model *model;

/* What one session asks of the lane, on the conductor. */
typedef struct wish {
	sn_job *job;
	int slots;
	sn_place *place;
} wish;

static void take(void *payload) {
	wish *const w = payload;
	static float silence[SN_MEL_HOP];
	char err[SN_ERRLEN];
	w->place = sn_lane_take(model->lane, w->job, w->slots);
	if (!w->place) {
		sn_lane_await(model->lane, w->job, w->slots);
		return;
	}
	sn_lane_features(model->lane, w->place, &(sn_mel_view){ silence, SN_MEL_HOP, 0 }, 1);
	while (sn_lane_encode(model->lane, w->place, err) == SN_AGAIN)
		;
}

static void give(void *payload) { sn_lane_give(model->lane, ((wish *)payload)->place); }

static void withdraw(void *payload) { sn_lane_withdraw(model->lane, payload); }

/* A place whose window is encoded, or NULL. */
static sn_place *ask(sn_job *job, int slots) {
	wish w = { .job = job, .slots = slots };
	sn_sched_call(engine->sched, take, &w);
	return w.place;
}

static void give_back(sn_place *place) { sn_sched_call(engine->sched, give, &(wish){ .place = place }); }

/* The job takes all that it may. Returns how many places. */
static int fill(sn_job *job, sn_place **places) {
	int count = 0;
	while (count < SN_LANE_MAX_WINDOWS && (places[count] = ask(job, SN_LANE_BEST_OF)))
		count++;
	return count;
}

/* A session that has places, and asks for another whenever one is free, does not keep a wide beam out. */
static void a_wide_beam_gets_its_turn(void **state) {
	sn_job many = { .priority = SN_PRIORITY_INTERACTIVE }, wide = many;
	sn_place *places[SN_LANE_MAX_WINDOWS], *place = NULL;
	int count = fill(&many, places), given = 0;
	assert_int_equal(count, 7);
	assert_null(ask(&wide, WIDE));
	while (!place && given < count) {
		give_back(places[given++]);
		assert_null(ask(&many, SN_LANE_BEST_OF));
		place = ask(&wide, WIDE);
	}
	assert_non_null(place);
	assert_int_equal(given, 3); /* 5 slots were free: 20 are now */
	give_back(place);
	place = ask(&many, SN_LANE_BEST_OF);
	assert_non_null(place);
	give_back(place);
	while (given < count)
		give_back(places[given++]);
	(void)state;
}

/* Sessions of one window at a time each, and new ones, wait as well: else they, too, would take turns for ever. */
static void others_without_a_place_wait_as_well(void **state) {
	sn_job many = { .priority = SN_PRIORITY_INTERACTIVE }, wide = many, fresh = many;
	sn_place *places[SN_LANE_MAX_WINDOWS];
	const int count = fill(&many, places);
	assert_null(ask(&wide, WIDE));
	assert_null(ask(&fresh, SN_LANE_BEST_OF));
	give_back(places[0]);
	assert_null(ask(&fresh, SN_LANE_BEST_OF));
	sn_sched_call(engine->sched, withdraw, &wide);
	places[0] = ask(&fresh, SN_LANE_BEST_OF);
	assert_non_null(places[0]);
	for (int i = 0; i < count; i++)
		give_back(places[i]);
	(void)state;
}

static void a_higher_class_does_not_wait(void **state) {
	sn_job many = { .priority = SN_PRIORITY_INTERACTIVE }, batch = { .priority = SN_PRIORITY_BATCH };
	sn_place *places[SN_LANE_MAX_WINDOWS];
	const int count = fill(&many, places);
	assert_null(ask(&batch, WIDE));
	give_back(places[0]);
	places[0] = ask(&many, SN_LANE_BEST_OF);
	assert_non_null(places[0]);
	sn_job wide = many; /* goes before the batch job, for whom nothing is kept then */
	assert_null(ask(&wide, WIDE));
	for (int i = 0; i < 3; i++)
		give_back(places[i]);
	assert_null(ask(&many, SN_LANE_BEST_OF));
	assert_null(ask(&batch, WIDE));
	places[0] = ask(&wide, WIDE);
	assert_non_null(places[0]);
	give_back(places[0]);
	for (int i = 3; i < count; i++)
		give_back(places[i]);
	(void)state;
}

int main(int argc, char **argv) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_wide_beam_gets_its_turn),
		cmocka_unit_test(others_without_a_place_wait_as_well),
		cmocka_unit_test(a_higher_class_does_not_wait),
	};
	char err[SN_ERRLEN], path[4096];
	fixtures = argc > 1 ? argv[1] : ".";
	snprintf(path, sizeof path, "%s/whisper", fixtures);
	const sn_model_options options = { .windows = 8, .precision = SN_PRECISION_F32 };
	if (sn_engine_open(&engine, &(sn_engine_options){ .threads = 1, .home = "/nonexistent", .no_cache = 1 }, err) != SN_OK ||
	    sn_model_load(&model, engine, path, &options, err) != SN_OK) {
		fprintf(stderr, "%s\n", err);
		return 2;
	}
	const int failed = cmocka_run_group_tests_name("lane", tests, NULL, NULL);
	sn_model_release(&model);
	sn_engine_close(&engine);
	return failed;
}
