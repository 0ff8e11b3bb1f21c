"""What kernels build on: sums over a block, 128-bit loads, tiles of a warp; the simulator that finds a forgotten barrier."""

import numpy as np
import pytest
from fastnn_kernels.cuda import SIMULATED

pytestmark = pytest.mark.skipif(not SIMULATED, reason="device functions are called from Python in the simulator alone")


@pytest.fixture
def run():
    from fastnn_kernels.cuda.simulator import run_blocks

    def run(function, threads=32, blocks=1):
        run_blocks(function, blocks, threads, ())

    return run


@pytest.fixture(params=[1, 2, 8], ids=lambda warps: f"{warps} warps")
def block(request, monkeypatch):
    from fastnn_kernels.cuda import block

    monkeypatch.setattr(block, "WARPS", request.param)
    monkeypatch.setattr(block, "THREADS", 32 * request.param)
    return block


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sums_and_maxima_of_a_block(run, block, dtype):
    values = np.random.default_rng(0).normal(size=block.THREADS).astype(dtype)
    sums, largest = np.zeros((2, block.THREADS), dtype), np.zeros((2, block.THREADS), dtype)

    def function():
        me = block.thread()
        for turn in (0, 1):  # the second follows at once
            sums[turn, me] = block.block_sum(values[me])
            largest[turn, me] = block.block_max(values[me])

    run(function, block.THREADS)
    np.testing.assert_allclose(sums, values.sum(), rtol=1e-5)
    assert (sums == sums[0, 0]).all()
    assert (largest == values.max()).all()


@pytest.mark.parametrize("place", [0, 31])
def test_maximum_keeps_a_nan(run, place):
    from fastnn_kernels.cuda import block

    values, found = np.arange(32.0), np.zeros(32)
    values[place] = np.nan

    def function():
        found[block.thread()] = block.block_max(values[block.thread()])

    run(function)
    assert np.isnan(found).all()


def test_blocks_take_turns(run):
    from fastnn_kernels.cuda import block
    from fastnn_kernels.cuda.target import ptx

    counts = np.zeros(1000, int)

    def function():
        for i in block.indices(counts.size, ptx.block(), ptx.blocks()):
            counts[i] += 1

    run(function, blocks=3)
    assert (counts == 1).all()


@pytest.mark.parametrize("forget", [False, True])
def test_a_forgotten_barrier_shows(run, forget):
    from fastnn_kernels.cuda import block
    from fastnn_kernels.cuda.target import ptx

    out = np.zeros((2, 32))

    def function():
        shared, me = ptx.shared_array(np.float64, 32), block.thread()
        for turn in (0, 1):
            shared[me] = turn
            block.sync()
            out[turn, me] = shared[31 - me]
            if not forget:
                block.sync()

    run(function)
    assert (out == [[0], [1]]).all() != forget


def test_a_barrier_that_some_never_reach(run):
    from fastnn_kernels.cuda import block

    def function():
        if block.thread() < 16:
            block.sync()

    with pytest.raises(RuntimeError, match="wait at a barrier that the others do not reach"):
        run(function)


def test_an_error_in_one_thread_ends_the_launch(run):
    from fastnn_kernels.cuda import block

    def function():
        block.sync()
        if block.thread() == 5:
            raise ZeroDivisionError("thread 5")
        block.sync()

    with pytest.raises(ZeroDivisionError, match="thread 5"):
        run(function)


def test_four_elements_at_a_time(run):
    from fastnn_kernels.cuda.target import ptx

    x, out = np.arange(12, dtype=np.float32).reshape(3, 4), np.zeros(8, np.float32)

    def function():
        ptx.store4(out, 4, ptx.load4(x, 8))

    run(function)
    assert out.tolist() == [0, 0, 0, 0, 8, 9, 10, 11]
    with pytest.raises(RuntimeError, match="no multiple of 16"):
        run(lambda: ptx.load4(x, 1))


def test_outer_product_of_tuples():
    from fastnn_kernels.cuda.target import ptx

    one = np.float32(1)
    assert ptx.fma_outer((one, one, one, one), (np.float32(2), np.float32(3)), (np.float32(5), np.float32(7))) == (11, 15, 16, 22)


def test_tiles_of_a_warp(run):
    """A product of 32x8 by 8x16 from the numbers that each thread holds; three products of parts give float32's digits back."""
    from fastnn_kernels.cuda import block
    from fastnn_kernels.cuda.target import ptx

    rng = np.random.default_rng(0)
    a, b, out = rng.normal(size=(32, 8)).astype(np.float32), rng.normal(size=(8, 16)).astype(np.float32), np.zeros((32, 16))

    def function():
        g, t = block.thread() // 4, block.thread() % 4
        left = tuple(a[16 * m + r, c] for m in (0, 1) for c in (t, t + 4) for r in (g, g + 8))
        right = tuple(b[k, 8 * n + g] for n in (0, 1) for k in (t, t + 4))
        total = ptx.mma_3xtf32(ptx.zeros(np.float32, 16), left, right)
        for m in (0, 1):
            for n in (0, 1):
                place = 4 * (2 * m + n)
                out[16 * m + g, 8 * n + 2 * t : 8 * n + 2 * t + 2] = total[place : place + 2]
                out[16 * m + g + 8, 8 * n + 2 * t : 8 * n + 2 * t + 2] = total[place + 2 : place + 4]

    run(function)
    np.testing.assert_allclose(out, a.astype(float) @ b, rtol=2e-6, atol=2e-6)
