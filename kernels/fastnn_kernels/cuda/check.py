"""Without a GPU: every kernel compiles for every architecture, a variant for its own, and none keeps anything in local memory.

python -m fastnn_kernels.cuda.check [unit or instruction ...]
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

from cuda.pathfinder import find_nvidia_binary_utility

from fastnn_kernels.cuda.variants import VARIANTS, variant_of
from fastnn_kernels.system import usable_cores
from fastnn_kernels.units import INTERPRETER, unit_name

CAPABILITIES = ((7, 5), (8, 0), (8, 6), (8, 9), (9, 0), (10, 0), (12, 0))
"""Turing (T4), Ampere (A100, RTX 30), Ada, Hopper, Blackwell (B200, RTX 50)."""

REGISTERS = re.compile(r"used (\d+) registers", re.IGNORECASE)
LOCAL = re.compile(r"([1-9]\d*) (bytes stack frame|bytes spill stores|bytes spill loads|stack|bytes lmem)")
LOSS = re.compile(r"C75\d\d")
"""The assembler's warnings of a potential performance loss: wgmma that wait for each other, setmaxnreg that is ignored."""

ON_TENSOR_CORES = {
    "matmul-float32": ("HMMA",),
    "matmul_bfloat16": ("HMMA.16816.F32.BF16",),
    "matmul_bfloat16-wgmma": ("HGMMA", "UTMALDG", "USETMAXREG"),
}
"""Units whose machine code holds such instructions, from sm_80."""


def units() -> list[str]:
    """Every unit that there is a kernel for."""
    from fastnn_kernels.cuda.kernels import KERNELS

    dtypes = ("float32", "float64")
    instructions = dict.fromkeys(unit_name(op, dtype) for op in KERNELS for dtype in dtypes)
    variants = [variant.unit for variant in VARIANTS.values()]
    return [*(f"{INTERPRETER}-{dtype}" for dtype in dtypes), *variants, *instructions]  # the longest first


def assemble(unit: str, capability: tuple[int, int]) -> tuple[bytes, str]:
    """The machine code of a unit and what the assembler tells of it; that of a variant, which a driver assembles, by ptxas."""
    from fastnn_kernels.cuda.compiler import architecture, compile_cubin, compile_whole

    if variant_of(unit) is None:
        return compile_cubin(unit, capability)
    with TemporaryDirectory() as folder:
        source, target = Path(folder, "ptx"), Path(folder, "cubin")
        source.write_bytes(compile_whole(unit, capability))
        told = _run("ptxas", "nvidia-cuda-nvcc", "-v", f"-arch={architecture(capability)}", source, "-o", target)
        return target.read_bytes(), told.stderr + told.stdout


def _run(program: str, package: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """One of NVIDIA's programs, which ``package`` brings."""
    found = find_nvidia_binary_utility(program)
    if found is None:
        raise RuntimeError(f"{program} is missing: pip install {package}")
    return subprocess.run([found, *arguments], check=True, capture_output=True, text=True)


def check_unit(unit: str) -> list[str]:
    """A line for every architecture; those of a failure begin with BAD."""
    from fastnn_kernels.cuda.compiler import architecture

    lines, variant = [], variant_of(unit)
    for capability in CAPABILITIES if variant is None else [variant.capability]:
        name = f"{unit} {architecture(capability)}"
        try:
            code, log = assemble(unit, capability)
        except Exception as error:  # a line of the report
            lines.append(f"BAD {name}: {type(error).__name__}: {error}")
            continue
        trouble = ", ".join(dict.fromkeys(match[0] for pattern in (LOCAL, LOSS) for match in pattern.finditer(log)))
        if capability >= (8, 0):
            text = disassemble(code, unit)
            trouble += "".join(f" no {wanted}" for wanted in ON_TENSOR_CORES.get(unit, ()) if wanted not in text)
        lines.append(f"{'BAD' if trouble else 'ok '} {name}: {REGISTERS.findall(log)[0]} registers, {len(code)} bytes {trouble}")
    return lines


def disassemble(code: bytes, unit: str) -> str:
    """The machine code of a unit of `ON_TENSOR_CORES` as text, by nvdisasm."""
    if unit not in ON_TENSOR_CORES:
        return ""
    with TemporaryDirectory() as folder:
        path = Path(folder, "cubin")
        path.write_bytes(code)
        return _run("nvdisasm", "nvidia-cuda-nvdisasm", "-c", path).stdout


def main(arguments: Sequence[str]) -> int:
    """Check the units that ``arguments`` name, or all; the number of failures."""
    chosen = [unit for unit in units() if not arguments or unit in arguments or unit.partition("-")[0] in arguments]
    failures = 0
    with ProcessPoolExecutor(usable_cores(), get_context("spawn")) as pool:
        for lines in pool.map(check_unit, chosen):
            print(*lines, sep="\n", flush=True)
            failures += sum(line.startswith("BAD") for line in lines)
    print(f"{len(chosen)} units, {len(CAPABILITIES)} architectures, {failures} failures")
    return failures


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1:]), 1))
