"""Activations and their gradients: elementwise on any shape, softmax and log_softmax over the last axis."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnn_kernels.cpu import cost
from fastnn_kernels.functions.arrays import check_rows, check_shape, contiguous, deliver, floats, result_array, rows_of, run
from fastnn_kernels.operands import number


def relu(
    x: ArrayLike,
    *,
    negative_slope: float = 0.0,
    max_value: float | None = None,
    threshold: float = 0.0,
    out: NDArray | None = None,
    workers: int | None = None,
) -> NDArray:
    """Rectified linear unit with Keras's parameters.

    ``f(x) = max_value if x >= max_value``, ``x if threshold < x < max_value``, ``negative_slope * (x - threshold)`` otherwise.

    Parameters
    ----------
    x : array_like
        float32 or float64, of any shape; NaN stays NaN.
    negative_slope : float
        Slope at and below the threshold.
    max_value : float, optional
        Largest result; None for no limit.
    threshold : float
        Where the function begins to be x.
    out : ndarray of x's shape and dtype, optional
        Where to write the result. It may be x itself: that costs a copy.
    workers : int, optional
        Threads to use; None chooses by the amount of work. The result is the same bits for any number.

    Returns
    -------
    ndarray of x's shape
        ``out``, or a new array of x's dtype.

    Raises
    ------
    TypeError
        If x is neither float32 nor float64, ``out`` is not an array of x's dtype, or a number is none.
    ValueError
        If ``out`` has another shape or is read-only, a number is NaN or infinite (``max_value`` may be infinite), or ``workers``
        is not from 1 to 1024.

    Notes
    -----
    Keras 3, ``keras/src/activations/activations.py``. Subnormal results are flushed to 0, as in every function here.

    Examples
    --------
    >>> relu([-2.0, 0.5, 3.0], negative_slope=0.25, max_value=2.0)
    array([-0.5,  0.5,  2. ])
    """
    limits = _limits(negative_slope, max_value, threshold)
    return _elementwise("relu", (floats("x", x),), "x", limits, out, workers)


def relu_backward(
    x: ArrayLike,
    dout: ArrayLike,
    *,
    negative_slope: float = 0.0,
    max_value: float | None = None,
    threshold: float = 0.0,
    out: NDArray | None = None,
    workers: int | None = None,
) -> NDArray:
    """Gradient of `relu`: ``dx = dout * (0 if x >= max_value, 1 if x > threshold, negative_slope otherwise)``.

    Parameters
    ----------
    x : array_like
        What `relu` was given, float32 or float64. With the default parameters its result serves as well.
    dout : array_like of x's shape and dtype
        The gradient by relu's result.
    negative_slope, max_value, threshold
        As `relu` had them.
    out, workers
        As in `relu`.

    Returns
    -------
    ndarray of x's shape
        dx: ``out``, or a new array of x's dtype.

    Raises
    ------
    TypeError, ValueError
        As `relu`; also if the shape or dtype of ``dout`` is not x's.

    Examples
    --------
    >>> relu_backward([-2.0, 0.5], [10.0, 10.0])
    array([ 0., 10.])
    """
    limits = _limits(negative_slope, max_value, threshold)
    return _elementwise("relu_backward", _pair("x", x, dout), "x", (*limits, 0), out, workers)


def sigmoid(x: ArrayLike, *, out: NDArray | None = None, workers: int | None = None) -> NDArray:
    """Logistic function: ``1 / (1 + exp(-x))``, without overflow.

    Parameters
    ----------
    x : array_like
        float32 or float64, of any shape.
    out, workers
        As in `relu`.

    Returns
    -------
    ndarray of x's shape
        ``out``, or a new array of x's dtype; float32 within 1.5 units of its eps.

    Raises
    ------
    TypeError, ValueError
        As `relu`.

    Examples
    --------
    >>> sigmoid([-1000.0, 0.0, 1000.0])
    array([0. , 0.5, 1. ])
    """
    return _elementwise("sigmoid", (floats("x", x),), "x", (), out, workers)


def sigmoid_backward(y: ArrayLike, dout: ArrayLike, *, out: NDArray | None = None, workers: int | None = None) -> NDArray:
    """Gradient of `sigmoid`: ``dx = dout * y * (1 - y)``.

    Parameters
    ----------
    y : array_like
        What `sigmoid` returned, float32 or float64.
    dout : array_like of y's shape and dtype
        The gradient by y.
    out, workers
        As in `relu`.

    Returns
    -------
    ndarray of y's shape
        dx: ``out``, or a new array of y's dtype.

    Raises
    ------
    TypeError, ValueError
        As `relu_backward`.

    Examples
    --------
    >>> sigmoid_backward([0.5, 1.0], [4.0, 4.0])
    array([1., 0.])
    """
    return _elementwise("sigmoid_backward", _pair("y", y, dout), "y", (0,), out, workers)


def tanh(x: ArrayLike, *, out: NDArray | None = None, workers: int | None = None) -> NDArray:
    """Hyperbolic tangent.

    Parameters
    ----------
    x : array_like
        float32 or float64, of any shape.
    out, workers
        As in `relu`.

    Returns
    -------
    ndarray of x's shape
        ``out``, or a new array of x's dtype; float32 within 1.5 units of its eps.

    Raises
    ------
    TypeError, ValueError
        As `relu`.

    Examples
    --------
    >>> tanh([-100.0, 0.0, 100.0])
    array([-1.,  0.,  1.])
    """
    return _elementwise("tanh", (floats("x", x),), "x", (), out, workers)


def tanh_backward(y: ArrayLike, dout: ArrayLike, *, out: NDArray | None = None, workers: int | None = None) -> NDArray:
    """Gradient of `tanh`: ``dx = dout * (1 - y**2)``.

    Parameters
    ----------
    y : array_like
        What `tanh` returned, float32 or float64.
    dout : array_like of y's shape and dtype
        The gradient by y.
    out, workers
        As in `relu`.

    Returns
    -------
    ndarray of y's shape
        dx: ``out``, or a new array of y's dtype.

    Raises
    ------
    TypeError, ValueError
        As `relu_backward`.

    Examples
    --------
    >>> tanh_backward([0.0, 0.5], [4.0, 4.0])
    array([4., 3.])
    """
    return _elementwise("tanh_backward", _pair("y", y, dout), "y", (0,), out, workers)


def softmax(x: ArrayLike, *, out: NDArray | None = None, workers: int | None = None) -> NDArray:
    """Softmax over the last axis: ``exp(x) / sum(exp(x))``, shifted by the largest x, so without overflow (Bridle 1990).

    Parameters
    ----------
    x : array_like of shape (..., C)
        float32 or float64; at least one class.
    out, workers
        As in `relu`.

    Returns
    -------
    ndarray of x's shape
        ``out``, or a new array of x's dtype; each row sums to 1.

    Raises
    ------
    TypeError, ValueError
        As `relu`; also if x has no axis or no class.

    Examples
    --------
    >>> softmax([[1000.0, 1000.0], [0.0, -1000.0]])
    array([[0.5, 0.5],
           [1. , 0. ]])
    """
    return _over_rows("softmax", (floats("x", x),), "x", (), out, workers)


def softmax_backward(y: ArrayLike, dout: ArrayLike, *, out: NDArray | None = None, workers: int | None = None) -> NDArray:
    """Gradient of `softmax`: ``dx = y * (dout - sum(y * dout))``, the sum over the last axis.

    Parameters
    ----------
    y : array_like of shape (..., C)
        What `softmax` returned, float32 or float64.
    dout : array_like of y's shape and dtype
        The gradient by y.
    out, workers
        As in `relu`.

    Returns
    -------
    ndarray of y's shape
        dx: ``out``, or a new array of y's dtype.

    Raises
    ------
    TypeError, ValueError
        As `relu_backward`; also if y has no axis or no class.

    Examples
    --------
    >>> softmax_backward([0.5, 0.5], [1.0, 0.0])
    array([ 0.25, -0.25])
    """
    return _over_rows("softmax_backward", _pair("y", y, dout), "y", (0,), out, workers)


def log_softmax(x: ArrayLike, *, out: NDArray | None = None, workers: int | None = None) -> NDArray:
    """Logarithm of `softmax`: ``x - log(sum(exp(x)))``, exact where the softmax itself would be 0.

    Parameters
    ----------
    x : array_like of shape (..., C)
        float32 or float64; at least one class.
    out, workers
        As in `relu`.

    Returns
    -------
    ndarray of x's shape
        ``out``, or a new array of x's dtype.

    Raises
    ------
    TypeError, ValueError
        As `softmax`.

    Examples
    --------
    >>> log_softmax([0.0, -1000.0])
    array([    0., -1000.])
    """
    return _over_rows("log_softmax", (floats("x", x),), "x", (), out, workers)


def log_softmax_backward(y: ArrayLike, dout: ArrayLike, *, out: NDArray | None = None, workers: int | None = None) -> NDArray:
    """Gradient of `log_softmax`: ``dx = dout - exp(y) * sum(dout)``, the sum over the last axis.

    Parameters
    ----------
    y : array_like of shape (..., C)
        What `log_softmax` returned, float32 or float64.
    dout : array_like of y's shape and dtype
        The gradient by y.
    out, workers
        As in `relu`.

    Returns
    -------
    ndarray of y's shape
        dx: ``out``, or a new array of y's dtype.

    Raises
    ------
    TypeError, ValueError
        As `softmax_backward`.

    Examples
    --------
    >>> import numpy as np
    >>> log_softmax_backward(np.log([0.25, 0.75]), [1.0, 0.0])
    array([ 0.75, -0.75])
    """
    return _over_rows("log_softmax_backward", _pair("y", y, dout), "y", (0,), out, workers)


def _limits(negative_slope: float, max_value: float | None, threshold: float) -> tuple[float, float, float]:
    """The attributes of relu, checked."""
    limit = np.inf if max_value is None else number("max_value", max_value, infinite=True)
    return number("negative_slope", negative_slope), limit, number("threshold", threshold)


def _pair(name: str, first: ArrayLike, dout: ArrayLike) -> tuple[Any, Any]:
    """The argument ``name`` and a gradient that must be like it."""
    array = floats(name, first)
    gradient = floats("dout", dout, array, name)
    check_shape("dout", gradient, array.shape, f"that of {name}")
    return array, gradient


def _elementwise(op: str, inputs: tuple[Any, ...], name: str, attributes: tuple[float, ...], out: Any, workers: int | None) -> Any:
    """An instruction over all elements as one run."""
    return _run(op, inputs, name, (inputs[0].size,), attributes, out, workers)


def _over_rows(op: str, inputs: tuple[Any, ...], name: str, attributes: tuple[float, ...], out: Any, workers: int | None) -> Any:
    """An instruction over the rows along the last axis of the argument ``name``."""
    check_rows(name, inputs[0])
    return _run(op, inputs, name, rows_of(inputs[0]), attributes, out, workers)


def _run(
    op: str,
    inputs: tuple[Any, ...],
    name: str,
    sizes: tuple[int, ...],
    attributes: tuple[float, ...],
    out: Any,
    workers: int | None,
) -> Any:
    """An instruction whose result is like its first input, the argument ``name``."""
    first = inputs[0]
    result = result_array(out, first.shape, first.dtype, *inputs, first=name)
    work = cost.streaming_ns((len(inputs) + 1) * first.nbytes)
    run(op, first.dtype, (*map(contiguous, inputs), result), sizes, attributes, workers, work)
    return deliver(result, out)
