/* sonant serve keys: the API keys of a server, which takes changes within a second. */
#include "cli/config.h"
#include "server/serve.h"
#include "store/keys.h"

#include <stdlib.h>
#include <string.h>

static struct { const char *home, *config, *scope, *format; int per_minute, sessions; } args;

static const cli_option options[] = {
	{ "scope", 's', "SCOPES", "of a new key: use, manage, or both separated by a comma (default: use)", CLI_TEXT, &args.scope },
	{ "per-minute", 0, "N", "requests a minute of a new key (default: the server's limit)", CLI_INT, &args.per_minute },
	{ "sessions", 0, "N", "requests and sessions at once of a new key (default: the server's limit)", CLI_INT, &args.sessions },
	{ "home", 0, "DIR", "the server's home (default: as everywhere)", CLI_FOLDER, &args.home },
	{ "config", 'c', "FILE", "the server's configuration, for its home", CLI_FILE, &args.config },
	{ "format", 'f', "text|json", "default: text", CLI_CHOICE, &args.format },
};

static const cli_action actions[] = {
	{ "add", "make a key", { { "NAME", CLI_TEXT, 1, 1 } } },
	{ "list", "all keys, without their secrets", { { 0 } } },
	{ "revoke", "end a key", { { "NAME", CLI_TEXT, 1, 1 } } },
};

static int cli_keys(int argc, char **argv);

const cli_command cli_keys_command = {
	.name = "serve keys",
	.brief = "make, list and revoke API keys of a server",
	.run = cli_keys,
	.actions = actions,
	.action_count = COUNT(actions),
	.summary = "Makes, lists and revokes the API keys of a server. A running server notices within a second.",
	.options = options,
	.option_count = COUNT(options),
	.details = "add prints the key, once and never again: only its hash is kept. \"use\" allows to transcribe and speak, \"manage\" to\n"
	           "load and install models, change voices and see everyone's usage. A revoked key keeps its name for the usage.",
};

static int is_json(void) { return args.format && strcmp(args.format, "json") == 0; }

static json_t *key_json(const sn_key *k) {
	return json_pack("{s:s, s:b, s:b, s:i, s:i, s:s, s:b}", "name", k->name, "use", k->use, "manage", k->manage, "per_minute", k->per_minute,
	                 "sessions", k->sessions, "created", k->created, "revoked", k->revoked);
}

static int read_scope(sn_key *key, char *err) {
	const char *at = args.scope ? args.scope : "use";
	while (*at) {
		const size_t size = strcspn(at, ",");
		if (size == 3 && strncmp(at, "use", 3) == 0)
			key->use = 1;
		else if (size == 6 && strncmp(at, "manage", 6) == 0)
			key->manage = 1;
		else
			return sn_fail(err, SN_E_ARGUMENT, "--scope is \"%.60s\"; use, manage, or both separated by a comma would be right", args.scope);
		at += size + (at[size] == ',');
	}
	if (!key->use && !key->manage)
		return sn_fail(err, SN_E_ARGUMENT, "--scope names nothing; use or manage would be right");
	if (args.per_minute < 0 || args.per_minute > 1000000 || args.sessions < 0 || args.sessions > 100000)
		return sn_fail(err, SN_E_ARGUMENT, "--per-minute must lie between 0 and 1000000, --sessions between 0 and 100000");
	key->per_minute = args.per_minute;
	key->sessions = args.sessions;
	return SN_OK;
}

static int add(sn_db *db, const char *name, char *err) {
	char text[SN_KEY_TEXT];
	sn_key key = { 0 };
	snprintf(key.name, sizeof key.name, "%s", name);
	int result = strlen(name) < sizeof key.name ? read_scope(&key, err) : sn_fail(err, SN_E_ARGUMENT, "the name has %zu bytes; at most %d are taken",
	                                                                             strlen(name), SN_KEY_NAME - 1);
	if (result == SN_OK)
		result = sn_keys_add(db, &key, text, err);
	if (result != SN_OK)
		return result;
	json_t *const o = is_json() ? key_json(&key) : NULL;
	if (o) {
		json_object_set_new(o, "key", json_string(text));
		return cli_print(o) == 0 ? SN_OK : sn_fail(err, SN_E_IO, "the key cannot be shown; revoke \"%s\"", name);
	}
	printf("%s\n", text);
	fprintf(stderr, "sonant serve keys: this is the only time that the key of \"%s\" is shown\n", name);
	return SN_OK;
}

static int list(sn_db *db, char *err) {
	sn_key *keys;
	int count;
	const int result = sn_keys_list(db, &keys, &count, err);
	if (result != SN_OK)
		return result;
	json_t *const all = is_json() ? json_array() : NULL;
	if (!all)
		printf("%-24s %-11s %10s %8s  %-20s %s\n", "NAME", "SCOPE", "PER MINUTE", "SESSIONS", "CREATED", "STATE");
	for (int i = 0; i < count; i++) {
		const sn_key *const k = &keys[i];
		if (all)
			json_array_append_new(all, key_json(k));
		else
			printf("%-24s %-11s %10d %8d  %-20s %s\n", k->name, k->use && k->manage ? "use,manage" : k->use ? "use" : "manage", k->per_minute,
			       k->sessions, k->created, k->revoked ? "revoked" : "valid");
	}
	free(keys);
	if (all)
		cli_print(all);
	return SN_OK;
}

static int run(const char *what, const char *name, char *err) {
	sn_db *db = NULL;
	sv_config *const config = malloc(sizeof *config);
	int result = config ? cli_config_read(config, args.config, NULL, "serve", err) : sn_fail(err, SN_E_MEMORY, "out of memory");
	if (result == SN_OK && args.home)
		result = sv_config_set(config, "home", args.home, "command line", err);
	if (result == SN_OK)
		result = sv_store_open(&db, config, err);
	if (result == SN_OK)
		result = strcmp(what, "add") == 0 ? add(db, name, err) : strcmp(what, "list") == 0 ? list(db, err) : sn_keys_revoke(db, name, err);
	sn_db_close(&db);
	free(config);
	return result;
}

static int cli_keys(int argc, char **argv) {
	const char **words = calloc((size_t)argc, sizeof *words);
	char err[SN_ERRLEN];
	const int count = words ? cli_parse(&cli_keys_command, argc, argv, words) : -1;
	int status = count == -2 ? 0 : sn_result_exit(SN_E_ARGUMENT);
	const char *const what = count > 0 ? words[0] : "";
	if (count >= 0) {
		const int code = run(what, count > 1 ? words[1] : NULL, err);
		status = code == SN_OK ? sn_result_exit(cli_write("", 0)) : cli_fail(code, NULL, err);
	}
	free(words);
	return status;
}
