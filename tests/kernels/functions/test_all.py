"""What all functions share: dtypes, layouts, ``out``, shared memory, workers, refusals."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import fastnn_kernels
import numpy as np
import pytest
from fastnn_kernels.functions import arrays
from fastnn_kernels.selftest.case import guarded, guards_intact
from numpy.typing import NDArray

from tests.kernels.functions.calls import CALLS, Call

every = pytest.mark.parametrize("call", CALLS, ids=str)


def strided(array: NDArray) -> NDArray:
    """The same values, every second element of a longer array along every axis."""
    longer = np.full([2 * size for size in array.shape], np.nan, array.dtype)
    view = longer[tuple(slice(None, None, 2) for _ in array.shape)]
    view[...] = array
    return view


def test_import_loads_neither_numba_nor_llvmlite_nor_numpy() -> None:
    code = "import sys, fastnn_kernels; print({'numba', 'llvmlite', 'numpy'} & set(sys.modules))"
    folder = Path(fastnn_kernels.__file__).parents[1]
    result = subprocess.run([sys.executable, "-S", "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"


def test_names_are_listed() -> None:
    assert set(fastnn_kernels.__all__) <= set(dir(fastnn_kernels))
    with pytest.raises(AttributeError, match="module 'fastnn_kernels' has no attribute 'convolution'"):
        fastnn_kernels.convolution  # noqa: B018
    with pytest.raises(AttributeError, match=r"Did you mean 'softmax'.*It has: matmul, dense"):
        fastnn_kernels.softmx  # noqa: B018


def test_what_no_function_takes_is_said() -> None:
    masked = np.ma.masked_greater(np.ones((2, 2), np.float32), 0)
    with pytest.raises(ValueError, match=r"a is a masked array that hides values; a\.filled"):
        fastnn_kernels.matmul(masked, np.ones((2, 2), np.float32))
    with pytest.raises(TypeError, match=r"a must be float32 or float64, got <U3$"):
        fastnn_kernels.matmul("abc", np.ones((2, 2), np.float32))


def test_editors_see_the_same_names() -> None:
    """The imports under ``TYPE_CHECKING`` are the table of lazy names."""
    tree = ast.parse(Path(fastnn_kernels.__file__).read_text(encoding="utf-8"))
    imported = [
        (node.module, alias.asname)
        for branch in tree.body
        if isinstance(branch, ast.If)
        for node in branch.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    lazy = [(getattr(fastnn_kernels, name).__module__, name) for name in fastnn_kernels.__all__]
    assert sorted(imported) == sorted(lazy)


@pytest.mark.parametrize("name", fastnn_kernels.__all__)
def test_name_is_documented_with_an_example(name: str) -> None:
    function = getattr(fastnn_kernels, name)
    assert function.__name__ == name
    for section in ("Parameters", "Raises", "Examples"):
        assert f"{section}\n    ---" in function.__doc__


@every
def test_float32_is_close_to_float64(call: Call) -> None:
    exact, rounded = call(*call.inputs()), call(*call.inputs("float32"))
    assert (exact.dtype, rounded.dtype) == (np.float64, np.float32)
    assert exact.shape == rounded.shape == call.out
    np.testing.assert_allclose(rounded, exact, rtol=2e-5, atol=2e-6)


@every
def test_inputs_of_any_layout_are_read_and_kept(call: Call) -> None:
    inputs = call.inputs()
    wanted = call(*inputs)
    for changed in (list(map(strided, inputs)), list(map(np.asfortranarray, inputs)), [x.tolist() for x in inputs]):
        np.testing.assert_array_equal(call(*changed), wanted)
    misaligned = [np.frombuffer(b"x" + x.tobytes(), np.uint8)[1:].view(x.dtype).reshape(x.shape) for x in inputs]
    np.testing.assert_array_equal(call(*misaligned), wanted)
    for x, before in zip(inputs, call.inputs(), strict=True):
        np.testing.assert_array_equal(x, before)


@every
def test_result_is_written_to_out_and_nowhere_else(call: Call) -> None:
    inputs = call.inputs()
    wanted = call(*inputs)
    out = guarded(call.out, "float64")
    assert call(*inputs, out=out) is out
    np.testing.assert_array_equal(out, wanted)
    assert guards_intact(out)
    between = np.full([2 * size for size in call.out], 7.0)
    view = between[tuple(slice(None, None, 2) for _ in call.out)]
    assert call(*inputs, out=view) is view
    np.testing.assert_array_equal(view, wanted)
    view[...] = 7.0
    assert (between == 7.0).all()


@every
def test_out_may_share_memory_with_an_input(call: Call) -> None:
    """As if it did not: the same memory, and memory that begins some elements later."""
    inputs = call.inputs()
    wanted = call(*inputs)
    for place, shape in enumerate(call.shapes):
        for shift in (0, 5):
            sizes = int(np.prod(shape)), int(np.prod(call.out))
            memory = np.zeros(max(sizes) + 2 * shift)
            shared = [x.copy() for x in inputs]
            shared[place] = memory[: sizes[0]].reshape(shape)
            shared[place][...] = inputs[place]
            out = memory[shift : shift + sizes[1]].reshape(call.out)
            np.testing.assert_array_equal(call(*shared, out=out), wanted)


@every
@pytest.mark.parametrize("workers", [1, 2, 3, 7])
def test_same_bits_for_any_number_of_workers(call: Call, workers: int) -> None:
    inputs = call.inputs("float32")
    assert call(*inputs, workers=workers).tobytes() == call(*inputs).tobytes()


@every
@pytest.mark.parametrize("workers", [0, -1, 1025, 10**6, True, 1.5, "2"])
def test_workers_are_an_integer_within_its_limits(call: Call, workers: object) -> None:
    error = ValueError if type(workers) is int else TypeError
    with pytest.raises(error, match="workers must be None or an integer from 1 to 1024, got"):
        call(*call.inputs(), workers=workers)


@every
@pytest.mark.parametrize("dtype", ["int64", "bool", "float16", ">f4", "complex128", "object"])
def test_other_dtypes_are_refused(call: Call, dtype: str) -> None:
    inputs = call.inputs()
    advice = "$" if dtype == "complex128" else r"; np\.asarray\(\w+, np\.float32\) makes such a copy"
    with pytest.raises(TypeError, match=rf"must be float32 or float64, got [^;]*{advice}"):
        call(inputs[0].astype(dtype), *inputs[1:])


@pytest.mark.parametrize("call", [call for call in CALLS if len(call.shapes) > 1], ids=str)
def test_mixed_dtypes_are_refused(call: Call) -> None:
    inputs = call.inputs()
    with pytest.raises(TypeError, match=r"is float32, but \w+ is float64; "):
        call(inputs[0], inputs[1].astype(np.float32), *inputs[2:])


@every
def test_out_that_cannot_be_written_is_refused(call: Call) -> None:
    inputs = call.inputs()
    read_only = np.empty(call.out)
    read_only.flags.writeable = False
    refused = (
        (np.empty(call.out).tolist(), TypeError, "out is written in place and must be a NumPy array, got list"),
        (np.empty(call.out, np.float32), TypeError, "out must be float64, that of the result, got float32"),
        (np.empty((2, *call.out)), ValueError, "out must have shape .*, that of the result, got"),
        (read_only, ValueError, "out is read-only"),
        (
            np.lib.stride_tricks.as_strided(np.empty(1), call.out, [0] * len(call.out)),
            ValueError,
            "out has elements that share memory",
        ),
    )
    for out, error, message in refused:
        with pytest.raises(error, match=message):
            call(*inputs, out=out)


@pytest.mark.parametrize("call", [call for call in CALLS if call.name.endswith("_backward")], ids=str)
def test_gradient_of_another_shape_is_refused(call: Call) -> None:
    inputs = call.inputs()
    with pytest.raises(ValueError, match=r"dout must have shape \(3, 50, 40\), that of \w, got \(50, 40\)"):
        call(inputs[0], inputs[1][0])


def test_workers_follow_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays.system, "usable_cores", lambda: 4)
    assert arrays.choose_workers(None, 1_000.0) == 1
    assert arrays.choose_workers(None, 50_000.0) == 1
    assert arrays.choose_workers(None, 150_000.0) == 4
    assert arrays.choose_workers(None, 1e9) == 4
    assert arrays.choose_workers(9, 1_000.0) == 9
    assert arrays.choose_workers(1024, 3.0) == 1
