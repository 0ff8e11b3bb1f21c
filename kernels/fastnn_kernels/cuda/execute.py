"""Run one instruction on NumPy arrays: to the device, one launch, and back."""

from __future__ import annotations

from collections.abc import Mapping

from numpy.typing import NDArray

from fastnn_kernels.cuda import device
from fastnn_kernels.cuda.matmul.blocking import SCRATCH_ELEMENTS
from fastnn_kernels.operands import MOST_WORKERS, check_attributes, check_operands, find_instruction, integer, supply_scratch
from fastnn_kernels.units import unit_name


def execute(
    name: str,
    operands: Mapping[str, NDArray | None],
    attributes: Mapping[str, int | float] | None = None,
    *,
    dtype: str = "float32",
    workers: int = 1,
    shift: int = 0,
) -> None:
    """Run instruction ``name`` once; operands that the contract line writes are written in place.

    Parameters and errors are those of `fastnn_kernels.cpu.execute.execute`; a worker is a block of threads, and every operand
    begins ``shift`` elements after an address that suits any access.
    """
    instruction, workers = find_instruction(name), integer("workers", workers, 1, MOST_WORKERS)
    arrays = supply_scratch(instruction, operands, SCRATCH_ELEMENTS[dtype], dtype)
    sizes = check_operands(instruction, arrays, dtype)
    attributes = attributes or {}
    check_attributes(instruction, attributes)
    stream, unit = device.Stream(), unit_name(name, dtype)
    present = {spec: array for spec in instruction.operands if (array := arrays.get(spec.name)) is not None}
    buffers = {spec.name: device.allocate(array.nbytes + shift * array.itemsize) for spec, array in present.items()}
    places = {spec.name: buffers[spec.name].address + shift * array.itemsize for spec, array in present.items()}
    for spec, array in present.items():
        stream.upload(places[spec.name], array)
    addresses = [places.get(spec.name, 0) for spec in instruction.operands]
    values = [attributes[attribute] for attribute, _ in instruction.attributes]
    stream.launch(device.load([unit])[unit], workers, [0, *addresses, *sizes, *values])
    for spec, array in present.items():
        if spec.writes:
            stream.download(array, places[spec.name])
    stream.synchronize()
