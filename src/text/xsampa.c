/* X-SAMPA (Wells 1995): each sign of one or more ASCII characters is one of IPA. */
#include "text/ssml.h"

#include <string.h>

/* Longer signs first among those that begin alike. */
static const struct {
	const char *from, *to;
} signs[] = {
	{ "_h", "ʰ" }, { "_j", "ʲ" }, { "_w", "ʷ" }, { "_>", "ʼ" }, { "_0", "̥" }, { "_v", "̬" }, { "_d", "̪" }, { "_~", "̃" }, { "_=", "̩" },
	{ "_^", "̯" }, { "_}", "̚" }, { "_G", "ˠ" }, { "b_<", "ɓ" }, { "d_<", "ɗ" }, { "g_<", "ɠ" }, { "s\\", "ɕ" }, { "z\\", "ʑ" },
	{ "j\\", "ʝ" }, { "r\\`", "ɻ" }, { "r\\", "ɹ" }, { "l\\", "ɺ" }, { "h\\", "ɦ" }, { "x\\", "ɧ" }, { "v\\", "ʋ" }, { "p\\", "ɸ" },
	{ "G\\", "ɢ" }, { "N\\", "ɴ" }, { "R\\", "ʀ" }, { "B\\", "ʙ" }, { "H\\", "ʜ" }, { "L\\", "ʟ" }, { "J\\", "ɟ" }, { "X\\", "ħ" },
	{ "K\\", "ɮ" }, { "M\\", "ɰ" }, { "I\\", "ᵻ" }, { "U\\", "ᵿ" }, { "@\\", "ɘ" }, { "@`", "ɚ" }, { "3\\", "ɞ" }, { "3`", "ɝ" },
	{ ":\\", "ˑ" }, { "?\\", "ʕ" }, { "-\\", "‿" }, { "|\\", "ǀ" }, { "||", "‖" }, { "d`", "ɖ" }, { "t`", "ʈ" }, { "s`", "ʂ" },
	{ "z`", "ʐ" }, { "n`", "ɳ" }, { "l`", "ɭ" }, { "r`", "ɽ" }, { "A", "ɑ" }, { "B", "β" }, { "C", "ç" }, { "D", "ð" }, { "E", "ɛ" },
	{ "F", "ɱ" }, { "G", "ɣ" }, { "H", "ɥ" }, { "I", "ɪ" }, { "J", "ɲ" }, { "K", "ɬ" }, { "L", "ʎ" }, { "M", "ɯ" }, { "N", "ŋ" },
	{ "O", "ɔ" }, { "P", "ʋ" }, { "Q", "ɒ" }, { "R", "ʁ" }, { "S", "ʃ" }, { "T", "θ" }, { "U", "ʊ" }, { "V", "ʌ" }, { "W", "ʍ" },
	{ "X", "χ" }, { "Y", "ʏ" }, { "Z", "ʒ" }, { "@", "ə" }, { "{", "æ" }, { "}", "ʉ" }, { "1", "ɨ" }, { "2", "ø" }, { "3", "ɜ" },
	{ "4", "ɾ" }, { "5", "ɫ" }, { "6", "ɐ" }, { "7", "ɤ" }, { "8", "ɵ" }, { "9", "œ" }, { "&", "ɶ" }, { "?", "ʔ" }, { "~", "̃" },
	{ "=", "̩" }, { "\"", "ˈ" }, { "%", "ˌ" }, { ":", "ː" }, { "'", "ʲ" }, { ".", "." }, { "-", "" }, { " ", " " }, { "|", "|" },
};

int sn_ipa_of_xsampa(const char *from, char *ipa, size_t room) {
	size_t used = 0;
	while (*from) {
		const char *sign = NULL;
		size_t taken = 1, length = 1;
		for (size_t i = 0; i < sizeof signs / sizeof *signs && !sign; i++)
			if (strncmp(from, signs[i].from, strlen(signs[i].from)) == 0) {
				sign = signs[i].to;
				taken = strlen(signs[i].from);
				length = strlen(sign);
			}
		if (!sign && *from >= 'a' && *from <= 'z')
			sign = from;
		if (!sign || used + length >= room)
			return 0;
		memcpy(ipa + used, sign, length);
		used += length;
		from += taken;
	}
	if (used >= room)
		return 0;
	ipa[used] = 0;
	return 1;
}
