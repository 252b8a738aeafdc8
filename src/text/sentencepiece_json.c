#include "text/sentencepiece_internal.h"

int spm_read_json(sn_spm *spm, const char *path, char *err) {
	return sn_fail(err, SN_E_UNSUPPORTED, "%s: not yet", path);
}
