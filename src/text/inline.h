/* What a session writes into text beside its characters: phonemes that are given, and marks. Characters of the private use area,
 * which sn_text_validate takes out of any text that comes from outside. */
#ifndef SN_TEXT_INLINE_H
#define SN_TEXT_INLINE_H

#define SN_INLINE_IPA "\xef\xa3\xb0"       /* U+F8F0: IPA begins */
#define SN_INLINE_IPA_END "\xef\xa3\xb1"   /* U+F8F1 */
#define SN_INLINE_SPACE "\xef\xa3\xb2"     /* U+F8F2: a space in it, where text must not be cut */
#define SN_INLINE_MARK "\xef\xa3\xb3"      /* U+F8F3: a mark; its name is kept elsewhere */
#define SN_INLINE_BYTES 3                  /* of each */
#define SN_INLINE_FIRST 0xf8f0
#define SN_INLINE_MARK_CODE 0xf8f3
#define SN_INLINE_LAST 0xf8f3

#endif
