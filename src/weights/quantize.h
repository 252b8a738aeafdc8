/* Checkpoints with narrower weights, as safetensors that sn_weights_open reads like any other.
 *
 * int8: a matrix NAME is stored as I8 and NAME.scale as F32 [rows], value = int8 * scale: the rule of this library's own int8
 * products, so that what is packed of it is what is packed of the original. Tables that rows are looked up in (embeddings) are F16
 * where that holds every value exactly, else BF16. bf16: rounded to nearest. All else stays as it is. The metadata say so:
 * "sonant.quantized" ("int8" or "bf16"), "sonant.layout" ("ctranslate2" where the names are CTranslate2's), and "sonant.alias.NAME" for
 * a second name of a tensor. */
#ifndef SN_WEIGHTS_QUANTIZE_H
#define SN_WEIGHTS_QUANTIZE_H

#include "weights/weights.h"

#define SN_QUANTIZED_KEY "sonant.quantized"
#define SN_QUANTIZED_LAYOUT "sonant.layout"
#define SN_QUANTIZED_ALIAS "sonant.alias."
#define SN_QUANTIZED_SCALE ".scale"

/* What becomes of one tensor. */
typedef struct sn_quantized_weight {
	const sn_weight *from;
	const sn_weight *same;  /* the tensor whose second name this is, or NULL */
	sn_dtype dtype;         /* as it is stored */
	int64_t rows, columns;  /* of a tensor that is narrowed: its first extent, and the product of the others */
	size_t offset, bytes;   /* bytes: scales among them */
	double error;           /* |stored - original| / |original|, once it is written; 0 where nothing is lost */
} sn_quantized_weight;

/* What is to be stored: `to` is SN_I8 or SN_BF16. *list (the caller's, free()) has sn_weights_count(w) of them. */
int sn_quantize_plan(sn_quantized_weight **list, const sn_weights *w, sn_dtype to, char *err);

/* Writes and syncs the file, which must not be there, and fills the errors in. */
int sn_quantize_write(sn_quantized_weight *list, const sn_weights *w, sn_dtype to, const char *path, sn_part_progress progress,
                      void *payload, char *err);

/* values[count], a row: to[count] and its scale. */
float sn_quantize_row(const float *values, int64_t count, int8_t *to);

#endif
