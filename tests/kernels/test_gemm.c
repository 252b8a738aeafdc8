/* Matrix products and their packing: every instruction set against scalar C, scalar C against the formula in double. */
#include "bench_gemm.h"
#include "fence.h"
#include "levels.h"
#include "nn/cpu/scalar.h"

enum { F32, BF16, S8 };
static const char *const type_names[] = { "f32", "bf16", "int8" };
static const int element_bytes[] = { 4, 2, 1 };

static const nn_kernels *truth, *k;
static fence fence_a, fence_b, fence_w, fence_c, fence_c2, fence_x;

static const nn_gemm_family *family_of(const nn_kernels *table, int type) {
	return type == F32 ? &table->f32 : type == BF16 ? &table->bf16 : &table->s8;
}

static int64_t packed_bytes(const nn_gemm_family *f, int64_t n, int64_t depth, int taps) {
	return (n + f->nr - 1) / f->nr * taps * ((depth + f->kr - 1) / f->kr) * f->nr * f->kr * f->element;
}

/* ---- one product ---- */

#define MOST_N 320
#define MOST_M 200
#define MOST_K 600
#define MOST_C (64 * (MOST_N + 20))

typedef struct problem {
	int type, extreme;
	int64_t bytes_a;
	float w[MOST_N * MOST_K];
	float a_scale[MOST_M], row_scale[MOST_M], bias[MOST_N], residual[MOST_C];
	float b_scale[2][MOST_N];
	int32_t colsum[2][MOST_N];
	void *packed[2];
	nn_gemm g;
} problem;

static problem p;

static float element_value(int64_t i, int extreme) {
	static const float odd[] = { 1e18f, -1e18f, 1e-18f, 0, 1, -1, 3e15f, 1e-3f };
	return extreme ? odd[random_bits() & 7] : normal();
}

static void fill_a(void) {
	nn_gemm *g = &p.g;
	int size = element_bytes[p.type];
	int64_t span = (g->m - 1) * g->row_bytes + (g->taps - 1) * g->tap_bytes + g->k * size;
	unsigned char *a = fence_input(&fence_a, (size_t)(span + NN_OVERREAD));
	memset(a, 0xff, (size_t)(span + NN_OVERREAD)); /* NaN wherever no element lies */
	for (int64_t m = 0; m < g->m; m++)
		for (int tap = 0; tap < g->taps; tap++)
			for (int64_t i = 0; i < g->k; i++) {
				unsigned char *at = a + m * g->row_bytes + tap * g->tap_bytes + i * size;
				float v = element_value(i, p.extreme);
				if (p.type == S8)
					*at = p.extreme ? (random_bits() & 1 ? 255 : 0) : (unsigned char)random_bits();
				else if (p.type == BF16)
					nn_save(at, NN_STORE_BF16, 0, v);
				else
					memcpy(at, &v, sizeof v);
			}
	g->a = a;
	p.bytes_a = span;
}

/* Weights of [n, taps, k] in one of three layouts: torch's linear, torch's convolution, transposed linear. */
static void fill_w(int layout) {
	nn_gemm *g = &p.g;
	int64_t ns = g->k * g->taps, ts = g->k, ks = 1;
	if (layout == 1) {
		ts = 1;
		ks = g->taps;
	} else if (layout == 2) {
		ns = 1;
		ks = g->n;
		ts = g->n * g->k;
	}
	int64_t all = g->n * g->k * g->taps;
	float *w = fence_input(&fence_w, (size_t)all * 4);
	for (int64_t i = 0; i < all; i++)
		w[i] = p.type == S8 && p.extreme ? (random_bits() & 1 ? 3 : -3) : element_value(i, p.extreme) * 0.5f;
	for (int64_t n = 0; n < g->n; n++)
		for (int tap = 0; tap < g->taps; tap++)
			for (int64_t i = 0; i < g->k; i++)
				p.w[(n * g->taps + tap) * g->k + i] = w[n * ns + tap * ts + i * ks];
	for (int t = 0; t < 2; t++) {
		const nn_gemm_family *f = family_of(t ? k : truth, p.type);
		p.packed[t] = fence_input(t ? &fence_b : &fence_x, (size_t)packed_bytes(f, g->n, g->k, g->taps));
		memset(p.packed[t], 0xff, (size_t)packed_bytes(f, g->n, g->k, g->taps));
		f->pack(w, g->n, g->k, g->taps, ns, ts, ks, p.packed[t], p.type == S8 ? p.b_scale[t] : NULL, p.type == S8 ? p.colsum[t] : NULL);
	}
}

/* Fills everything for p.g's extents and strides. */
static void fill_problem(int type, int layout, int extreme) {
	nn_gemm *g = &p.g;
	p.type = type;
	p.extreme = extreme;
	fill_a();
	fill_w(layout);
	for (int64_t i = 0; i < g->m; i++) {
		p.a_scale[i] = uniform(0.001f, 0.1f);
		p.row_scale[i] = uniform(0.1f, 2);
	}
	for (int64_t i = 0; i < g->n; i++)
		p.bias[i] = normal();
	if (type == S8)
		g->a_scale = p.a_scale;
}

static void make_problem(int type, int64_t m, int64_t n, int64_t depth, int taps, int layout, int extreme) {
	int64_t size = element_bytes[type];
	p.g = (nn_gemm){ .m = m, .n = n, .k = depth, .taps = taps, .row_bytes = (depth + random_bits() % 5) * size, .out_scale = 1 };
	if (taps == 1 && random_bits() % 6 == 0) /* rows that share a set of the cache are copied */
		p.g.row_bytes = 4096 * (1 + random_bits() % 2);
	if (taps > 1) { /* overlapping rows of a convolution of stride 1 or 2 */
		p.g.tap_bytes = (depth + random_bits() % 2) * size * (1 + random_bits() % 3);
		p.g.row_bytes = depth * size * (1 + random_bits() % 2);
	}
	fill_problem(type, layout, extreme);
}

/* A convolution with one output channel; `flat`: all its taps as one long row. */
static void make_column(int type, int64_t m, int64_t depth, int taps, int dilation, int flat) {
	int64_t row = depth * element_bytes[type];
	p.g = (nn_gemm){ .m = m, .n = 1, .k = depth, .taps = taps, .row_bytes = row, .tap_bytes = dilation * row, .out_scale = 1 };
	if (flat) {
		p.g.k *= taps;
		p.g.taps = 1;
	}
	fill_problem(type, 0, 0);
}

/* Which optional parts of the epilogue: bits. */
enum { BIAS = 1, ROW_SCALE = 2, RESIDUAL = 4, OUT_SCALE = 8, C_BF16 = 16, C2 = 32, C2_BF16 = 64, NO_C = 128, ACT = 256 };

static void set_epilogue(unsigned bits, nn_act act, nn_act act2) {
	nn_gemm *g = &p.g;
	g->bias = bits & BIAS ? p.bias : NULL;
	g->row_scale = bits & ROW_SCALE && p.type != S8 ? p.row_scale : NULL;
	g->residual = bits & RESIDUAL ? p.residual : NULL;
	g->residual_stride = g->n + 3;
	g->out_scale = bits & OUT_SCALE ? 0.7f : 1;
	g->c_store = bits & C_BF16 ? NN_STORE_BF16 : NN_STORE_F32;
	g->c2_store = bits & C2_BF16 ? NN_STORE_BF16 : NN_STORE_F32;
	g->act = bits & ACT ? act : NN_IDENTITY;
	g->act_param = 0.1f;
	g->act2 = act2;
	g->act2_param = 0.2f;
	g->c_stride = g->n + random_bits() % 3;
	g->c2_stride = g->n + random_bits() % 20;
}

typedef struct output { float c[MOST_C], c2[MOST_C]; } output;

static int untouched(const unsigned char *row, int64_t used, int64_t all) {
	for (int64_t i = used; i < all; i++)
		if (row[i] != 0x5a)
			return 0;
	return 1;
}

/* Runs p with table t (0: scalar) and leaves [m, n] floats. */
static void run_problem(result *r, int t, unsigned bits, output *out) {
	nn_gemm g = p.g;
	int64_t size = bits & C_BF16 ? 2 : 4, size2 = bits & C2_BF16 ? 2 : 4;
	g.c = fence_output(&fence_c, (size_t)(g.m * g.c_stride * size), random_bits() % 16 * 4);
	g.c2 = fence_output(&fence_c2, (size_t)(g.m * g.c2_stride * size2), random_bits() % 16 * 4);
	unsigned char *c = g.c, *c2 = g.c2;
	if (bits & NO_C)
		g.c = NULL;
	if (!(bits & C2))
		g.c2 = NULL;
	g.b = p.packed[t];
	if (p.type == S8) {
		g.b_scale = p.b_scale[t];
		g.b_colsum = p.colsum[t];
	}
	family_of(t ? k : truth, p.type)->run(&g);
	check_that(r, fence_whole(&fence_c) && fence_whole(&fence_c2), "wrote outside", g.n);
	for (int64_t m = 0; m < g.m; m++) {
		int64_t row = g.c_stride * size, row2 = g.c2_stride * size2;
		check_that(r, untouched(c + m * row, g.c ? g.n * size : 0, row), "wrote between rows of c", g.n);
		check_that(r, untouched(c2 + m * row2, g.c2 ? g.n * size2 : 0, row2), "wrote between rows of c2", g.n);
		for (int64_t n = 0; n < g.n; n++) {
			out->c[m * g.n + n] = g.c ? nn_load(g.c, g.c_store, m * g.c_stride + n) : 0;
			out->c2[m * g.n + n] = g.c2 ? nn_load(g.c2, g.c2_store, m * g.c2_stride + n) : 0;
		}
	}
}

static output got, wanted, again;

static void typed_case_end(const result *r, const char *isa, int type, const char *what) {
	char name[60];
	snprintf(name, sizeof name, "%s %s", type_names[type], what);
	case_end(r, isa, name);
}

static void describe(char *text, size_t size, const char *what) {
	snprintf(text, size, "%s: m %lld n %lld k %lld taps %d act %d", what, (long long)p.g.m, (long long)p.g.n, (long long)p.g.k, p.g.taps,
	         (int)p.g.act);
}

/* bf16 and int8 have the same sums to the bit; f32 rounds less often where multiply-add is fused. */
static void compare(result *r, unsigned bits) {
	char text[120];
	describe(text, sizeof text, "value");
	double depth = (double)p.g.k * p.g.taps;
	for (int64_t i = 0; i < p.g.m * p.g.n; i++) {
		double sums = p.type == F32 ? 2e-7 * (4 + depth) : 0;
		double bound = sums + 1e-6 + 2e-6 * fabs(wanted.c[i]) + (bits & C_BF16 ? fabs(wanted.c[i]) / 128 : 0);
		double bound2 = sums + 1e-6 + 2e-6 * fabs(wanted.c2[i]) + (bits & C2_BF16 ? fabs(wanted.c2[i]) / 128 : 0);
		check_near(r, got.c[i], wanted.c[i], bound, text, p.g.n, i);
		check_near(r, got.c2[i], wanted.c2[i], bound2, text, p.g.n, i);
	}
}

/* ---- cases ---- */

static int64_t random_extent(int64_t most) {
	int64_t x = 1 + random_bits() % (uint32_t)most;
	return random_bits() % 3 ? x : 1 + (x - 1) % 9;
}

static void test_epilogues(const char *isa, int type) {
	static const nn_act acts[] = { NN_RELU, NN_LEAKY_RELU, NN_GELU, NN_GELU_TANH, NN_SILU, NN_TANH, NN_SIGMOID, NN_ABS, NN_NEG,
	                               NN_CLAMP_MIN };
	static const unsigned usual[] = { /* of models */
		0, BIAS, BIAS | C_BF16, BIAS | ACT, BIAS | ACT | C_BF16, BIAS | RESIDUAL, BIAS | RESIDUAL | C2, BIAS | RESIDUAL | C2 | C2_BF16,
		BIAS | C2, BIAS | C2 | C2_BF16, BIAS | C2 | C2_BF16 | NO_C, ROW_SCALE | C_BF16,
	};
	result r = { 0 };
	for (int i = 0; i < 300; i++) {
		make_problem(type, random_extent(60), random_extent(70), random_extent(80), 1 + (i % 3 ? 0 : (int)(random_bits() % 5)), i % 3, 0);
		if (type != S8) /* keeps what activations see within a few units */
			for (int64_t m = 0; m < p.g.m; m++)
				p.row_scale[m] = uniform(0.05f, 0.2f);
		unsigned bits = i % 2 ? random_bits() % 512 : usual[i / 2 % 12];
		set_epilogue(bits, i % 2 ? acts[random_bits() % 10] : NN_GELU, i % 2 ? acts[random_bits() % 10] : NN_LEAKY_RELU);
		run_problem(&r, 0, bits, &wanted);
		run_problem(&r, 1, bits, &got);
		compare(&r, bits);
	}
	typed_case_end(&r, isa, type, "product with epilogue");
}

static void test_every_size(const char *isa, int type) {
	result r = { 0 };
	for (int64_t m = 1; m <= 60; m++)
		for (int64_t n = 1; n <= 70; n += m < 18 ? 1 : 13) {
			make_problem(type, m, n, 1 + random_bits() % 23, 1 + (random_bits() % 4 == 0), (int)(m % 3), 0);
			set_epilogue(0, NN_IDENTITY, NN_IDENTITY);
			run_problem(&r, 0, 0, &wanted);
			run_problem(&r, 1, 0, &got);
			compare(&r, 0);
			if (type != F32)
				check_that(&r, !memcmp(got.c, wanted.c, (size_t)(m * n) * 4), "not the same bits", n);
		}
	for (int64_t depth = 1; depth <= 200; depth++) {
		make_problem(type, random_extent(30), random_extent(300), depth, 1 + (int)(random_bits() % 3), (int)(depth % 3), depth % 5 == 0);
		set_epilogue(0, NN_IDENTITY, NN_IDENTITY);
		run_problem(&r, 0, 0, &wanted);
		run_problem(&r, 1, 0, &got);
		if (!p.extreme)
			compare(&r, 0);
		if (type != F32)
			check_that(&r, !memcmp(got.c, wanted.c, (size_t)(p.g.m * p.g.n) * 4), "not the same bits", depth);
	}
	typed_case_end(&r, isa, type, "product, every size");
}

/* Every element has the same bits whatever rows and columns are computed with it. */
static void test_blocks(const char *isa, int type) {
	result r = { 0 };
	const nn_gemm_family *f = family_of(k, type);
	for (int i = 0; i < 60; i++) {
		int64_t all_m = 1 + random_bits() % 60, all_n = 1 + random_bits() % 300;
		make_problem(type, all_m, all_n, 1 + random_bits() % 120, 1 + (int)(random_bits() % 2), i % 3, 0);
		unsigned bits = i % 2 ? BIAS | ACT | RESIDUAL : 0;
		set_epilogue(bits, NN_GELU, NN_IDENTITY);
		run_problem(&r, 1, bits, &got);
		int64_t panel = packed_bytes(f, f->nr, p.g.k, p.g.taps);
		for (int64_t m = 0, rows; m < all_m; m += rows) {
			rows = i < 10 ? 1 : 1 + random_bits() % 20;
			rows = rows < all_m - m ? rows : all_m - m;
			for (int64_t n = 0, cols; n < all_n; n += cols) {
				cols = f->nr * (1 + random_bits() % 5);
				cols = cols < all_n - n ? cols : all_n - n;
				nn_gemm g = p.g;
				g.m = rows;
				g.n = cols;
				g.a = (const char *)g.a + m * g.row_bytes;
				g.b = (const char *)p.packed[1] + n / f->nr * panel;
				g.a_scale = g.a_scale ? g.a_scale + m : NULL;
				g.b_scale = p.b_scale[1] + n;
				g.b_colsum = p.colsum[1] + n;
				g.bias = g.bias ? g.bias + n : NULL;
				g.residual = g.residual ? g.residual + m * g.residual_stride + n : NULL;
				g.c = again.c + m * all_n + n;
				g.c_stride = all_n;
				f->run(&g);
			}
		}
		check_that(&r, !memcmp(again.c, got.c, (size_t)(all_m * all_n) * 4), "blocks change bits", all_n);
	}
	typed_case_end(&r, isa, type, "product in blocks");
}

/* One column, which has a form of its own, against scalar C and against the same column among others. */
static void test_column(const char *isa, int type) {
	result r = { 0 };
	const nn_gemm_family *f = family_of(k, type);
	for (int i = 0; i < 150; i++) {
		int64_t m = i < 75 ? i + 1 : 1 + (int64_t)(random_bits() % MOST_M);
		make_column(type, m, 1 + random_bits() % (i % 2 ? 40 : 80), 1 + (int)(random_bits() % 7), 1 + (int)(random_bits() % 5), i % 3 == 0);
		unsigned bits = i % 4 ? random_bits() % 512 & ~(unsigned)ROW_SCALE : 0;
		set_epilogue(bits, NN_TANH, NN_LEAKY_RELU);
		p.g.c_stride = p.g.c2_stride = p.g.residual_stride = 1;
		run_problem(&r, 0, bits, &wanted);
		run_problem(&r, 1, bits, &got);
		compare(&r, bits);
		if (bits)
			continue;
		nn_gemm g = p.g;
		g.b = p.packed[1];
		g.b_scale = p.b_scale[1];
		g.b_colsum = p.colsum[1];
		g.c = again.c;
		g.c_stride = 2; /* not the form of its own */
		f->run(&g);
		for (int64_t j = 0; j < m; j++)
			check_that(&r, !memcmp(&again.c[2 * j], &got.c[j], 4), "other bits than among rows", m);
	}
	typed_case_end(&r, isa, type, "product of one column");
}

static void test_packing(const char *isa, int type) {
	result r = { 0 };
	const nn_gemm_family *f = family_of(k, type);
	for (int i = 0; i < 200; i++) {
		int64_t rows = random_extent(130), cols = random_extent(130), stride = cols + random_bits() % 9;
		nn_store store = i % 2 ? NN_STORE_BF16 : NN_STORE_F32;
		void *x = fence_input(&fence_w, (size_t)((rows - 1) * stride + cols) * (store == NN_STORE_F32 ? 4 : 2));
		for (int64_t j = 0; j < (rows - 1) * stride + cols; j++)
			nn_save(x, store, j, normal());
		for (int values = 0; values < 2; values++) {
			size_t bytes = (size_t)packed_bytes(f, values ? cols : rows, values ? rows : cols, 1);
			unsigned char *one = fence_output(&fence_c, bytes, 0), *two = fence_output(&fence_c2, bytes, 0);
			(values ? truth->pack_values : truth->pack_keys)(f, x, store, rows, cols, stride, one);
			(values ? k->pack_values : k->pack_keys)(f, x, store, rows, cols, stride, two);
			check_that(&r, fence_whole(&fence_c2), "wrote outside", rows);
			check_that(&r, !memcmp(one, two, bytes), values ? "other values" : "other keys", rows);
		}
	}
	typed_case_end(&r, isa, type, "keys and values packed");
}

static void test_scales(const char *isa) {
	result r = { 0 };
	for (int i = 0; i < 60; i++) {
		make_problem(S8, 1, 1 + random_bits() % 70, 1 + random_bits() % 90, 1 + (int)(random_bits() % 3), i % 3, 0);
		check_that(&r, !memcmp(p.b_scale[0], p.b_scale[1], (size_t)p.g.n * 4), "other scales", p.g.n);
		check_that(&r, !memcmp(p.colsum[0], p.colsum[1], (size_t)p.g.n * 4), "other sums", p.g.n);
	}
	float w[3 * 5] = { 0, 0, 0, 0, 0, NAN, 1, 2, -4, 1, INFINITY, 1, 2, 3, -INFINITY }, scale[3];
	int32_t colsum[3];
	void *packed = fence_input(&fence_b, (size_t)packed_bytes(&k->s8, 3, 5, 1));
	k->s8.pack(w, 3, 5, 1, 5, 0, 1, packed, scale, colsum);
	check_that(&r, scale[0] == 1 && colsum[0] == 0, "a column of zeros", 3);
	check_that(&r, scale[1] == 4.0f / 127, "a column with a NaN", 3);
	case_end(&r, isa, "int8 scales and column sums");
}

/* ---- scalar C against the formula ---- */

static double a_value(int64_t m, int tap, int64_t i) {
	const unsigned char *at = (const unsigned char *)p.g.a + m * p.g.row_bytes + tap * p.g.tap_bytes + i * element_bytes[p.type];
	if (p.type == S8)
		return ((int)*at - 128) * (double)p.a_scale[m];
	return nn_load(at, p.type == F32 ? NN_STORE_F32 : NN_STORE_BF16, 0);
}

static double formula(int64_t m, int64_t n) {
	double sum = 0;
	for (int tap = 0; tap < p.g.taps; tap++)
		for (int64_t i = 0; i < p.g.k; i++) {
			double w = p.w[(n * p.g.taps + tap) * p.g.k + i];
			if (p.type == BF16)
				w = nn_bf16_get(nn_bf16_put((float)w));
			if (p.type == S8)
				w = lrint(w / (double)p.b_scale[0][n]) * (double)p.b_scale[0][n];
			sum += w * a_value(m, tap, i);
		}
	if (p.g.row_scale)
		sum *= p.row_scale[m];
	if (p.g.bias)
		sum += p.bias[n];
	sum = nn_act_apply(p.g.act, p.g.act_param, (float)sum);
	return (sum + (p.g.residual ? p.residual[m * p.g.residual_stride + n] : 0)) * (double)p.g.out_scale;
}

static void test_scalar(int type) {
	result r = { 0 };
	for (int i = 0; i < 60; i++) {
		make_problem(type, random_extent(20), random_extent(40), random_extent(60), 1 + (int)(random_bits() % 3), i % 3, 0);
		unsigned bits = random_bits() % 16 | (random_bits() & ACT);
		set_epilogue(bits, NN_SILU, NN_IDENTITY);
		run_problem(&r, 0, bits, &got);
		for (int64_t m = 0; m < p.g.m; m++)
			for (int64_t n = 0; n < p.g.n; n++)
				check_near(&r, got.c[m * p.g.n + n], formula(m, n), 1e-4 + 1e-5 * fabs(formula(m, n)), "formula", p.g.n, n);
	}
	typed_case_end(&r, "scalar", type, "against the formula");
}

static void test_table(const char *isa) {
	for (int type = F32; type <= S8; type++) {
		test_every_size(isa, type);
		test_epilogues(isa, type);
		test_blocks(isa, type);
		test_column(isa, type);
		if (type != S8)
			test_packing(isa, type);
	}
	test_scales(isa);
}

/* SONANT_CPU takes instruction sets away and never adds one; a name that is none changes nothing, and is told. */
static void test_mask(void) {
	result r = { 0 };
	char why[400], cut[40];
	unsigned all = nn_cpu_detect();
	check_that(&r, nn_cpu_mask_known(), "unset and unknown", 0);
	for (size_t i = 0; i < LEVEL_COUNT; i++) {
		nn_kernels table;
		setenv("SONANT_CPU", levels[i].name, 1);
		check_that(&r, nn_cpu_detect() == (all & levels[i].flags) && nn_cpu_mask_known(), levels[i].name, (int64_t)i);
		nn_kernels_fill(&table, nn_cpu_detect());
		check_that(&r, (all & levels[i].flags) != levels[i].flags || !strcmp(table.name, levels[i].name), table.name, (int64_t)i);
	}
	static const char *const wrong[] = { "", "avx", "AVX2", "avx512_", "scalar,avx2", "everything" };
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		setenv("SONANT_CPU", wrong[i], 1);
		check_that(&r, nn_cpu_detect() == all && !nn_cpu_mask_known(), wrong[i], (int64_t)i);
		nn_cpu_why(why, sizeof why);
		check_that(&r, strstr(why, "is ignored") && strstr(why, levels[LEVEL_COUNT - 1].name), "the sentence on a wrong name", (int64_t)i);
		nn_cpu_why(cut, sizeof cut);
		check_that(&r, !strncmp(cut, why, sizeof cut - 1) && strlen(cut) == sizeof cut - 1, "the sentence, cut", (int64_t)i);
	}
	unsetenv("SONANT_CPU");
	case_end(&r, "dispatch", "by SONANT_CPU");
}

static int run_bench(int argc, char **argv) {
	double peaks[3] = { 0 };
	for (int i = 0; i < 3 && i + 2 < argc; i++)
		peaks[i] = atof(argv[i + 2]);
	bench_gemm(nn_kernels_best(), peaks, argc > 5 ? argv[5] : NULL);
	return 0;
}

int main(int argc, char **argv) {
	static nn_kernels scalar, tested;
	if (argc > 1 && !strcmp(argv[1], "--bench"))
		return run_bench(argc, argv);
	nn_kernels_fill(&scalar, 0);
	nn_kernels_fill(&tested, 0);
	truth = &scalar;
	k = &tested;
	fence *all[] = { &fence_a, &fence_b, &fence_w, &fence_c, &fence_c2, &fence_x };
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		fence_open(all[i]);
	for (int64_t i = 0; i < MOST_C; i++)
		p.residual[i] = normal();
	if (!getenv("SONANT_CPU"))
		test_mask();
	for (int type = F32; type <= S8; type++) {
		test_scalar(type);
		test_blocks("scalar", type);
	}
	for (size_t i = 1; i < LEVEL_COUNT; i++)
		if (has_level(i)) {
			nn_kernels_fill(&tested, levels[i].flags);
			test_table(tested.name);
		}
	return cases_end();
}
