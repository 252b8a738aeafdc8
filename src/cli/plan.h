/* Where the results of a batch go. */
#ifndef SN_CLI_PLAN_H
#define SN_CLI_PLAN_H

#include "cli/batch.h"

/* Gives every item its `out`. Each returns 0, or an exit status after what is wrong was reported. */
int cli_plan_outputs(cli_batch *batch, const cli_wish *wish);
int cli_plan_folders(const cli_batch *batch);
/* Gives a result its name when its language was heard. */
int cli_plan_rename(cli_item *item, const char *heard);

#endif
