/* Which files of a repository the readers of Sonant take: one layout of weights, and what stands beside it. */
#include "pull.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#define PART_NAME 255 /* bytes between two slashes */

int pull_name_is_safe(const char *name) {
	if (!*name || *name == '/' || strlen(name) >= PULL_NAME)
		return 0;
	for (const char *part = name; part; part = strchr(part, '/') ? strchr(part, '/') + 1 : NULL) {
		const size_t size = strcspn(part, "/");
		if (size == 0 || size > PART_NAME || (size <= 2 && strspn(part, ".") >= size))
			return 0;
	}
	for (const char *c = name; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f || *c == '\\')
			return 0;
	return 1;
}

/* In the order of preference; a layout is there when a file matches `main`, and then takes what matches either. */
static const struct { const char *main, *more; } layouts[] = {
	{ "model.safetensors", NULL },
	{ "model.safetensors.index.json", "model-[0-9]*-of-[0-9]*.safetensors" },
	{ "model.bin", NULL },
	{ "pytorch_model.bin", NULL },
	{ "pytorch_model.bin.index.json", "pytorch_model-[0-9]*-of-[0-9]*.bin" },
	{ "model_file.pth", NULL },
	{ "best_model.pth", NULL },
	{ "model_file.pth.tar", NULL },
	{ "best_model.pth.tar", NULL },
	{ "model.pth", NULL },
	{ "embedding_model.ckpt", NULL },
	{ "generator.ckpt", NULL },
	{ "silero_vad*.safetensors", "silero_vad*.onnx" },
	{ "erb_dec.onnx", "*_dec.onnx|enc.onnx" },
	{ "sig_bak_ovr.onnx", "*.onnx" },
	{ "*.onnx.json", "*.onnx" },
	{ "silero_vad*.onnx", NULL },
	{ "*-encoder.onnx", "*-decoder.onnx|*-encoder.weights|*-decoder.weights|*-tokens.txt" }, /* sherpa-onnx's Whispers */
	{ "*-encoder.int8.onnx", "*-decoder.int8.onnx|*-tokens.txt" },
	{ "*_statedict.pt", NULL },
	{ "generator*", NULL },
	{ "g_*", NULL },
	{ "checkpoint_*", NULL },
	{ "*.safetensors", NULL },
	{ "*.pt", NULL },
	{ "*.pth", NULL },
};

static const char *const beside[] = {
	"config.json", "generation_config.json", "preprocessor_config.json", "processor_config.json", "tokenizer.json", "tokenizer_config.json",
	"special_tokens_map.json", "added_tokens.json", "vocab.json", "vocab.txt", "vocabulary.txt", "vocabulary.json", "merges.txt",
	"normalizer.json", "sentencepiece.bpe.model", "spm_char.model", "language_ids.json", "speaker_ids.json", "speakers.json", "speakers.pth",
	"config_se.json", "model_se.pth", "model_se.pth.tar", "SE_checkpoint.pth.tar", "hyperparams.yaml", "hparams.json", "config.ini",
	"speaker_embeddings_path.json", "*.npy", "adapter.eng.safetensors",
};

/* Whether one of the patterns, separated by `between`, fits. */
static int fits(const char *patterns, char between, const char *name) {
	char one[PULL_NAME];
	const char end[] = { between, 0 };
	for (const char *from = patterns; from && *from; from += strspn(from, end)) {
		const size_t size = strcspn(from, end);
		snprintf(one, sizeof one, "%.*s", (int)(size < sizeof one ? size : sizeof one - 1), from);
		if (fnmatch(one, name, 0) == 0)
			return 1;
		from += size;
	}
	return 0;
}

/* The name inside the folder; NULL: it lies elsewhere. */
static const char *inside(const char *name, const char *folder) {
	const size_t size = strlen(folder);
	if (!size)
		return name;
	return strncmp(name, folder, size) == 0 && name[size] == '/' ? name + size + 1 : NULL;
}

/* Marks what matches at the folder's top; returns how many did. */
static int mark(const char *const *names, int count, const char *folder, const char *patterns, char *chosen) {
	int found = 0;
	for (int i = 0; i < count; i++) {
		const char *const own = inside(names[i], folder);
		if (own && *own != '.' && !strchr(own, '/') && fits(patterns, '|', own)) {
			found++;
			if (chosen)
				chosen[i] = 1;
		}
	}
	return found;
}

/* Several voices in one folder: which one is meant? */
static int refuse_many(const char *const *names, int count, const char *folder, char *err) {
	char some[200] = "";
	for (int i = 0; i < count && strlen(some) < 120; i++) {
		const char *const own = inside(names[i], folder);
		const size_t used = strlen(some), size = strlen(names[i]) - strlen(".json");
		if (own && fits("*.onnx.json", '|', own))
			snprintf(some + used, sizeof some - used, "%s%.*s", used ? ", " : "", size < 80 ? (int)size : 80, names[i]);
	}
	return sn_fail(err, SN_E_ARGUMENT, "the repository holds several voices; add one's folder or file to its name: %s, ...", some);
}

int pull_choose(const char *const *names, int count, const char *folder, const char *include, char *chosen, char *err) {
	int voices = 0, weights = 0;
	memset(chosen, 0, (size_t)count);
	for (int i = 0; i < count; i++) /* one voice, named by its file */
		if (strcmp(names[i], folder) == 0 && sn_path_ends_with(folder, ".onnx")) {
			chosen[i] = 1;
			for (int k = 0; k < count; k++)
				if (inside(names[k], "") && strncmp(names[k], folder, strlen(folder)) == 0 && strcmp(names[k] + strlen(folder), ".json") == 0)
					chosen[k] = 1;
			return SN_OK;
		}
	for (size_t i = 0; i < sizeof layouts / sizeof *layouts && !weights; i++) {
		weights = mark(names, count, folder, layouts[i].main, chosen);
		if (weights && layouts[i].more)
			mark(names, count, folder, layouts[i].more, chosen);
		if (weights > 1 && strcmp(layouts[i].main, "*.onnx.json") == 0)
			return refuse_many(names, count, folder, err);
	}
	for (int i = 0; i < count; i++)
		voices += inside(names[i], folder) && sn_path_ends_with(names[i], ".onnx.json");
	if (!weights && voices)
		return refuse_many(names, count, folder, err);
	for (size_t i = 0; i < sizeof beside / sizeof *beside; i++)
		mark(names, count, folder, beside[i], chosen);
	const int presets = mark(names, count, folder, "speaker_embeddings_path.json", NULL);
	for (int i = 0; i < count; i++) {
		const char *const own = inside(names[i], folder);
		if (own && *own != '.' && ((presets && strncmp(own, "speaker_embeddings/", 19) == 0) || fits(include, ',', own)))
			chosen[i] = 1;
	}
	if (weights)
		return SN_OK;
	return sn_fail(err, SN_E_UNSUPPORTED, "%s%s holds no weights that Sonant reads (safetensors, PyTorch's, CTranslate2's, a voice's ONNX) among %d files",
	               *folder ? "the folder " : "the repository", folder, count);
}
