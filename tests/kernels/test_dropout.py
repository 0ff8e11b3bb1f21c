"""Dropout's random numbers: the published ones of Philox, no pattern between steps, layers and seeds, the same on every target."""

from __future__ import annotations

import numpy as np
import pytest
from fastnn_kernels.cpu.dropout import philox as philox_of_cpu
from fastnn_kernels.cpu.execute import execute as execute_on_cpu
from fastnn_kernels.instructions import CONTROL_WORDS, DRAWS, STEP
from fastnn_kernels.reference.dropout import philox
from fastnn_kernels.reference.execute import execute as execute_by_reference

KNOWN_ANSWERS = [
    # "philox4x32 10" in tests/kat_vectors of https://github.com/DEShawResearch/random123: counter, key, result
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]
HALF = {"kept": 2**30, "scale": 2.0, "shared_outer": 1, "middle": 1, "shared_inner": 1, "inner": 1, "accumulate": 0}


def words(text: str) -> np.ndarray:
    return np.array([int(word, 16) for word in text.split()], np.uint64)


def dropped(
    count: int = 4096,
    step: int = 0,
    draws: int = 0,
    seed: int = 1,
    call: int = 0,
    execute=execute_by_reference,
    **attributes: float,
) -> np.ndarray:
    """What becomes of ones."""
    control, out = np.zeros(CONTROL_WORDS, np.int64), np.full(count, np.nan, np.float32)
    control[[STEP, DRAWS]] = step, draws
    operands = {"x": np.ones(count, np.float32), "control": control, "out": out}
    execute("dropout", operands, {**HALF, "seed": seed, "call": call, **attributes})
    return out


@pytest.mark.parametrize(("counter", "key", "result"), KNOWN_ANSWERS)
def test_philox_gives_the_published_numbers(counter, key, result):
    np.testing.assert_array_equal(philox(words(counter)[:, np.newaxis], words(key))[:, 0], words(result))
    assert philox_of_cpu(*words(counter), *words(key)) == tuple(words(result))


def test_upper_halves_of_words_do_not_matter():
    """On the CPU, where a draw of more than 32 bits is passed as it is."""
    counter, key, result = KNOWN_ANSWERS[2]
    assert philox_of_cpu(*(words(counter) + np.uint64(2**40)), *(words(key) + np.uint64(2**63))) == tuple(words(result))


@pytest.mark.parametrize(
    "place",
    [
        {},
        {"step": 3, "draws": 2**40 - 1},
        {"seed": -5, "call": 7},
        {"count": 4099},
        {"count": 4200, "shared_inner": 20, "inner": 7},
        {"count": 4200, "shared_outer": 6, "middle": 5},
    ],
)
def test_the_same_numbers_are_kept_on_every_target(place):
    np.testing.assert_array_equal(dropped(execute=execute_on_cpu, **place), dropped(**place))


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_as_many_are_dropped_as_the_rate_says(rate):
    count = 200_000
    out = dropped(count, kept=round((1 - rate) * 2**31), scale=1 / (1 - rate))
    deviation = np.sqrt(count * rate * (1 - rate))
    assert abs((out == 0).sum() - rate * count) < 4 * deviation
    assert out.max() == np.float32(1 / (1 - rate))


@pytest.mark.parametrize(
    "other",
    [{"step": 1}, {"draws": 1}, {"draws": 2**32}, {"call": 1}, {"seed": 2}, {"seed": 1 + 2**32}, {"seed": 1 - 2**63}],
    ids=str,
)
def test_steps_layers_and_seeds_have_nothing_in_common(other):
    count = 100_000
    agree = (dropped(count) == dropped(count, **other)).sum()
    assert abs(agree - count / 2) < 4 * np.sqrt(count / 4)


def test_neighbours_have_nothing_in_common():
    kept = dropped(100_000) > 0
    for distance in (1, 2, 3, 4, 5, 1024):
        agree, count = (kept[distance:] == kept[:-distance]).sum(), len(kept) - distance
        assert abs(agree - count / 2) < 4 * np.sqrt(count / 4)


def test_the_draw_is_the_sum_of_two_words():
    """So a step's draw is counted without a row of its own."""
    np.testing.assert_array_equal(dropped(step=5, draws=100), dropped(step=0, draws=105))


def test_what_is_shared():
    """Seen as (A, B, C, D, E), B and D share: one number for each (a, c, e), in that order."""
    shape = (2, 3, 5, 4, 7)
    out = dropped(int(np.prod(shape)), shared_outer=3, middle=5, shared_inner=4, inner=7).reshape(shape)
    np.testing.assert_array_equal(out, np.broadcast_to(out[:, :1, :, :1], shape))
    np.testing.assert_array_equal(out[:, 0, :, 0].ravel(), dropped(2 * 5 * 7))
