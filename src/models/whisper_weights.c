#include "models/whisper_internal.h"

#include <stdio.h>
#include <string.h>

/* `part` of `parts` equal blocks of rows of the stored CTranslate2 matrix. */
static const struct {
	const char *hf, *ct2;
	int part, parts;
} matrices[] = {
	[WHISPER_SELF_Q] = { "self_attn.q_proj", "self_attention/linear_0", 0, 3 },
	[WHISPER_SELF_K] = { "self_attn.k_proj", "self_attention/linear_0", 1, 3 },
	[WHISPER_SELF_V] = { "self_attn.v_proj", "self_attention/linear_0", 2, 3 },
	[WHISPER_SELF_OUT] = { "self_attn.out_proj", "self_attention/linear_1", 0, 1 },
	[WHISPER_CROSS_Q] = { "encoder_attn.q_proj", "attention/linear_0", 0, 1 },
	[WHISPER_CROSS_K] = { "encoder_attn.k_proj", "attention/linear_1", 0, 2 },
	[WHISPER_CROSS_V] = { "encoder_attn.v_proj", "attention/linear_1", 1, 2 },
	[WHISPER_CROSS_OUT] = { "encoder_attn.out_proj", "attention/linear_2", 0, 1 },
	[WHISPER_FC1] = { "fc1", "ffn/linear_0", 0, 1 },
	[WHISPER_FC2] = { "fc2", "ffn/linear_1", 0, 1 },
};

static const struct {
	const char *hf, *ct2;
} norms[] = {
	[WHISPER_SELF_NORM] = { "self_attn_layer_norm", "self_attention/layer_norm" },
	[WHISPER_CROSS_NORM] = { "encoder_attn_layer_norm", "attention/layer_norm" },
	[WHISPER_FFN_NORM] = { "final_layer_norm", "ffn/layer_norm" },
	[WHISPER_FINAL_NORM] = { "layer_norm", "layer_norm" },
};

static const char *const sides[] = { "encoder", "decoder" };

whisper_names whisper_names_of(const sn_weights *weights) {
	whisper_names names = { weights, sn_weights_layout(weights) == SN_LAYOUT_CTRANSLATE2, "" };
	if (!names.ctranslate2 && sn_weights_find(weights, "model.encoder.conv1.weight"))
		names.prefix = "model.";
	return names;
}

const char *whisper_matrix_name(const whisper_names *n, whisper_matrix which, int side, int layer, char name[NN_NAME]) {
	if (n->ctranslate2)
		snprintf(name, NN_NAME, "%s/layer_%d/%s/weight", sides[side], layer, matrices[which].ct2);
	else
		snprintf(name, NN_NAME, "%s%s.layers.%d.%s.weight", n->prefix, sides[side], layer, matrices[which].hf);
	return name;
}

const char *whisper_conv_name(const whisper_names *n, int conv, char name[NN_NAME]) {
	snprintf(name, NN_NAME, n->ctranslate2 ? "%sencoder/conv%d/weight" : "%sencoder.conv%d.weight", n->prefix, conv);
	return name;
}

const char *whisper_positions_name(const whisper_names *n, int side, char name[NN_NAME]) {
	snprintf(name, NN_NAME, n->ctranslate2 ? "%s%s/position_encodings/encodings" : "%s%s.embed_positions.weight", n->prefix, sides[side]);
	return name;
}

const char *whisper_embedding_name(const whisper_names *n, char name[NN_NAME]) {
	snprintf(name, NN_NAME, n->ctranslate2 ? "%sdecoder/embeddings/weight" : "%sdecoder.embed_tokens.weight", n->prefix);
	return name;
}

int whisper_layers(const whisper_names *names, int side) {
	char name[NN_NAME];
	int layers = 0;
	while (layers < SN_WEIGHTS_MAX_TENSORS &&
	       sn_weights_find(names->weights, whisper_matrix_name(names, WHISPER_SELF_Q, side, layers, name)))
		layers++;
	return layers;
}

/* "x/weight" -> "x/bias" and "x.weight" -> "x.bias" */
static nn_t bias_of(whisper_recorder *r, const char *weight, int64_t count) {
	char name[NN_NAME + 8];
	int stem = (int)(strlen(weight) - strlen("weight"));
	snprintf(name, sizeof name, "%.*sbias", stem, weight);
	return nn_weight_shaped(r->g, r->names.weights, name, 1, &count);
}

nn_t whisper_linear(whisper_recorder *r, nn_t x, whisper_matrix which, int layer) {
	int64_t width = r->c->width, ffn = r->side == WHISPER_ENCODER ? r->c->encoder_ffn : r->c->decoder_ffn;
	/* Cross keys and values read the encoder's output but belong to the decoder's layers. */
	int side = which >= WHISPER_CROSS_Q && which <= WHISPER_CROSS_OUT ? WHISPER_DECODER : r->side;
	int parts = r->names.ctranslate2 ? matrices[which].parts : 1;
	int64_t out = which == WHISPER_FC1 ? ffn : width, in = which == WHISPER_FC2 ? ffn : width;
	char name[NN_NAME];
	whisper_matrix_name(&r->names, which, side, layer, name);
	nn_t w = nn_weight_shaped(r->g, r->names.weights, name, 2, (int64_t[]){ parts * out, in }); /* [out, in] */
	nn_t b = NN_NONE;
	if (r->names.ctranslate2 || (which != WHISPER_SELF_K && which != WHISPER_CROSS_K)) /* transformers' keys have no bias */
		b = bias_of(r, name, parts * out);
	if (parts > 1) {
		w = nn_fold_rows(r->g, w, matrices[which].part * out, out);
		b = nn_fold_rows(r->g, b, matrices[which].part * out, out);
	}
	return nn_linear(r->g, x, w, b);
}

const char *whisper_norm_stem(const whisper_names *n, whisper_norm which, int side, int layer, char stem[NN_NAME]) {
	if (n->ctranslate2 && which == WHISPER_FINAL_NORM)
		snprintf(stem, NN_NAME, "%s/%s", sides[side], norms[which].ct2);
	else if (n->ctranslate2)
		snprintf(stem, NN_NAME, "%s/layer_%d/%s", sides[side], layer, norms[which].ct2);
	else if (which == WHISPER_FINAL_NORM)
		snprintf(stem, NN_NAME, "%s%s.%s", n->prefix, sides[side], norms[which].hf);
	else
		snprintf(stem, NN_NAME, "%s%s.layers.%d.%s", n->prefix, sides[side], layer, norms[which].hf);
	return stem;
}

nn_t whisper_layer_norm(whisper_recorder *r, nn_t x, whisper_norm which, int layer) {
	int64_t width = r->c->width;
	char stem[NN_NAME], gamma[NN_NAME + 8], beta[NN_NAME + 8];
	whisper_norm_stem(&r->names, which, r->side, layer, stem);
	snprintf(gamma, sizeof gamma, r->names.ctranslate2 ? "%s/gamma" : "%s.weight", stem);
	snprintf(beta, sizeof beta, r->names.ctranslate2 ? "%s/beta" : "%s.bias", stem);
	return nn_layer_norm(r->g, x, nn_weight_shaped(r->g, r->names.weights, gamma, 1, &width),
	                     nn_weight_shaped(r->g, r->names.weights, beta, 1, &width), 1e-5f);
}

nn_t whisper_conv(whisper_recorder *r, nn_t x, int conv) {
	char name[NN_NAME];
	whisper_conv_name(&r->names, conv, name);
	int64_t width = r->c->width, in = conv == 1 ? r->c->mels : width;
	nn_t w = nn_weight_shaped(r->g, r->names.weights, name, 3, (int64_t[]){ width, in, 3 }); /* [out, in, taps] */
	nn_conv shape = { .stride = conv, .pad_left = 1, .pad_right = 1 };
	return nn_conv1d(r->g, x, w, bias_of(r, name, width), shape);
}

nn_t whisper_positions(whisper_recorder *r) {
	char name[NN_NAME];
	int64_t count = r->side == WHISPER_ENCODER ? r->c->source_positions : r->c->target_positions;
	whisper_positions_name(&r->names, r->side, name);
	return nn_weight_shaped(r->g, r->names.weights, name, 2, (int64_t[]){ count, r->c->width });
}

nn_t whisper_embedding(whisper_recorder *r) {
	char name[NN_NAME];
	whisper_embedding_name(&r->names, name);
	return nn_weight_shaped(r->g, r->names.weights, name, 2, (int64_t[]){ r->c->vocab, r->c->width });
}

/* Tied to the embedding in every published checkpoint, where it is a second name or not stored at all. */
nn_t whisper_projection(whisper_recorder *r, nn_t embedding) {
	const char *name = r->names.ctranslate2 ? "decoder/projection/weight" : "proj_out.weight";
	if (!sn_weights_find(r->names.weights, name))
		return embedding;
	return nn_weight_shaped(r->g, r->names.weights, name, 2, (int64_t[]){ r->c->vocab, r->c->width });
}
