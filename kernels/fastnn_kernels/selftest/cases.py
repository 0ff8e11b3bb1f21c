"""CASES: what every target is held to, at least one case for every code path of every instruction."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np

from fastnn_kernels.instructions import INSTRUCTIONS
from fastnn_kernels.selftest.case import Case

NORMAL = (0.0, -0.0, np.nan, 100.0, -100.0, 1.0)
FINITE = (*NORMAL, 1e-40, -1e-40)
HUGE = (*FINITE, 1e30, -1e30)
SPECIAL = (*HUGE, np.inf, -np.inf)
UNDEFINED = (*FINITE, np.inf, -np.inf)
"""Values to sprinkle: subnormals are flushed by some targets (so no slope is asked for at one), 1e30 squared overflows float32."""


def _case(op: str, path: str, absent: str = "", special: tuple[str, tuple[float, ...]] | None = None, **values: float) -> Case:
    instruction = INSTRUCTIONS[op]
    sizes = {name: int(value) for name, value in values.items() if name in instruction.dimensions}
    attributes = {name: value for name, value in values.items() if name not in sizes}
    return Case(op, path, sizes, tuple(absent.split()), attributes, special)


def _product(path: str, m: int, k: int, n: int, absent: str = "bias", special: bool = False, **attributes: float) -> Case:
    a = (k, m) if attributes.get("transpose_a") else (m, k)
    b = (n, k) if attributes.get("transpose_b") else (k, n)
    sizes = {"A0": a[0], "A1": a[1], "B0": b[0], "B1": b[1], "M": m, "N": n}
    return _case("matmul", path, f"{absent} scratch", ("a", UNDEFINED) if special else None, **sizes, **attributes)


def _products() -> list[Case]:
    shapes = {"one element": (1, 1, 1), "25-15-4": (32, 25, 15), "edges of tiles": (33, 17, 35), "whole tiles": (56, 64, 64)}
    cases = [
        _product(f"{name} {ta}{tb}", *shape, transpose_a=ta, transpose_b=tb)
        for name, shape in shapes.items()
        for ta in (0, 1)
        for tb in (0, 1)
    ]
    for activation in range(4):
        cases.append(_product(f"bias and activation {activation}", 37, 20, 19, "", activation=activation, negative_slope=0.25))
    for ta, tb in itertools.product((0, 1), (0, 1)):
        cases.append(_product(f"accumulate {ta}{tb}", 29, 50, 18, accumulate=1, transpose_a=ta, transpose_b=tb))
        cases.append(_product(f"several blocks {ta}{tb}", 150, 700, 300, transpose_a=ta, transpose_b=tb))
    return [
        *cases,
        _product("several blocks, bias, relu", 150, 700, 300, "", activation=1),
        _product("several blocks, accumulate", 150, 700, 300, accumulate=1),
        _product("several blocks, bias, sigmoid", 290, 520, 135, "", activation=2),
        _product("no rows", 0, 4, 300),
        _product("no rows, transposed b", 0, 4, 300, transpose_b=1),
        _product("exactly one block", 120, 512, 256),
        _product("special values in several blocks", 130, 530, 40, "", special=True),
        _product("one row", 1, 300, 200, ""),
        _product("one column", 300, 200, 1, ""),
        _product("one column, relu, transposed a", 301, 530, 1, "", activation=1, negative_slope=0.25, transpose_a=1),
        _product("one column, accumulate", 45, 530, 1, accumulate=1, transpose_b=1),
        _product("outer product", 70, 1, 90, "", activation=3),
        _product("deep and small", 4, 1500, 3, transpose_a=1),
        _product("a batch of a few rows, terms split", 24, 3000, 5, ""),
        *(_product(f"few large tiles {ta}{tb}", 203, 805, 501, transpose_a=ta, transpose_b=tb) for ta in (0, 1) for tb in (0, 1)),
        _product("few large tiles, bias, tanh", 200, 800, 504, "", activation=3),
        _product("few rows, many columns", 30, 1000, 1500, "", activation=1),
        _product("many large tiles", 1000, 40, 1000, transpose_b=1),
        _product("many large tiles, terms split, accumulate", 1024, 400, 768, transpose_a=1, accumulate=1),
        *(
            _product(f"tensorfloat32 {m}", m, k, n, "", precision=1)
            for m, k, n in ((1000, 40, 1000), (200, 804, 501), (30, 1500, 1000))
        ),
        *(
            _product(f"tensorfloat32 {ta}{tb}", 33, 36, 40, precision=1, transpose_a=ta, transpose_b=tb)
            for ta in (0, 1)
            for tb in (0, 1)
        ),
        _product("tensorfloat32, special values", 40, 33, 34, "", special=True, precision=1),
        _product("special values stay in their rows", 40, 33, 34, "", special=True),
        _product("special values, relu without a slope", 40, 33, 34, "", special=True, activation=1),
        _product("special values, sigmoid", 40, 33, 34, "", special=True, activation=2),
    ]


def _bfloat16() -> list[Case]:
    """`_products` of bfloat16; and those that tensor cores read 16 bytes at a time, or cannot."""
    cases = [replace(case, op="matmul_bfloat16") for case in _products()]
    shapes = {
        "rows of whole chunks": (72, 40, 136),
        "rows of whole chunks, small tiles": (40, 40, 40),
        "odd rows": (19, 45, 33),
        "many tiles": (520, 136, 528),
        "few tiles, terms split": (200, 1608, 112),
        "many large tiles": (1032, 40, 2064),
    }
    for path, shape in shapes.items():
        for ta, tb in itertools.product((0, 1), (0, 1)):
            cases.append(replace(_product(f"{path} {ta}{tb}", *shape, "", transpose_a=ta, transpose_b=tb), op="matmul_bfloat16"))
    large = (1096, 328, 2104)  # 9 x 9 tiles of warpgroups, with edges everywhere
    cases += [
        replace(_product("warpgroups 00", *large, ""), op="matmul_bfloat16"),
        replace(_product("warpgroups 01, accumulate", *large, transpose_b=1, accumulate=1), op="matmul_bfloat16"),
        replace(_product("warpgroups 10, tanh", *large, "", transpose_a=1, activation=3), op="matmul_bfloat16"),
        replace(_product("warpgroups 11, relu", *large, "", transpose_a=1, transpose_b=1, activation=1), op="matmul_bfloat16"),
    ]
    return [
        *cases,
        _case("to_bfloat16", "one element", N=1),
        _case("to_bfloat16", "several blocks and a tail", N=9001),
        _case("to_bfloat16", "special values", N=67, special=("x", SPECIAL)),
        _case("to_bfloat16", "ties and limits", N=100, special=("x", _HALFWAY)),
    ]


_HALFWAY = (1 + 2**-8, -1 - 2**-8, 1 + 3 * 2**-8, 3.3895e38, 3.3961e38, -3.3962e38, 1.1754943e-38, -1.1754942e-38, 1.175494e-38)
"""Between two bfloat16 numbers; about the largest one and what rounds to infinity; about the smallest normal one."""


def _activations() -> list[Case]:
    cases = []
    for op in ("relu", "sigmoid", "tanh"):
        cases += [_case(op, "one element", N=1), _case(op, "several blocks and a tail", N=9001)]
        cases += [_case(op, "special values", N=67, special=("x", SPECIAL)), _case(f"{op}_backward", "one element", N=1)]
        cases += [
            _case(f"{op}_backward", "several blocks and a tail", N=9001),
            _case(f"{op}_backward", "accumulate", N=4100, accumulate=1),
        ]
    for op, special in (("relu", SPECIAL), ("relu_backward", (*NORMAL, np.inf, -np.inf))):
        cases += [
            _case(op, "leaky", N=500, negative_slope=0.25, special=("x", special)),
            _case(op, "capped", N=500, max_value=1.0, special=("x", special)),
            _case(op, "threshold", N=500, threshold=0.5, special=("x", (0.5, np.nan, 0.25))),
            _case(op, "all three", N=500, negative_slope=0.5, max_value=2.0, threshold=-0.5, special=("x", (-0.5, 2.0, np.inf))),
        ]
    for op in ("sigmoid_backward", "tanh_backward"):
        cases.append(_case(op, "saturated and undefined", N=100, special=("out", (0.0, 1.0, np.nan))))
        cases.append(_case(op, "undefined gradient", N=100, special=("dout", UNDEFINED)))
    for op, inputs in (("softmax", "x"), ("softmax_backward", "dout"), ("log_softmax", "x"), ("log_softmax_backward", "dout")):
        cases += [
            _case(op, "one class", M=5, C=1),
            _case(op, "few classes", M=301, C=4),
            _case(op, "a wide row and a tail", M=13, C=1003),
        ]
        cases.append(_case(op, "special values", M=40, C=11, special=(inputs, SPECIAL if inputs == "x" else UNDEFINED)))
    return [*cases, *(_case(f"{op}softmax_backward", "accumulate", M=33, C=10, accumulate=1) for op in ("", "log_"))]


def _dropouts() -> list[Case]:
    numbers: dict[str, Any] = {"seed": -(2**62) + 12345, "call": 3}
    cases = [
        _case("dropout", "one element", N=1),
        _case("dropout", "several blocks and a tail", N=9001, **numbers),
        _case("dropout", "accumulate", N=1500, accumulate=1, **numbers),
        _case("dropout", "all dropped", N=50, kept=0, scale=0.0, special=("x", (np.nan, np.inf))),
        _case("dropout", "all kept", N=50, kept=2**31, scale=1.0, special=("x", SPECIAL)),
        _case("dropout", "special values", N=80, kept=2**30, scale=2.0, special=("x", UNDEFINED)),
        _case("dropout", "a draw of more than 32 bits", N=500, special=("control", (5 * 2**32 + 7,))),
    ]
    shapes: dict[str, dict[str, Any]] = {
        "along inner axes": {"middle": 5, "shared_inner": 9},
        "along an axis inside": {"shared_inner": 3, "inner": 7},
        "along the first axis": {"shared_outer": 30, "inner": 21},
        "along the first and the last axis": {"shared_outer": 6, "middle": 35, "shared_inner": 3},
        "along two axes inside": {"shared_outer": 3, "middle": 5, "shared_inner": 7, "inner": 2},
    }
    cases += [_case("dropout", f"shared {path}", N=630, **numbers, **shape) for path, shape in shapes.items()]
    cases.append(_case("dropout", "long rows that share", N=4 * 1501, shared_outer=2, inner=1501, **numbers))
    cases.append(_case("dropout", "many rows of one number", N=3 * 1500, shared_inner=3, **numbers))
    cases.append(
        _case("dropout", "rows of one number, several blocks", N=14_000, shared_outer=2, middle=1000, shared_inner=7, **numbers)
    )
    return [*cases, _case("dropout", "one number for all, accumulate", N=1100, shared_inner=1100, accumulate=1, **numbers)]


def _losses() -> list[Case]:
    cases = []
    for op in (name for name in INSTRUCTIONS if "loss" in {spec.name for spec in INSTRUCTIONS[name].operands}):
        prediction, gradient = INSTRUCTIONS[op].operands[0].name, INSTRUCTIONS[op].operands[-1].name
        smooth: dict[str, Any] = {"label_smoothing": 0.1} if "label_smoothing" in dict(INSTRUCTIONS[op].attributes) else {}
        cases += [
            _case(op, "value only", f"weight scale {gradient}", M=33, C=10),
            _case(op, "value and gradient", "weight scale", M=33, C=10),
            _case(op, "weights and scale", M=301, C=4, **smooth),
            _case(op, "accumulate", M=21, C=3, accumulate=1),
            _case(op, "one class", M=40, C=1),
            _case(op, "one row", M=1, C=7),
            _case(op, "wide rows", M=9, C=1003, **smooth),
            _case(op, "wide rows, accumulate", M=9, C=1003, accumulate=1),
            _case(op, "rows of several parts", M=3, C=1100, **smooth),
        ]
        if "labels" in {spec.name for spec in INSTRUCTIONS[op].operands}:
            cases.append(_case(op, "an ignored class inside the range", M=40, C=5, ignore_class=2))
            cases.append(_case(op, "an ignored class outside the range", M=40, C=5, ignore_class=-1))
            cases.append(
                _case(op, "ignored rows that are not finite", M=40, C=5, ignore_class=255, special=(prediction, (1.0, np.nan)))
            )
            wide: dict[str, Any] = {"M": 68, "C": 100, "ignore_class": 255, "special": (prediction, (np.nan,))}
            cases += [_case(op, "ignored wide rows", **wide), _case(op, "ignored wide rows, accumulate", accumulate=1, **wide)]
        cases.append(_case(op, "special values", M=60, C=6, special=(prediction, _SPECIAL_PREDICTIONS.get(op, (0.0, np.nan)))))
    return cases


_SPECIAL_PREDICTIONS = {
    "softmax_cross_entropy": SPECIAL,
    "softmax_cross_entropy_dense": (*FINITE, np.inf),
    "sigmoid_cross_entropy": HUGE,
    "mean_squared_error": UNDEFINED,
    "mean_absolute_error": SPECIAL,
}


def _updates() -> list[Case]:
    variants: list[tuple[str, str, str, dict[str, Any]]] = [
        ("sgd", "plain", "velocity", {}),
        ("sgd", "momentum", "", {"momentum": 0.9}),
        ("sgd", "nesterov", "", {"momentum": 0.9, "nesterov": 1}),
        ("adagrad", "plain", "", {}),
        ("rmsprop", "plain", "momentums average_gradient", {}),
        ("rmsprop", "momentum", "average_gradient", {"momentum": 0.9}),
        ("rmsprop", "centered", "momentums", {}),
        ("rmsprop", "centered with momentum", "", {"momentum": 0.9}),
        ("adam", "plain", "v_hat", {}),
        ("adam", "amsgrad", "", {}),
    ]
    cases = []
    for op, path, absent, attributes in variants:
        cases.append(_case(op, f"{path}, several blocks and a tail", absent, P=8999, **attributes))
        cases.append(_case(op, f"{path}, undefined gradients", absent, ("grads", UNDEFINED), P=70, **attributes))
    return [
        *cases,
        _case("adagrad", "one parameter", P=1),
        _case("next_update", "the tenth update", S=6),
        _case("next_update", "without moments", S=6, beta_1=0.0, beta_2=0.0),
    ]


def _batches() -> list[Case]:
    return [
        _case("shuffle", "at the first step", special=("control", (-1,)), S=1000),
        _case("shuffle", "one sample", special=("control", (-1,)), S=1),
        _case("shuffle", "at a later step", S=20),
        _case("shuffle", "no order", "index", special=("control", (-1,)), S=20),
        _case("shuffle", "an order that stays", "state", special=("control", (-1,)), S=20),
        _case("next_batch", "next", batch=32),
        _case("take_rows", "rows by index", S=90, R=100, B=32),
        _case("take_rows", "neighbouring rows", "index", S=90, R=100, B=32),
        _case("take_rows", "labels by index", S=40000, R=4, B=20000),
        _case("take_rows", "odd bytes", S=30, R=7, B=5),
        _case("put_rows", "odd bytes", S=30, R=7, B=5),
        _case("put_rows", "several blocks", S=300, R=400, B=250),
    ]


def _sums() -> list[Case]:
    cases = [
        _case("sum_rows", "one row", M=1, N=15),
        _case("sum_rows", "one column", M=77, N=1),
        _case("sum_rows", "rows and columns", M=130, N=300),
        _case("sum_rows", "many rows, few columns", M=3001, N=10),
        _case("sum_rows", "accumulate", M=32, N=15, accumulate=1),
        _case("sum_rows", "special values", M=40, N=30, special=("x", UNDEFINED)),
    ]
    for op in ("accumulate_mean", "accumulate_loss"):
        cases += [_case(op, "weights", M=1000, rows=1000), _case(op, "no weights", "weight", M=33, rows=33)]
        cases += [
            _case(op, f"a value of {value}", M=7, rows=7, special=("value", (value, 1.0))) for value in (np.nan, np.inf, -np.inf)
        ]
    for reduction, factor in itertools.product(range(3), (1.0, 0.5)):
        for absent in ("", "weight", "labels", "weight labels"):
            path = f"reduction {reduction}, factor {factor}, without {absent or 'none'}"
            cases.append(_case("loss_scale", path, absent, M=30, rows=30, reduction=reduction, factor=factor, ignore_class=1))
    cases.append(_case("loss_scale", "every row ignored", "", ("labels", (1,)), M=1, rows=1, reduction=1, ignore_class=1))
    cases.append(_case("loss_scale", "no weight at all", "labels", ("weight", (0.0,)), M=1, rows=1, reduction=2))
    for op in ("binary_accuracy", "categorical_accuracy", "sparse_categorical_accuracy"):
        cases += [_case(op, "one class", M=9, C=1, threshold=0.5), _case(op, "classes", M=500, C=7, threshold=0.25)]
        cases.append(_case(op, "equal predictions", M=40, C=3, threshold=0.5, special=("pred", (0.5, 0.0))))
        cases.append(_case(op, "many classes", M=40, C=101, threshold=0.5, special=("pred", (9.0, 9.0, 0.5, np.nan))))
    return cases


CASES = [*_batches(), *_products(), *_bfloat16(), *_sums(), *_activations(), *_dropouts(), *_losses(), *_updates()]
