#include "speech/plot.h"

#include "audio/encode_sink.h"

#include <math.h>
#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

int sn_plot_open(sn_plot *p, int width, int height, uint32_t background, char *err) {
	*p = (sn_plot){ .width = width, .height = height, .pixels = malloc((size_t)width * (size_t)height * 3) };
	if (!p->pixels)
		return sn_fail(err, SN_E_MEMORY, "no memory for a picture of %d x %d", width, height);
	for (size_t i = 0; i < (size_t)width * (size_t)height; i++) {
		p->pixels[3 * i] = (uint8_t)(background >> 16);
		p->pixels[3 * i + 1] = (uint8_t)(background >> 8);
		p->pixels[3 * i + 2] = (uint8_t)background;
	}
	return SN_OK;
}

void sn_plot_close(sn_plot *p) {
	free(p->pixels);
	p->pixels = NULL;
}

void sn_plot_pixel(sn_plot *p, int x, int y, uint32_t color, double opacity) {
	if (x < 0 || y < 0 || x >= p->width || y >= p->height || opacity <= 0)
		return;
	uint8_t *const at = p->pixels + ((size_t)y * (size_t)p->width + (size_t)x) * 3;
	for (int k = 0; k < 3; k++) {
		const double from = at[k], to = color >> (16 - 8 * k) & 0xff;
		at[k] = (uint8_t)(from + (to - from) * (opacity < 1 ? opacity : 1) + 0.5);
	}
}

/* How much of pixel i lies in [a, b). */
static double covered(int i, double a, double b) { return fmax(0, fmin(i + 1, b) - fmax(i, a)); }

void sn_plot_box(sn_plot *p, double x0, double y0, double x1, double y1, uint32_t color, double opacity) {
	const int left = (int)fmax(floor(x0), 0), right = (int)fmin(ceil(x1), p->width), top = (int)fmax(floor(y0), 0),
		bottom = (int)fmin(ceil(y1), p->height);
	for (int y = top; y < bottom; y++)
		for (int x = left; x < right; x++)
			sn_plot_pixel(p, x, y, color, opacity * covered(x, x0, x1) * covered(y, y0, y1));
}

void sn_plot_line(sn_plot *p, double x0, double y0, double x1, double y1, double thickness, uint32_t color, double opacity) {
	const double reach = thickness / 2 + 1, dx = x1 - x0, dy = y1 - y0, length = dx * dx + dy * dy;
	const int left = (int)fmax(fmin(x0, x1) - reach, 0), right = (int)fmin(fmax(x0, x1) + reach, p->width - 1);
	const int top = (int)fmax(fmin(y0, y1) - reach, 0), bottom = (int)fmin(fmax(y0, y1) + reach, p->height - 1);
	for (int y = top; y <= bottom; y++)
		for (int x = left; x <= right; x++) {
			const double px = x + 0.5 - x0, py = y + 0.5 - y0, at = length > 0 ? fmin(fmax((px * dx + py * dy) / length, 0), 1) : 0;
			const double away = hypot(px - at * dx, py - at * dy);
			sn_plot_pixel(p, x, y, color, opacity * fmin(fmax(thickness / 2 + 0.5 - away, 0), 1));
		}
}

int sn_plot_text_width(const char *text, size_t size, int scale) {
	int count = 0;
	for (size_t i = 0; i < size && text[i]; i++)
		count += ((unsigned char)text[i] & 0xc0) != 0x80;
	return count ? count * SN_PLOT_GLYPH_WIDTH * scale - scale : 0;
}

int sn_plot_text(sn_plot *p, int x, int y, const char *text, size_t size, int scale, uint32_t color) {
	const int start = x;
	for (size_t i = 0; i < size && text[i]; i++) {
		if (((unsigned char)text[i] & 0xc0) == 0x80)
			continue; /* inside of a character that has its box already */
		const uint8_t *const rows = sn_plot_glyph(text[i]);
		const int drop = strchr("gpqy", text[i]) ? 2 * scale : 0; /* below the line */
		for (int r = 0; r < SN_PLOT_GLYPH_HEIGHT; r++)
			for (int c = 0; c < 5; c++)
				if (rows[r] >> (4 - c) & 1)
					sn_plot_box(p, x + c * scale, y + drop + r * scale, x + (c + 1) * scale, y + drop + (r + 1) * scale, color, 1);
		x += SN_PLOT_GLYPH_WIDTH * scale;
	}
	return x - start;
}

/* ---- PNG ---- */

static void write_bytes(png_structp png, png_bytep data, png_size_t size) {
	if (sn_sink_write(png_get_io_ptr(png), data, (int64_t)size) != (int64_t)size)
		png_error(png, "writing failed");
}

static void flush_bytes(png_structp png) {}
static void stay_silent(png_structp png, png_const_charp text) {}
static void give_up(png_structp png, png_const_charp text) { longjmp(png_jmpbuf(png), 1); }

/* libpng leaves through longjmp: nothing that changes after setjmp is used there. */
static int write_png(const sn_plot *p, sn_sink *sink, png_structp png, png_infop info) {
	if (setjmp(png_jmpbuf(png)))
		return 0;
	png_set_write_fn(png, sink, write_bytes, flush_bytes);
	png_set_IHDR(png, info, (png_uint_32)p->width, (png_uint_32)p->height, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
		PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
	png_write_info(png, info);
	for (int y = 0; y < p->height; y++)
		png_write_row(png, p->pixels + (size_t)y * (size_t)p->width * 3);
	png_write_end(png, info);
	return 1;
}

int sn_plot_write(const sn_plot *p, const char *path, char *err) {
	sn_sink sink;
	int result = sn_sink_open_path(&sink, path, err);
	if (result != SN_OK)
		return result;
	png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, give_up, stay_silent);
	png_infop info = png ? png_create_info_struct(png) : NULL;
	if (!info)
		result = sn_fail(err, SN_E_MEMORY, "no memory to write '%.200s'", path);
	else if (!write_png(p, &sink, png, info))
		result = sink.failed ? sn_sink_error(&sink, err)
			: sn_fail(err, SN_E_INTERNAL, "the picture '%.200s' cannot be written", path);
	png_destroy_write_struct(png ? &png : NULL, info ? &info : NULL);
	if (result == SN_OK)
		result = sn_sink_finish(&sink, err);
	sn_sink_close(&sink);
	return result;
}
