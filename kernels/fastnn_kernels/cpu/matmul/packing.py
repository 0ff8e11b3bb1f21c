"""Packing: blocks of a and b copied into scratch memory in the order in which the micro-kernel reads them."""

from __future__ import annotations

from fastnn_kernels.cpu.options import kernel


@kernel
def pack_b(b, b_start, b_row, b_column, depth, columns, width, packed, packed_start):
    """Panels of ``width`` columns, one after the other; in a panel the rows p follow each other; the last one is padded with 0.

    b[p, j], at ``b_start + p * b_row + j * b_column``, goes to ``(j // width) * width * depth + p * width + j % width``.
    """
    zero = b.dtype.type(0)
    panel = 0
    while panel < columns:
        inside = min(width, columns - panel)
        to = packed_start + panel * depth
        start = b_start + panel * b_column
        if b_column == 1:
            for p in range(depth):
                for j in range(inside):
                    packed[to + p * width + j] = b[start + p * b_row + j]
        else:
            for j in range(inside):
                for p in range(depth):
                    packed[to + p * width + j] = b[start + p * b_row + j * b_column]
        if inside < width:
            for p in range(depth):
                for j in range(inside, width):
                    packed[to + p * width + j] = zero
        panel += width


@kernel
def pack_a(a, a_start, a_row, a_column, rows, depth, height, packed, packed_start):
    """Panels of ``height`` rows; in a panel the columns p follow each other. The last panel's missing rows are left out.

    a[i, p], at ``a_start + i * a_row + p * a_column``, goes to ``(i // height) * height * depth + p * height + i % height``.
    """
    panel = 0
    while panel < rows:
        inside = min(height, rows - panel)
        to = packed_start + panel * depth
        start = a_start + panel * a_row
        for p in range(depth):
            for i in range(inside):
                packed[to + p * height + i] = a[start + i * a_row + p * a_column]
        panel += height
