"""Products of matrices, with what a layer adds to them, and a dense layer's gradients."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnn_kernels.cpu import cost
from fastnn_kernels.cpu.execute import scratch_for
from fastnn_kernels.functions import places
from fastnn_kernels.functions.arrays import (
    check_apart,
    check_shape,
    check_written,
    choose_workers,
    contiguous,
    deliver,
    direct,
    floats,
    given,
    result_array,
    run,
)
from fastnn_kernels.instructions import (
    ACTIVATION_LINEAR,
    ACTIVATION_RELU,
    ACTIVATION_SIGMOID,
    ACTIVATION_TANH,
    PRECISION_FLOAT32,
)

ACTIVATIONS = {
    None: ACTIVATION_LINEAR,
    "linear": ACTIVATION_LINEAR,
    "relu": ACTIVATION_RELU,
    "sigmoid": ACTIVATION_SIGMOID,
    "tanh": ACTIVATION_TANH,
}


def matmul(
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
    """Matrix product with a bias and an activation: ``out = activation(a @ b + bias)``.

    Parameters
    ----------
    a : array_like of shape (M, K); (K, M) with ``transpose_a``
        float32 or float64. A transposed view (``x.T``) is read as it is; other layouts are copied.
    b : array_like of shape (K, N); (N, K) with ``transpose_b``
        Of a's dtype.
    bias : array_like of shape (N,), optional
        Added to every row.
    activation : {None, "linear", "relu", "sigmoid", "tanh"}
        Applied while the result is still in registers or cache.
    transpose_a, transpose_b : bool
        Multiply by the transpose of the matrix that is given.
    out : ndarray of shape (M, N), optional
        Where to write the result. It may share memory with an input: that costs a copy.
    workers : int, optional
        Threads to use; None chooses by the amount of work. The result is the same bits for any number.

    Returns
    -------
    ndarray of shape (M, N)
        ``out``, or a new array of a's dtype.

    Raises
    ------
    TypeError
        If an array is neither float32 nor float64, dtypes differ, ``out`` is not an array, or ``workers`` is no integer.
    ValueError
        If shapes do not fit, ``out`` is read-only, the activation is unknown or ``workers`` is not from 1 to 1024.

    Notes
    -----
    Packing, blocking and micro-kernel as in BLIS (Van Zee and van de Geijn 2015). Each element sums its terms in one order.

    Examples
    --------
    >>> import numpy as np
    >>> a, b = np.array([[1.0, 2.0]]), np.array([[3.0, -3.0], [4.0, 0.0]])
    >>> matmul(a, b, bias=[0.5, 0.5], activation="relu")
    array([[11.5,  0. ]])
    >>> matmul(b, a, transpose_b=True)
    array([[-3.],
           [ 4.]])
    """
    first = matrix("a", floats("a", a, matrix=True))
    second = matrix("b", floats("b", b, first, "a", matrix=True))
    return multiply(first, second, bias, activation, bool(transpose_a), bool(transpose_b), first.dtype, out, workers)


def multiply(
    first: NDArray,
    second: NDArray,
    bias: ArrayLike | None,
    activation: str | None,
    transpose_a: bool,
    transpose_b: bool,
    dtype: np.dtype,
    out: NDArray | None,
    workers: int | None,
) -> NDArray:
    """The product of two matrices, ``a`` and ``b``; its sums and the bias are of ``dtype``."""
    terms, rows = first.shape if transpose_a else first.shape[::-1]
    columns, other = second.shape if transpose_b else second.shape[::-1]
    if terms != other:
        flags = f"transpose_a={transpose_a}, transpose_b={transpose_b}"
        raise ValueError(f"a of shape {first.shape} and b of shape {second.shape} do not fit: {terms} terms and {other} ({flags})")
    added = _bias(bias, columns, first, "a", dtype)
    result = result_array(out, (rows, columns), dtype, first, second, added, first="a")
    product(first, second, added, _activation(activation), transpose_a, transpose_b, result, workers)
    return deliver(result, out)


def dense(
    x: ArrayLike,
    kernel: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    activation: str | None = None,
    out: NDArray | None = None,
    workers: int | None = None,
) -> NDArray:
    """A dense layer on the last axis: ``out = activation(x @ kernel + bias)``.

    Parameters
    ----------
    x : array_like of shape (..., I)
        float32 or float64, with at least one axis.
    kernel : array_like of shape (I, O)
        Weights, of x's dtype.
    bias : array_like of shape (O,), optional
        Added along the last axis.
    activation : {None, "linear", "relu", "sigmoid", "tanh"}
        For any other, apply its function to the result.
    out : ndarray of shape (..., O), optional
        Where to write the result. It may share memory with an input: that costs a copy.
    workers : int, optional
        Threads to use; None chooses by the amount of work. The result is the same bits for any number.

    Returns
    -------
    ndarray of shape (..., O)
        ``out``, or a new array of x's dtype.

    Raises
    ------
    TypeError, ValueError
        As `matmul`.

    Examples
    --------
    >>> import numpy as np
    >>> x, kernel = np.ones((2, 3, 4), np.float32), np.full((4, 5), 0.5, np.float32)
    >>> out = dense(x, kernel, np.ones(5, np.float32))
    >>> out.shape, out[0, 0, 0]
    ((2, 3, 5), np.float32(3.0))
    """
    inputs, weights = _layer(x, kernel)
    units = weights.shape[1]
    added = _bias(bias, units, inputs, "x", inputs.dtype)
    result = result_array(out, (*inputs.shape[:-1], units), inputs.dtype, inputs, weights, added, first="x")
    product(_rows(inputs), weights, added, _activation(activation), False, False, _rows(result), workers)
    return deliver(result, out)


def dense_backward(
    x: ArrayLike,
    kernel: ArrayLike,
    dout: ArrayLike,
    *,
    out: tuple[NDArray | None, NDArray | None, NDArray | None] | None = None,
    workers: int | None = None,
) -> tuple[NDArray, NDArray, NDArray]:
    """Gradients of `dense` without activation.

    ``dx = dout @ kernel.T``, ``dkernel = x.T @ dout`` and ``dbias = sum(dout)``, the last two over all rows of x.
    Through an activation, first take ``dout`` through its own backward function (for relu, ``relu_backward(y, dout)`` with
    the layer's result ``y``).

    Parameters
    ----------
    x : array_like of shape (..., I)
        What `dense` was given, float32 or float64.
    kernel : array_like of shape (I, O)
        The weights, of x's dtype.
    dout : array_like of shape (..., O)
        The gradient by the layer's result.
    out : tuple of ndarray or None, optional
        Where to write ``(dx, dkernel, dbias)``; None makes a new array. They must not share memory with each other.
    workers : int, optional
        Threads to use; None chooses by the amount of work. The result is the same bits for any number.

    Returns
    -------
    dx : ndarray of shape (..., I)
    dkernel : ndarray of shape (I, O)
    dbias : ndarray of shape (O,)

    Raises
    ------
    TypeError, ValueError
        As `matmul`; also if ``out`` is not a tuple of three, or its arrays share memory.

    Examples
    --------
    >>> import numpy as np
    >>> x, kernel = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0], [-1.0]])
    >>> dx, dkernel, dbias = dense_backward(x, kernel, np.ones((2, 1)))
    >>> dkernel
    array([[4.],
           [6.]])
    """
    inputs, weights = _layer(x, kernel)
    gradient = floats("dout", dout, inputs, "x")
    check_shape("dout", gradient, (*inputs.shape[:-1], weights.shape[1]), "that of dense(x, kernel)")
    if out is not None and not (isinstance(out, tuple) and len(out) == 3):
        raise TypeError(f"out must be a tuple of three, (dx, dkernel, dbias), with None for a new array, got {out!r}")
    outs = (None, None, None) if out is None else out
    names = ("dx", "dkernel", "dbias")
    shapes = (inputs.shape, weights.shape, weights.shape[1:])
    read = (inputs, weights, gradient)
    results = [result_array(o, s, inputs.dtype, *read, first="x", name=n) for o, s, n in zip(outs, shapes, names, strict=True)]
    written = [
        None if o is None else check_written(n, o, s, inputs.dtype, inputs, "x")
        for o, s, n in zip(outs, shapes, names, strict=True)
    ]
    check_apart({}, dict(zip(names, written, strict=True)))
    rows = _rows(gradient)
    product(rows, weights, None, ACTIVATION_LINEAR, False, True, _rows(results[0]), workers)
    product(_rows(inputs), rows, None, ACTIVATION_LINEAR, True, False, results[1], workers)
    run("sum_rows", inputs.dtype, (rows, results[2]), (len(rows), rows.shape[1]), (0,), workers, cost.streaming_ns(gradient.nbytes))
    return tuple(deliver(result, o) for result, o in zip(results, outs, strict=True))


def product(
    a: Any,
    b: Any,
    bias: Any,
    activation: int,
    transpose_a: bool,
    transpose_b: bool,
    out: Any,
    workers: int | None,
) -> None:
    """The instruction ``matmul``, or that of bfloat16, on checked matrices of any layout; ``out`` is contiguous."""
    terms = a.shape[0] if transpose_a else a.shape[1]
    if terms == 0:  # an empty sum is 0: one term of zeros
        a, b = (places.beside(np.zeros(shape, a.dtype), a) for shape in ((len(out), 1), (1, out.shape[1])))
        transpose_a = transpose_b = False
    a, transpose_a = _readable(a, transpose_a)
    b, transpose_b = _readable(b, transpose_b)
    work = cost.matmul_ns(out.size * terms, out.dtype.itemsize)
    if isinstance(a, np.ndarray):
        workers = choose_workers(workers, work)  # once: it splits the scratch
        scratch: Any = scratch_for(out.dtype, workers)
    else:
        scratch = places.scratch(out.dtype)
    sizes = (*a.shape, *b.shape, out.shape[1], scratch.size, out.shape[0])
    name = "matmul" if a.dtype == out.dtype else "matmul_bfloat16"
    attributes = (transpose_a, transpose_b, activation, 0.0, 0, PRECISION_FLOAT32)
    run(name, out.dtype, (a, b, bias, scratch, out), sizes, attributes, workers, work)


def _readable(matrix: Any, transpose: bool) -> tuple[Any, bool]:
    """A matrix that a kernel can read, and whether it is then transposed: a column-major one needs no copy."""
    if direct(matrix):
        return matrix, transpose
    if direct(matrix.T):
        return matrix.T, not transpose
    return contiguous(matrix), transpose


def matrix(name: str, array: Any) -> Any:
    """The array, refused unless it has two axes."""
    if array.ndim != 2:
        raise ValueError(f"{name} must have two axes, got shape {array.shape}; reshape it, e.g. {name}.reshape(1, -1)")
    return array


def _bias(bias: ArrayLike | None, columns: int, first: Any, name: str, dtype: np.dtype) -> Any:
    """The bias, checked: it lies where ``first`` does, the argument ``name``, and has the dtype of the result."""
    if bias is None:
        return None
    added = floats("bias", bias, first, name) if first.dtype == dtype else given("bias", floats("bias", bias), first, name)
    if added.dtype != dtype:
        raise TypeError(f"bias is {added.dtype}, but out is {dtype}; bias.astype(out.dtype) makes them equal")
    check_shape("bias", added, (columns,), "one for each column of the result")
    return contiguous(added)


def _activation(activation: str | None) -> int:
    if not (activation is None or isinstance(activation, str)) or activation not in ACTIVATIONS:
        raise ValueError(f"activation must be None, 'linear', 'relu', 'sigmoid' or 'tanh', got {activation!r}")
    return ACTIVATIONS[activation]


def _layer(x: ArrayLike, kernel: ArrayLike) -> tuple[Any, Any]:
    """A layer's input and weights, checked."""
    inputs = floats("x", x)
    weights = matrix("kernel", floats("kernel", kernel, inputs, "x", matrix=True))
    if inputs.ndim == 0 or inputs.shape[-1] != len(weights):
        raise ValueError(f"x must have shape (..., {len(weights)}) for a kernel of shape {weights.shape}, got {inputs.shape}")
    return inputs, weights


def _rows(array: Any) -> Any:
    """All but the last axis as one."""
    return contiguous(array).reshape(prod(array.shape[:-1]), array.shape[-1])
