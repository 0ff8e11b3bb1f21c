"""How work is split: whole blocks, nothing twice, nothing left out."""

from __future__ import annotations

from itertools import pairwise

import pytest
from fastnn_kernels.cpu.partition import ELEMENTS, ROWS, span


@pytest.mark.parametrize("workers", [1, 2, 3, 7])
@pytest.mark.parametrize("block", [ELEMENTS, ROWS, 1])
@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 4095, 4096, 4097, 100_003])
def test_spans_cover_everything_in_whole_blocks(size: int, block: int, workers: int) -> None:
    spans = [span(size, block, worker, workers) for worker in range(workers)]
    assert spans[0][0] == 0
    assert spans[-1][1] == size
    assert all(stop == start for (_, stop), (start, _) in pairwise(spans))
    assert all(start % block == 0 or start == size for start, _ in spans)
