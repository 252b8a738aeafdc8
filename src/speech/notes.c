#include "speech/notes.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MORE_TEXT 24 /* bytes kept free for "; and N more" */

static void add(sn_notes *notes, const char *code, const char *format, va_list args) {
	if (notes->count == SN_MAX_NOTES)
		return;
	const int i = notes->count++;
	const int length = vsnprintf(notes->note[i].message, sizeof notes->note[i].message, format, args);
	const int most = (int)sizeof notes->note[i].message - 1;
	snprintf(notes->note[i].code, sizeof notes->note[i].code, "%s", code);
	notes->note[i].length = length < most ? length : most;
	notes->note[i].more = 0;
}

/* Notes of the code; *last: the last one's index. */
static int count_of(const sn_notes *notes, const char *code, int *last) {
	int count = 0;
	for (int i = 0; i < notes->count; i++)
		if (strcmp(notes->note[i].code, code) == 0) {
			*last = i;
			count++;
		}
	return count;
}

void sn_notes_add(sn_notes *notes, const char *code, const char *format, ...) {
	int last;
	if (count_of(notes, code, &last))
		return;
	va_list args;
	va_start(args, format);
	add(notes, code, format, args);
	va_end(args);
}

void sn_notes_append(sn_notes *notes, const char *code, const char *format, ...) {
	int last = 0;
	if (count_of(notes, code, &last) >= SN_NOTES_ALIKE) {
		char *const message = notes->note[last].message;
		const int most = SN_NOTE_TEXT - MORE_TEXT, length = notes->note[last].length;
		const int at = length < most ? length : most;
		snprintf(message + at, SN_NOTE_TEXT - (size_t)at, "; and %d more", ++notes->note[last].more);
		return;
	}
	va_list args;
	va_start(args, format);
	add(notes, code, format, args);
	va_end(args);
}
