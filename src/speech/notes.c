#include "speech/notes.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void sn_notes_add(sn_notes *notes, const char *code, const char *format, ...) {
	for (int i = 0; i < notes->count; i++)
		if (strcmp(notes->note[i].code, code) == 0)
			return;
	if (notes->count == SN_MAX_NOTES)
		return;
	va_list args;
	va_start(args, format);
	snprintf(notes->note[notes->count].code, sizeof notes->note[0].code, "%s", code);
	vsnprintf(notes->note[notes->count].message, sizeof notes->note[0].message, format, args);
	va_end(args);
	notes->count++;
}
