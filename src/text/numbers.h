/* Numbers and abbreviations as words. */
#ifndef SN_TEXT_NUMBERS_H
#define SN_TEXT_NUMBERS_H

#include "base/buf.h"
#include "base/error.h"

/* Appends the text to out with numbers as words. English ("en", "en-us", NULL): integers, decimals, ordinals, years,
 * money, percent, times, dates, units and titles ("Dr."); other languages that ICU can spell: integers, decimals, percent.
 * What is not known stays as it is, so text of a language that ICU cannot spell passes unchanged. Errors: SN_E_FORMAT
 * (invalid UTF-8, with the byte), SN_E_LIMIT (out's maximum), SN_E_DEPENDENCY (ICU's data are missing), SN_E_MEMORY. */
int sn_text_numbers(sn_buf *out, const char *text, size_t size, const char *language, char *err);

/* As SpeechT5's tokenizer reads numbers with "normalize": integers, one or two decimals, currency signs, percent. */
int sn_text_numbers_speecht5(sn_buf *out, const char *text, size_t size, char *err);

#endif
