"""Settings of the whole process: float type, threads, device and more. The names of ``keras.config``, and others beside them."""

from __future__ import annotations

import operator
import os
from typing import TYPE_CHECKING, Any

from fastnn_kernels.units import FLOAT_TYPES

from fastnn.errors import near_matches, refuse_names

if TYPE_CHECKING:
    from fastnn.dtype_policies import DTypePolicy

__all__ = [
    "device",
    "dtype_policy",
    "epsilon",
    "floatx",
    "image_data_format",
    "matmul_precision",
    "num_threads",
    "sample_memory",
    "set_device",
    "set_dtype_policy",
    "set_floatx",
    "set_matmul_precision",
    "set_num_threads",
    "set_sample_memory",
]

refuse_names(__name__)

DEVICES = ("cpu", "cuda", "reference")
"""Names of the engines, which `fastnn.engine.select` tells apart."""

MATMUL_PRECISIONS = ("float32", "tensorfloat32")
"""As in JAX's ``jax_default_matmul_precision``; in the order of `fastnn_kernels.instructions`' numbers."""

_settings: dict[str, Any] = {
    "floatx": "float32",
    "policy": None,
    "threads": None,
    "device": None,
    "sample_memory": None,
    "matmul_precision": "float32",
}

MOST_THREADS = 1024
"""As many as a kernel's work is split among."""


def _whole_number(value: Any, name: str, least: int, most: int | None = None) -> int:
    """``value``, the argument ``name``, as an int; TypeError or ValueError."""
    limits = f"of at least {least}" if most is None else f"from {least} to {most}"
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} must be an integer {limits} or None, got {value!r}")
    number = operator.index(value)
    if number < least or (most is not None and number > most):
        raise ValueError(f"{name} must be an integer {limits} or None, got {value!r}")
    return number


def floatx() -> str:
    """The dtype a layer computes in when it is not told otherwise: ``"float32"`` or ``"float64"``.

    >>> floatx()
    'float32'
    """
    return _settings["floatx"]


def set_floatx(value: str) -> None:
    """Set the dtype of the layers made from now on.

    Parameters
    ----------
    value
        ``"float32"`` or ``"float64"``.

    Raises
    ------
    ValueError
        If ``value`` is any other dtype.
    """
    if value not in FLOAT_TYPES:
        close = near_matches(str(value), FLOAT_TYPES, count=1)
        meant = f" Did you mean {close[0]!r}?" if close else ""
        if str(value).lower() in ("bfloat16", "float16", "mixed_bfloat16", "mixed_float16"):
            meant = " Write set_dtype_policy('mixed_bfloat16') for products of 16 bits."
        raise ValueError(f"floatx must be 'float32' or 'float64', got {value!r}.{meant}")
    _settings["floatx"] = str(value)


def dtype_policy() -> DTypePolicy:
    """The policy of layers that are made without ``dtype=``: what `set_dtype_policy` set, else the one of `floatx`.

    >>> dtype_policy()
    <DTypePolicy "float32">
    """
    from fastnn import dtype_policies

    return _settings["policy"] or dtype_policies.DTypePolicy(floatx())


def set_dtype_policy(policy: DTypePolicy | str | None) -> None:
    """Set the policy of the layers made from now on.

    Parameters
    ----------
    policy
        ``"mixed_bfloat16"``, ``"float32"``, ``"float64"`` or a `fastnn.DTypePolicy`; None goes back to `floatx`.

    Raises
    ------
    TypeError, ValueError
        As `fastnn.DTypePolicy`.
    """
    from fastnn import dtype_policies

    _settings["policy"] = None if policy is None else dtype_policies.get(policy)


def matmul_precision() -> str:
    """The precision of float32 products of matrices: ``"float32"`` unless `set_matmul_precision` said otherwise.

    >>> matmul_precision()
    'float32'
    """
    return _settings["matmul_precision"]


def set_matmul_precision(value: str) -> None:
    """Set the precision of float32 products of matrices, in every model from its next call on.

    ``"tensorfloat32"`` lets NVIDIA GPUs from Ampere on round what they multiply to 11 bits, as TensorFlow does unless told not to,
    and sum in float32: ``abs(out - exact) <= 2**-10 * (abs(a) @ abs(b))`` and the sum's own rounding. Small products stay exact,
    where nothing would be gained. Other devices, and float64, do not heed it.

    Parameters
    ----------
    value
        ``"float32"`` or ``"tensorfloat32"``.

    Raises
    ------
    ValueError
        If ``value`` is neither.
    """
    if value not in MATMUL_PRECISIONS:
        close = near_matches(str(value), MATMUL_PRECISIONS, count=1)
        close = {"highest": ["float32"], "high": ["tensorfloat32"], "tf32": ["tensorfloat32"]}.get(str(value).lower(), close)
        meant = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"matmul_precision must be 'float32' or 'tensorfloat32', got {value!r}.{meant}")
    _settings["matmul_precision"] = str(value)


def epsilon() -> float:
    """The fuzz factor of losses and optimizers, 1e-7 as in Keras.

    >>> epsilon()
    1e-07
    """
    return 1e-7


def image_data_format() -> str:
    """How images are laid out: ``"channels_last"``, that is (batch, height, width, channels).

    >>> image_data_format()
    'channels_last'
    """
    return "channels_last"


def num_threads() -> int:
    """The most threads one call of ``fit``, ``evaluate`` or ``predict`` may use.

    Unless `set_num_threads` said otherwise: the cores that this process may use (its affinity mask and its cgroup's quota).
    """
    if _settings["threads"] is None:
        from fastnn_kernels.system import usable_cores

        return usable_cores()
    return _settings["threads"]


def set_num_threads(count: int | None) -> None:
    """Set the most threads one call may use; results are the same bits for any number of threads.

    Parameters
    ----------
    count
        From 1 to 1024; None goes back to the cores that this process may use.

    Raises
    ------
    ValueError
        If ``count`` is not from 1 to 1024.
    TypeError
        If ``count`` is not an integer.
    """
    if count is not None:
        count = _whole_number(count, "count", 1, MOST_THREADS)
    _settings["threads"] = count


def device() -> str:
    """The device of models compiled without ``device=``: what `set_device` set, or ``FASTNN_DEVICE``, or ``"cpu"``.

    Raises
    ------
    ValueError
        If ``FASTNN_DEVICE`` is no known device.
    """
    if _settings["device"] is None and (name := os.environ.get("FASTNN_DEVICE")):
        if name not in DEVICES:
            raise unknown_device(name, "FASTNN_DEVICE: ")
        return name
    return _settings["device"] or "cpu"


def set_device(name: str | None) -> None:
    """Set the device of models compiled from now on without ``device=``.

    Parameters
    ----------
    name
        ``"cpu"``, ``"cuda"`` for an NVIDIA GPU, or ``"reference"`` for plain NumPy in float64; None goes back to
        ``FASTNN_DEVICE`` or ``"cpu"``.

    Raises
    ------
    TypeError
        If ``name`` is not a string.
    ValueError
        If it is no known device. One that this machine lacks is refused by ``compile``.
    """
    if name is not None and name not in DEVICES:
        raise unknown_device(name)
    _settings["device"] = name


def sample_memory() -> int | None:
    """Bytes that the samples of one call may take on a GPU: what `set_sample_memory` set, or ``FASTNN_SAMPLE_MEMORY``, or None.

    Raises
    ------
    ValueError
        If ``FASTNN_SAMPLE_MEMORY`` is no number of bytes.
    """
    if _settings["sample_memory"] is None and (text := os.environ.get("FASTNN_SAMPLE_MEMORY")):
        if not text.isdecimal():
            raise ValueError(f"FASTNN_SAMPLE_MEMORY must be a number of bytes, got {text!r}")
        return int(text)
    return _settings["sample_memory"]


def set_sample_memory(count: int | None) -> None:
    """Set how many bytes the samples of one call, and its predictions, may take on a GPU.

    Samples that take more stay on the host, and pass through the GPU in parts, which are copied while it computes; the results
    are the same bits. Whatever is set, there is room for a batch.

    Parameters
    ----------
    count
        At least 0, with which all samples are streamed; None goes back to ``FASTNN_SAMPLE_MEMORY``, or to seven eighths of the
        memory that the driver says is free.

    Raises
    ------
    ValueError
        If ``count`` is less than 0.
    TypeError
        If ``count`` is not an integer.
    """
    if count is not None:
        count = _whole_number(count, "count", 0)
    _settings["sample_memory"] = count


def unknown_device(name: Any, where: str = "") -> Exception:
    """The error for a ``name`` that is not in `DEVICES`, found ``where``."""
    if not isinstance(name, str):
        return TypeError(f"device must be a string such as 'cpu', or None, got {name!r}")
    close = ["cuda"] if "gpu" in name.lower() else near_matches(name, DEVICES, count=1)
    meant = f" Did you mean {close[0]!r}?" if close else ""
    return ValueError(f"{where}unknown device {name!r}.{meant} Known devices: {', '.join(map(repr, DEVICES))}.")
