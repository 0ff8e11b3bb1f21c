"""Kernels as functions: called by kernels, by anybody's compiled functions, and by Python; while others compile."""

from __future__ import annotations

import re
import threading
from typing import Any

import numba
import numpy as np
import pytest
from fastnn_kernels.cpu.options import by_type, interleaved_kernel, kernel
from fastnn_kernels.cpu.vector_math import sigmoid
from numba import types


@kernel
def doubled(x):
    return x + x


@kernel
def quadrupled(x):
    return doubled(doubled(x))


@by_type(lambda x: (lambda x: -x) if isinstance(x, types.Float) else (lambda x: ~x))
def opposite(x):
    return x


@numba.njit
def ordinary(x):
    return quadrupled(np.sort(x)[0]), opposite(1), opposite(2.5)


def test_python_calls_a_kernel_with_any_types() -> None:
    assert quadrupled(3) == 12
    assert quadrupled(0.5) == 2.0


def test_the_types_choose_the_function() -> None:
    assert (opposite(1), opposite(2.5)) == (-2, -2.5)


def test_an_ordinary_compiled_function_calls_kernels() -> None:
    assert ordinary(np.array([2.0, 1.0])) == (4.0, -2, -2.5)


def test_a_wrong_call_is_an_error() -> None:
    with pytest.raises(numba.TypingError, match="too many positional arguments"):
        doubled(1, 2)


def test_no_machine_code_is_made_of_kernels() -> None:
    @kernel
    def octupled(x):
        return doubled(quadrupled(x))

    octupled.compile((types.float32,))
    (overload,) = octupled.overloads.values()
    assert overload.library.get_pointer_to_function(overload.fndesc.llvm_func_name) == 0


def test_others_compile_while_a_unit_is_compiled() -> None:
    from fastnn_kernels.cpu.compiler import compile_object

    results: list[Any] = []

    def compile_another() -> None:
        @numba.njit
        def another(x):
            return doubled(x) * 10

        results.append(another(1.5))

    threads = [threading.Thread(target=compile_another) for _ in range(2)]
    for thread in threads:
        thread.start()
    compile_object("sigmoid-float32")
    for thread in threads:
        thread.join()
    assert results == [30.0, 30.0]


def sigmoids(x, out):
    for i in range(np.uint64(x.size)):
        out[i] = sigmoid(x[i])


def test_an_interleaved_loop_works_on_several_vectors() -> None:
    """Its metadata reaches LLVM, which puts their divisions, one a vector, side by side; results are as before."""
    x, divisions = np.linspace(-9.0, 9.0, 101, dtype=np.float32), []
    wanted = np.array([sigmoid(value) for value in x])
    for compiled in (interleaved_kernel(2)(sigmoids), interleaved_kernel(4)(sigmoids)):
        out = np.empty_like(x)
        compiled(x, out)
        np.testing.assert_array_equal(out, wanted)
        (text,) = compiled.from_python.inspect_llvm().values()
        divisions.append(max(len(re.findall(r"fdiv .*<\d+ x float>", block)) for block in text.split("\n\n")))
    assert divisions == [2, 4]
