/* Japanese written in kana as the sounds that Kokoro's Japanese voices know, and numbers as kana. */
#ifndef SN_TEXT_KANA_H
#define SN_TEXT_KANA_H

#include "base/buf.h"

#include <stdint.h>

int sn_kana_is(int32_t c);    /* hiragana or katakana, its signs of length and repetition too */
int sn_kana_digit(int32_t c); /* one of the characters that numbers are written with, 0-9 and full-width ones too */

/* Appends the sounds of valid UTF-8 in hiragana or katakana; 'n' and doubled consonants sound by what follows them within the text. Spaces
 * stay; what else is no kana is left out and counted. */
void sn_kana_sounds(sn_buf *out, const char *text, size_t size, int *missing);

/* The number that the text begins with, written in digits or in characters ("二千二十四", "2024", "三百"), appended as words of kana,
 * with the counter behind it where one changes the other ("四時" yoji, "三分" sanpun). `follows`: it
 * stands right behind another number. Returns the bytes that were read; 0: no number, or one character that may be part of a word ("一番",
 * "十分"), which a dictionary knows better. */
size_t sn_kana_number(sn_buf *out, const char *text, size_t size, int follows);

#endif
