"""Why no GPU can be used: each message names the extra, the driver and what is installed."""

import ctypes

import pytest
from fastnn_kernels.cuda import device, probe

NEEDS_NO_DEVICE = True


@pytest.fixture
def machine(monkeypatch):
    """``machine(driver, **packages)``: what is installed; the driver as (major, minor), or None."""

    def pretend(driver, **packages):
        versions = {name.replace("_", "-"): version for name, version in packages.items()}
        monkeypatch.setattr(probe, "driver_version", lambda: driver)
        monkeypatch.setattr(probe, "package_version", versions.get)
        monkeypatch.setattr(probe.importlib.util, "find_spec", lambda name: name if "numba-cuda" in versions else None)
        monkeypatch.setattr(probe, "_without_numba_cuda", lambda driver: None)
        monkeypatch.setattr(probe, "_without_device", lambda driver: None)

    return pretend


@pytest.mark.parametrize(
    ("driver", "packages", "parts"),
    [
        (
            None,
            {},
            ["numba-cuda is not installed", "'fastnn-numba[cuda13]'", "'fastnn-numba[cuda12]'", "no NVIDIA driver was found"],
        ),
        ((12, 4), {}, ["numba-cuda is not installed", "the driver runs CUDA 12.4"]),
        (None, {"numba_cuda": "0.30.4"}, ["no NVIDIA driver was found", "numba-cuda 0.30.4 is installed"]),
        (
            (12, 4),
            {"numba_cuda": "0.30.4", "cuda_bindings": "13.0.1"},
            ["packages for CUDA 13 are installed", "the driver runs CUDA 12.4", "'fastnn-numba[cuda12]' (driver 525 or newer)"],
        ),
    ],
)
def test_what_is_missing(machine, driver, packages, parts):
    machine(driver, **packages)
    for part in parts:
        assert part in probe.why_not()


def test_nothing_is_missing(machine):
    machine((13, 0), numba_cuda="0.30.4", cuda_bindings="13.0.1")
    assert probe.why_not() is None


def test_the_driver_is_asked_for_its_version(monkeypatch):
    class Library:
        @staticmethod
        def cuDriverGetVersion(pointer):  # noqa: N802
            ctypes.cast(pointer, ctypes.POINTER(ctypes.c_int))[0] = 12080
            return 0

    monkeypatch.setattr(probe, "_library", Library)
    assert probe.driver_version() == (12, 8)
    monkeypatch.setattr(probe, "_library", lambda: None)
    assert probe.driver_version() is None


def test_without_a_device_its_names_say_why(machine, monkeypatch):
    machine(None)
    monkeypatch.setattr(device, "SIMULATED", False)
    monkeypatch.delitem(vars(device), "Stream", raising=False)
    assert not device.available()
    assert device.describe().startswith("none: numba-cuda is not installed")
    with pytest.raises(RuntimeError, match="no GPU can be used: numba-cuda is not installed"):
        device.Stream()
    with pytest.raises(AttributeError, match="no attribute 'stream'"):
        device.stream()
