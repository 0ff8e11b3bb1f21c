"""Kernels as functions: called by kernels, by anybody's compiled functions, and by Python; while others compile."""

from __future__ import annotations

import threading
from typing import Any

import numba
import numpy as np
import pytest
from fastnn_kernels.cpu.options import by_type, kernel
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
