/* What libsonant and sonant-phonemize say to each other over a socket. One machine, so native byte order. The helper
 * greets with a reply, then answers each request with one reply. */
#ifndef SN_TEXT_PHONEMIZE_WIRE_H
#define SN_TEXT_PHONEMIZE_WIRE_H

#include <stdint.h>

#define SN_WIRE_MAGIC 0x31706e73u /* "snp1" */
#define SN_WIRE_VOICE_MAX 31u
#define SN_WIRE_TEXT_MAX (64u << 10)
#define SN_WIRE_REPLY_MAX (8u << 20)

typedef struct sn_wire_request {
	uint32_t magic, voice, text; /* bytes of the voice's name and of the text, which follow */
} sn_wire_request;

typedef struct sn_wire_reply {
	uint32_t magic;
	int32_t code;  /* SN_OK: clauses follow; else a message */
	uint32_t size; /* bytes that follow */
} sn_wire_reply;

typedef struct sn_wire_clause {
	uint32_t begin, end; /* bytes of the text */
	uint32_t size;       /* bytes of phonemes that follow */
	uint8_t terminator, sentence_end, unused[2];
} sn_wire_clause;

#endif
