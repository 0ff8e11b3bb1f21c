"""fastnn's kernels on a GPU: one instruction, its operands there, repeated as a graph."""

from __future__ import annotations

from typing import Any

from fastnn_kernels.cuda import device
from fastnn_kernels.cuda.grid import BLOCKS_PER_MULTIPROCESSOR, blocks_for
from fastnn_kernels.cuda.matmul.blocking import SCRATCH_ELEMENTS
from fastnn_kernels.instructions import INSTRUCTIONS
from fastnn_kernels.operands import check_operands, supply_scratch
from fastnn_kernels.units import unit_name
from numpy.typing import NDArray

from fastnn.bench.kernel_data import result_name
from fastnn.bench.specs import Data, KernelSpec
from fastnn.bench.timing import Task

LAUNCHES = 32
"""Of a graph: what launching it costs is shared by so many."""


def prepare(spec: KernelSpec, data: Data, attributes: dict[str, float]) -> Task:
    """The instruction of ``spec`` on the arrays of ``data``, which are sent once; `Task.run` brings the result back."""
    instruction, stream = INSTRUCTIONS[spec.op], device.Stream()
    arrays: dict[str, Any] = supply_scratch(instruction, data, SCRATCH_ELEMENTS[spec.dtype], spec.dtype)
    sizes = check_operands(instruction, arrays, spec.dtype)
    names = [operand.name for operand in instruction.operands]
    buffers = {name: device.allocate(arrays[name].nbytes) for name in names if name in arrays}
    for name, buffer in buffers.items():
        stream.upload(buffer.address, arrays[name])
    addresses = [buffers[name].address if name in buffers else 0 for name in names]
    unit, most = unit_name(spec.op, spec.dtype), BLOCKS_PER_MULTIPROCESSOR * int(device.properties()["multiprocessors"])
    largest = max(array.size for name, array in data.items() if name in names)
    blocks = blocks_for(spec.op, spec.dtype, dict(zip(instruction.dimensions, sizes, strict=True)), attributes, largest, most)
    launch = (device.load([unit])[unit], blocks, (0, *addresses, *sizes, *attributes.values()))
    one, several = stream.capture([launch]), stream.capture([launch] * LAUNCHES)
    result = result_name(spec.op)

    def run() -> NDArray[Any]:
        one.launch()
        stream.download(arrays[result], buffers[result].address)
        stream.synchronize()
        return arrays[result]

    def many(calls: int) -> None:
        several.launch(calls // LAUNCHES)
        one.launch(calls % LAUNCHES)
        stream.synchronize()

    stream.synchronize()
    return Task(run, many=many)
