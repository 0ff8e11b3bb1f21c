"""Every peer of the benchmark computes what NumPy computes in float64, from the same data, weights and order."""

import os
import pickle
import platform
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from fastnn_kernels.instructions import INSTRUCTIONS, PRODUCTS
from fastnn_kernels.reference.kernels import KERNELS as REFERENCE

from benchmarks.peers import all_peers, plain_c
from benchmarks.peers.fastnn import attributes
from fastnn.bench.kernel_data import ADAM, RMSPROP, result_name
from fastnn.bench.specs import InferSpec, KernelSpec, SweepSpec, TrainSpec, make_data

ROOT = Path(__file__).parents[2]
SEED = 7
PEERS = {name: peer for name, peer in all_peers().items() if peer.train or peer.infer or peer.kernel}
TWINS = {
    "torch eager": "torch eager",
    "torch graph": "torch eager",
    "torch compile graph": "torch compile",
    "cublas tf32": "torch eager",
    "cublas bf16": "torch eager",
    "jax scan": "jax scan",
    "jax jit": "jax jit",
    "fastnn": "fastnn",
    "fastnn tf32": "fastnn",
    "machine": "numba parallel",
}
"""A GPU's peers, and those of the CPU that need the same packages: the very functions run on the CPU or in the simulator here."""
PEERS |= {f"{name}, cuda": replace(all_peers("cuda")[name], missing=PEERS[twin].missing) for name, twin in TWINS.items()}

BLOBS = TrainSpec(2, (25, 15, 4), "softmax_cross_entropy", "adam", 1e-2, samples=70, batch=32, epochs=2)
MILEAGE = TrainSpec(9, (64, 64, 1), "mean_squared_error", "rmsprop", 1e-3, samples=70, batch=32, epochs=2)
IRIS = TrainSpec(4, (6, 6, 3), "softmax_cross_entropy", "sgd", 1e-2, samples=23, batch=5, epochs=3)
TRAINING = {"sgd-few": replace(IRIS, samples=7, epochs=1)} | {
    f"{spec.optimizer}-{batch}": replace(spec, batch=batch)
    for spec in (BLOBS, MILEAGE, IRIS)
    for batch in (spec.batch, spec.samples)
}
SWEEP = SweepSpec(BLOBS, models=3)
WIDE = TrainSpec(20, (40, 33, 10), "softmax_cross_entropy", "adam", 1e-3, samples=8, batch=8, epochs=1)
INFERENCE = {
    f"{model.inputs}-{rows}-{route}": InferSpec(model, rows, route)
    for model in (BLOBS, WIDE)
    for rows in (1, 32)
    for route in ("predict", "call", "prepared")
}
LIMITS = ("copy", "scale", "update", "read")
SIZES = (6, 11, 6)
KERNELS = {
    **{f"matmul-{a:d}{b:d}": KernelSpec("matmul", (5, 33, 17), a, b) for a in (False, True) for b in (False, True)},
    "matmul-float64": KernelSpec("matmul", (5, 33, 17), dtype="float64"),
    "matmul_bfloat16": KernelSpec("matmul_bfloat16", (5, 33, 17), transpose_b=True),
    **{op: KernelSpec(op, SIZES[: len(INSTRUCTIONS[op].dimensions)]) for op in INSTRUCTIONS if op not in PRODUCTS},
    **{op: KernelSpec(op, (67,)) for op in LIMITS},
}

SIMULATED = ("sgd-few", "2-1-predict", "2-1-call", "2-1-prepared", "matmul-10", "softmax_cross_entropy", "adam", "copy", "scale")
"""What the simulator of a GPU, which is slow, is asked for."""

RUN = """
import pickle, sys
from functools import partial
import numpy as np
from benchmarks.peers import all_peers, plain_c
from fastnn.bench.specs import make_data
name, device, seed, jobs, path = pickle.load(sys.stdin.buffer)
peer, results = all_peers(device)[name], {}
for (kind, key), spec in jobs.items():
    make = getattr(peer, kind)
    if "device" in getattr(make, "keywords", {}):
        make = partial(make, device="cpu")
    task = make(spec, make_data(spec, seed), 1) if make else None
    if task is not None:
        for _ in range(2 if task.reset else 1):
            if task.reset: task.reset()
            result = task.run()
        results[kind, key] = None if result is None else np.array(result, np.float64)
        assert task.counted is None or 0 < task.counted() < 1
        if task.many:
            task.many(33)
with open(path, "wb") as file:
    pickle.dump(results, file)
"""


@cache
def results(name, folder):
    """What the peer returns for every job, by (kind, key), from a process of its own; twice from a ``reset``."""
    specs = {"train": TRAINING, "infer": INFERENCE, "kernel": KERNELS, "sweep": {"adam": SWEEP}}
    jobs = {(kind, key): spec for kind, group in specs.items() for key, spec in group.items()}
    path, peer = folder / f"{name}.pickle", PEERS[name]
    environment = {**os.environ, **peer.environment, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "kernels")])}
    if peer.device == "cuda":
        environment |= {"JAX_PLATFORMS": "cpu", "NUMBA_ENABLE_CUDASIM": "1"}
    if peer.device == "cuda" and peer.group in ("fastnn", "machine"):
        jobs = {(kind, key): spec for (kind, key), spec in jobs.items() if key in SIMULATED}
    given = pickle.dumps((peer.name, peer.device, SEED, jobs, path))
    ended = subprocess.run([sys.executable, "-c", RUN], input=given, capture_output=True, env=environment, cwd=ROOT)
    assert ended.returncode == 0, ended.stderr.decode()[-2000:]
    return pickle.loads(path.read_bytes())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("peers")


def peers_with(kind):
    return [name for name, peer in PEERS.items() if getattr(peer, kind)]


def results_of(name, kind, folder):
    """What the peer has a call for, by key; a skipped test when the library is not installed."""
    if reason := PEERS[name].missing():
        pytest.skip(reason)
    found = {key: result for (group, key), result in results(name, folder).items() if group == kind and result is not None}
    assert found
    return found


def forward(weights, x):
    """Inputs of every layer, and the output of the last."""
    values = [x]
    for kernel, bias in zip(weights[0:-2:2], weights[1:-2:2], strict=True):
        values.append(np.maximum(values[-1] @ kernel + bias, 0))
    return values, values[-1] @ weights[-2] + weights[-1]


def softmax(logits):
    e = np.exp(logits - logits.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def loss_and_slope(spec, out, y):
    rows = len(out)
    if spec.loss == "mean_squared_error":
        return ((out - y) ** 2).mean(), 2 * (out - y) / out.size
    p, index = softmax(out), (np.arange(rows), y)
    slope = p.copy()
    slope[index] -= 1
    return -np.log(p[index]).mean(), slope / rows


def expected_loss(spec, x, y, weights, orders):
    """Mean loss of the last epoch's samples."""
    x, weights = x.astype(np.float64), [weight.astype(np.float64) for weight in weights]
    m, v = ([np.zeros_like(weight) for weight in weights] for _ in range(2))
    step, total = 0, 0.0
    for order in orders:
        total = 0.0
        for rows in np.split(order, range(spec.batch, spec.samples, spec.batch)):
            step += 1
            values, out = forward(weights, x[rows])
            loss, slope = loss_and_slope(spec, out, y[rows])
            total += loss * len(rows)
            gradients = []
            for layer in reversed(range(len(values))):
                gradients = [values[layer].T @ slope, slope.sum(0), *gradients]
                slope = (slope @ weights[2 * layer].T) * (values[layer] > 0)
            for index, gradient in enumerate(gradients):
                weights[index] = weights[index] - update(spec, gradient, m, v, index, step)
    return total / spec.samples


def update(spec, g, m, v, index, step):
    """Keras's formulas."""
    if spec.optimizer == "adam":
        b1, b2 = ADAM["beta_1"], ADAM["beta_2"]
        m[index] += (1 - b1) * (g - m[index])
        v[index] += (1 - b2) * (g * g - v[index])
        rate = spec.learning_rate * np.sqrt(1 - b2**step) / (1 - b1**step)
        return rate * m[index] / (np.sqrt(v[index]) + ADAM["epsilon"])
    if spec.optimizer == "rmsprop":
        v[index] = RMSPROP["rho"] * v[index] + (1 - RMSPROP["rho"]) * g * g
        return spec.learning_rate * g / np.sqrt(v[index] + RMSPROP["epsilon"])
    return spec.learning_rate * g


def expected_kernel(spec, data):
    """The main result of ``spec``; an instruction's is the reference's, in float64."""
    d = {name: value.astype(np.float64) if value.dtype == np.float32 else value for name, value in data.items()}
    if spec.op == "matmul":
        return (d["a"].T if spec.transpose_a else d["a"]) @ (d["b"].T if spec.transpose_b else d["b"])
    if spec.op in INSTRUCTIONS:
        REFERENCE[spec.op](*(d.get(operand.name) for operand in INSTRUCTIONS[spec.op].operands), *attributes(spec).values())
        return d[result_name(spec.op)]
    if spec.op == "update":
        return d["out"] / 2 + d["x"]
    return {"copy": 1, "scale": 2}[spec.op] * d["x"] if "out" in d else d["x"].sum()


@pytest.mark.parametrize("name", peers_with("train"))
def test_train(name, folder):
    for key, result in results_of(name, "train", folder).items():
        spec = TRAINING[key]
        if PEERS[name].own_order and spec.batch < spec.samples:
            continue
        data = make_data(spec, SEED)
        expected = expected_loss(spec, data["x"], data["y"], data["weights"], data["orders"])
        # PyTorch adds RMSprop's epsilon outside the root
        tolerance = 5e-3 if spec.optimizer == "rmsprop" and PEERS[name].group == "torch" else 1e-4
        np.testing.assert_allclose(result, expected, rtol=tolerance, err_msg=key)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="x86's vectors of four")
@pytest.mark.parametrize("key", ["adam-32", "rmsprop-32", "sgd-5"])
def test_plain_c_of_short_vectors(key, tmp_path, monkeypatch):
    if reason := plain_c.missing():
        pytest.skip(reason)
    monkeypatch.setattr(plain_c, "CACHE", tmp_path)
    monkeypatch.setattr(plain_c, "FLAGS", tuple("-march=x86-64" if flag == "-march=native" else flag for flag in plain_c.FLAGS))
    spec = TRAINING[key]
    data = make_data(spec, SEED)
    task = plain_c.train(spec, data, 1)
    expected = expected_loss(spec, data["x"], data["y"], data["weights"], data["orders"])
    np.testing.assert_allclose(task.run(), expected, rtol=1e-4)


@pytest.mark.parametrize("name", peers_with("sweep"))
def test_sweep(name, folder):
    data = make_data(SWEEP, SEED)
    each = zip(data["weights"], data["orders"], strict=True)
    expected = [expected_loss(SWEEP.model, data["x"], data["y"], weights, orders) for weights, orders in each]
    np.testing.assert_allclose(results_of(name, "sweep", folder)["adam"], expected, rtol=1e-4)


@pytest.mark.parametrize("name", peers_with("infer"))
def test_infer(name, folder):
    for key, result in results_of(name, "infer", folder).items():
        data = make_data(INFERENCE[key], SEED)
        expected = softmax(forward(data["weights"], data["x"])[1].astype(np.float64))
        np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-6, err_msg=key)


@pytest.mark.parametrize("name", peers_with("kernel"))
def test_kernel(name, folder):
    for key, result in results_of(name, "kernel", folder).items():
        if PEERS[name].group == "torch" and key == "rmsprop":  # whose epsilon stands outside the root
            continue
        expected = expected_kernel(KERNELS[key], make_data(KERNELS[key], SEED))
        rtol, atol = (1e-4, 1e-5) if PEERS[name].name != "cublas bf16" else (1e-2, 5e-2)
        np.testing.assert_allclose(result, expected, rtol=rtol, atol=atol, err_msg=key)
