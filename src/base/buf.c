#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void sn_buf_init(sn_buf *buf, size_t max) { *buf = (sn_buf){ .max = max }; }

void sn_buf_free(sn_buf *buf) {
	free(buf->data);
	*buf = (sn_buf){ .max = buf->max };
}

void sn_buf_clear(sn_buf *buf) {
	buf->size = 0;
	buf->failed = SN_OK;
	if (buf->data)
		buf->data[0] = 0;
}

static int reserve(sn_buf *buf, size_t more) {
	if (buf->failed)
		return buf->failed;
	if (more > buf->max - buf->size)
		return buf->failed = SN_E_LIMIT;
	size_t need = buf->size + more + 1;
	if (need <= buf->capacity)
		return SN_OK;
	size_t grown = buf->capacity * 2 > need ? buf->capacity * 2 : need + 64;
	if (grown > buf->max + 1)
		grown = buf->max + 1;
	char *data = realloc(buf->data, grown);
	if (!data)
		return buf->failed = SN_E_MEMORY;
	buf->data = data;
	buf->capacity = grown;
	return SN_OK;
}

int sn_buf_add(sn_buf *buf, const void *data, size_t size) {
	int result = reserve(buf, size);
	if (result != SN_OK)
		return result;
	if (size)
		memcpy(buf->data + buf->size, data, size);
	buf->size += size;
	buf->data[buf->size] = 0;
	return SN_OK;
}

int sn_buf_text(sn_buf *buf, const char *text) { return sn_buf_add(buf, text, strlen(text)); }

int sn_buf_printf(sn_buf *buf, const char *format, ...) {
	va_list args, again;
	va_start(args, format);
	va_copy(again, args);
	int length = vsnprintf(NULL, 0, format, args);
	va_end(args);
	int result = length < 0 ? (buf->failed = SN_E_INTERNAL) : reserve(buf, (size_t)length);
	if (result == SN_OK) {
		vsnprintf(buf->data + buf->size, (size_t)length + 1, format, again);
		buf->size += (size_t)length;
	}
	va_end(again);
	return result;
}

char *sn_buf_take(sn_buf *buf, size_t *size) {
	char *data = buf->failed ? NULL : buf->data;
	if (size)
		*size = data ? buf->size : 0;
	if (!data)
		free(buf->data);
	*buf = (sn_buf){ .max = buf->max };
	return data;
}
