/* What bert.c, bert_config.c and bert_text.c share. */
#ifndef SN_MODELS_BERT_INTERNAL_H
#define SN_MODELS_BERT_INTERNAL_H

#include "base/json.h"
#include "models/bert.h"

typedef enum bert_kind { BERT_PLAIN, BERT_ROBERTA, BERT_DISTIL, BERT_ELECTRA } bert_kind;

typedef struct bert_settings {
	bert_kind kind;
	int camembert, sentencepiece;             /* the tokenizer's layout */
	int vocab, width, embedding, layers, heads, ffn, positions, types, labels; /* embedding: width of the tables (ELECTRA) */
	int offset;                               /* of the first position: RoBERTa's begin behind the padding id */
	float eps;
	nn_act act;
	int quick;                                /* x sigmoid(1.702 x): a SiLU of another slope */
	int32_t begin, end;                       /* ids of config.json, -1: none */
} bert_settings;

int bert_settings_read(bert_settings *s, sn_bert_config *config, const char *dir, char *err);

/* The tokenizer, whichever kind the files are of. */
typedef struct bert_text bert_text;
int bert_text_open(bert_text **out, const bert_settings *s, const char *dir, char *err);
void bert_text_close(bert_text **text);
/* Ids of the tokens that begin and end a sequence. */
void bert_text_ends(const bert_text *text, int32_t *begin, int32_t *end);
int bert_text_encode(const bert_text *text, const char *word, int first, int32_t *ids, int *count, char *err);

#endif
