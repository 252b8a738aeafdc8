/* What the subcommands round the server share. */
#ifndef SN_CLI_CONFIG_H
#define SN_CLI_CONFIG_H

#include "cli/cli.h"
#include "server/config.h"

#define CLI_CONFIG_NAME 96

/* Defaults, a file (may be NULL), the environment, and texts given on the command line ([sv_option_count], may be NULL). Mistakes of the
 * file are printed, each with its line, under the name of the subcommand. */
int cli_config_read(sv_config *config, const char *path, const char *const *texts, const char *who, char *err);
void cli_config_mistake(void *payload, const char *message);
/* SONANT_NAME and --name. */
void cli_config_names(const sv_option *option, char environment[CLI_CONFIG_NAME], char flag[CLI_CONFIG_NAME]);

#endif
