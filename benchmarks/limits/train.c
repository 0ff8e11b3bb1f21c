/* The limit of training INPUTS -> HIDDEN1 relu -> HIDDEN2 relu -> OUTPUTS on one core: every size a constant, everything inlined, no
   engine and no call. cc -O3 -march=native -fno-math-errno -shared -fPIC -DINPUTS=2 -DHIDDEN1=25 -DHIDDEN2=15 -DOUTPUTS=4 -DBATCH=32
   -DADAM -DSOFTMAX; other optimizers: -DRMSPROP, -DSGD; without -DSOFTMAX the loss is the mean squared error. */
#include "layers.h"
#include <stdint.h>

#define TILE1 TILE(HIDDEN1)
#define TILE2 TILE(HIDDEN2)
#define TILE3 TILE(OUTPUTS)
#define FIRST_ROWS (INPUTS < TILE_ROWS(TILE1) ? INPUTS : TILE_ROWS(TILE1)) /* kernel rows at once in the first layer's gradient */
#define ROWS1 ROUND_UP(INPUTS, FIRST_ROWS)
#define ROWS ROUND_UP(BATCH, LANES < 8 ? 8 : LANES) /* rows from the batch's end on have slope 0 */
#define BATCH_ROWS(tile) (BATCH < TILE_ROWS(tile) ? BATCH : TILE_ROWS(tile))

struct parameters {
    vec kernel1[ROWS1 * VECTORS(HIDDEN1)], bias1[VECTORS(HIDDEN1)];
    vec kernel2[PAD(HIDDEN1) * VECTORS(HIDDEN2)], bias2[VECTORS(HIDDEN2)];
    vec kernel3[PAD(HIDDEN2) * VECTORS(OUTPUTS)], bias3[VECTORS(OUTPUTS)];
};
#define PARAMETERS (sizeof(struct parameters) / sizeof(float))
static struct parameters value, gradient, state1, state2;
static vec turned2[PAD(HIDDEN2) * VECTORS(HIDDEN1)], turned3[PAD(OUTPUTS) * VECTORS(HIDDEN2)];
static float inputs[ROWS][ROWS1];
static vec hidden1[ROWS * VECTORS(HIDDEN1)], hidden2[ROWS * VECTORS(HIDDEN2)], logits[ROWS * VECTORS(OUTPUTS)];

#ifdef SOFTMAX
static int32_t labels[ROWS];

/* sum of the losses; logits become the slope of their mean */
INLINE float loss_and_slope(long rows) {
    double product = 1, sum = 0; /* a row's sum of exponentials is from 1 to OUTPUTS: one logarithm serves many rows */
    for (long r = 0; r < ROWS; r += LANES) {
        vec turned[PAD(OUTPUTS)], scale, total = {0}, picked = {0};
        vec top = turned_logits(logits + r * VECTORS(OUTPUTS), turned);
        ivec label = *(const ivec *)(labels + r);
        for (int i = 0; i < LANES; i++) scale[i] = r + i < rows ? 1.0f / (float)rows : 0;
        UNROLL for (int c = 0; c < OUTPUTS; c++) {
            picked += both(turned[c] - top, label == c);
            total += turned[c] = exponential(turned[c] - top);
        }
        vec factor = scale / total;
        UNROLL for (int c = 0; c < OUTPUTS; c++) turned[c] = turned[c] * factor - both(scale, label == c);
        for (int c = OUTPUTS; c < PAD(OUTPUTS); c++) turned[c] = (vec){0};
        for (int i = 0; i < LANES && r + i < rows; i++) product *= total[i], sum -= picked[i];
        if (product > 1e200) sum += log(product), product = 1;
        for (int c = 0; c < VECTORS(OUTPUTS); c++) {
            transpose(turned + c * LANES);
            for (int i = 0; i < LANES; i++) logits[(r + i) * VECTORS(OUTPUTS) + c] = turned[c * LANES + i];
        }
    }
    return (float)(sum + log(product));
}
#else
static float targets[ROWS][OUTPUTS];

INLINE float loss_and_slope(long rows) {
    float sum = 0, (*out)[PAD(OUTPUTS)] = (float(*)[PAD(OUTPUTS)])logits;
    for (long r = 0; r < ROWS; r++)
        for (int c = 0; c < OUTPUTS; c++) {
            float error = r < rows ? out[r][c] - targets[r][c] : 0;
            sum += error * error / OUTPUTS;
            out[r][c] = 2 * error / (float)(rows * OUTPUTS);
        }
    return sum;
}
#endif

INLINE void update(float rate, double step) {
    float *w = (float *)&value, *g = (float *)&gradient, *m = (float *)&state1, *v = (float *)&state2;
#if defined(ADAM)
    float alpha = (float)(rate * sqrt(1 - pow(0.999, step)) / (1 - pow(0.9, step)));
    for (unsigned i = 0; i < PARAMETERS; i++) {
        m[i] += 0.1f * (g[i] - m[i]);
        v[i] += 0.001f * (g[i] * g[i] - v[i]);
        w[i] -= alpha * m[i] / (sqrtf(v[i]) + 1e-7f);
    }
#elif defined(RMSPROP)
    for (unsigned i = 0; i < PARAMETERS; i++) {
        v[i] = 0.9f * v[i] + 0.1f * (g[i] * g[i]);
        w[i] -= rate * g[i] / sqrtf(v[i] + 1e-7f);
    }
#else
    for (unsigned i = 0; i < PARAMETERS; i++) w[i] -= rate * g[i];
#endif
    (void)m, (void)v, (void)step;
}

/* one update from `rows` rows; the sum of their losses */
INLINE float train_step(const float *x, const void *y, const int64_t *order, long rows, float rate, double step) {
    for (long r = 0; r < rows; r++) {
        for (int k = 0; k < INPUTS; k++) inputs[r][k] = x[order[r] * INPUTS + k];
#ifdef SOFTMAX
        labels[r] = ((const int32_t *)y)[order[r]];
#else
        for (int c = 0; c < OUTPUTS; c++) targets[r][c] = ((const float *)y)[order[r] * OUTPUTS + c];
#endif
    }
    long used = rows == BATCH ? BATCH : ROWS;
    dense(inputs[0], ROWS1, INPUTS, value.kernel1, ROWS1, value.bias1, VECTORS(HIDDEN1), TILE1, BATCH_ROWS(TILE1), hidden1, used, RELU);
    dense((float *)hidden1, PAD(HIDDEN1), HIDDEN1, value.kernel2, PAD(HIDDEN1), value.bias2, VECTORS(HIDDEN2), TILE2, BATCH_ROWS(TILE2), hidden2, used, RELU);
    dense((float *)hidden2, PAD(HIDDEN2), HIDDEN2, value.kernel3, PAD(HIDDEN2), value.bias3, VECTORS(OUTPUTS), TILE3, BATCH_ROWS(TILE3), logits, used, LINEAR);
    float loss = loss_and_slope(rows);
    dense_gradient((float *)hidden2, PAD(HIDDEN2), PAD(HIDDEN2), logits, VECTORS(OUTPUTS), TILE3, TILE_ROWS(TILE3), used, gradient.kernel3, gradient.bias3);
    transpose_kernel(value.kernel3, PAD(HIDDEN2), PAD(OUTPUTS), TILE3, turned3, TILE2);
    dense((float *)logits, PAD(OUTPUTS), OUTPUTS, turned3, PAD(OUTPUTS), 0, VECTORS(HIDDEN2), TILE2, BATCH_ROWS(TILE2), hidden2, used, RELU_SLOPE);
    dense_gradient((float *)hidden1, PAD(HIDDEN1), PAD(HIDDEN1), hidden2, VECTORS(HIDDEN2), TILE2, TILE_ROWS(TILE2), used, gradient.kernel2, gradient.bias2);
    transpose_kernel(value.kernel2, PAD(HIDDEN1), PAD(HIDDEN2), TILE2, turned2, TILE1);
    dense((float *)hidden2, PAD(HIDDEN2), HIDDEN2, turned2, PAD(HIDDEN2), 0, VECTORS(HIDDEN1), TILE1, BATCH_ROWS(TILE1), hidden1, used, RELU_SLOPE);
    dense_gradient(inputs[0], ROWS1, ROWS1, hidden1, VECTORS(HIDDEN1), TILE1, FIRST_ROWS, used, gradient.kernel1, gradient.bias1);
    update(rate, step);
    return loss;
}

/* `epochs` epochs from the initial weights (kernel, bias, kernel, ... row-major); `order` holds each epoch's permutation of the samples;
   labels are int32, targets float32 (samples, OUTPUTS). Returns the mean loss of the last epoch's samples. */
float train(const float *x, const void *y, const int64_t *order, const float *const *weights, int64_t samples, int64_t epochs, float rate) {
    unsigned long mode = flush_subnormals();
    double step = 0, loss = 0;
    memset(&state1, 0, sizeof state1);
    memset(&state2, 0, sizeof state2);
    pack(weights[0], INPUTS, HIDDEN1, ROWS1, VECTORS(HIDDEN1), TILE1, value.kernel1);
    pack(weights[1], 1, HIDDEN1, 1, VECTORS(HIDDEN1), 1, value.bias1);
    pack(weights[2], HIDDEN1, HIDDEN2, PAD(HIDDEN1), VECTORS(HIDDEN2), TILE2, value.kernel2);
    pack(weights[3], 1, HIDDEN2, 1, VECTORS(HIDDEN2), 1, value.bias2);
    pack(weights[4], HIDDEN2, OUTPUTS, PAD(HIDDEN2), VECTORS(OUTPUTS), TILE3, value.kernel3);
    pack(weights[5], 1, OUTPUTS, 1, VECTORS(OUTPUTS), 1, value.bias3);
    for (int64_t epoch = 0; epoch < epochs; epoch++, order += samples) {
        int64_t start = 0;
        loss = 0;
        for (; start + BATCH <= samples; start += BATCH) loss += train_step(x, y, order + start, BATCH, rate, ++step);
        if (start < samples) loss += train_step(x, y, order + start, samples - start, rate, ++step);
    }
    restore(mode);
    return (float)(loss / (double)samples);
}
