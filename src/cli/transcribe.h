/* The part of `transcribe` that runs: several files side by side, each written while it is heard. */
#ifndef SN_CLI_TRANSCRIBE_H
#define SN_CLI_TRANSCRIBE_H

#include "cli/cli.h"

typedef struct transcribe_file {
	const char *file;             /* "-": standard input */
	const char *path;             /* where its transcript goes; NULL: to standard output, in the order of the files */
} transcribe_file;

typedef struct transcribe_plan {
	sn_model *model;
	const sn_stt_options *stt;
	sn_transcript_options format; /* file: NULL */
	const transcribe_file *files;
	int count, most;              /* most: files in work at once, at least 1 */
	int apart;                    /* a file's transcript is called PATH.part until it is whole */
	int named;                    /* each result says which file it is of, where the format can */
	/* A file is done, in the order of the files: its exit status, and the language where it is known. May be NULL. */
	void (*ended)(void *payload, int index, int status, const char *language);
	void *payload;
} transcribe_plan;

/* Reports what fails, in the order of the files. Returns the exit status of the first failure, or that of an interrupt. */
int transcribe_files(const transcribe_plan *plan);

#endif
