/* The limit of INPUTS -> HIDDEN1 relu -> HIDDEN2 relu -> OUTPUTS on ROWS rows, softmax with -DSOFTMAX: see train.c. */
#include "layers.h"
#include <stdint.h>

#define TILE1 TILE(HIDDEN1)
#define TILE2 TILE(HIDDEN2)
#define TILE3 TILE(OUTPUTS)
#define PADDED_ROWS ROUND_UP(ROWS, LANES < 8 ? 8 : LANES)
#define TILE_OF_ROWS(tile) (ROWS % TILE_ROWS(tile) == 0 ? TILE_ROWS(tile) : 1)

static vec kernel1[INPUTS * VECTORS(HIDDEN1)], kernel2[HIDDEN1 * VECTORS(HIDDEN2)], kernel3[HIDDEN2 * VECTORS(OUTPUTS)];
static vec bias1[VECTORS(HIDDEN1)], bias2[VECTORS(HIDDEN2)], bias3[VECTORS(OUTPUTS)];
static vec hidden1[PADDED_ROWS * VECTORS(HIDDEN1)], hidden2[PADDED_ROWS * VECTORS(HIDDEN2)], logits[PADDED_ROWS * VECTORS(OUTPUTS)];

/* kernel, bias, kernel, ... row-major */
void load(const float *const *weights) {
    pack(weights[0], INPUTS, HIDDEN1, INPUTS, VECTORS(HIDDEN1), TILE1, kernel1);
    pack(weights[1], 1, HIDDEN1, 1, VECTORS(HIDDEN1), 1, bias1);
    pack(weights[2], HIDDEN1, HIDDEN2, HIDDEN1, VECTORS(HIDDEN2), TILE2, kernel2);
    pack(weights[3], 1, HIDDEN2, 1, VECTORS(HIDDEN2), 1, bias2);
    pack(weights[4], HIDDEN2, OUTPUTS, HIDDEN2, VECTORS(OUTPUTS), TILE3, kernel3);
    pack(weights[5], 1, OUTPUTS, 1, VECTORS(OUTPUTS), 1, bias3);
}

/* x (ROWS, INPUTS) -> out (ROWS, OUTPUTS) */
void infer(const float *x, float *out) {
    dense(x, INPUTS, INPUTS, kernel1, INPUTS, bias1, VECTORS(HIDDEN1), TILE1, TILE_OF_ROWS(TILE1), hidden1, ROWS, RELU);
    dense((float *)hidden1, PAD(HIDDEN1), HIDDEN1, kernel2, HIDDEN1, bias2, VECTORS(HIDDEN2), TILE2, TILE_OF_ROWS(TILE2), hidden2, ROWS, RELU);
    dense((float *)hidden2, PAD(HIDDEN2), HIDDEN2, kernel3, HIDDEN2, bias3, VECTORS(OUTPUTS), TILE3, TILE_OF_ROWS(TILE3), logits, ROWS, LINEAR);
#ifdef SOFTMAX
    for (long r = 0; r < ROWS; r += LANES) {
        vec turned[PAD(OUTPUTS)], total = {0};
        vec top = turned_logits(logits + r * VECTORS(OUTPUTS), turned);
        UNROLL for (int c = 0; c < OUTPUTS; c++) total += turned[c] = exponential(turned[c] - top);
        for (int i = 0; i < LANES && r + i < ROWS; i++)
            for (int c = 0; c < OUTPUTS; c++) out[(r + i) * OUTPUTS + c] = turned[c][i] / total[i];
    }
#else
    for (long r = 0; r < ROWS; r++) memcpy(out + r * OUTPUTS, logits + r * VECTORS(OUTPUTS), sizeof(float) * OUTPUTS);
#endif
}
