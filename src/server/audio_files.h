/* What the library reads and writes by path, for handlers: an upload as a path of ours, and a place for a result. No text of a client's is
 * part of any path. */
#ifndef SN_SERVER_AUDIO_FILES_H
#define SN_SERVER_AUDIO_FILES_H

#include "server/server.h"

#define SV_AUDIO_PATH 512

typedef struct sv_audio_files {
	sv_request *request;
	int fd;                      /* of an upload that was in memory, else -1 */
	char in[32];                 /* path to read from */
	char dir[SV_AUDIO_PATH], out[SV_AUDIO_PATH + 8]; /* private directory, file in it; "" before sv_audio_place */
	double started, looked;      /* looked: at the disk, when last */
	int too_long, disk_full;     /* why it was cancelled: the audio exceeds max_duration; the disk of temporary files is about to fill up */
} sv_audio_files;

/* Takes the request's "file", or its "audio_data" (base64). SN_E_ARGUMENT (neither), SN_E_FORMAT, SN_E_NO_SPACE, SN_E_IO, SN_E_MEMORY.
 * field: the parameter to blame. */
int sv_audio_take(sv_audio_files *files, sv_request *request, const char **field, char *err);
/* Makes the place for the result: files->out, which does not exist yet. */
int sv_audio_place(sv_audio_files *files, char *err);
/* Opens the result for reading: a descriptor, which outlives the files, or -1. */
int sv_audio_result(const sv_audio_files *files, int64_t *size, char *err);
void sv_audio_close(sv_audio_files *files); /* nothing is left */

/* An sn_progress whose payload is the files: ends the work when the client goes, where the audio is too long, or before what little was
 * uploaded fills the disk. */
int sv_audio_progress(void *payload, double seconds, double total);
/* The code and the sentence that the client gets: paths of ours do not occur in it. */
int sv_audio_failed(const sv_audio_files *files, int code, char *err);

#endif
