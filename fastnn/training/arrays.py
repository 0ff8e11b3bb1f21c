"""Anything a user holds numbers in becomes a NumPy array, or a view of it on the GPU, or an error that says what to do."""

from __future__ import annotations

from typing import Any

import numpy as np
from fastnn_kernels.cuda import contents
from fastnn_kernels.cuda.arrays import DeviceArray
from fastnn_kernels.cuda.foreign import on_device, read
from numpy.typing import NDArray

NUMERIC = "biuf"
"""Kinds of dtype that are numbers: bool, int, unsigned, float."""

CHUNK = 1 << 16
"""Rows looked at together when a value that is not finite is searched for."""

_ADVICE = {
    "U": "Turn text into numbers first, for example with pandas.get_dummies.",
    "O": "Give every column a number type: {name}.astype(float), or pandas.to_numeric; drop or encode columns of text.",
    "M": "Turn dates into numbers first, for example days since the first one.",
    "c": "Split complex numbers into real and imaginary columns.",
}

NAME_LABELS = "Number the classes first: classes, {name} = np.unique({name}, return_inverse=True)"


def as_array(value: Any, name: str) -> Any:
    """``value`` as an array of numbers with at least one axis and one sample; ``name`` is the argument's.

    What lies on a GPU stays there, as a `DeviceArray`.

    Raises
    ------
    ValueError
        For None, iterators, ragged lists, text, objects, dates, complex and single numbers, and no samples.
    """
    array = value if type(value) is np.ndarray else read(value, name) if on_device(value) else _convert(value, name)
    if array.dtype.kind not in NUMERIC:
        raise ValueError(_dtype_error(array, name))
    if array.ndim == 0:
        raise ValueError(f"{name} is a single number, {array}; it needs one entry per sample, such as np.array([{array}])")
    return array


def column_names(value: Any) -> list[str] | None:
    """The names of a data frame's columns, None for anything else."""
    columns = getattr(value, "columns", None)
    return None if columns is None or not hasattr(value, "to_numpy") else [str(column) for column in columns]


def _convert(value: Any, name: str) -> NDArray[Any]:
    if value is None:
        raise ValueError(f"{name} is None; it needs an array with one entry per sample")
    if hasattr(value, "to_numpy"):
        return _from_frame(value, name)
    if hasattr(value, "toarray"):
        raise ValueError(f"{name} is a sparse {type(value).__name__}; write {name}.toarray()")
    if not hasattr(value, "__array__") and not isinstance(value, list | tuple | int | float):
        raise ValueError(
            f"{name} is of type {type(value).__name__}; it needs an array, a data frame or a list. "
            "Collect what an iterator or a data set yields into one array first"
        )
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise ValueError(f"{name} is a masked array that hides values; {name}.filled(number) puts a number in their places")
    try:
        return np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} is a list whose entries differ in length or shape, so it is no array: {error}") from None


def _from_frame(value: Any, name: str) -> NDArray[Any]:
    """A data frame or series; columns of different number types meet in float64, missing values become NaN."""
    array = np.asarray(value.to_numpy())
    if array.dtype != object:
        return array
    columns = column_names(value)
    dtypes = [value.dtype] if columns is None else list(value.dtypes)
    for place, dtype in enumerate(dtypes):
        if getattr(dtype, "kind", "O") not in NUMERIC:
            where = name if columns is None else f"column {columns[place]!r} of {name}"
            advice = _advice(array if columns is None else array[:, place], name, "O")
            raise ValueError(f"{where} is of type {dtype}, not numbers. {advice}")
    return value.to_numpy(dtype=np.float64, na_value=np.nan)


def _dtype_error(array: Any, name: str) -> str:
    if isinstance(array, DeviceArray):
        return f"{name} has dtype {array.dtype} on the GPU, not float32 or float64"
    kind = {"S": "U", "T": "U", "m": "M"}.get(array.dtype.kind, array.dtype.kind)
    shown = f"{name} has dtype {array.dtype}, not numbers"
    if array.size:
        first = array.flat[0]
        shown += f" (its first entry is {(str(first) if isinstance(first, str) else first)!r})"
    return f"{shown}. {_advice(array, name, kind)}"


def _advice(array: NDArray[Any], name: str, kind: str) -> str:
    """What to do with an ``array`` that does not hold numbers."""
    if not array.size or not isinstance(array.flat[0], str | bytes):
        return _ADVICE.get(kind, _ADVICE["O"]).format(name=name)
    try:
        array.astype(np.float64)
    except (TypeError, ValueError):
        return (NAME_LABELS if name.startswith("y") else _ADVICE[kind]).format(name=name)
    return f"It holds numbers as text: write {name}.astype(float)"


def cast(array: Any, dtype: str) -> Any:
    """``array`` as C-contiguous ``dtype``; the same object when it already is, as those of `in_place` on the GPU are."""
    if array.dtype == dtype and (isinstance(array, DeviceArray) or array.flags.c_contiguous):
        return array
    with np.errstate(over="ignore", invalid="ignore"):
        return np.ascontiguousarray(array, dtype=dtype)


def in_place(array: Any, dtype: str, name: str) -> Any:
    """``array``, refused where it lies on the GPU and cannot be used there as it is: nothing goes through the host in secret."""
    if isinstance(array, DeviceArray):
        if array.dtype != dtype:
            raise ValueError(
                f"{name} is {array.dtype} on the GPU, the model takes {dtype}; {name}.astype({dtype!r}) of CuPy's and JAX's, "
                f"{name}.to(torch.{dtype}) of PyTorch's makes such a copy there"
            )
        if not array.contiguous:
            raise ValueError(
                f"{name} lies on the GPU and is not C-contiguous; {name}.contiguous() of PyTorch's, cupy.ascontiguousarray({name}) "
                "makes such a copy there"
            )
    return array


def on_host(array: Any) -> NDArray[Any]:
    """``array``, fetched where it lies on the GPU: for one number a sample, which the host looks at."""
    return array.copy_to_host() if isinstance(array, DeviceArray) else array


def rows_on_host(array: Any, rows: NDArray[np.int64]) -> NDArray[Any]:
    """``array[rows]``, fetched row by row where it lies on the GPU."""
    if isinstance(array, DeviceArray):
        return np.concatenate([array[row : row + 1].copy_to_host() for row in map(int, rows)])
    return array[rows]


def is_finite(array: NDArray[Any]) -> bool:
    """Whether every value is finite, in one pass; a sum that overflows is looked at again."""
    if array.dtype.kind != "f":
        return True
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(array.sum())) or first_not_finite(array) is None


def first_not_finite(array: NDArray[Any]) -> tuple[int, ...] | None:
    """The index of the first value that is NaN or infinite."""
    for start in range(0, len(array), CHUNK):
        bad = np.argwhere(~np.isfinite(array[start : start + CHUNK]))
        if len(bad):
            return (int(bad[0][0]) + start, *map(int, bad[0][1:]))
    return None


def check_finite(array: Any, name: str, columns: list[str] | None = None, given: Any = None) -> None:
    """Raise ValueError naming the first row and column that hold NaN or inf; on the GPU instructions look for them.

    ``given``: what ``array`` was cast from, in its shape.
    """
    if isinstance(array, DeviceArray):
        if contents.all_finite(array):
            return
        array = array.copy_to_host()  # to say where
    if is_finite(array):
        return
    place = first_not_finite(array)
    assert place is not None
    where, value = f"row {place[0]}", array[place]
    if len(place) > 1:
        title = f" ({columns[place[1]]!r})" if columns and len(place) == 2 and place[1] < len(columns) else ""
        where += f", column {', '.join(map(str, place[1:]))}{title}"
    if np.isinf(value) and isinstance(given, np.ndarray) and given.shape == array.shape and np.isfinite(given[place]):
        raise ValueError(
            f"{name} holds {given[place]} in {where} (counted from 0), too large for {array.dtype}. Scale it, or give the layers "
            "dtype='float64'"
        )
    raise ValueError(
        f"{name} holds {value} in {where} (counted from 0, as {array.dtype}). Drop or fill such rows, for example with "
        f"DataFrame.dropna() or np.nan_to_num; fit with check_finite=False lets them pass"
    )
