"""Several units compiled by two processes: each once, whatever becomes of the second process."""

import sys
import threading
import time

import pytest
from fastnn_kernels import system
from fastnn_kernels.cpu import compiler, compiling, objects


def test_several_units_are_compiled_by_two_processes(monkeypatch):
    """Whoever compiles a unit, it is done once, and the bytes are the same."""
    units = ["matmul-float32", "relu-float32", "sgd-float32", "next_batch", "next_update"]
    monkeypatch.setattr(system, "usable_cores", lambda: 2)
    here, done, begun = [], {}, []

    def compile_here(unit):
        here.append(unit)
        if len(here) == 1:  # the other process has time to begin
            time.sleep(8)
        return compiler.compile_object(unit)

    def make(unit, compile_unit, patient):
        done[unit] = compile_unit(unit)

    compiling.compile_units(units, compile_here, lambda number, unit: begun.append((number, unit)), make)
    assert sorted(done) == sorted(units)
    assert len(here) < len(units)
    assert begun[0] == (0, "relu-float32")
    assert "matmul-float32" not in here
    for unit in ("next_batch", "relu-float32"):
        assert done[unit] == compiler.compile_object(unit)
    assert all(objects.sound(data, unit) for unit, data in done.items())


@pytest.mark.parametrize("code", ["", "raise SystemExit", "print('what?'); input()", "print(5, flush=True)"])
def test_what_the_second_process_cannot_do_is_done_here(code, monkeypatch):
    monkeypatch.setattr(system, "usable_cores", lambda: 2)
    monkeypatch.setattr(compiling, "SERVE", code)
    done = []
    compiling.compile_units(
        "abcde", str.encode, lambda *_: None, lambda unit, compile_unit, _: done.append((unit, compile_unit(unit)))
    )
    assert sorted(done) == [(unit, unit.encode()) for unit in "abcde"]


def test_what_another_program_makes_is_waited_for_last_and_here(monkeypatch):
    monkeypatch.setattr(system, "usable_cores", lambda: 2)
    monkeypatch.setattr(compiling, "SERVE", "import time; time.sleep(100)")
    made = []

    def make(unit, compile_unit, patient):
        if not patient:
            raise BlockingIOError
        made.append(compile_unit(unit))

    compiling.compile_units("abcde", str.encode, lambda *_: None, make)
    assert sorted(made) == [unit.encode() for unit in "abcde"]


def test_an_error_here_ends_the_second_process(monkeypatch):
    monkeypatch.setattr(system, "usable_cores", lambda: 2)
    with pytest.raises(KeyboardInterrupt):
        compiling.compile_units("abcde", raise_interrupt, lambda *_: None, lambda unit, compile_unit, _: compile_unit(unit))
    assert not [thread for thread in threading.enumerate() if thread.name == "fastnn-compiling"]


def raise_interrupt(unit):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("executable", "cores", "frozen", "expected"),
    [
        ("/usr/bin/python3.11", 2, False, True),
        ("C:/Python/python.exe", 2, False, True),
        ("/usr/bin/python3", 1, False, False),
        ("/opt/blender/blender", 2, False, False),
        ("/usr/bin/python3", 2, True, False),
        (None, 2, False, False),
    ],
)
def test_a_second_process_needs_a_core_and_python(executable, cores, frozen, expected, monkeypatch):
    monkeypatch.setattr(system, "usable_cores", lambda: cores)
    monkeypatch.setattr(sys, "executable", executable)
    monkeypatch.setattr(sys, "frozen", frozen, raising=False)
    assert compiling.can_start() is expected
