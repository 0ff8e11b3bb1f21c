"""The team: threads of the caller's, forks, interrupts, and a clean end."""

import os
import signal
import threading
import time
import warnings

import numpy as np
import pytest
from fastnn_kernels import system
from fastnn_kernels.cpu import team


@pytest.fixture
def turning(make_table, flags):
    """``turning()``: a table that turns 1,000 numbers there and back, and the numbers."""

    def make():
        there, back = np.arange(1000), np.zeros(1000, np.int64)
        rows = [("test_turn", flags.barrier, arrays, []) for arrays in ([there, back], [back, there])]
        return make_table(*rows), there, back

    return make


def run(table, steps, workers=2):
    return team.run(table.ctypes.data, len(table), steps, workers=workers)


def test_the_team_grows_as_asked_and_its_threads_stay(turning):
    table, there, _ = turning()
    for workers in (2, 5, 3):
        run(table, 10, workers)
    assert len(team._team.parked) >= 4
    assert all(parked.thread.daemon and parked.thread.is_alive() for parked in team._team.parked)
    np.testing.assert_array_equal(there, np.arange(1000) + 60)


def test_eight_threads_run_at_once(turning):
    tables = [turning() for _ in range(8)]

    def work(table):
        for _ in range(20):
            run(table, 10, workers=3)

    threads = [threading.Thread(target=work, args=(table,)) for table, _, _ in tables]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for _, there, _ in tables:
        np.testing.assert_array_equal(there, np.arange(1000) + 400)


@pytest.mark.skipif(system.usable_cores() < 2 or not hasattr(os, "sched_setaffinity"), reason="needs two cores, and Linux")
def test_a_thread_that_slept_on_the_callers_core_runs_on_another_and_may_go_back(turning):
    table, _, _ = turning()
    run(table, 1)
    (parked, *_), allowed = team._team.parked, os.sched_getaffinity(0)
    wait_until(lambda: not parked.cores)
    before = os.sched_getaffinity(parked.thread.native_id)
    parked.core = here = system.current_core()
    team._team.spread(2)
    assert os.sched_getaffinity(parked.thread.native_id) in [before - {core} for core in allowed]  # the caller may have moved
    assert parked.cores == before
    parked.core = here
    team._team.spread(2)  # what it may do afterwards is remembered
    assert parked.cores == before
    run(table, 1)
    wait_until(lambda: not parked.cores)
    assert os.sched_getaffinity(parked.thread.native_id) == before


def wait_until(condition):
    end = time.monotonic() + 10
    while not condition() and time.monotonic() < end:
        time.sleep(0.001)
    assert condition()


def test_threads_are_kept_off_the_cores_of_those_before_them(turning, monkeypatch):
    table, _, _ = turning()
    run(table, 1, workers=5)
    for parked in team._team.parked:
        wait_until(lambda parked=parked: not parked.cores)
    calls = []
    monkeypatch.setattr(system, "current_core", lambda: 7)
    monkeypatch.setattr(system, "keep_thread_off", lambda thread, cores: calls.append((thread, set(cores))) or set())
    threads = [parked.thread.native_id for parked in team._team.parked]
    for parked, core in zip(team._team.parked, [3, 3, 7, 5], strict=False):
        parked.core = core
    team._team.spread(5)
    assert calls == [(threads[1], {3, 7}), (threads[2], {3, 7})]
    monkeypatch.setattr(system, "current_core", lambda: -1)
    team._team.spread(5)
    assert len(calls) == 2


def test_an_interrupt_while_the_team_grows_leaves_it_usable(turning, monkeypatch):
    table, there, _ = turning()
    run(table, 1, workers=2)
    grown, start = len(team._team.parked), threading.Thread.start

    def interrupted(thread):
        start(thread)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(table, 1, workers=grown + 2)
    assert len(team._team.parked) == grown
    for _ in range(3):
        run(table, 1, workers=grown + 2)
    np.testing.assert_array_equal(there, np.arange(1000) + 8)


def test_a_busy_team_is_not_waited_for(turning):
    table, there, _ = turning()
    with team._team_lock:
        assert run(table, 3, workers=4) == 6
    np.testing.assert_array_equal(there, np.arange(1000) + 6)


def test_without_threads_to_be_had_the_caller_runs_alone(turning, monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    table, there, _ = turning()
    monkeypatch.setattr(team, "_team", team.Team())
    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert run(table, 3, workers=4) == 6
    np.testing.assert_array_equal(there, np.arange(1000) + 6)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # threads of other tests
def test_parent_and_child_run_after_a_fork(turning):
    table, there, _ = turning()
    run(table, 1, workers=3)
    child = os.fork()
    if child == 0:
        run(table, 10, workers=3)
        os._exit(0 if np.array_equal(there, np.arange(1000) + 22) else 1)
    assert not team._team.parked
    run(table, 1, workers=3)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    np.testing.assert_array_equal(there, np.arange(1000) + 4)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_fork_while_another_thread_runs(turning):
    (table, _, _), (mine, numbers, _) = turning(), turning()
    stop = threading.Event()

    def work():
        while not stop.is_set():
            run(table, 100, workers=2)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for _ in range(5):
            child = os.fork()
            if child == 0:
                run(mine, 10, workers=2)
                os._exit(0 if np.array_equal(numbers, np.arange(1000) + 20) else 1)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        stop.set()
        thread.join()


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no timers")
def test_interrupts_leave_a_team_that_works(turning):
    """Alarms that raise fall between any two bytecodes of `run`; every run is whole or never began."""

    class Alarm(Exception):  # noqa: N818
        pass

    def interrupt(number, frame):
        raise Alarm

    table, there, _ = turning()
    run(table, 1, workers=3)
    previous = signal.signal(signal.SIGALRM, interrupt)
    interrupted, end = 0, time.monotonic() + 1.0
    try:
        while time.monotonic() < end:
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.0002 + 0.0001 * (interrupted % 7))
                while True:
                    run(table, 1, workers=3)
            except Alarm:
                interrupted += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert interrupted > 10
    assert not team._team_lock.locked()
    before = int(there[0])
    np.testing.assert_array_equal(there, np.arange(1000) + before)
    run(table, 5, workers=3)
    np.testing.assert_array_equal(there, np.arange(1000) + before + 10)


def test_spins_follow_the_cores(turning, monkeypatch):
    asked = []
    table, _, _ = turning()
    monkeypatch.setattr(team._team, "run", lambda function, arguments, workers: asked.append((workers, arguments[-1])) or 2)
    monkeypatch.setattr(team, "_system", lambda: (0, 4))
    for workers in (4, 5):
        run(table, 1, workers)
    assert asked == [(4, team.SPINS), (5, 0)]


def test_a_system_without_sched_yield_runs(turning, monkeypatch):
    table, there, _ = turning()
    monkeypatch.setattr(team, "_system", lambda: (0, system.usable_cores()))
    run(table, 5, workers=2)
    np.testing.assert_array_equal(there, np.arange(1000) + 10)


def test_a_stopped_team_starts_again(turning):
    table, there, _ = turning()
    run(table, 1, workers=3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        team._before_fork()
    assert team._team.parked == []
    run(table, 1, workers=3)
    np.testing.assert_array_equal(there, np.arange(1000) + 4)
