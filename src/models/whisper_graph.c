#include "models/whisper_internal.h"

#include <math.h>
#include <stdio.h>

static nn_t feed_forward(whisper_recorder *r, nn_t x, int layer) {
	nn_t h = whisper_layer_norm(r, x, WHISPER_FFN_NORM, layer);
	h = nn_unary(r->g, r->act, whisper_linear(r, h, WHISPER_FC1, layer), 0);
	return nn_binary(r->g, NN_ADD, whisper_linear(r, h, WHISPER_FC2, layer), x);
}

static float head_scale(const whisper_recorder *r) {
	int heads = r->side == WHISPER_ENCODER ? r->c->encoder_heads : r->c->decoder_heads;
	return 1 / sqrtf((float)(r->c->width / heads));
}

static nn_t encoder_layer(whisper_recorder *r, nn_t x, int layer) {
	nn_attn attn = { .heads = r->c->encoder_heads, .scale = head_scale(r), .rel_k = NN_NONE, .rel_v = NN_NONE };
	nn_t h = whisper_layer_norm(r, x, WHISPER_SELF_NORM, layer), probs;
	nn_t q = whisper_linear(r, h, WHISPER_SELF_Q, layer);
	nn_t k = whisper_linear(r, h, WHISPER_SELF_K, layer);
	nn_t v = whisper_linear(r, h, WHISPER_SELF_V, layer);
	h = nn_attention(r->g, q, k, v, attn, r->probs ? &probs : NULL);
	if (r->probs)
		nn_name(r->g, probs, "encoder_self_attn_layer%d", layer);
	x = nn_binary(r->g, NN_ADD, whisper_linear(r, h, WHISPER_SELF_OUT, layer), x);
	return nn_name(r->g, feed_forward(r, x, layer), "encoder_layer%d_out", layer);
}

/* One entry per decoder layer: keys and values of all windows, [windows, source positions, width] each. */
static nn_t cross_state(whisper_recorder *r, int layer) {
	char name[NN_NAME];
	snprintf(name, sizeof name, "cross%d", layer);
	return nn_kv_state(r->g, name, r->windows, r->c->source_positions, r->c->width, r->c->decoder_heads);
}

/* mel[2 * positions, mels] and place[positions] = 0, 1, ... -> keys and values of every decoder layer's cross attention, at entry
 * window[0] */
void whisper_record_encoder(whisper_recorder *r) {
	nn_graph *g = r->g;
	nn_dim frames = nn_dim_mul(nn_symbol(g, "positions", r->c->source_positions), 2);
	nn_dim positions = nn_dim_add(nn_dim_div(nn_dim_add(frames, -1), 2), 1); /* as the second convolution counts them */
	nn_t x = nn_input(g, "mel", NN_F32, 2, (nn_dim[]){ frames, nn_fix(r->c->mels) });
	nn_t place = nn_input(g, "place", NN_I32, 1, &positions);
	nn_t window = nn_input(g, "window", NN_I32, 1, (nn_dim[]){ nn_fix(1) });
	r->side = WHISPER_ENCODER;
	x = nn_unary(g, NN_GELU, whisper_conv(r, x, 1), 0); /* [frames, width] */
	x = nn_unary(g, NN_GELU, whisper_conv(r, x, 2), 0); /* [frames / 2, width] */
	x = nn_binary(g, NN_ADD, x, nn_gather_rows(g, whisper_positions(r), place));
	nn_name(g, x, "encoder_after_conv_gelu_pos");
	for (int layer = 0; layer < r->c->encoder_layers; layer++)
		x = encoder_layer(r, x, layer);
	x = nn_name(g, whisper_layer_norm(r, x, WHISPER_FINAL_NORM, 0), "encoder_out");
	if (r->outputs)
		nn_output(g, x, "encoder_out");
	for (int layer = 0; layer < r->c->decoder_layers; layer++) {
		nn_t k = whisper_linear(r, x, WHISPER_CROSS_K, layer);
		nn_t v = whisper_linear(r, x, WHISPER_CROSS_V, layer);
		nn_kv_write(g, cross_state(r, layer), k, v, window);
	}
}

int whisper_aligned(const sn_whisper_config *c, int layer) {
	for (int i = 0; i < c->alignment_count; i++)
		if (c->alignment[i].layer == layer)
			return 1;
	return 0;
}

/* queries<layer>[rows, width] and the entry window[rows] -> probs<layer>[heads, rows, source positions], for layers with alignment heads */
void whisper_record_attend(whisper_recorder *r) {
	nn_graph *g = r->g;
	nn_dim rows = nn_symbol(g, "rows", WHISPER_MAX_ATTEND);
	nn_t window = nn_input(g, "window", NN_I32, 1, &rows), probs;
	char name[NN_NAME];
	r->side = WHISPER_DECODER;
	for (int layer = 0; layer < r->c->decoder_layers; layer++) {
		if (!whisper_aligned(r->c, layer))
			continue;
		snprintf(name, sizeof name, "queries%d", layer);
		nn_t q = nn_input(g, name, NN_F32, 2, (nn_dim[]){ rows, nn_fix(r->c->width) });
		nn_kv_attention(g, q, cross_state(r, layer), window, head_scale(r), &probs);
		snprintf(name, sizeof name, "probs%d", layer);
		nn_output(g, probs, name);
	}
}

typedef struct decoder_inputs {
	nn_t slot, position, table, window;
} decoder_inputs;

static nn_t self_attention(whisper_recorder *r, nn_t x, const decoder_inputs *in, int layer) {
	char name[NN_NAME];
	snprintf(name, sizeof name, "self%d", layer);
	nn_t state = nn_cache_state(r->g, name, r->slots, r->c->target_positions, r->c->width, r->c->decoder_heads);
	nn_t h = whisper_layer_norm(r, x, WHISPER_SELF_NORM, layer), probs;
	nn_t q = whisper_linear(r, h, WHISPER_SELF_Q, layer);
	nn_t k = whisper_linear(r, h, WHISPER_SELF_K, layer);
	nn_t v = whisper_linear(r, h, WHISPER_SELF_V, layer);
	h = nn_cache_attention(r->g, q, k, v, state, in->slot, in->position, in->table, head_scale(r), r->probs ? &probs : NULL);
	if (r->probs)
		nn_name(r->g, probs, "decoder_self_attn_layer%d", layer);
	return nn_binary(r->g, NN_ADD, whisper_linear(r, h, WHISPER_SELF_OUT, layer), x);
}

static nn_t cross_attention(whisper_recorder *r, nn_t x, const decoder_inputs *in, int layer) {
	nn_t probs, h = whisper_layer_norm(r, x, WHISPER_CROSS_NORM, layer);
	nn_t q = whisper_linear(r, h, WHISPER_CROSS_Q, layer);
	if (whisper_aligned(r->c, layer)) {
		char name[NN_NAME];
		snprintf(name, sizeof name, "queries%d", layer);
		nn_output(r->g, q, name);
	}
	h = nn_kv_attention(r->g, q, cross_state(r, layer), in->window, head_scale(r), r->probs ? &probs : NULL);
	if (r->probs)
		nn_name(r->g, probs, "cross_attn_layer%d", layer);
	return nn_binary(r->g, NN_ADD, whisper_linear(r, h, WHISPER_CROSS_OUT, layer), x);
}

/* rows of (token, position, slot, table, window) -> logits[wanted, vocab] of the rows that `wanted` lists */
void whisper_record_decoder(whisper_recorder *r) {
	nn_graph *g = r->g;
	nn_dim rows = nn_symbol(g, "rows", SN_WHISPER_MAX_ROWS), few = nn_symbol(g, "wanted", WHISPER_MAX_WANTED);
	nn_t token = nn_input(g, "token", NN_I32, 1, &rows);
	decoder_inputs in = {
		.slot = nn_input(g, "slot", NN_I32, 1, &rows),
		.position = nn_input(g, "position", NN_I32, 1, &rows),
		.table = nn_input(g, "table", NN_I32, 2, (nn_dim[]){ rows, nn_fix(r->c->target_positions) }),
		.window = nn_input(g, "window", NN_I32, 1, &rows),
	};
	nn_t wanted = nn_input(g, "wanted", NN_I32, 1, &few);
	r->side = WHISPER_DECODER;
	nn_t embedding = whisper_embedding(r); /* [vocab, width] */
	nn_t x = nn_binary(g, NN_ADD, nn_gather_rows(g, embedding, token), nn_gather_rows(g, whisper_positions(r), in.position));
	nn_name(g, x, "decoder_embed_plus_pos");
	for (int layer = 0; layer < r->c->decoder_layers; layer++) {
		x = self_attention(r, x, &in, layer);
		x = cross_attention(r, x, &in, layer);
		x = nn_name(g, feed_forward(r, x, layer), "decoder_layer%d_out", layer);
	}
	x = whisper_layer_norm(r, nn_gather_rows(g, x, wanted), WHISPER_FINAL_NORM, 0);
	nn_name(g, x, "decoder_hidden_out");
	nn_output(g, nn_linear(g, x, whisper_projection(r, embedding), NN_NONE), "logits");
}
