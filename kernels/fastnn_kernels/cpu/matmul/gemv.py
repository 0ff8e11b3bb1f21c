"""Products of few rows: panels of b that fill the registers, read where they lie, at the speed of memory.

The tile of other products reads 128 bytes of a row of b and goes on to the next row, often on another page, and computes eight
rows where there is one. Here one row's sums fill half of the registers (AVX-512): 1 KiB of each row of b in turn. The terms are
added as there, in the order of p and in blocks of KC, so a row has the same bits alone and among others.
"""

from __future__ import annotations

from typing import Any

from fastnn_kernels.cpu.matmul.blocking import AVX512, KC, PLAIN, Tile
from fastnn_kernels.cpu.matmul.micro_kernel import ADD, plain_tile, vector_tile_of
from fastnn_kernels.cpu.matmul.vectors import TILE, tile_columns
from fastnn_kernels.cpu.options import kernel

FEW_ROWS = 2
"""Three rows are as fast in the tile of other products."""

VECTORS = TILE.vectors
"""Vectors of columns in that tile."""

LONG, SHORT = (16, 8) if TILE is AVX512 else (8, 4)
"""Vectors of columns in a panel of one row and in a panel of FEW_ROWS. More spill, with 32 registers on NEON too: it loads all of b
before it multiplies."""


def panel_of(rows: int, vectors: int) -> Any:
    """A micro-kernel for whole vectors, which need no masks."""
    return (
        plain_tile
        if TILE is PLAIN
        else vector_tile_of(Tile(rows, vectors, TILE.vector_bytes, masks=False), vectors, whole_columns=True)
    )


long_panel, short_panel = panel_of(1, LONG), panel_of(FEW_ROWS, SHORT)


@kernel
def few_rows(a, a_steps, b, b_steps, terms, out, n, part, bias, flags, slope):
    """Compute the columns of ``part`` that fill whole panels, for at most FEW_ROWS rows; returns where the others begin."""
    row_start, row_stop, j, column_stop = part
    rows, lanes = row_stop - row_start, tile_columns(out) // VECTORS
    while b_steps[1] == 1 and j + SHORT * lanes <= column_stop:
        long = rows == 1 and j + LONG * lanes <= column_stop
        out_at = (row_start * n + j, n)
        for p in range(0, terms, KC):
            depth = min(KC, terms - p)
            now = (flags & ADD if p == 0 else ADD) | (flags & ~ADD if p + depth == terms else 0)
            a_at = (row_start * a_steps[0] + p * a_steps[1], a_steps[0], a_steps[1])
            b_at = (p * b_steps[0] + j, b_steps[0])
            if long:
                long_panel(depth, a, a_at, b, b_at, out, out_at, (1, LONG * lanes), bias, j, now, slope)
            else:
                short_panel(depth, a, a_at, b, b_at, out, out_at, (rows, SHORT * lanes), bias, j, now, slope)
        j += LONG * lanes if long else SHORT * lanes
    return j
