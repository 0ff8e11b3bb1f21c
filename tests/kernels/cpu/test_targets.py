"""The kernels as compiled for other x86 CPUs: without AVX-512's masks a whole other path packs and multiplies."""

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import llvmlite.binding as llvm
import pytest
from fastnn_kernels.cpu.matmul.blocking import AVX2

ROOT = Path(__file__).parents[3]

TARGETS = {
    "AVX2": ("haswell", "+avx2,+fma,+avx,+sse4.2,+bmi,+bmi2,+popcnt,+f16c"),
    "SSE2": ("x86-64", "+sse2"),
}

pytestmark = pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="x86's own instruction sets")

LOOP = r"(?ms)^(\S*BB\d+_\d+):(?:(?!^\S*BB).)*?\bj\w+\s+\1$"
"""A block that ends with a jump to its own beginning."""

ASSEMBLY = """
from fastnn_kernels.cpu.compiler import compile_module, target_machine
print(target_machine().emit_assembly(compile_module({unit!r})))
"""


def run(target, directory, *arguments):
    """What Python prints where Numba compiles for ``target``."""
    cpu, features = TARGETS[target]
    environment = os.environ | {
        "NUMBA_CPU_NAME": cpu,
        "NUMBA_CPU_FEATURES": features,
        "FASTNN_CACHE_DIR": str(directory / "cache"),
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "kernels")]),
    }
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    return done.stdout


@pytest.mark.parametrize("target", TARGETS)
def test_products_and_narrow_losses_on(target, tmp_path):
    available = llvm.get_host_cpu_features()
    features = TARGETS[target][1].replace("+", "").split(",")
    if missing := [name for name in features if not available.get(name)]:
        pytest.skip(f"this CPU has no {', '.join(missing)}")
    chosen = "(matmul or softmax_cross_entropy or gemv) and not float64"
    files = ["tests/kernels/test_instructions.py", "tests/kernels/cpu/test_gemv.py"]
    assert " passed" in run(target, tmp_path, "-m", "pytest", "-q", "-k", chosen, "-p", "no:cacheprovider", *files)


@pytest.mark.parametrize("unit", ["matmul-float32", "matmul-float64"])
def test_avx2_multiplies_and_adds_in_its_own_registers(unit, tmp_path):
    """No registers of AVX-512, and the tile's loop over terms without the stack."""
    text = run("AVX2", tmp_path, "-c", ASSEMBLY.format(unit=unit))
    assert "zmm" not in text
    loops = [match[0] for match in re.finditer(LOOP, text)]
    counts = [len(re.findall(r"vfmadd\d+p[sd]\s.*ymm", loop)) for loop in loops if "rsp" not in loop]
    assert AVX2.rows * AVX2.vectors in counts
