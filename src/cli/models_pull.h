/* sonant models pull, verify and remove. */
#ifndef SN_CLI_MODELS_PULL_H
#define SN_CLI_MODELS_PULL_H

#include "cli/cli.h"

/* Each returns an exit status: that of the first name which failed. names: of models; verify without any: all that are installed. */
int cli_models_pull(const char *const *names, int count, sn_pull_options *options, int json);
int cli_models_verify(const char *const *names, int count, sn_pull_options *options, int json);
int cli_models_remove(const char *const *names, int count, sn_pull_options *options, int json);

#endif
