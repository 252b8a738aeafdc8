/* A picture of pixels that is drawn on with fractional coverage, and written as PNG. Colours are 0xrrggbb; what lies outside is cut. */
#ifndef SN_SPEECH_PLOT_H
#define SN_SPEECH_PLOT_H

#include "base/error.h"

#include <stdint.h>

#define SN_PLOT_GLYPH_WIDTH 6  /* pixels of a character with the space behind it, at scale 1 */
#define SN_PLOT_GLYPH_HEIGHT 7

typedef struct sn_plot {
	int width, height;
	uint8_t *pixels; /* [height, width, 3] */
} sn_plot;

int sn_plot_open(sn_plot *plot, int width, int height, uint32_t background, char *err);
void sn_plot_close(sn_plot *plot);

/* The pixels [x0, x1) x [y0, y1), with parts of pixels at the edges; opacity 0..1. */
void sn_plot_box(sn_plot *plot, double x0, double y0, double x1, double y1, uint32_t color, double opacity);
/* A line with round ends. */
void sn_plot_line(sn_plot *plot, double x0, double y0, double x1, double y1, double thickness, uint32_t color, double opacity);
void sn_plot_pixel(sn_plot *plot, int x, int y, uint32_t color, double opacity);

/* Text in ASCII (others come out as a box) with its top left corner there; `scale` pixels a dot; `size` bytes at most. Returns its
 * width. */
int sn_plot_text(sn_plot *plot, int x, int y, const char *text, size_t size, int scale, uint32_t color);
int sn_plot_text_width(const char *text, size_t size, int scale);

/* Written beside its place and renamed. Errors: SN_E_IO, SN_E_NO_SPACE, SN_E_MEMORY. */
int sn_plot_write(const sn_plot *plot, const char *path, char *err);

/* Dots of a printable ASCII character: 7 rows, bit 4 is the leftmost of 5. */
const uint8_t *sn_plot_glyph(char c);

#endif
