/* Kokoro-82M (hexgrad; StyleTTS 2 and iSTFTNet) as the ONNX model that others made of it: run by ONNX Runtime as it comes, in float32 or
 * quantised. A voice is a table of styles, one row for each number of ids. Reference: thewh1teagle/kokoro-onnx. */
#ifndef SN_MODELS_KOKORO_H
#define SN_MODELS_KOKORO_H

#include "models/options.h"

#define SN_KOKORO_RATE 24000
#define SN_KOKORO_HOP 600        /* samples that one frame of the decoder becomes */
#define SN_KOKORO_STYLE 256      /* values of a row of a voice */
#define SN_KOKORO_MAX_IDS 510    /* of one run, without the two around them */

typedef struct sn_kokoro_files {
	char onnx[4096], vocab[4096], voices[4096];
} sn_kokoro_files;

/* The files in a directory, or beside an .onnx: *.onnx (the first by name), vocab.json (or a config.json with "vocab"), voices*.npz. Errors:
 * SN_E_NOT_FOUND (says what is missing), SN_E_ARGUMENT (too long). */
int sn_kokoro_locate(sn_kokoro_files *files, const char *path, char *err);

#endif
