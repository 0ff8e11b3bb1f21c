"""Cubins without a GPU: compiled for an architecture, kept in the cache, read again; the check that `make cuda-check` runs."""

import re

import pytest
from fastnn_kernels.cuda import SIMULATED

NEEDS_NO_DEVICE = True

pytestmark = pytest.mark.skipif(SIMULATED, reason="the simulator compiles nothing")

UNIT = "relu-float32"


@pytest.fixture
def objects(monkeypatch, tmp_path):
    pytest.importorskip("cuda.core", reason="needs the packages of an extra: cuda13 or cuda12")
    from fastnn_kernels.cuda import objects

    monkeypatch.setenv("FASTNN_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(objects, "_report", objects.Report())
    return objects


@pytest.fixture
def compiler(objects):
    from fastnn_kernels.cuda import compiler

    return compiler


@pytest.mark.parametrize(("capability", "name"), [((7, 5), "sm_75"), ((8, 9), "sm_89"), ((9, 0), "sm_90a"), ((12, 0), "sm_120a")])
def test_an_architecture_is_named_as_the_assembler_names_it(compiler, capability, name):
    assert compiler.architecture(capability) == name


def test_an_entry_has_one_parameter_for_each_address_size_and_attribute(compiler):
    text = compiler.compile_ptx(UNIT, (8, 0))
    assert re.search(r"\.entry fastnn_relu_float32\(([^)]*)\)", text)[1].count(".param") == 7
    assert ".maxntid 256" in text
    assert "ld.global.v4.f32" in text  # known to be of global memory, four elements at a time
    assert ".target sm_80" in text


def test_the_first_process_compiles_and_the_next_reads(objects, tmp_path):
    calls = []
    first = objects.cubins([UNIT, "next_batch"], (9, 0), lambda *call: calls.append(call))
    assert calls == [(0, 2, UNIT), (1, 2, "next_batch"), (2, 2, "")]
    assert all(data.startswith(b"\x7fELF") for data in first.values())
    assert objects.cubins([UNIT, "next_batch"], (9, 0)) == first
    report = objects.report()
    assert list(report.compiled) == report.cached == [UNIT, "next_batch"]
    (path,) = tmp_path.glob(f"{UNIT}-*-sm_90.cubin")
    path.write_bytes(path.read_bytes()[:-1])  # not whole
    assert objects.cubins([UNIT], (9, 0))[UNIT] == first[UNIT]
    assert objects.report().cached == [UNIT, "next_batch"]


def test_an_architecture_has_its_own_cubin(objects, tmp_path):
    assert objects.cubins([UNIT], (7, 5)) != objects.cubins([UNIT], (8, 0))
    assert sorted(path.name[-12:] for path in tmp_path.glob("*.cubin")) == ["-sm_75.cubin", "-sm_80.cubin"]


def test_what_the_assembler_refuses_names_the_versions(compiler, monkeypatch):
    monkeypatch.setattr(compiler, "compile_ptx", lambda unit, capability: ".version 99.0\n.target sm_80\n.address_size 64\n")
    with pytest.raises(RuntimeError, match=r"cannot be assembled for sm_80: .*version 99.*nvidia-nvjitlink [\d.]+ are installed"):
        compiler.compile_cubin(UNIT, (8, 0))


def test_an_interpreter_depends_on_the_kernels_of_its_dtype(objects, monkeypatch):
    edited = dict(objects.CUDA.read_sources())
    before = objects._digests(["interpreter-float32", UNIT, "tanh-float32"], "", None)
    edited["cuda/activations.py"] = (
        edited["cuda/activations.py"].replace("def relu(x, out", "def relu(x, output").replace("out[", "output[")
    )
    monkeypatch.setattr(type(objects.CUDA), "read_sources", lambda target: edited)
    after = objects._digests(["interpreter-float32", UNIT, "tanh-float32"], "", None)
    assert [unit for unit in before if before[unit] != after[unit]] == ["interpreter-float32", UNIT]


def test_a_kernel_of_one_unit_alone_is_compiled_again_when_it_changes(objects, monkeypatch):
    units = ["matmul_bfloat16-wgmma", "matmul_bfloat16", "matmul-float32", "matmul-float64"]
    before, edited = objects._digests(units, "", None), dict(objects.CUDA.read_sources())
    edited["cuda/matmul/wgmma.py"] = edited["cuda/matmul/wgmma.py"].replace("stage, parity = 0, 1", "stage, parity = 0, 0")
    monkeypatch.setattr(type(objects.CUDA), "read_sources", lambda target: edited)
    after = objects._digests(units, "", None)
    assert [unit for unit in units if before[unit] != after[unit]] == units[:1]
    edited["cuda/matmul/gemm.py"] = edited["cuda/matmul/gemm.py"].replace("ptx.architecture() < TENSOR_CORES:", "False:")
    last = objects._digests(units, "", None)
    assert [unit for unit in units if last[unit] != after[unit]] == ["matmul-float32"]


def test_check_reports_local_memory(compiler, monkeypatch):
    from fastnn_kernels.cuda import check

    logs = iter(["used 20 registers, 0 stack, 0 bytes lmem", "8 bytes spill stores, used 255 registers, 16 bytes lmem"])
    monkeypatch.setattr(check, "CAPABILITIES", ((7, 5), (8, 0), (9, 0)))
    monkeypatch.setattr(compiler, "compile_cubin", lambda unit, capability: (b"code", next(logs)))
    good, bad, failed = check.check_unit(UNIT)
    assert good.startswith("ok  relu-float32 sm_75: 20 registers")
    assert bad.startswith("BAD relu-float32 sm_80: 255 registers")
    assert "8 bytes spill stores, 16 bytes lmem" in bad
    assert failed.startswith("BAD relu-float32 sm_90a: StopIteration")


def test_check_reports_a_missing_instruction(compiler, monkeypatch):
    from fastnn_kernels.cuda import check

    monkeypatch.setattr(check, "CAPABILITIES", ((7, 5), (8, 0)))
    monkeypatch.setattr(check, "ON_TENSOR_CORES", {UNIT: ("HMMA",)})
    old, new = check.check_unit(UNIT)
    assert old.startswith("ok ")
    assert new.startswith("BAD")
    assert new.endswith("no HMMA")


VARIANT = "matmul_bfloat16-wgmma"


@pytest.fixture
def small_variant(compiler, monkeypatch):
    """A kernel that is quickly compiled in the variant's place: it touches both of its maps."""
    from fastnn_kernels.cuda import kernels
    from fastnn_kernels.cuda.target import hopper, kernel

    @kernel
    def touch(a, b, bias, scratch, out, ta, tb, activation, slope, accumulate, precision, a_map, b_map, worker, workers):
        hopper.load_box(0, a_map, 0, 0, 0)
        hopper.load_box(0, b_map, 0, 0, 0)

    monkeypatch.setitem(kernels.KERNELS_OF_UNITS, VARIANT, touch)


def test_a_variant_is_kept_as_ptx_with_its_maps_by_value(small_variant, objects, tmp_path):
    text = objects.cubins([VARIANT], (9, 0))[VARIANT].decode()
    parameters = re.search(r"\.entry fastnn_matmul_bfloat16_wgmma\(([^)]*)\)", text)[1].split(",")
    assert [".align 64 .b8" in line and "[128]" in line for line in parameters] == [False] * (len(parameters) - 2) + [True] * 2
    for parameter in (f"fastnn_matmul_bfloat16_wgmma_param_{len(parameters) - number}" for number in (2, 1)):
        assert re.search(rf"mov\.b64 (%\w+), {parameter};\s+cvta\.param\.u64 \1, \1;", text)
    assert ".maxntid 384" in text
    assert text.count(".version") == text.count(".version 8.0") == 1
    assert [path.read_bytes()[:0] for path in tmp_path.glob(f"{VARIANT}-*")] == [b""]


def test_check_assembles_a_variant_for_its_architecture_alone(small_variant, compiler, monkeypatch):
    from fastnn_kernels.cuda import check

    if check.find_nvidia_binary_utility("ptxas") is None:
        pytest.skip("needs nvidia-cuda-nvcc")
    (line,) = check.check_unit(VARIANT)
    assert line.startswith(f"BAD {VARIANT} sm_90a: ")
    assert line.endswith(" no HGMMA no USETMAXREG")
    monkeypatch.setattr(check, "assemble", lambda unit, capability: (b"", "(C7515) serialized; Used 9 registers"))
    monkeypatch.setattr(check, "disassemble", lambda code, unit: "HGMMA UTMALDG USETMAXREG")
    assert check.check_unit(VARIANT) == [f"BAD {VARIANT} sm_90a: 9 registers, 0 bytes C7515"]


def test_a_program_that_is_missing_is_named(compiler, monkeypatch):
    from fastnn_kernels.cuda import check

    monkeypatch.setattr(check, "find_nvidia_binary_utility", lambda name: None)
    with pytest.raises(RuntimeError, match="ptxas is missing: pip install nvidia-cuda-nvcc"):
        check._run("ptxas", "nvidia-cuda-nvcc", "-v")
