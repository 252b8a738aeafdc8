/* The parsed catalogue. Private to this room. */
#ifndef SN_STORE_CATALOGUE_H
#define SN_STORE_CATALOGUE_H

#include "store/models.h"

#include <jansson.h>

typedef struct sn_catalogue {
	json_t *json; /* owns all texts */
	sn_catalogue_entry *entries;
	int count;
	void **lists; /* owned arrays that the entries point to */
	int list_count, list_capacity;
} sn_catalogue;

/* data/catalogue.json, made into an array by the build. */
extern const char sn_catalogue_text[];
extern const size_t sn_catalogue_size;

int sn_catalogue_open(sn_catalogue *catalogue, const char *text, size_t size, char *err);
void sn_catalogue_close(sn_catalogue *catalogue);
const sn_catalogue_entry *sn_catalogue_find(const sn_catalogue *catalogue, const char *name);
const char *sn_catalogue_default(const sn_catalogue *catalogue, const char *task, int index);

/* Names and aliases close to `name`, "a, b, c", or those that can be installed when none is. Writes at most `size` bytes. */
void sn_catalogue_near(const sn_catalogue *catalogue, const char *name, char *text, size_t size);

#endif
