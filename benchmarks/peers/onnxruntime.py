"""ONNX Runtime: inference of a graph that is written here, node by node."""

from __future__ import annotations

from functools import partial
from importlib import metadata
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers import Peer, absent
from fastnn.bench.specs import Data, InferSpec
from fastnn.bench.timing import Task

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


def model_bytes(spec: InferSpec, weights: list[NDArray[np.float32]]) -> bytes:
    """The model as an ONNX file: Gemm and Relu in turn, at the end Softmax."""
    from onnx import TensorProto, helper, numpy_helper

    nodes, value, layers = [], "x", len(spec.model.widths)
    for index in range(layers):
        last = index == layers - 1
        nodes.append(helper.make_node("Gemm", [value, f"kernel{index}", f"bias{index}"], [f"sum{index}"]))
        value = f"sum{index}" if last else f"relu{index}"
        nodes += [] if last else [helper.make_node("Relu", [f"sum{index}"], [value])]
    if spec.model.loss == "softmax_cross_entropy":
        nodes.append(helper.make_node("Softmax", [value], ["softmax"], axis=1))
        value = "softmax"
    names = [f"{kind}{index}" for index in range(layers) for kind in ("kernel", "bias")]
    constants = [numpy_helper.from_array(weight, name) for weight, name in zip(weights, names, strict=True)]
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, spec.model.inputs])
    result = helper.make_tensor_value_info(value, TensorProto.FLOAT, [None, spec.model.widths[-1]])
    graph = helper.make_graph(nodes, "model", [given], [result], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    content: bytes = model.SerializeToString()
    return content


def infer(spec: InferSpec, data: Data, threads: int, *, provider: str = CPU) -> Task | None:
    """A session's ``run`` on a NumPy array ("prepared"), its one route."""
    if spec.route != "prepared":
        return None
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    if provider == CUDA and hasattr(onnxruntime, "preload_dlls"):  # CUDA's libraries from pip's packages
        onnxruntime.preload_dlls()
    providers: list[Any] = [(CUDA, {"use_tf32": "0"})] if provider == CUDA else [CPU]
    session = onnxruntime.InferenceSession(model_bytes(spec, data["weights"]), options, providers=providers)
    if session.get_providers()[0] != provider:
        raise RuntimeError(f"ONNX Runtime has no {provider} here, but {session.get_providers()}")
    feed = {"x": data["x"]}

    def run() -> NDArray[np.float32]:
        result: NDArray[np.float32] = session.run(None, feed)[0]
        return result

    run()
    return Task(run)


def _cuda_missing() -> str | None:
    if reason := absent("onnx", "onnxruntime")():
        return reason
    try:
        metadata.version("onnxruntime-gpu")
    except metadata.PackageNotFoundError:
        return "onnxruntime is installed without CUDA: pip install onnxruntime-gpu"
    return None


PEERS = (
    Peer(
        "onnxruntime",
        "onnxruntime",
        "import onnxruntime",
        absent("onnx", "onnxruntime"),
        infer=infer,
        note="session.run, all graph optimizations, intra_op_num_threads; the graph built by onnx.helper.",
    ),
    Peer(
        "onnxruntime",
        "onnxruntime",
        "import onnxruntime",
        _cuda_missing,
        infer=partial(infer, provider=CUDA),
        device="cuda",
        note="session.run from and to NumPy by the CUDA provider, use_tf32=0.",
    ),
)
