/* What the reader (sentencepiece.c), the normaliser (sentencepiece_normal.c) and the encoders (sentencepiece_encode.c)
 * share. The format is google/sentencepiece's sentencepiece_model.proto. */
#ifndef SN_TEXT_SENTENCEPIECE_INTERNAL_H
#define SN_TEXT_SENTENCEPIECE_INTERNAL_H

#include "text/sentencepiece.h"
#include "text/vocab.h"

#define SN_SPM_MAX_TEXT ((size_t)1 << 20)    /* bytes of one text */
#define SN_SPM_MAX_NORMAL ((size_t)16 << 20) /* bytes of one normalised text */
#define SN_SPM_MAX_FILE ((size_t)64 << 20)
#define SN_SPM_SPACE "\xe2\x96\x81"          /* U+2581, which stands for a space */

typedef enum { SPM_NORMAL = 1, SPM_UNKNOWN, SPM_CONTROL, SPM_USER, SPM_UNUSED, SPM_BYTE } spm_kind; /* as in the file */

/* Rules of normalisation: a double array (darts-clone) from texts to offsets into NUL-terminated replacements. */
typedef struct spm_rules {
	uint32_t *units;
	size_t count;
	char *texts;
	size_t size;
} spm_rules;

struct sn_spm {
	sn_spm_config config;
	int only_white; /* pieces of white space alone are allowed (a word model splits there) */
	int has_unused;
	vocab pieces;
	float *scores;
	uint8_t *kinds, *found_in; /* by id; found_in: 0 a normal, user defined or unused piece, 1 any other */
	vocab_index normal, reserved, user;
	int32_t byte_ids[256]; /* with byte_fallback */
	float least, most;     /* score of normal pieces */
	spm_rules rules;
	char unknown_text[32];
};

/* Takes over a charsmap blob: uint32 bytes of units, units, replacements (all copied). */
int spm_rules_read(spm_rules *rules, const uint8_t *data, size_t size, const char *path, char *err);

/* The id of a piece as the encoders look it up: a reserved one, else a normal one, else unknown. */
int32_t spm_lookup(const sn_spm *spm, const char *text, size_t size);

/* The byte of a piece like "<0xE3>", or -1. */
int spm_byte_of(const char *piece);

/* Reads a tokenizer.json into pieces, scores and config. */
int spm_read_json(sn_spm *spm, const char *path, char *err);
int spm_add_piece(sn_spm *spm, const char *text, size_t size, float score, int kind, const char *path, char *err);

#endif
