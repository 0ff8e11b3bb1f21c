"""Numbers of 16 bits with the range of float32: rounding to them, and products of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnn_kernels.cpu import cost
from fastnn_kernels.functions.arrays import bfloat16, contiguous, deliver, floats, result_array, run
from fastnn_kernels.functions.matmul import matrix, multiply


def to_bfloat16(x: ArrayLike, *, out: NDArray | None = None, workers: int | None = None) -> NDArray[np.uint16]:
    """The nearest bfloat16 numbers, by their bits; of two equally near the even one.

    A bfloat16 is the upper half of a float32: its sign, its 8 bits of exponent and 7 bits of its fraction. NaN stays NaN,
    infinities stay, subnormals become 0, and from ``0x1.ffp127`` on numbers become infinite.

    Parameters
    ----------
    x : array_like
        float32.
    out : ndarray of uint16, optional
        Where to write the result; of x's shape. It may share memory with x: that costs a copy.
    workers : int, optional
        Threads to use; None chooses by the amount of work. The result is the same bits for any number.

    Returns
    -------
    ndarray of uint16
        ``out``, or a new array of x's shape. ``result.view(ml_dtypes.bfloat16)`` shows the numbers, where that package is there.

    Raises
    ------
    TypeError
        If x is not float32, ``out`` is not an array of uint16, or ``workers`` is no integer.
    ValueError
        If ``out`` has another shape or is read-only, or ``workers`` is not from 1 to 1024.

    Examples
    --------
    >>> import numpy as np
    >>> [hex(bits) for bits in to_bfloat16(np.float32([1.0, -2.0, 3.14159]))]
    ['0x3f80', '0xc000', '0x4049']
    """
    values = floats("x", x)
    if values.dtype != np.float32:
        raise TypeError(f"x must be float32, got {values.dtype}; np.asarray(x, np.float32) makes such a copy")
    values = contiguous(values)
    result = result_array(out, values.shape, np.dtype(np.uint16), values, first="x")
    work = cost.streaming_ns(values.nbytes + result.nbytes)
    run("to_bfloat16", values.dtype, (values, result), (values.size,), (), workers, work)
    return deliver(result, out)


def matmul_bfloat16(
    a: ArrayLike,
    b: ArrayLike,
    *,
    bias: ArrayLike | None = None,
    activation: str | None = None,
    transpose_a: bool = False,
    transpose_b: bool = False,
    out: NDArray | None = None,
    workers: int | None = None,
) -> NDArray:
    """`matmul` of bfloat16 numbers, with float32 sums: ``out = activation(a @ b + bias)``.

    Parameters
    ----------
    a : array_like of shape (M, K); (K, M) with ``transpose_a``
        bfloat16 numbers: what `to_bfloat16` returned, their bits as uint16, or an array of ``ml_dtypes.bfloat16``.
    b : array_like of shape (K, N); (N, K) with ``transpose_b``
        As a.
    bias : array_like of shape (N,), optional
        float32, added to every row.
    activation, transpose_a, transpose_b, workers
        As in `matmul`.
    out : ndarray of shape (M, N), optional
        Where to write the result, float32. It may share memory with an input: that costs a copy.

    Returns
    -------
    ndarray of shape (M, N)
        ``out``, or a new array of float32.

    Raises
    ------
    TypeError, ValueError
        As `matmul`; also if a or b is anything else than bfloat16 or uint16, or the bias is not float32.

    Notes
    -----
    A product of two bfloat16 numbers is exact in float32. The CPU widens them on the way to its float32 kernel.

    Examples
    --------
    >>> import numpy as np
    >>> a, b = to_bfloat16(np.float32([[1, 2]])), to_bfloat16(np.float32([[3], [4]]))
    >>> matmul_bfloat16(a, b)
    array([[11.]], dtype=float32)
    """
    first = matrix("a", bfloat16("a", a))
    second = matrix("b", bfloat16("b", b, first, "a"))
    float32 = np.dtype(np.float32)
    return multiply(first, second, bias, activation, bool(transpose_a), bool(transpose_b), float32, out, workers)
