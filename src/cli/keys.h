#ifndef SN_CLI_KEYS_H
#define SN_CLI_KEYS_H

/* argv[0] is "keys". Returns an exit status. */
int cli_keys(int argc, char **argv);

#endif
