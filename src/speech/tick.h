/* How often a one-call helper asks its caller whether it may go on. */
#ifndef SN_SPEECH_TICK_H
#define SN_SPEECH_TICK_H

#include "base/error.h"

#define SN_TICK 0.1 /* seconds that such a helper waits at most before it asks again */

typedef struct sn_tick {
	sn_progress progress;      /* NULL: nobody is asked, and waiting has no end */
	void *payload;
	double seconds, total;     /* so far, of so many */
} sn_tick;

static inline int sn_tick_ask(const sn_tick *tick, char *err) {
	if (tick->progress && tick->progress(tick->payload, tick->seconds, tick->total) != 0)
		return sn_fail(err, SN_E_CANCELLED, "cancelled by the caller");
	return SN_OK;
}

#endif
