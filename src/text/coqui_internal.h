#ifndef SN_TEXT_COQUI_INTERNAL_H
#define SN_TEXT_COQUI_INTERNAL_H

#include "text/coqui.h"
#include "text/vocab.h"

#define COQUI_MAX_SYMBOLS 16384

struct sn_coqui {
	sn_coqui_config config;
	vocab symbols;
	vocab_index index;
};

#endif
