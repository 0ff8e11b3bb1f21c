"""Variables own their storage; an `Arena` lays a model's variables side by side, a `Layout` lays out their gradients."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnn.memory import ALIGNMENT, Buffer


class Variable:
    """A weight: a named array that keeps its address while programs run on it.

    Its value is asked of the variable whenever it is needed: a device may be training it.

    Parameters
    ----------
    value : array_like
        Initial value; copied.
    dtype : str
        ``"float32"`` or ``"float64"``.
    name : str
        Such as ``"kernel"``.
    trainable : bool
        Whether training changes it.

    Examples
    --------
    >>> kernel = Variable([[1.0, 2.0]], name="kernel")
    >>> kernel.assign([[3.0, 4.0]])
    >>> kernel.numpy()
    array([[3., 4.]], dtype=float32)
    """

    def __init__(self, value: ArrayLike, dtype: str = "float32", name: str = "variable", trainable: bool = True) -> None:
        self.memory: NDArray[Any] = np.array(value, dtype=dtype, order="C")
        self.buffer: Buffer | None = None
        self.name = name
        self.path = name
        self.trainable = trainable

    @property
    def array(self) -> NDArray[Any]:
        """The value in place. (`memory` is the same array; its contents are out of date while a device owns `buffer`.)"""
        if self.buffer is not None:
            self.buffer.home()
        return self.memory

    def move(self, memory: NDArray[Any], buffer: Buffer) -> None:
        """Live in ``memory``, a part of ``buffer``, from now on."""
        self.memory, self.buffer = memory, buffer

    @property
    def shape(self) -> tuple[int, ...]:
        """The variable's shape."""
        return self.memory.shape

    @property
    def dtype(self) -> str:
        """The variable's dtype by name."""
        return self.memory.dtype.name

    @property
    def value(self) -> NDArray[Any]:
        """A copy of the value."""
        return self.array.copy()

    def numpy(self) -> NDArray[Any]:
        """The same as `value`."""
        return self.value

    def assign(self, value: ArrayLike) -> None:
        """Replace the value in place.

        Raises
        ------
        ValueError
            When the shape differs.
        """
        new = np.asarray(value.array if isinstance(value, Variable) else value)
        if new.shape != self.shape:
            raise ValueError(f"cannot assign an array of shape {new.shape} to variable {self.path!r} of shape {self.shape}")
        self.array[...] = new

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.array, dtype=dtype)

    def __getstate__(self) -> dict[str, Any]:
        """A copy has an array of its own, in no arena."""
        return {**self.__dict__, "memory": self.value, "buffer": None}

    def __repr__(self) -> str:
        return f"<Variable path={self.path}, shape={self.shape}, dtype={self.dtype}, value={self.array!r}>"


def round_up(size: int) -> int:
    """``size`` bytes rounded up to `ALIGNMENT`."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def place_in_arena(variables: Iterable[Variable]) -> None:
    """Move the variables that no arena holds yet into a new one, in order, each 64-byte aligned; gaps stay zero."""
    homeless = [variable for variable in variables if variable.buffer is None]
    if not homeless:
        return
    arena = Buffer(sum(round_up(variable.memory.nbytes) for variable in homeless))
    offset = 0
    for variable in homeless:
        old = variable.memory
        place = arena.memory[offset : offset + old.nbytes].view(old.dtype).reshape(old.shape)
        place[...] = old
        variable.move(place, arena)
        offset += round_up(old.nbytes)


@dataclass(frozen=True, slots=True)
class Run:
    """Neighbouring trainable weights of one arena, updated by one row: ``weight`` is the first one's index."""

    weight: int
    offset: int
    size: int


@dataclass(frozen=True)
class Layout:
    """Where each weight's gradient lies in one flat vector: ``offsets[i]`` in bytes, None for a weight that is not trained."""

    offsets: tuple[int | None, ...]
    runs: tuple[Run, ...]
    bytes: int

    @classmethod
    def of(cls, variables: Sequence[Variable]) -> Layout:
        """The layout of ``variables``, which an arena holds: trainable ones in order, aligned like the weights themselves."""
        offsets: list[int | None] = []
        runs: list[Run] = []
        end, neighbour = 0, 0
        for index, variable in enumerate(variables):
            if not variable.trainable:
                offsets.append(None)
                continue
            address, item = variable.memory.ctypes.data, variable.memory.itemsize
            if runs and address == neighbour:
                first = runs[-1]
                runs[-1] = Run(first.weight, first.offset, (end - first.offset) // item + math.prod(variable.shape))
            else:
                runs.append(Run(index, end, math.prod(variable.shape)))
            offsets.append(end)
            neighbour = address + round_up(variable.memory.nbytes)
            end += round_up(variable.memory.nbytes)
        return cls(tuple(offsets), tuple(runs), end)
