/* Dense layers of fixed sizes. Activations are rows of PAD(width) floats, 0 beyond the width. A kernel (inputs, outputs) is stored in
   panels of TILE(outputs) vectors, each (inputs, TILE) without gaps, so that a product reads memory in order. */
#ifndef LAYERS_H
#define LAYERS_H
#include "vectors.h"
#include <math.h>
#include <string.h>

/* Vectors a panel holds, and the rows that fill the registers beside it. */
#define TILE(outputs)                                                                                                                     \
    (VECTORS(outputs) % 4 == 0 && WIDEST_TILE == 4 ? 4 : VECTORS(outputs) % 2 == 0 ? 2 : 1)
#define TILE_ROWS(tile) ((tile) == 1 ? 8 : 4)

enum activation { LINEAR, RELU, RELU_SLOPE };

/* acc[q][j] += sum over k < depth of a[q * row + k * step] * b[k * width + j] */
INLINE void product(const float *a, long row, long step, long depth, const vec *b, long width, int rows, int tile, vec acc[8][8]) {
    for (long k = 0; k < depth; k++) {
        vec line[8];
        UNROLL for (int j = 0; j < tile; j++) line[j] = b[k * width + j];
        UNROLL for (int q = 0; q < rows; q++) {
            float scalar = a[q * row + k * step];
            UNROLL for (int j = 0; j < tile; j++) acc[q][j] += scalar * line[j];
        }
    }
}

/* out = activation(x @ kernel + bias), a panel of the kernel holding kernel_rows >= inputs rows;
   RELU_SLOPE: 0 where out, before it is overwritten, is not above 0 */
INLINE void dense(const float *x, long row, int inputs, const vec *kernel, int kernel_rows, const vec *bias, int vectors, int tile,
                  int tile_rows, vec *out, long rows, enum activation activation) {
    const vec zero = {0};
    for (int c = 0; c < vectors; c += tile)
        for (long r = 0; r < rows; r += tile_rows) {
            vec acc[8][8];
            UNROLL for (int q = 0; q < tile_rows; q++) UNROLL for (int j = 0; j < tile; j++) acc[q][j] = bias ? bias[c + j] : zero;
            product(x + r * row, row, 1, inputs, kernel + (long)c * kernel_rows, tile, tile_rows, tile, acc);
            UNROLL for (int q = 0; q < tile_rows; q++) UNROLL for (int j = 0; j < tile; j++) {
                vec *to = out + (r + q) * vectors + c + j;
                if (activation == RELU_SLOPE) *to = both(acc[q][j], *to > zero);
                else *to = activation == RELU ? both(acc[q][j], acc[q][j] > zero) : acc[q][j];
            }
        }
}

/* gradient of the kernel, x^T @ slope, and of the bias, the sums of slope's columns */
INLINE void dense_gradient(const float *x, long row, int inputs, const vec *slope, int vectors, int tile, int tile_inputs, long rows,
                           vec *kernel, vec *bias) {
    for (int c = 0; c < vectors; c += tile)
        for (int k = 0; k < inputs; k += tile_inputs) {
            vec acc[8][8] = {{{0}}};
            product(x + k, 1, row, rows, slope + c, vectors, tile_inputs, tile, acc);
            UNROLL for (int q = 0; q < tile_inputs; q++) UNROLL for (int j = 0; j < tile; j++)
                kernel[(long)c * inputs + (k + q) * tile + j] = acc[q][j];
        }
    for (int c = 0; c < vectors; c++) {
        vec sum = {0};
        for (long r = 0; r < rows; r++) sum += slope[r * vectors + c];
        bias[c] = sum;
    }
}

/* the panels of kernel^T (outputs, inputs) from those of kernel (inputs, outputs), both sides padded */
INLINE void transpose_kernel(const vec *kernel, int inputs, int outputs, int tile, vec *out, int out_tile) {
    for (int k = 0; k < inputs; k += LANES)
        for (int c = 0; c < outputs / LANES; c++) {
            vec block[LANES];
            int panel = c / tile * tile, to = k / LANES / out_tile * out_tile;
            for (int i = 0; i < LANES; i++) block[i] = kernel[(long)panel * inputs + (k + i) * tile + c % tile];
            transpose(block);
            for (int i = 0; i < LANES; i++) out[(long)to * outputs + (c * LANES + i) * out_tile + k / LANES % out_tile] = block[i];
        }
}

/* kernel (inputs, outputs) row-major, into panels of padded (rows, vectors) */
static void pack(const float *kernel, int inputs, int outputs, int rows, int vectors, int tile, vec *out) {
    memset(out, 0, sizeof(vec) * rows * vectors);
    for (int k = 0; k < inputs; k++)
        for (int c = 0; c < outputs; c++) {
            int panel = c / LANES / tile * tile;
            ((float *)(out + (long)panel * rows + (long)k * tile + c / LANES % tile))[c % LANES] = kernel[(long)k * outputs + c];
        }
}

/* LANES rows of logits, turned so that the rows lie in the lanes: one vector a class; returns the rows' largest */
INLINE vec turned_logits(const vec *logits, vec *turned) {
    for (int c = 0; c < VECTORS(OUTPUTS); c++) {
        for (int i = 0; i < LANES; i++) turned[c * LANES + i] = logits[i * VECTORS(OUTPUTS) + c];
        transpose(turned + c * LANES);
    }
    vec top = turned[0];
    UNROLL for (int c = 1; c < OUTPUTS; c++) top = larger(turned[c], top);
    return top;
}
#endif
