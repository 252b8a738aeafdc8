/* A transcript as bytes and back, for the audio cache: what inference gave, before any format. Bytes are of this machine and version. */
#ifndef SN_SERVER_STT_RECORD_H
#define SN_SERVER_STT_RECORD_H

#include "base/buf.h"

#include <sonant/sonant.h>

#define SV_MAX_RECORD ((size_t)256 << 20)

/* Appends; out->failed says how it went. Processing time is not kept. */
void sv_record_write(sn_buf *out, const sn_transcript *t);
/* One block, free() it; the bytes are not needed any more. NULL: damaged, of another version, or no memory. */
sn_transcript *sv_record_read(const void *data, size_t size);

#endif
