"""Four neighbouring elements of a vector at a time, by one access, two for float64, where the address allows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastnn_kernels.cuda.block import THREADS, maximum, thread
from fastnn_kernels.cuda.target import kernel, ptx

flat, words = ptx.flat, ptx.words
quad_alignment = kernel(ptx.quad_alignment)

VECTOR_BYTES = 16
"""What one instruction moves at most, from and to multiples of it."""


@kernel
def is_aligned(x, i, size):
    """Whether the address of ``x[i]`` is a multiple of ``size``, a power of two."""
    return (ptx.address_of(x) + i * ptx.unsigned(x.itemsize)) & ptx.unsigned(size - 1) == ptx.unsigned(0)


@kernel
def load4(x, i, stop, padding):
    """``x[i : i + 4]``; from ``stop`` on the padding."""
    i, end = ptx.unsigned(i), ptx.unsigned(stop)
    second, third, fourth = i + ptx.unsigned(1), i + ptx.unsigned(2), i + ptx.unsigned(3)
    if fourth < end and is_aligned(x, i, quad_alignment(x.itemsize)):
        return ptx.load4(x, i)
    return (
        x[i] if i < end else padding,
        x[second] if second < end else padding,
        x[third] if third < end else padding,
        x[fourth] if fourth < end else padding,
    )


@kernel
def store4(x, i, stop, values):
    """``x[i : i + 4] = values``, before ``stop``."""
    i, end = ptx.unsigned(i), ptx.unsigned(stop)
    second, third, fourth = i + ptx.unsigned(1), i + ptx.unsigned(2), i + ptx.unsigned(3)
    if fourth < end and is_aligned(x, i, quad_alignment(x.itemsize)):
        ptx.store4(x, i, values)
        return
    if i < end:
        x[i] = values[0]
    if second < end:
        x[second] = values[1]
    if third < end:
        x[third] = values[2]
    if fourth < end:
        x[fourth] = values[3]


@kernel
def quads(start, stop, worker, workers):
    """Where this thread's quads begin: neighbouring threads have neighbouring quads, blocks take turns."""
    first = start + 4 * (worker * THREADS + thread())
    return range(ptx.unsigned(first), ptx.unsigned(stop), ptx.unsigned(4 * THREADS * workers))


def defined(source: str, **names: Any) -> Any:
    """The kernel that ``source`` defines: what is written out here stays in registers, a loop over a tuple would not."""
    exec(source, names)
    return kernel(names[source[len("def ") : source.index("(")]])


def each(function: Callable[..., Any], quadruples: int, constants: int) -> Any:
    """``function`` of every element of some quadruples, and of numbers that are the same for all four."""
    tuples, rest = [f"q{number}" for number in range(quadruples)], [f"c{number}" for number in range(constants)]
    calls = (f"function({', '.join([f'{name}[{place}]' for name in tuples] + rest)})" for place in range(4))
    return defined(f"def of_each({', '.join(tuples + rest)}):\n    return ({', '.join(calls)})\n", function=function)


@kernel
def _add(a, b):
    return a + b


add4 = each(_add, 2, 0)


@kernel
def sum4(values):
    return (values[0] + values[1]) + (values[2] + values[3])


@kernel
def max4(values):
    """The largest; NaN if there is one."""
    return maximum(maximum(values[0], values[1]), maximum(values[2], values[3]))


@kernel
def store_gradient4(dx, i, stop, gradient, accumulate):
    """``dx[i : i + 4] = gradient``, or ``+=``."""
    if accumulate:
        gradient = add4(gradient, load4(dx, i, stop, gradient[0]))
    store4(dx, i, stop, gradient)
