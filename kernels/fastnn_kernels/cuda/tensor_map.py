"""What the tensor memory accelerator is told of a matrix."""

from __future__ import annotations

from dataclasses import dataclass

BOX_COLUMNS = 64
"""Of a box: 128 bytes, a line of swizzled shared memory."""


@dataclass(frozen=True, slots=True)
class TensorMap:
    """A C-contiguous matrix of numbers of 16 bits at ``address``, copied in boxes of ``box_rows`` x 64, swizzled by 128
    bytes.

    The address, and the bytes of a row, are multiples of 16.
    """

    address: int
    rows: int
    columns: int
    box_rows: int
