"""``python -m fastnn``: help, info and warmup."""

import os
import signal
import subprocess
import sys

import pytest

import fastnn
from fastnn import config, info, warmup
from fastnn.__main__ import main
from fastnn.engine import select
from fastnn.engine.cpu import CpuEngine
from fastnn.engine.cuda import CudaEngine
from tests.fastnn.engine.reference_gpu import gpu


@pytest.fixture
def command(python_environment):
    """``command(*arguments, **variables)``: one finished ``python -m fastnn``."""

    def run(*arguments, **variables):
        line = [sys.executable, "-m", "fastnn", *arguments]
        return subprocess.run(
            line, env=python_environment | variables, capture_output=True, text=True, encoding="utf-8", timeout=240
        )

    return run


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_help_names_the_commands(command, arguments):
    done = command(*arguments)
    assert done.returncode == 0
    for name in ("demo", "info", "warmup", "selftest", "bench"):
        assert f"\n    {name} " in done.stdout


def test_version_and_an_unknown_command(command):
    assert command("--version").stdout == f"fastnn {fastnn.__version__}\n"
    unknown = command("dmeo")
    assert unknown.returncode == 2
    assert "invalid choice: 'dmeo'" in unknown.stderr


def test_info_reports_what_runs_here(command, tmp_path):
    done = command("info", FASTNN_CACHE_DIR=str(tmp_path / "cache"))
    assert (done.returncode, done.stderr) == (0, "")
    rows = dict(line.split("  ", 1) for line in done.stdout.splitlines())
    assert {"fastnn", "Python", "packages", "CPU", "threads", "device", "cache", "GPU"} <= rows.keys()
    assert fastnn.__version__ in rows["fastnn"]
    assert "numpy" in rows["packages"]
    assert rows["threads"].strip().startswith(str(config.num_threads()))
    assert f"{tmp_path / 'cache'} (FASTNN_CACHE_DIR): 0 kernels" in rows["cache"]
    assert not (tmp_path / "cache").exists()


def test_info_imports_no_compiler(run_python):
    assert "numba" not in run_python("import fastnn.info, sys\nfastnn.info.report()\nprint(*sys.modules)").split()


def test_info_says_that_a_device_cannot_be_used(monkeypatch):
    monkeypatch.setenv("FASTNN_DEVICE", "gpu")
    assert info.device().startswith("FASTNN_DEVICE: unknown device 'gpu'. Did you mean 'cuda'?")
    monkeypatch.setenv("FASTNN_DEVICE", "cuda")
    monkeypatch.setattr(info.select, "get", no_gpu)
    assert info.device() == "cuda, cannot be used on this machine"


def no_gpu(device):
    """`fastnn.engine.select.get` where there is no GPU."""
    raise RuntimeError("no NVIDIA driver was found")


@pytest.mark.parametrize("name", ["demo", "bench", "warmup", "selftest"])
def test_commands_refuse_a_device_in_one_line(capsys, monkeypatch, name):
    monkeypatch.setenv("FASTNN_DEVICE", "gpu")
    assert main([name]) == 2
    assert capsys.readouterr().err.startswith(f"python -m fastnn {name}: FASTNN_DEVICE: unknown device 'gpu'.")
    monkeypatch.setenv("FASTNN_DEVICE", "cuda")
    monkeypatch.setattr("fastnn.engine.select.get", no_gpu)
    assert main([name]) == 2
    assert capsys.readouterr() == ("", f"python -m fastnn {name}: no NVIDIA driver was found\n")


@pytest.mark.parametrize(
    ("name", "function"),
    [("demo", "demo.run"), ("bench", "bench.short.run"), ("warmup", "warmup.warm_up"), ("selftest", "selftest.run")],
)
def test_ctrl_c_ends_a_command_without_a_traceback(capsys, monkeypatch, name, function):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(f"fastnn.{function}", interrupted)
    assert main([name]) == 130
    assert capsys.readouterr() == ("", f"\npython -m fastnn {name}: interrupted\n")


INTERRUPTED = """
import os, signal, sys
from fastnn import __main__, demo
demo.run = lambda epochs, output: os.kill(os.getpid(), signal.SIGINT)
sys.argv = ["fastnn", "demo"]
sys.exit(__main__.run_in_shell())
"""


@pytest.mark.skipif(os.name != "posix", reason="signals end processes on POSIX systems")
def test_an_interrupted_command_ends_by_the_signal(python_environment):
    """Bash ends a loop around a command that ended so, and not after one with status 130."""
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], env=python_environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "\npython -m fastnn demo: interrupted\n")


def test_a_reader_that_has_gone_ends_a_command_quietly(python_environment):
    line = [sys.executable, "-m", "fastnn", "info"]
    process = subprocess.Popen(line, env=python_environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    with process.stderr as errors:
        assert errors.read() == b""
    assert process.wait(timeout=60) == 1


def test_a_package_that_is_absent_is_said_to_be():
    assert info.version("no-distribution-of-this-name") == "not installed"


def test_the_gpu_is_described_by_the_target(monkeypatch):
    monkeypatch.setattr("fastnn_kernels.cuda.device.why_not", lambda: "no NVIDIA driver was found")
    assert info.gpu() == "none: no NVIDIA driver was found"


@pytest.mark.parametrize(
    ("providers", "text"), [(["fastnn-numba"], "no other"), (["fastnn-numba", "fastnn"], "installed by fastnn:")]
)
def test_namesakes(monkeypatch, providers, text):
    monkeypatch.setattr(info.metadata, "packages_distributions", lambda: {"fastnn": providers})
    assert text in info.namesakes()


def test_cache_without_a_home_and_one_that_cannot_be_written(monkeypatch, tmp_path):
    monkeypatch.setattr(info.system, "cache_directory", lambda: None)
    assert "set FASTNN_CACHE_DIR" in info.cache()
    monkeypatch.setattr(info.system, "cache_directory", lambda: tmp_path / "missing" / "deeper")
    monkeypatch.setattr(info.os, "access", lambda path, mode: path != tmp_path)
    assert info.cache().endswith(", cannot be made")
    monkeypatch.setattr(info.system, "cache_directory", lambda: tmp_path)
    assert info.cache().endswith(", cannot be written")
    (tmp_path / "file").touch()
    monkeypatch.setattr(info.system, "cache_directory", lambda: tmp_path / "file")
    assert ", cannot be used (" in info.cache()


@pytest.mark.skipif(os.name != "posix", reason="modes of POSIX systems")
def test_a_cache_that_others_may_write_is_said_to_be_unusable(monkeypatch, tmp_path):
    tmp_path.chmod(0o777)
    monkeypatch.setattr(info.system, "cache_directory", lambda: tmp_path)
    assert "other users may write to it, and code is loaded from it: chmod go-w" in info.cache()


def test_variables_that_mean_nothing_are_told(monkeypatch):
    for name in info.os.environ:
        if name.startswith("FASTNN_"):
            monkeypatch.delenv(name)
    assert info.variables() == "none"
    monkeypatch.setenv("FASTNN_DEVICE", "cpu")
    monkeypatch.setenv("FASTNN_CACHE_DIRR", "x")
    monkeypatch.setenv("FASTNN_QQ", "x")
    assert info.variables() == "FASTNN_CACHE_DIRR (unknown: FASTNN_CACHE_DIR?), FASTNN_DEVICE, FASTNN_QQ (unknown)"


@pytest.mark.parametrize(
    ("device", "interpreters"), [("cpu", {"interpreter"}), ("cuda", {"interpreter-float32", "interpreter-float64"})]
)
def test_warmup_covers_every_instruction_in_both_float_types(device, interpreters):
    units = (CudaEngine(gpu) if device == "cuda" else select.get(device)).units()
    assert len(units) == len(set(units))
    assert interpreters | {"matmul-float32", "matmul-float64", "take_rows"} <= set(units)


@pytest.mark.parametrize(
    ("found", "text"),
    [
        ([], "compiled for "),
        (["take_rows", "relu-float32"], "prebuilt for x86-64-v3"),
        (["take_rows"], "1 of 2 prebuilt for x86-64-v3"),
    ],
)
def test_info_says_where_kernels_come_from(monkeypatch, found, text):
    monkeypatch.setattr(info, "all_units", lambda dtypes: ["take_rows", "relu-float32"])
    monkeypatch.setattr(info.prebuilt, "read", lambda units: dict.fromkeys(found, b""))
    monkeypatch.setattr(info.prebuilt, "level", lambda: "x86-64-v3")
    assert info.kernels().startswith(text)


def test_info_names_a_wrong_setting(monkeypatch):
    monkeypatch.setenv("FASTNN_PREBUILT", "no")
    assert info.kernels().startswith("FASTNN_PREBUILT is 'no'; it is 0 for")


def test_warmup_of_a_complete_prebuilt_set_needs_no_cache(capsys, monkeypatch):
    monkeypatch.setattr(CpuEngine, "units", lambda engine: ["take_rows"])
    monkeypatch.setattr(CpuEngine, "load", lambda engine, units, progress: None)
    monkeypatch.setattr(warmup.objects, "report", lambda: warmup.objects.Report(prebuilt=["take_rows"]))
    monkeypatch.setattr(warmup.prebuilt, "level", lambda: "x86-64-v3")
    monkeypatch.setattr(warmup.store, "directory", None)
    assert warmup.warm_up("cpu") == 0
    assert "kernels: 1 prebuilt for x86-64-v3, 0 compiled, 0 read; " in capsys.readouterr().out


def test_warmup_of_devices_without_kernels(capsys, monkeypatch):
    assert warmup.warm_up("reference") == 0
    assert warmup.warm_up("gpu") == 2
    assert "unknown device 'gpu'" in capsys.readouterr().err


def test_warmup_compiles_once_and_reads_afterwards(run_python, tmp_path):
    program = """
        import sys
        import fastnn.warmup
        from fastnn.engine.cpu import CpuEngine
        CpuEngine.units = lambda engine: ["tanh-float32", "take_rows"]
        status = fastnn.warmup.warm_up("cpu")
        print("numba" in sys.modules, status)
    """
    first = run_python(program, FASTNN_CACHE_DIR=str(tmp_path / "cache"))
    assert "compiling   1/2  tanh-float32" in first
    assert "kernels: 2 compiled in" in first
    assert first.endswith("True 0\n")
    second = run_python(program, FASTNN_CACHE_DIR=str(tmp_path / "cache"))
    assert "compiling" not in second
    assert f"0 compiled, 2 read from {tmp_path / 'cache'}" in second
    assert second.endswith("False 0\n")
