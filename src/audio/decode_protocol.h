/* What sonant-decode writes to its standard output: records of a header and `bytes` bytes, in this order:
 *   FORMAT once, AUDIO any number of times, then END; or ERROR at any place, after which nothing follows.
 * Numbers are in the machine's own order: both ends run on it. The reader believes nothing: it checks every field. */
#ifndef SN_AUDIO_DECODE_PROTOCOL_H
#define SN_AUDIO_DECODE_PROTOCOL_H

#include <stdint.h>

#define SN_DECODE_MAGIC 0x31444e53u /* "SND1" */
#define SN_DECODE_MAX_RECORD (1u << 20)
#define SN_DECODE_TEXT 128

enum { SN_DECODE_FORMAT = 1, SN_DECODE_AUDIO, SN_DECODE_END, SN_DECODE_ERROR };

typedef struct sn_decode_record {
	uint32_t magic, kind, bytes;
} sn_decode_record;

typedef struct sn_decode_format {
	int32_t rate, channels;
	int64_t frames; /* as the container says; -1 unknown */
	char name[32];  /* container/codec */
} sn_decode_format;

/* AUDIO is float32 [frames, channels], whole frames. END and ERROR carry: */
typedef struct sn_decode_status {
	int32_t code;      /* an sn_result; END: SN_OK */
	int32_t truncated; /* END: the input stops before its container says, or parts of it were damaged */
	char text[SN_DECODE_TEXT]; /* what happened; END: "" when nothing did */
} sn_decode_status;

#endif
