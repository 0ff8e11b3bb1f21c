/* Vectors of LANES floats by the compiler's own vector types (gcc and clang, any processor), and what C has no operator for. */
#ifndef VECTORS_H
#define VECTORS_H

#if defined(__AVX512F__) && (HIDDEN1 > 8 || HIDDEN2 > 8 || OUTPUTS > 8)
#define LANES 16
#elif defined(__AVX__)
#define LANES 8
#else
#define LANES 4
#endif
#if defined(__AVX512F__) || defined(__aarch64__) /* 32 vector registers, else 16 */
#define WIDEST_TILE 4
#else
#define WIDEST_TILE 2
#endif

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")
#define ROUND_UP(n, multiple) (((n) + (multiple) - 1) / (multiple) * (multiple))
#define PAD(n) ROUND_UP(n, LANES < 8 ? 8 : LANES) /* a row's floats */
#define VECTORS(n) (PAD(n) / LANES)               /* a row's vectors */

typedef float vec __attribute__((vector_size(4 * LANES), may_alias));
typedef int ivec __attribute__((vector_size(4 * LANES), may_alias));

#if LANES == 16
#define LOW_HALVES 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define HIGH_HALVES 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif LANES == 8
#define LOW_HALVES 0, 8, 1, 9, 2, 10, 3, 11
#define HIGH_HALVES 4, 12, 5, 13, 6, 14, 7, 15
#else
#define LOW_HALVES 0, 4, 1, 5
#define HIGH_HALVES 2, 6, 3, 7
#endif
#ifdef __clang__
#define INTERLEAVE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define INTERLEAVE(a, b, ...) __builtin_shuffle(a, b, (ivec){__VA_ARGS__})
#endif

INLINE vec both(vec value, ivec mask) { return (vec)((ivec)value & mask); } /* 0 where the mask is 0 */
INLINE vec larger(vec a, vec b) {
    ivec mask = a > b;
    return (vec)(((ivec)a & mask) | ((ivec)b & ~mask));
}

/* LANES x LANES floats in place. Interleaving rows i and i + LANES / 2, log2(LANES) times, is a transpose. */
INLINE void transpose(vec *rows) {
    for (int round = 1; round < LANES; round *= 2) {
        vec next[LANES];
        UNROLL for (int i = 0; i < LANES / 2; i++) {
            next[2 * i] = INTERLEAVE(rows[i], rows[i + LANES / 2], LOW_HALVES);
            next[2 * i + 1] = INTERLEAVE(rows[i], rows[i + LANES / 2], HIGH_HALVES);
        }
        UNROLL for (int i = 0; i < LANES; i++) rows[i] = next[i];
    }
}

/* exp(x), x <= 0: 2**n by the exponent's bits, the rest by Cephes's polynomial; within 2 ulp. */
INLINE vec exponential(vec x) {
    const float shift = 12582912.0f; /* 1.5 * 2**23: adding it rounds to whole numbers */
    x = larger(x, x * 0 - 87.0f);
    vec n = (x * 1.44269504f + shift) - shift;
    vec r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    vec p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 0.5f;
    p = p * (r * r) + r + 1.0f;
    return (vec)((ivec)p + (__builtin_convertvector(n, ivec) << 23));
}

/* Subnormals count as 0 between the two calls; the caller's state comes back. */
#ifdef __SSE__
#include <xmmintrin.h>
INLINE unsigned long flush_subnormals(void) {
    unsigned state = _mm_getcsr();
    _mm_setcsr(state | 0x8040);
    return state;
}
INLINE void restore(unsigned long state) { _mm_setcsr((unsigned)state); }
#elif defined(__aarch64__)
INLINE unsigned long flush_subnormals(void) {
    unsigned long state;
    __asm__ volatile("mrs %0, fpcr" : "=r"(state));
    __asm__ volatile("msr fpcr, %0" ::"r"(state | 1ul << 24));
    return state;
}
INLINE void restore(unsigned long state) { __asm__ volatile("msr fpcr, %0" ::"r"(state)); }
#else
INLINE unsigned long flush_subnormals(void) { return 0; }
INLINE void restore(unsigned long state) { (void)state; }
#endif
#endif
