/* The files of the page, as the build embeds them from web/ (scripts/embed_page.py). */
#ifndef SN_SERVER_PAGE_H
#define SN_SERVER_PAGE_H

#include <stddef.h>

typedef struct sv_page_file {
	const char *name, *type, *tag; /* tag: of the content, in quotes as an ETag is written */
	const unsigned char *data;
	size_t size;
} sv_page_file;
extern const sv_page_file sv_page_files[]; /* the document first */
extern const int sv_page_file_count;

#endif
