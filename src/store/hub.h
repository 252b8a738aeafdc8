/* What the files of getting, comparing and removing models share. Private to this room. */
#ifndef SN_STORE_HUB_H
#define SN_STORE_HUB_H

#include "store/models.h"

#include <jansson.h>

/* The model that a name means, whether it is installed or not. */
typedef struct hub_target {
	const sn_catalogue_entry *entry;              /* NULL: not of the catalogue */
	char model[SN_STORE_NAME];                    /* the name it has in lists */
	char directory[SN_STORE_NAME];                /* below HOME/models */
	char repository[SN_STORE_NAME], folder[SN_STORE_NAME]; /* that the name itself says; "" for short names */
	char path[SN_STORE_PATH];                     /* HOME/models/DIRECTORY */
} hub_target;

/* SN_E_NOT_FOUND: no model can be called that. */
int hub_target_of(hub_target *target, const sn_store *store, const char *name, char *err);

/* The manifest of a directory that a pull made, or NULL. */
json_t *hub_manifest(const char *directory);

/* A helper's run: called with each event until it ends; a value other than 0 cancels. event NULL: nothing happened for a while. */
typedef int (*hub_event)(void *payload, const json_t *event);
/* Starts sonant-pull with the request (borrowed) and waits. *last: its "done" or "verified", the caller's. */
int hub_run(const json_t *request, hub_event event, void *payload, json_t **last, char *err);

#endif
