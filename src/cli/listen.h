/* Where `sonant listen` gets its sound from: standard input or a microphone. */
#ifndef SN_CLI_LISTEN_H
#define SN_CLI_LISTEN_H

#include "cli/cli.h"

#define LISTEN_BLOCK 16384 /* most samples of one read */

typedef struct listen_source listen_source;

/* Standard input: 16-bit little endian samples, or a wav (whose header then says rate and channels; 16-bit or float). */
int listen_open_pipe(listen_source **out, int rate, int channels, char *err);
/* name: NULL or "default", or a number or part of a name of PortAudio's devices. SN_E_DEPENDENCY: no libportaudio. */
int listen_open_microphone(listen_source **out, const char *name, char *err);
/* Samples at 16 kHz, mono, as they come: waits some milliseconds at most; *count may be 0. SN_END: no more will come. */
int listen_read(listen_source *source, float *pcm, size_t *count, char *err);
void listen_close(listen_source **source);

#endif
