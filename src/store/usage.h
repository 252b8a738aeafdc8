/* Usage by key and day, summed in memory and written every few seconds and at the end; a crash loses seconds of it. */
#ifndef SN_STORE_USAGE_H
#define SN_STORE_USAGE_H

#include "store/db.h"

typedef struct sn_usage sn_usage;

typedef struct sn_usage_row {
	char day[12];                        /* "2026-01-31", UTC */
	int64_t key;                         /* 0: without a key */
	int64_t requests, failed, characters;
	double audio, speech;                /* seconds in, seconds out */
} sn_usage_row;

int sn_usage_open(sn_usage **out, sn_db *db, char *err);
void sn_usage_close(sn_usage **usage);   /* writes what is not written yet */
/* Adds to today; row->day is not read. Any thread, never waits for the disk. */
void sn_usage_add(sn_usage *usage, const sn_usage_row *row);
int sn_usage_flush(sn_usage *usage, char *err);
/* The last `days` days, newest first, of one key or (below 0) all; free() *out. */
int sn_usage_list(sn_usage *usage, int days, int64_t key, sn_usage_row **out, int *count, char *err);
/* Removes days before the last `days`. */
int sn_usage_retain(sn_usage *usage, int days, char *err);

#endif
