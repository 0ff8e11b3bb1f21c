"""Objects: compiled units kept as files of our own, loaded by llvmlite alone. Numba is imported only to compile a missing one."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm

from fastnn_kernels import store, system
from fastnn_kernels.cpu import prebuilt
from fastnn_kernels.cpu.compiling import compile_units
from fastnn_kernels.cpu.digests import SUFFIX, unit_digests
from fastnn_kernels.cpu.elf import symbols
from fastnn_kernels.units import symbol

Progress = Callable[[int, int, str], None]
"""``progress(done, total, unit)``: ``unit`` is about to be compiled, here or by another process; at the end ``done == total`` and
``unit`` is empty."""

_ELEMENTARY = """
acos acosh asin asinh atan atan2 atanh cbrt ceil copysign cos cosh erf erfc exp exp2 expm1 fabs floor fma fmax fmin fmod frexp
hypot ldexp lgamma log log10 log1p log2 modf nearbyint pow rint round roundeven sin sinh sqrt tan tanh tgamma trunc
"""
ALLOWED_SYMBOLS = frozenset(
    {"memcpy", "memmove", "memset", "bzero", "__bzero", "__chkstk", "__powisf2", "__powidf2"}
    | {name + suffix for name in _ELEMENTARY.split() for suffix in ("", "f")}
)
"""What an object may need from the process that loads it."""


@dataclass
class Report:
    """What this process compiled (seconds by unit), what it read from the directory, and what came prebuilt, in order.

    ``seconds``: how long it compiled and waited for others who did.
    """

    directory: Path | None = None
    compiled: dict[str, float] = field(default_factory=dict)
    cached: list[str] = field(default_factory=list)
    prebuilt: list[str] = field(default_factory=list)
    seconds: float = 0.0


_lock = threading.RLock()
_addresses: dict[str, int] = {}
_engines: list[Any] = []  # loaded code lives as long as the process
_report = Report()


def report() -> Report:
    """A copy of what `load` did so far."""
    with _lock:
        return replace(_report, compiled=dict(_report.compiled), cached=list(_report.cached), prebuilt=list(_report.prebuilt))


def load(units: Iterable[str], progress: Progress | None = None) -> dict[str, int]:
    """The address of every unit's C function; compiles those that neither this process, the package nor the directory has."""
    units = list(units)
    if not _addresses.keys() >= set(units):
        with _lock:
            _load([unit for unit in dict.fromkeys(units) if unit not in _addresses], progress)
    return {unit: _addresses[unit] for unit in units}


def _load(units: list[str], progress: Progress | None) -> None:
    engine = _new_engine()  # from here on LLVM knows the functions of this process
    objects = {unit: data for unit, data in prebuilt.read(units).items() if sound(data, unit)}
    _report.prebuilt += objects
    if rest := [unit for unit in units if unit not in objects]:
        objects |= _kept_or_compiled(rest, progress)
    _link(engine, objects)


def _kept_or_compiled(units: list[str], progress: Progress | None) -> dict[str, bytes]:
    _report.directory = directory = store.directory()
    digests = unit_digests(units, directory)
    objects = {unit: data for unit in units if (data := _kept(directory, unit, digests[unit])) is not None}
    missing = [unit for unit in units if unit not in objects]

    def begin(done: int, unit: str) -> None:
        if progress:
            progress(done, len(missing), unit)

    def make(unit: str, compile_unit: Callable[[str], bytes], patient: bool) -> None:
        with lock(digests[unit], patient):
            data = _kept(directory, unit, digests[unit])
            objects[unit] = _compiled(directory, unit, digests[unit], compile_unit) if data is None else data

    if missing:
        start = time.perf_counter()
        with store.locks(directory) as lock:
            compile_units(missing, _compile, begin, make)
        _report.seconds += time.perf_counter() - start
        begin(len(missing), "")
    return objects


def _kept(directory: Path | None, unit: str, digest: str) -> bytes | None:
    """What the directory has of the unit."""
    data = store.read(directory, unit, digest, SUFFIX)
    if data is None or not sound(data, unit):
        return None
    _report.cached.append(unit)
    return data


def _compiled(directory: Path | None, unit: str, digest: str, compile_unit: Callable[[str], bytes]) -> bytes:
    start = time.perf_counter()
    data = checked(compile_unit(unit), unit)
    _report.compiled[unit] = time.perf_counter() - start
    store.write(directory, unit, digest, SUFFIX, data)
    return data


def _compile(unit: str) -> bytes:
    from fastnn_kernels.cpu.compiler import compile_object

    with system.interrupts_deferred():
        return compile_object(unit)


def sound(data: bytes, unit: str) -> bool:
    """Whether an object defines ``unit`` and needs nothing but allowed functions; on macOS and Windows taken on trust."""
    try:
        defined, needed = symbols(data)
    except ValueError:
        return sys.platform in ("darwin", "win32")
    return symbol(unit) in defined and needed <= ALLOWED_SYMBOLS and all(map(llvm.address_of_symbol, needed))


def checked(data: bytes, unit: str) -> bytes:
    """The object as it is; RuntimeError when it is not `sound`."""
    if not sound(data, unit):
        raise RuntimeError(f"unit {unit!r} needs functions that no object may use: {sorted(symbols(data)[1] - ALLOWED_SYMBOLS)}")
    return data


def _new_engine() -> Any:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine(jit=True)
    return llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)


def _link(engine: Any, objects: dict[str, bytes]) -> None:
    for data in objects.values():
        engine.add_object_file(llvm.object_file.ObjectFileRef.from_data(data))
    engine.finalize_object()
    _engines.append(engine)
    _addresses.update({unit: engine.get_function_address(symbol(unit)) for unit in objects})


FORK_PATIENCE = 60.0
"""Seconds that a fork waits for what another thread compiles or waits for: a child would inherit Numba's and LLVM's locks, held for
ever."""

_held = False


def _before_fork() -> None:
    global _held
    _held = _lock.acquire(timeout=FORK_PATIENCE)


def _after_fork_in_parent() -> None:
    if _held:
        _lock.release()


def _after_fork_in_child() -> None:
    global _lock
    _lock = threading.RLock()


system.at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
