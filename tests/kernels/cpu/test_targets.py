"""The kernels as compiled for other x86 CPUs: without AVX-512's masks a whole other path packs and multiplies."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import llvmlite.binding as llvm
import pytest

ROOT = Path(__file__).parents[3]

TARGETS = {
    "AVX2": ("haswell", "+avx2,+fma,+avx,+sse4.2,+bmi,+bmi2,+popcnt,+f16c"),
    "SSE2": ("x86-64", "+sse2"),
}


@pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="x86's own instruction sets")
@pytest.mark.parametrize("target", TARGETS)
def test_products_and_narrow_losses_on(target, tmp_path):
    cpu, features = TARGETS[target]
    available = llvm.get_host_cpu_features()
    if missing := [name for name in features.replace("+", "").split(",") if not available.get(name)]:
        pytest.skip(f"this CPU has no {', '.join(missing)}")
    environment = os.environ | {
        "NUMBA_CPU_NAME": cpu,
        "NUMBA_CPU_FEATURES": features,
        "FASTNN_CACHE_DIR": str(tmp_path / "cache"),
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "kernels")]),
    }
    chosen = "(matmul or softmax_cross_entropy) and float32"
    command = [sys.executable, "-m", "pytest", "-q", "-k", chosen, "tests/kernels/test_instructions.py", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
