/* The server's configuration: checked, shown, and its table of options. */
#include "cli/config.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static struct { const char *format; } args;

static const cli_option options[] = {
	{ "format", 'f', "text|json|conf", "list: also conf, a file of all options (default: text)", CLI_CHOICE, &args.format },
};

static const cli_action actions[] = {
	{ "check", "tell every mistake of FILE with its line, and those of SONANT_NAME in the environment", { { "FILE", CLI_FILE, 0, 1 } } },
	{ "show", "what the server would take, as lines of a configuration", { { "FILE", CLI_FILE, 0, 1 } } },
	{ "list", "all options", { { 0 } } },
};

static int cli_config(int argc, char **argv);

const cli_command cli_config_command = {
	.name = "config",
	.brief = "check, show and list the server's options",
	.run = cli_config,
	.actions = actions,
	.action_count = COUNT(actions),
	.summary = "Checks a configuration of \"sonant serve\", shows what it comes to, or lists the options.",
	.options = options,
	.option_count = COUNT(options),
	.details = "check tells every mistake of FILE with its line, and those of SONANT_NAME in the environment.\n"
	           "show prints what the server would take, as lines of a configuration.",
};

static int is_format(const char *name) { return strcmp(args.format ? args.format : "text", name) == 0; }

void cli_config_mistake(void *payload, const char *message) { cli_complain(SN_E_ARGUMENT, payload, NULL, message); }

int cli_config_read(sv_config *config, const char *path, const char *const *texts, const char *who, char *err) {
	char name[16];
	snprintf(name, sizeof name, "%s", who);
	sv_config_defaults(config);
	int result = path ? sv_config_file(config, path, cli_config_mistake, name, err) : SN_OK;
	const int from_file = result;
	if (result == SN_OK || result == SN_E_ARGUMENT || result == SN_E_LIMIT)
		result = sv_config_environment(config, err);
	for (int i = 0; texts && i < sv_option_count && result == SN_OK; i++)
		if (texts[i])
			result = sv_config_set(config, sv_options[i].name, texts[i], "command line", err);
	if (result == SN_OK)
		result = sv_config_check(config, err);
	if (result == SN_OK && from_file != SN_OK)
		sn_fail(err, from_file, "\"%.200s\" has the mistakes above", path);
	return result == SN_OK ? from_file : result;
}

void cli_config_names(const sv_option *o, char environment[CLI_CONFIG_NAME], char flag[CLI_CONFIG_NAME]) {
	snprintf(environment, CLI_CONFIG_NAME, "SONANT_%s", o->name);
	snprintf(flag, CLI_CONFIG_NAME, "--%s", o->name);
	for (char *at = environment; *at; at++)
		*at = (char)toupper((unsigned char)*at);
	for (char *at = flag; *at; at++)
		*at = *at == '_' ? '-' : *at;
}

/* ---- list ---- */

static const char *const kinds[] = { [SV_TEXT] = "text", [SV_INT] = "number", [SV_REAL] = "number", [SV_FLAG] = "on or off", [SV_BYTES] = "bytes",
	[SV_TIME] = "time" };

static int list_conf(void) {
	printf("# Options of \"sonant serve\" with their defaults: \"sonant serve --config FILE\" reads them, \"sonant config check FILE\" checks them.\n"
	       "# Bytes: 500, 64K, 10M, 2G. Times: 30 (seconds), 500ms, 5m, 2h, 7d. (reload): a running server takes a change on SIGHUP.\n");
	for (int i = 0; i < sv_option_count; i++) {
		const sv_option *const o = &sv_options[i];
		printf("\n# %s%s\n#%s = %s\n", o->help, o->reload ? " (reload)" : "", o->name, o->fallback);
	}
	return sn_result_exit(cli_write("", 0));
}

static int list(void) {
	json_t *const all = is_format("json") ? json_array() : NULL;
	if (is_format("conf"))
		return list_conf();
	for (int i = 0; i < sv_option_count; i++) {
		char environment[CLI_CONFIG_NAME], flag[CLI_CONFIG_NAME];
		const sv_option *const o = &sv_options[i];
		cli_config_names(o, environment, flag);
		if (all)
			json_array_append_new(all, json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:s}", "name", o->name, "kind", kinds[o->kind], "default",
			                                     o->fallback, "environment", environment, "flag", flag, "reload", o->reload, "help", o->help));
		else
			printf("%s = %s\n    %s\n    %s; %s, %s%s\n", o->name, o->fallback, o->help, kinds[o->kind], environment, flag,
			       o->reload ? "; changed by a reload" : "");
	}
	return all ? cli_print(all) : sn_result_exit(cli_write("", 0));
}

/* ---- check and show ---- */

static int show(const sv_config *config) {
	json_t *const values = sv_config_json(config), *one;
	const char *name;
	if (is_format("json"))
		return cli_print(values);
	json_object_foreach(values, name, one) {
		char *const number = json_is_number(one) ? json_dumps(one, JSON_ENCODE_ANY | JSON_REAL_PRECISION(12)) : NULL;
		const char *const text = json_is_boolean(one) ? json_is_true(one) ? "on" : "off" : json_is_string(one) ? json_string_value(one) : number;
		printf("%s = %s\n", name, text ? text : "");
		free(number);
	}
	json_decref(values);
	return sn_result_exit(cli_write("", 0));
}

static int check(const char *path, int shows) {
	char err[SN_ERRLEN];
	sv_config *const config = malloc(sizeof *config);
	const int code = config ? cli_config_read(config, path, NULL, "config", err) : sn_fail(err, SN_E_MEMORY, "out of memory");
	int status = code == SN_OK ? 0 : cli_fail(code, NULL, err);
	if (code == SN_OK && shows)
		status = show(config);
	else if (code == SN_OK)
		printf("%s: no mistakes\n", path ? path : "environment");
	free(config);
	return status;
}

static int cli_config(int argc, char **argv) {
	const char **words = calloc((size_t)argc, sizeof *words);
	const int count = words ? cli_parse(&cli_config_command, argc, argv, words) : -1;
	int status = count == -2 ? 0 : sn_result_exit(SN_E_ARGUMENT);
	const char *const what = count > 0 ? words[0] : "", *const path = count > 1 ? words[1] : NULL;
	const int lists = strcmp(what, "list") == 0, shows = strcmp(what, "show") == 0;
	if (count >= 0 && !lists && is_format("conf"))
		status = cli_fail(SN_E_ARGUMENT, NULL, "--format conf is of \"config list\" only");
	else if (count >= 0)
		status = lists ? list() : check(path, shows);
	free(words);
	return status;
}
