/* Token classifiers of the BERT family in Hugging Face's layout, for putting marks and capitals into text: BertForTokenClassification,
 * RoBERTa, XLM-RoBERTa, CamemBERT, DistilBERT and ELECTRA. Labels are read from config.json's id2label: a mark (".", "PERIOD",
 * "B-COMMA"), "0" or "O" for none, with a letter of case behind it where the model knows it (".U", "OO"). Reference: transformers'
 * modeling_bert.py and its siblings. */
#ifndef SN_MODELS_BERT_H
#define SN_MODELS_BERT_H

#include "models/options.h"

#define SN_BERT_MAX_LABELS 256
#define SN_BERT_MAX_TOKENS 512    /* of a window, with its begin and end */
#define SN_BERT_MAX_PIECES 64     /* tokens of a word; more are left out */

typedef struct sn_bert sn_bert;

typedef enum sn_bert_case { SN_BERT_CASE_UNKNOWN, SN_BERT_CASE_LOWER, SN_BERT_CASE_CAPITAL, SN_BERT_CASE_UPPER } sn_bert_case;

typedef struct sn_bert_label {
	char mark[8];                 /* UTF-8; "" none */
	sn_bert_case how;             /* UNKNOWN: the labels say nothing about case */
} sn_bert_label;

typedef struct sn_bert_config {
	int labels, width, layers, most; /* most: tokens of a window with begin and end, at most SN_BERT_MAX_TOKENS */
	int32_t begin, end;           /* ids */
	int has_case;                 /* labels tell the case, too */
	int64_t parameters;
	sn_bert_label label[SN_BERT_MAX_LABELS];
} sn_bert_config;

/* Whether the directory's config.json states such a model. */
int sn_bert_accepts(const char *dir);
/* Errors: SN_E_NOT_FOUND, SN_E_MODEL (names file and key or tensor), SN_E_UNSUPPORTED (an option that is not known, labels that are no
 * marks), SN_E_LIMIT, SN_E_MEMORY. */
int sn_bert_open(sn_bert **out, const sn_load_options *load, char *err);
void sn_bert_close(sn_bert **bert);
const sn_bert_config *sn_bert_get_config(const sn_bert *bert);

/* A word as the tokens it has behind a space (first: at the beginning of a text), at most SN_BERT_MAX_PIECES. A word that makes no
 * token is one unknown. Errors: SN_E_FORMAT, SN_E_MEMORY. */
int sn_bert_encode(const sn_bert *bert, const char *word, int first, int32_t *ids, int *count, char *err);

/* One window at a time, on the conductor: ids [count] begin with config->begin and finish with config->end. start: SN_AGAIN while
 * another window is in work. next: a piece of about `budget` parts in 100, SN_AGAIN while more is left, or
 * an error of nn_exec_next. */
int sn_bert_start(sn_bert *bert, const int32_t *ids, int count);
int sn_bert_next(sn_bert *bert, int budget, char *err);
/* [count, labels], until the next start. */
const float *sn_bert_logits(const sn_bert *bert);
void sn_bert_end(sn_bert *bert);
/* Debug plans: any tensor by its name, see nn_exec_tensor. */
int sn_bert_tensor(const sn_bert *bert, const char *name, float **values, int *rank, int64_t *dims, char *err);

/* Reads a label's text: 0 when it is no mark and no case. */
int sn_bert_read_label(const char *text, sn_bert_label *label);

#endif
