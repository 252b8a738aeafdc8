/* Inside of enhancement: one recording on its way through the passes. */
#ifndef SN_SPEECH_ENHANCE_H
#define SN_SPEECH_ENHANCE_H

#include "audio/decode.h"
#include "audio/declip.h"
#include "audio/dynamics.h"
#include "audio/levels.h"
#include "audio/spool.h"
#include "speech/denoise.h"
#include "speech/quality.h"

#define SN_ENHANCE_BLOCK 8192

enum { SN_STAGE_DECLIP, SN_STAGE_HIGHPASS, SN_STAGE_DENOISE, SN_STAGE_COMPRESS, SN_STAGE_LOUDNESS, SN_STAGE_LIMIT };

typedef struct sn_enhancer {
	sn_engine *engine;
	sn_enhance_options options;  /* with defaults filled in */
	sn_enhancement facts;
	sn_spool spool;              /* the recording between passes: read, changed and written back */
	int rate;
	double loudness;             /* LUFS of what is in the spool */
	sn_clip_finder clips;
	sn_levels *levels;           /* of the present pass */
	sn_rater *rater;             /* of the input or the result, where scores are wanted */
	sn_declipper declipper;
	sn_highpass highpass;
	sn_denoise *denoise;
	sn_limiter *limiter;
	sn_resampler *resampler;
	float block[SN_ENHANCE_BLOCK], work[SN_ENHANCE_BLOCK + SN_DECLIP_MAX_RUN + 1], clean[SN_ENHANCE_BLOCK];
} sn_enhancer;

/* Where the result goes. */
typedef int (*sn_enhance_sink)(void *payload, const float *samples, size_t count, char *err);

/* enhance_passes.c: in this order */
int sn_enhance_hear(sn_enhancer *e, const float *samples, size_t count, char *err); /* all of the input, in pieces */
int sn_enhance_clean(sn_enhancer *e, char *err);      /* declip, high-pass, denoise */
int sn_enhance_compress(sn_enhancer *e, char *err);
int sn_enhance_master(sn_enhancer *e, sn_enhance_sink sink, void *payload, char *err); /* loudness, rate, limit */

/* What a stage did. */
void sn_enhance_stage_note(sn_enhancer *e, int stage, int done, const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
