/* Pitch of a voice every 10 ms, by YIN (de Cheveigné and Kawahara 2002) on the signal at half its rate, 60 to 500 Hz. */
#ifndef SN_AUDIO_PITCH_H
#define SN_AUDIO_PITCH_H

#include <stddef.h>
#include <stdint.h>

#define SN_PITCH_RATE 16000
#define SN_PITCH_HOP 160   /* samples from value to value */
#define SN_PITCH_LOW 60    /* Hz */
#define SN_PITCH_HIGH 500
#define SN_PITCH_WINDOW 200 /* at half the rate: 25 ms */
#define SN_PITCH_MAX_LAG (SN_PITCH_RATE / 2 / SN_PITCH_LOW + 1)
#define SN_PITCH_SPAN (SN_PITCH_WINDOW + SN_PITCH_MAX_LAG + 1)

typedef struct sn_pitch {
	float halved[SN_PITCH_SPAN]; /* samples at half the rate that the next value is made of */
	float last[2];               /* samples before, for the filter */
	int count, odd;
} sn_pitch;

void sn_pitch_init(sn_pitch *pitch);
/* Takes all samples; gives up to count / SN_PITCH_HOP + 1 values in Hz, 0 where there is no pitch. Returns how many. */
int sn_pitch_push(sn_pitch *pitch, const float *samples, size_t count, float *values);

#endif
