"""The interpreter: order, steps, stops and resumes, barriers, and the floating-point state it leaves behind."""

import numpy as np
import pytest
from fastnn_kernels.cpu import team
from fastnn_kernels.instructions import STATUS, STEP
from fastnn_kernels.operands import attribute_word

WORKERS = [1, 2, 3, 7]


def run(table, steps, **options):
    return team.run(table.ctypes.data, len(table), steps, **options)


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize(("first_row", "expected"), [(0, [10, 11, 12] * 2), (2, [12, 10, 11, 12]), (3, [10, 11, 12])])
def test_rows_run_in_order_from_the_first_row(make_table, flags, workers, first_row, expected):
    log = np.zeros(8, np.int64)
    table = make_table(*(("test_note", flags.barrier if value == 10 else 0, [log], [value]) for value in (10, 11, 12)))
    assert run(table, 2, first_row=first_row, workers=workers) == 6
    np.testing.assert_array_equal(log[: log[0] + 1], [len(expected), *expected])


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize("last", [False, True])
def test_a_status_stops_all_workers_at_its_row_and_the_run_resumes(make_table, flags, workers, last):
    control, counts, log = np.zeros(8, np.int64), np.zeros(8, np.int64), np.zeros(64, np.int64)
    trip = ("test_trip", flags.status | flags.barrier, [control], [3])
    count, note = ("test_count", flags.barrier, [counts], []), ("test_note", flags.barrier, [log], [1])
    table = make_table(count, note, trip) if last else make_table(count, trip, note)
    row, options = 2 if last else 1, {"status": control.ctypes.data + 8 * STATUS, "workers": workers}
    assert run(table, 10, **options) == 2 * 3 + row
    assert control[STEP] == 3
    assert log[0] == (3 if last else 2)
    np.testing.assert_array_equal(counts, [3] * workers + [0] * (8 - workers))
    control[STATUS] = 0
    assert run(table, 8, first_row=row + 1, **options) == 8 * 3
    assert control[STEP] == log[0] == 10
    np.testing.assert_array_equal(counts, [10] * workers + [0] * (8 - workers))


def test_stops_in_neighbouring_rows_are_told_apart(make_table, flags):
    """A worker that looks late at the first row's status must not see the second row's."""
    first, second = np.zeros(8, np.int64), np.zeros(8, np.int64)
    trips = [("test_trip", flags.status, [control], [at]) for control, at in ((first, -1), (second, 200))]
    table = make_table(*trips)
    for workers in (2, 7):
        second[:] = 0
        assert run(table, 1000, status=second.ctypes.data + 8 * STATUS, workers=workers) == 2 * 199 + 1


@pytest.mark.parametrize("workers", WORKERS)
def test_barriers_order_the_slices(make_table, flags, workers):
    there, back = np.arange(1000), np.zeros(1000, np.int64)
    table = make_table(("test_turn", flags.barrier, [there, back], []), ("test_turn", flags.barrier, [back, there], []))
    run(table, 200, workers=workers)
    np.testing.assert_array_equal(there, np.arange(1000) + 400)


@pytest.mark.parametrize("workers", [1, 2])
def test_subnormals_are_flushed_inside_and_untouched_outside(make_table, workers):
    tiny = np.finfo(np.float32).smallest_normal
    x, out = np.array([tiny, tiny / 2, -tiny, 1], np.float32), np.ones(4, np.float32)
    table = make_table(("test_scale", 0, [x, out], [attribute_word("d", 0.5)]))
    run(table, 1, workers=workers)
    np.testing.assert_array_equal(out, [0, 0, 0, 0.5])
    np.testing.assert_array_equal(x[:2] * np.float32(0.5), [tiny / 2, tiny / 4])
    assert x[1] * np.float32(2) == tiny


def test_no_step_runs_no_row(make_table):
    log = np.zeros(8, np.int64)
    table = make_table(("test_note", 0, [log], [1]))
    assert run(table, 0, workers=2) == 0
    assert run(table, 1, first_row=1) == 1
    assert log[0] == 0
