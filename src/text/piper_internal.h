#ifndef SN_TEXT_PIPER_INTERNAL_H
#define SN_TEXT_PIPER_INTERNAL_H

#include "base/buf.h"
#include "base/json.h"
#include "text/piper.h"

#define SN_PIPER_MAX_KEY 23       /* bytes of one phoneme's name */
#define SN_PIPER_MAX_IDS 8        /* ids of one phoneme */
#define SN_PIPER_MAX_PHONEMES 4096
#define SN_PIPER_MAX_SYMBOLS 65536
#define SN_PIPER_MAX_SPEAKERS 4096

/* A phoneme of the id map (count > 0), or a cluster of characters that counts as one phoneme. */
typedef struct piper_entry {
	char key[SN_PIPER_MAX_KEY + 1];
	int32_t ids[SN_PIPER_MAX_IDS];
	int count;
} piper_entry;

typedef struct piper_table {
	piper_entry *entries; /* sorted by key */
	int count;
} piper_table;

typedef struct piper_speaker {
	char *name;
	int id;
} piper_speaker;

struct sn_piper {
	sn_piper_config config;
	piper_table ids, clusters;
	int longest_cluster; /* bytes; 0: none */
	json_t *phoneme_map; /* {phoneme: [phonemes that replace it]}; may be NULL */
	const piper_entry *begin, *pad, *end;
	piper_speaker *speakers;
	int named;
};

/* The bytes of the phoneme at text: one character, or a cluster. */
int piper_unit(const sn_piper *piper, const char *text, size_t size);

/* Ids that the phonemes of decomposed text add, the pad behind each counted; written to ids where that is not NULL. */
int piper_text_ids(const sn_piper *piper, const char *text, size_t size, int32_t *ids, int *missing);

/* Appends the text in normal form D. */
int piper_decompose(const char *text, size_t size, sn_buf *out, char *err);

#endif
