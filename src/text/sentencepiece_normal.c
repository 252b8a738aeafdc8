#include "text/sentencepiece_internal.h"

#include "text/utf8.h"

#include <stdlib.h>
#include <string.h>
#include <unicode/utf8.h>

int spm_rules_read(spm_rules *rules, const uint8_t *data, size_t size, const char *path, char *err) {
	uint32_t bytes = size >= 4 ? (uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 24 : 0;
	if (rules->units)
		return sn_fail(err, SN_E_FORMAT, "%s has the rules of normalisation twice", path);
	if (!bytes || bytes % 4 || bytes > size - 4 || bytes + 4 == size || data[size - 1])
		return sn_fail(err, SN_E_FORMAT, "%s: the rules of normalisation have %zu bytes, of which %u are a double array", path, size, bytes);
	rules->count = bytes / 4;
	rules->size = size - 4 - bytes;
	rules->units = malloc(bytes);
	rules->texts = malloc(rules->size);
	if (!rules->units || !rules->texts)
		return sn_fail(err, SN_E_MEMORY, "out of memory for %zu bytes of rules", size);
	for (size_t i = 0; i < rules->count; i++) {
		const uint8_t *unit = data + 4 + 4 * i;
		rules->units[i] = (uint32_t)unit[0] | (uint32_t)unit[1] << 8 | (uint32_t)unit[2] << 16 | (uint32_t)unit[3] << 24;
	}
	memcpy(rules->texts, data + 4 + bytes, rules->size);
	return sn_utf8_check(rules->texts, rules->size, rules->size, NULL) == SN_OK
	         ? SN_OK
	         : sn_fail(err, SN_E_FORMAT, "%s: a replacement of its normalisation is not valid UTF-8", path);
}

/* A unit of darts-clone: bits 0-7 the label (with bit 31: no label), bit 8 a value follows, bits 9-31 the offset to the
 * children, times 256 where bit 9 is set; a value is the low 31 bits. */
static uint32_t children(uint32_t unit) { return (unit >> 10) << ((unit & 0x200) >> 6); }

/* The bytes of the longest rule that text begins with, its replacement in *with; 0: no rule. */
static size_t longest_rule(const spm_rules *rules, const char *text, size_t size, const char **with) {
	size_t longest = 0, node = children(rules->units[0]);
	for (size_t i = 0; i < size; i++) {
		node ^= (uint8_t)text[i];
		if (node >= rules->count || (rules->units[node] & 0x800000ff) != (uint8_t)text[i])
			break;
		int has_value = rules->units[node] >> 8 & 1;
		node ^= children(rules->units[node]);
		if (node >= rules->count)
			break;
		uint32_t value = rules->units[node] & 0x7fffffff;
		if (has_value && value < rules->size) {
			longest = i + 1;
			*with = rules->texts + value;
		}
	}
	return longest;
}

typedef struct step {
	const char *text; /* what the beginning of the text becomes */
	size_t size, taken;
} step;

/* A symbol that the user defined stays as it is; else the longest rule, else one character. */
static step normal_step(const sn_spm *spm, const char *text, size_t size) {
	step s = { text, 0, 0 };
	if (vocab_longest(&spm->pieces, &spm->user, text, size, &s.taken) < 0 && spm->rules.units) {
		s.taken = longest_rule(&spm->rules, text, size, &s.text);
		s.size = s.taken ? strlen(s.text) : 0;
		if (s.taken)
			return s;
	}
	int32_t next = 0;
	if (!s.taken)
		U8_FWD_1((const uint8_t *)text, next, (int32_t)size);
	s.taken = s.size = s.taken ? s.taken : (size_t)next;
	return s;
}

static void add_escaped(const sn_spm *spm, sn_buf *out, const char *text, size_t size) {
	for (size_t i = 0; i < size; i++) {
		if (text[i] == ' ' && spm->config.escape_whitespaces)
			sn_buf_text(out, SN_SPM_SPACE);
		else
			sn_buf_add(out, text + i, 1);
	}
}

static void drop_last_spaces(const sn_spm *spm, sn_buf *out, size_t start) {
	const char *space = spm->config.escape_whitespaces ? SN_SPM_SPACE : " ";
	size_t size = strlen(space);
	while (!out->failed && out->size >= start + size && memcmp(out->data + out->size - size, space, size) == 0)
		out->data[out->size -= size] = 0;
}

int sn_spm_normalize(const sn_spm *spm, const char *text, size_t size, sn_buf *out, char *err) {
	const char *end = text + size;
	const sn_spm_config *c = &spm->config;
	size_t start = out->size;
	int result = sn_utf8_check(text, size, SN_SPM_MAX_TEXT, err);
	if (result != SN_OK)
		return result;
	while (c->remove_extra_whitespaces && text < end) {
		step s = normal_step(spm, text, (size_t)(end - text));
		if (s.size != 1 || *s.text != ' ')
			break;
		text += s.taken;
	}
	if (text == end)
		return SN_OK;
	if (c->add_dummy_prefix && !c->whitespace_as_suffix)
		add_escaped(spm, out, " ", 1);
	for (int after_space = c->remove_extra_whitespaces; text < end && !out->failed;) {
		step s = normal_step(spm, text, (size_t)(end - text));
		for (; after_space && s.size && *s.text == ' '; s.size--)
			s.text++;
		if (s.size) {
			add_escaped(spm, out, s.text, s.size);
			after_space = s.text[s.size - 1] == ' ';
		}
		after_space &= c->remove_extra_whitespaces;
		text += s.taken;
	}
	if (c->remove_extra_whitespaces)
		drop_last_spaces(spm, out, start);
	if (c->add_dummy_prefix && c->whitespace_as_suffix)
		add_escaped(spm, out, " ", 1);
	if (out->failed)
		return sn_fail(err, out->failed, "the normalised text takes more than %zu bytes", out->max);
	return SN_OK;
}
