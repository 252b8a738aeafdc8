#include "models/synth.h"

#include <stdlib.h>

void sn_voice_clear(sn_voice *voice) {
	free(voice->embedding);
	for (int i = 0; i < 3; i++) free(voice->prompt[i]);
	*voice = (sn_voice){ .speaker = -1 };
}
