"""JAX: a jitted step called from Python, and a whole epoch as one jitted ``lax.scan``; the state donated, the data on the device.

The loss is written with ``logsumexp`` and a mask: the form that XLA computes fastest here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers import Peer, absent
from fastnn.bench.kernel_data import ADAM, RMSPROP
from fastnn.bench.specs import Data, InferSpec, KernelSpec, SweepSpec, TrainSpec
from fastnn.bench.timing import Task

State = dict[str, Any]
"""``weights``, ``m``, ``v``: lists of arrays; ``step``: updates so far."""


def _forward(weights: list[Any], x: Any) -> Any:
    import jax.numpy as jnp

    for kernel, bias in zip(weights[0:-2:2], weights[1:-2:2], strict=True):
        x = jnp.maximum(x @ kernel + bias, 0)
    return x @ weights[-2] + weights[-1]


def _cross_entropy(logits: Any, labels: Any) -> Any:
    import jax
    import jax.numpy as jnp

    picked = jnp.where(jnp.arange(logits.shape[1]) == labels[:, None], logits, 0).sum(1)
    return jnp.mean(jax.nn.logsumexp(logits, axis=1) - picked)


def _loss(spec: TrainSpec) -> Callable[[list[Any], Any, Any], Any]:
    if spec.loss == "softmax_cross_entropy":
        return lambda weights, x, y: _cross_entropy(_forward(weights, x), y)
    return lambda weights, x, y: ((_forward(weights, x) - y) ** 2).mean()


def _update(spec: TrainSpec, state: State, gradients: list[Any]) -> State:
    import jax.numpy as jnp

    step, rate = state["step"] + 1, spec.learning_rate
    weights, m, v = state["weights"], state["m"], state["v"]
    if spec.optimizer == "adam":
        b1, b2 = ADAM["beta_1"], ADAM["beta_2"]
        t = step.astype(jnp.float32)
        alpha = rate * jnp.sqrt(1 - b2**t) / (1 - b1**t)
        m = [old + (1 - b1) * (g - old) for old, g in zip(m, gradients, strict=True)]
        v = [old + (1 - b2) * (g * g - old) for old, g in zip(v, gradients, strict=True)]
        steps = [alpha * first / (jnp.sqrt(second) + ADAM["epsilon"]) for first, second in zip(m, v, strict=True)]
    elif spec.optimizer == "rmsprop":
        v = [RMSPROP["rho"] * old + (1 - RMSPROP["rho"]) * g * g for old, g in zip(v, gradients, strict=True)]
        steps = [rate * g / jnp.sqrt(second + RMSPROP["epsilon"]) for g, second in zip(gradients, v, strict=True)]
    else:
        steps = [rate * g for g in gradients]
    return {"weights": [w - change for w, change in zip(weights, steps, strict=True)], "m": m, "v": v, "step": step}


def _train_step(spec: TrainSpec) -> Callable[[State, Any, Any], tuple[State, Any]]:
    """``(state, x, y) -> (state, mean loss)`` of one batch."""
    import jax

    gradient = jax.value_and_grad(_loss(spec))

    def step(state: State, x: Any, y: Any) -> tuple[State, Any]:
        loss, gradients = gradient(state["weights"], x, y)
        return _update(spec, state, gradients), loss

    return step


def _fresh(spec: TrainSpec, weights: list[NDArray[np.float32]]) -> State:
    import jax.numpy as jnp

    kept = {"adam": ("m", "v"), "rmsprop": ("v",)}.get(spec.optimizer, ())
    moments = {name: [jnp.zeros(w.shape, jnp.float32) for w in weights] if name in kept else [] for name in ("m", "v")}
    return {"weights": [jnp.array(w) for w in weights], "step": jnp.zeros((), jnp.int32), **moments}


def _epoch(spec: TrainSpec) -> Callable[[State, Any, Any, Any], tuple[State, Any]]:
    """``(state, x, y, order) -> (state, mean loss of the samples)``: the whole batches as one scan, then the short one."""
    import jax

    step = _train_step(spec)
    whole, rest = divmod(spec.samples, spec.batch)

    def epoch(state: State, x: Any, y: Any, order: Any) -> tuple[State, Any]:
        def body(state: State, rows: Any) -> tuple[State, Any]:
            return step(state, x[rows], y[rows])  # as fast as one gather for the epoch, and without its memory

        state, losses = jax.lax.scan(body, state, order[: whole * spec.batch].reshape(whole, spec.batch))
        total = losses.sum() * spec.batch
        if rest:
            state, last = body(state, order[-rest:])
            total += last * rest
        return state, total / spec.samples

    return epoch


def _task(spec: TrainSpec, data: Data, epoch: Callable[[State, Any], tuple[State, Any]]) -> Task:
    import jax
    import jax.numpy as jnp

    held: dict[str, State] = {}

    def reset() -> None:
        held["state"] = jax.block_until_ready(_fresh(spec, data["weights"]))

    def run() -> float:
        state, loss = held["state"], 0.0
        for order in orders:
            state, loss = epoch(state, order)
        held["state"] = state
        return float(loss)

    orders = [jnp.array(order, jnp.int32) for order in data["orders"]]
    return Task(run, reset)


def train_scan(spec: TrainSpec, data: Data, threads: int) -> Task:
    """One call an epoch."""
    import jax
    import jax.numpy as jnp

    x, y = jnp.array(data["x"]), jnp.array(data["y"])
    epoch = jax.jit(_epoch(spec), donate_argnums=0)
    order = jnp.array(data["orders"][0], jnp.int32)
    compiled = epoch.lower(_fresh(spec, data["weights"]), x, y, order).compile()
    return _task(spec, data, lambda state, order: compiled(state, x, y, order))


def train_step(spec: TrainSpec, data: Data, threads: int) -> Task:
    """One call a step; which rows it takes follows from a counter on the device, so that nothing is sent to it."""
    import jax
    import jax.numpy as jnp

    x, y = jnp.array(data["x"]), jnp.array(data["y"])
    step = _train_step(spec)
    whole, rest = divmod(spec.samples, spec.batch)

    def stepper(rows: int) -> Any:
        def call(state: State, position: Any, total: Any, x: Any, y: Any, order: Any) -> tuple[State, Any, Any]:
            chosen = jax.lax.dynamic_slice(order, (position,), (rows,))
            state, loss = step(state, x[chosen], y[chosen])
            return state, position + rows, total + loss * rows

        return jax.jit(call, donate_argnums=(0, 1, 2))

    calls = [stepper(spec.batch)] * whole + [stepper(rest)] * (rest > 0)

    def epoch(state: State, order: Any) -> tuple[State, Any]:
        position, total = jnp.zeros((), jnp.int32), jnp.zeros((), jnp.float32)
        for call in calls:
            state, position, total = call(state, position, total, x, y, order)
        return state, total / spec.samples

    order = jnp.array(data["orders"][0], jnp.int32)
    for call in {*calls}:  # compile both sizes of batch
        call(_fresh(spec, data["weights"]), jnp.zeros((), jnp.int32), jnp.zeros((), jnp.float32), x, y, order)
    return _task(spec, data, epoch)


def sweep(spec: SweepSpec, data: Data, threads: int) -> Task:
    """All models at once: the epoch's scan under ``vmap`` over weights and orders."""
    import jax
    import jax.numpy as jnp

    x, y = jnp.array(data["x"]), jnp.array(data["y"])
    orders = jnp.array(data["orders"], jnp.int32)
    weights = [np.stack(arrays) for arrays in zip(*data["weights"], strict=True)]
    epoch = jax.jit(jax.vmap(_epoch(spec.model), in_axes=(0, None, None, 0)), donate_argnums=0)
    held: dict[str, State] = {}

    def reset() -> None:
        held["state"] = jax.block_until_ready({**_fresh(spec.model, weights), "step": jnp.zeros(spec.models, jnp.int32)})

    def run() -> NDArray[np.float32]:
        state, losses = held["state"], None
        for index in range(spec.model.epochs):
            state, losses = compiled(state, x, y, orders[:, index])
        held["state"] = state
        return np.asarray(losses)

    reset()
    compiled = epoch.lower(held["state"], x, y, orders[:, 0]).compile()
    return Task(run, reset)


def infer(spec: InferSpec, data: Data, threads: int) -> Task | None:
    """The jitted forward pass from and to NumPy ("prepared"); jax has no model to call."""
    if spec.route != "prepared":
        return None
    import jax
    import jax.numpy as jnp

    softmax = spec.model.loss == "softmax_cross_entropy"
    weights = [jnp.array(weight) for weight in data["weights"]]
    forward = jax.jit(lambda weights, x: jax.nn.softmax(_forward(weights, x)) if softmax else _forward(weights, x))
    x = data["x"]

    def run() -> NDArray[np.float32]:
        return np.asarray(forward(weights, x))

    run()
    return Task(run)


LOSSES = dict.fromkeys(("softmax_cross_entropy", "softmax_cross_entropy_dense", "sigmoid_cross_entropy"), ("dlogits",))
WRITTEN = {"adam": ("params", "m", "v"), "read": (), "mean_squared_error": ("dpred",), **LOSSES}
"""Arrays of the data that an operation writes, the main result first; the others write ``out``, backwards ``dx``."""


def kernel(spec: KernelSpec, data: Data, threads: int, *, queued: bool = False) -> Task | None:
    """A jitted function of arrays on the device. The arrays it writes are donated, so that XLA writes over them.

    ``queued``: repeated calls are waited for at their end alone.
    """
    import jax
    import jax.numpy as jnp

    compute = _kernels(spec).get(spec.op)
    if compute is None or spec.dtype != "float32":  # JAX turns float64 into float32 unless a whole process is told otherwise
        return None
    written = WRITTEN.get(spec.op, ("dx",) if spec.op.endswith("_backward") else ("out",))
    old = {name: jnp.array(data[name]) for name in written}
    old |= {"step": jnp.zeros((), jnp.int32)} if spec.op == "adam" else {}
    inputs = {name: jnp.array(array) for name, array in data.items() if name not in (*written, "loss", "scale", "rates")}
    inputs = {name: array for name, array in inputs.items() if name != "out" or spec.op.endswith("_backward")}
    call = jax.jit(compute, donate_argnums=0, keep_unused=True).lower(old, **inputs).compile()

    def run() -> Any:
        nonlocal old
        new = jax.block_until_ready(call(old, **inputs))
        old = new if written else old
        return new[written[0]] if written else new

    def many(calls: int) -> None:
        nonlocal old
        new: Any = None
        for _ in range(calls):
            new = call(old, **inputs)
            old = new if written else old
        jax.block_until_ready(new)

    return Task(run, many=many if queued else None)


def _kernels(spec: KernelSpec) -> dict[str, Callable[..., Any]]:
    """By operation: from what is written over and the inputs to what is written."""
    import jax
    import jax.numpy as jnp

    def matmul(old: Any, a: Any, b: Any) -> Any:
        return {"out": (a.T if spec.transpose_a else a) @ (b.T if spec.transpose_b else b)}

    def adam(old: Any, grads: Any) -> Any:
        one = TrainSpec(1, (1,), "mean_squared_error", "adam", 1e-3, 1, 1, 1)
        lists = {"weights": [old["params"]], "m": [old["m"]], "v": [old["v"]], "step": old["step"]}
        new = _update(one, lists, [grads])
        return {"params": new["weights"][0], "m": new["m"][0], "v": new["v"][0], "step": new["step"]}

    return {
        "matmul": matmul,
        "softmax_cross_entropy": lambda old, logits, labels: {"dlogits": jax.grad(_cross_entropy)(logits, labels)},
        "softmax_cross_entropy_dense": lambda old, logits, target: {
            "dlogits": jax.grad(lambda x: -(target * jax.nn.log_softmax(x)).sum(1).mean())(logits)
        },
        "sigmoid_cross_entropy": lambda old, logits, target: {
            "dlogits": jax.grad(lambda x: (jnp.logaddexp(x, 0) - x * target).mean())(logits)
        },
        "mean_squared_error": lambda old, pred, target: {"dpred": jax.grad(lambda p: ((p - target) ** 2).mean())(pred)},
        "sum_rows": lambda old, x: {"out": x.sum(0)},
        "relu": lambda old, x: {"out": jnp.maximum(x, 0)},
        "sigmoid": lambda old, x: {"out": jax.nn.sigmoid(x)},
        "tanh": lambda old, x: {"out": jnp.tanh(x)},
        "softmax": lambda old, x: {"out": jax.nn.softmax(x, axis=1)},
        "log_softmax": lambda old, x: {"out": jax.nn.log_softmax(x, axis=1)},
        "relu_backward": lambda old, x, dout: {"dx": jnp.where(x > 0, dout, 0)},
        "sigmoid_backward": lambda old, out, dout: {"dx": dout * out * (1 - out)},
        "tanh_backward": lambda old, out, dout: {"dx": dout * (1 - out * out)},
        "softmax_backward": lambda old, out, dout: {"dx": out * (dout - (out * dout).sum(1, keepdims=True))},
        "log_softmax_backward": lambda old, out, dout: {"dx": dout - jnp.exp(out) * dout.sum(1, keepdims=True)},
        "adam": adam,
        "scale": lambda old, x: {"out": 2 * x},
        "update": lambda old, x: {"out": old["out"] / 2 + x},
        "read": lambda old, x: x.sum(),
    }


def _compilation_cache(folder: Path) -> dict[str, str]:
    return {"JAX_COMPILATION_CACHE_DIR": str(folder)}


def _cuda_missing() -> str | None:
    if reason := absent("jax", "jaxlib")():
        return reason
    plugins = ("jax_cuda13_plugin", "jax_cuda12_plugin")
    return None if any(map(find_spec, plugins)) else "jax is installed without CUDA: pip install 'jax[cuda13]'"


ON_CUDA = {"JAX_PLATFORMS": "cuda", "JAX_DEFAULT_MATMUL_PRECISION": "highest", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
"""float32 without TF32; and the GPU's memory is not taken whole, as other libraries hold some."""

PEERS = (
    Peer(
        "jax scan",
        "jax",
        "import jax",
        absent("jax", "jaxlib"),
        train=train_scan,
        kernel=None,
        sweep=sweep,
        note="one jitted lax.scan an epoch, state donated, data on the device; the sweep is that scan under vmap.",
    ),
    Peer(
        "jax jit",
        "jax",
        "import jax",
        absent("jax", "jaxlib"),
        train=train_step,
        infer=infer,
        kernel=kernel,
        note="one jitted call a step, state donated, data and position on the device.",
    ),
    Peer(
        "jax scan",
        "jax",
        "import jax",
        _cuda_missing,
        train=train_scan,
        environment=ON_CUDA,
        device="cuda",
        note="one jitted lax.scan an epoch, state donated, data on the device; float32, TF32 off.",
    ),
    Peer(
        "jax jit",
        "jax",
        "import jax",
        _cuda_missing,
        train=train_step,
        infer=infer,
        kernel=partial(kernel, queued=True),
        environment=ON_CUDA,
        device="cuda",
        note="one jitted call a step, state donated, data and position on the device; float32, TF32 off.",
    ),
)
