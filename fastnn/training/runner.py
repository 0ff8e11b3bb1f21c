"""What a model keeps for its runs: what it was compiled with, its runtime, its resolved metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn.lowering.heads import Head
from fastnn.tensor import Tensor
from fastnn.training import prepare
from fastnn.training.predict import GROUP, Slots, empty_outputs, forward
from fastnn.training.prepare import DEFAULT_BATCH
from fastnn.training.runtime import Loan, Runtime
from fastnn.training.spec import Compiled, Resolved

if TYPE_CHECKING:
    from fastnn.callbacks import History
    from fastnn.graph import Graph
    from fastnn.metrics import Metric
    from fastnn.optimizers.base import Optimizer
    from fastnn.variables import Variable


class Runner:
    """The state behind `Trainer`, and what all its methods need."""

    optimizer: Optimizer | None = None
    loss: Any = None
    compiled = False
    stop_training = False
    history: History | None = None
    _compiled = Compiled()
    _device: str | None = None
    _runtime: Runtime | None = None
    _resolved: Resolved | None = None

    if TYPE_CHECKING:  # what a Model adds
        name: str
        dtype: str
        built: bool
        graph: Graph | None

        @property
        def weights(self) -> list[Variable]: ...
        @property
        def input_names(self) -> list[str]: ...
        @property
        def output_names(self) -> list[str]: ...
        def build(self, input_shape: Any = None) -> None: ...
        def _as_called(self, outputs: list[Any]) -> Any: ...

    # -- sessions and inputs ---------------------------------------------------------------------------------------------

    def _session(self, runtime: Runtime, kind: str, batch: int, weighted: bool = False, heads: Sequence[Head] = ()) -> Loan:
        """A session of the model's program of ``kind``."""
        optimizer = self.optimizer
        if kind == "train" and optimizer is not None:
            runtime.attach(optimizer)
        if (kind, weighted) not in runtime.programs:
            runtime.program(kind, weighted, heads, optimizer)
        return runtime.session(kind, batch, weighted)

    def _inputs(self, x: Any) -> tuple[Runtime, Slots, int]:
        """The input slots for ``x``, checked."""
        _, arrays, names = prepare.raw_inputs(self, x)
        prepare.build_for(self, arrays)
        runtime = prepare.runtime_of(self)
        slots = prepare.fit_inputs(runtime, arrays, names)
        if len(arrays) > 1:
            prepare.check_lengths(dict(zip(names, arrays, strict=True)))
        return runtime, slots, len(arrays[0])

    def _call_arrays(self, inputs: Any, training: bool = False) -> Any:
        """``model(x)`` for arrays: outputs that answer ``.numpy()``."""
        outputs = self._forward(inputs, training)
        return self._as_called([output.view(Tensor) if isinstance(output, np.ndarray) else output for output in outputs])

    def _forward(self, x: Any, training: bool = False) -> list[Any]:
        runtime, slots, count = self._inputs(x)
        batch = DEFAULT_BATCH if count <= DEFAULT_BATCH else DEFAULT_BATCH * GROUP
        return self._outputs(runtime, slots, count, batch, "call" if training and runtime.draws else "predict")

    def _outputs(self, runtime: Runtime, slots: Slots, count: int, batch: int, kind: str = "predict") -> list[Any]:
        """The outputs for ``count`` samples, without hooks and in one go."""
        outputs = empty_outputs(runtime, count, slots)
        with self._session(runtime, kind, batch) as session:
            forward(session, slots, outputs, count)
        return outputs

    # -- metrics ---------------------------------------------------------------------------------------------------------

    @property
    def metrics(self) -> list[Metric]:
        """The metrics, once data has shown which ones fit."""
        return [] if self._resolved is None else list(self._resolved.metrics.values())

    @property
    def metrics_names(self) -> list[str]:
        """Names of the values that `evaluate` returns, in order; before data has been seen the loss alone."""
        return ["loss"] if self._resolved is None else self._resolved.order

    def reset_metrics(self) -> None:
        """Nothing to do: metrics start at zero in every epoch and every call."""

    def _metric_directions(self) -> dict[str, int]:
        """1 for each metric that is to rise, -1 for one that is to fall, by its key in ``logs``."""
        return {} if self._resolved is None else self._resolved.directions

    def _values(self, resolved: Resolved, logs: dict[str, float], as_dict: bool) -> Any:
        if as_dict:
            return logs
        values = [logs[name] for name in resolved.order]
        return values[0] if len(values) == 1 else values
