/* sonant speak: a text at once, or as it comes. */
#ifndef SN_CLI_SPEAK_H
#define SN_CLI_SPEAK_H

#include "cli/cli.h"

typedef struct cli_speak_args {
	cli_engine engine;
	const char *model, *out, *audio, *format;
	sn_tts_options tts;
} cli_speak_args;

/* Speaks what standard input brings, as it comes. Returns an exit status. */
int cli_speak_stream(const cli_speak_args *args);

/* Facts of a synthesis as JSON; notes on standard error and facts on standard output as --format says. */
json_t *cli_speak_facts(const sn_speech *speech, const char *out);
int cli_speak_report(const sn_speech *speech, const char *out);

#endif
