"""The programs of one compiled model, and the sessions that run them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

from fastnn_kernels.system import at_fork

from fastnn import config
from fastnn.engine import select
from fastnn.engine.session import Session
from fastnn.lowering.heads import Head
from fastnn.lowering.programs import lower
from fastnn.memory import Buffer
from fastnn.program import Program
from fastnn.training.progress import CompileProgress
from fastnn.variables import place_in_arena

if TYPE_CHECKING:
    from fastnn.graph import Graph
    from fastnn.keras_tensor import KerasTensor
    from fastnn.optimizers.base import Optimizer
    from fastnn.variables import Variable

IDLE_SESSIONS = 16
"""Sessions that wait for the next call, of one program and batch size."""

IDLE_BATCH = 4096
"""A session for larger batches than this is let go after its call, with its memory."""

Key = tuple[str, bool]

_lowering = threading.RLock()


def _renew_lock() -> None:
    global _lowering
    _lowering = threading.RLock()


at_fork(after_in_child=_renew_lock)


class Loan:
    """A session for the block of a ``with``, given back at its end; after an error it is not used again."""

    __slots__ = ("idle", "session")

    def __init__(self, session: Session, idle: list[Session]) -> None:
        self.session, self.idle = session, idle

    def __enter__(self) -> Session:
        return self.session

    def __exit__(self, error: object, *_: object) -> None:
        session = self.session
        session.release_inputs()
        if error is None and len(self.idle) < IDLE_SESSIONS and session.batch <= IDLE_BATCH:
            self.idle.append(session)


def sample_shape(tensor: KerasTensor) -> tuple[int, ...]:
    """The shape without the batch."""
    return tuple(size for size in tensor.shape[1:] if size is not None)


class Runtime:
    """Programs by kind, sessions by program and batch size, for one graph with its heads on one device.

    Parameters
    ----------
    device : str
        Name of the engine.
    graph : Graph
        The model's nodes.
    variables : sequence of Variable
        The model's weights, in order.
    dtype : str
        Of the programs.
    """

    def __init__(self, device: str, graph: Graph, variables: Sequence[Variable], dtype: str) -> None:
        self.engine, self.device = select.get(device), device
        self.graph, self.variables, self.dtype = graph, list(variables), dtype
        self.trainable = [variable.trainable for variable in self.variables]
        self.precision = config.matmul_precision()
        with _lowering:
            place_in_arena(self.variables)
        self.input_shapes = [sample_shape(tensor) for tensor in graph.inputs]
        self.output_shapes = [sample_shape(tensor) for tensor in graph.outputs]
        self.draws = list(dict.fromkeys(draws for layer in graph.layers for draws in layer._draws))
        self.programs: dict[Key, Program] = {}
        self._state: Buffer | None = None
        self._recipe: tuple[Any, ...] = ()
        self._idle: dict[tuple[Key, int], list[Session]] = {}

    def fits(self, graph: Graph) -> bool:
        """Whether the runtime still is that of ``graph``, with the same weights being trained and the precision asked for."""
        trainable = [variable.trainable for variable in self.variables]
        return graph is self.graph and self.trainable == trainable and self.precision == config.matmul_precision()

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        # addresses mean nothing to a copy of the model or in another process: there it is None, and made anew on demand
        return type(None), ()

    def program(
        self,
        kind: str,
        weighted: bool = False,
        heads: Sequence[Head] = (),
        optimizer: Optimizer | None = None,
    ) -> Program:
        """The program of ``kind``, lowered and its kernels compiled on first use; a long compilation is told of."""
        found = self.programs.get((kind, weighted))
        if found is not None:
            return found
        with _lowering:
            if (kind, weighted) not in self.programs:
                program = lower(
                    self.graph,
                    kind,
                    dtype=self.dtype,
                    variables=self.variables,
                    heads=heads,
                    optimizer=optimizer,
                    weighted=weighted,
                )
                with closing(CompileProgress()) as progress:
                    self.engine.prepare([program], progress)
                self.programs[kind, weighted] = program
            return self.programs[kind, weighted]

    def attach(self, optimizer: Optimizer) -> None:
        """Lay out the state of ``optimizer`` for the weights; what was lowered for another one, or other arguments, is dropped."""
        optimizer.build(self.variables)
        recipe = (optimizer.op, optimizer.state, optimizer.attributes(), optimizer.betas)
        if optimizer.buffer is not self._state or recipe != self._recipe:
            self._state, self._recipe = optimizer.buffer, recipe
            self.forget("train")

    def forget(self, *kinds: str) -> None:
        """Drop the programs of ``kinds`` and their sessions."""
        self.programs = {key: program for key, program in self.programs.items() if key[0] not in kinds}
        self._idle = {key: sessions for key, sessions in self._idle.items() if key[0][0] not in kinds}

    def session(self, kind: str, batch: int, weighted: bool = False) -> Loan:
        """A session of a program that `program` has made, the caller's own in the block of ``with``."""
        key = (kind, weighted), batch
        idle = self._idle.get(key)
        if idle is None:
            idle = self._idle.setdefault(key, [])
        try:
            session = idle.pop()  # by one thread alone
        except IndexError:
            session = self.new_session(kind, batch, weighted)
        return Loan(session, idle)

    def new_session(self, kind: str, batch: int, weighted: bool = False) -> Session:
        """A session of a program that `program` has made, for its caller to keep."""
        shared = {"slots": self._state} if kind == "train" and self._state is not None else None
        return Session(self.engine, self.programs[kind, weighted], self.variables, batch, shared, self.draws)
