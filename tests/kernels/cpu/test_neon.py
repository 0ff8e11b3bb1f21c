"""The products as compiled for NEON: assembly by LLVM's cross-compiler; their numbers by 16-byte vectors of this machine."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from fastnn_kernels.cpu.matmul.blocking import NEON

ROOT = Path(__file__).parents[3]

LOOP = r"(?ms)^(\S*BB\d+_\d+):(?:(?!^\S*BB).)*?\bb\.\w+\s+\1$"
"""A block that ends with a jump to its own beginning."""


def run(directory: Path, *arguments: str) -> str:
    """What ``neon.py`` prints."""
    environment = os.environ | {"FASTNN_CACHE_DIR": str(directory), "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'kernels'}"}
    command = [sys.executable, str(Path(__file__).with_name("neon.py")), *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.parametrize(
    ("unit", "triple", "lanes"),
    [("matmul-float32", "aarch64-linux-gnu", "4s"), ("matmul-float64", "arm64-apple-darwin", "2d")],
)
def test_products_multiply_and_add_in_registers(unit: str, triple: str, lanes: str, tmp_path: Path) -> None:
    """The loops over terms, of the tile, the narrow tile and both panels: vector multiply-adds, and no loop needs the stack."""
    text = run(tmp_path, "assembly", unit, triple)
    loops = [match[0] for match in re.finditer(LOOP, text) if "fmla" in match[0]]
    counts = [len(re.findall(rf"fmla(?:\.{lanes}\s|\s+v\d+\.{lanes},)", loop)) for loop in loops if "\tst" not in loop]
    assert NEON.rows * NEON.vectors in counts
    assert counts.count(NEON.rows) >= 3
    assert not [loop for loop in loops if "[sp" in loop]


def test_products_with_vectors_of_16_bytes(tmp_path: Path) -> None:
    files = ["tests/kernels/test_instructions.py", "tests/kernels/cpu/test_gemv.py"]
    assert " passed" in run(tmp_path, "pytest", "-q", "-p", "no:cacheprovider", "-k", "matmul or gemv", *files)
