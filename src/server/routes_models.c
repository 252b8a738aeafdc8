#include "server/models.h"

#include <string.h>

static void list(sv_request *r, sv_reply *reply) {
	sv_reply_json(reply, 200, json_pack("{s:o}", "models", sv_models_json(r->server->models, 0)));
}

static void reply_model(sv_request *r, sv_reply *reply, int result, const char *err) {
	json_t *const model = result == SN_OK ? sv_models_one(r->server->models, sv_text(r, "model", "")) : NULL;
	if (result != SN_OK)
		sv_reply_fail(reply, result, "model", err);
	else
		sv_reply_json(reply, 200, model ? model : json_pack("{s:s, s:s}", "name", sv_text(r, "model", ""), "state", "ready"));
}

static void load(sv_request *r, sv_reply *reply) {
	static const char *const dtypes[] = { "auto", "f32", "bf16", "int8" };
	char err[SN_ERRLEN];
	sn_precision precision = SN_AUTO;
	for (int i = 0; i < 4; i++)
		if (strcmp(sv_text(r, "dtype", "auto"), dtypes[i]) == 0)
			precision = (sn_precision)i;
	reply_model(r, reply, sv_models_load(r->server->models, sv_text(r, "model", ""), precision, sv_integer(r, "keep", 0), err), err);
}

static void unload(sv_request *r, sv_reply *reply) {
	char err[SN_ERRLEN];
	reply_model(r, reply, sv_models_unload(r->server->models, sv_text(r, "model", ""), err), err);
}

static void set_default(sv_request *r, sv_reply *reply) {
	char err[SN_ERRLEN];
	const int task = strcmp(sv_text(r, "task", ""), "speak") == 0 ? SN_TASK_SPEAK : SN_TASK_TRANSCRIBE;
	const int result = sv_models_set_default(r->server->models, task, sv_text(r, "model", ""), err);
	if (result == SN_OK)
		list(r, reply);
	else
		sv_reply_fail(reply, result, "model", err);
}

static void pull(sv_request *r, sv_reply *reply) {
	char err[SN_ERRLEN];
	json_t *one;
	const int result = sv_models_pull(r->server->models, sv_text(r, "model", ""), &one, err);
	if (result == SN_OK)
		sv_reply_json(reply, 202, one);
	else
		sv_reply_fail(reply, result, "model", err);
}

static void pulls(sv_request *r, sv_reply *reply) { sv_reply_json(reply, 200, json_pack("{s:o}", "pulls", sv_models_pulls(r->server->models))); }

const sv_operation sv_operations_models[] = { { "pullModel", pull, 0, NULL }, { "pulls", pulls, 0, NULL }, { "models", list, 0, NULL }, { "loadModel", load, 0, NULL }, { "unloadModel", unload, 0, NULL },
	{ "defaultModel", set_default, 0, NULL }, { 0 } };
