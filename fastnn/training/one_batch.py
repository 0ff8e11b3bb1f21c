"""The methods that take one batch."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from fastnn.training import fit, prepare
from fastnn.training.data import Samples
from fastnn.training.predictor import Predictor
from fastnn.training.runner import Runner
from fastnn.training.runtime import Runtime
from fastnn.training.spec import Resolved


class OneBatch(Runner):
    """Updates, losses, predictions and gradients of one batch; a base of `Trainer`."""

    def train_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, class_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """One update on the samples given.

        Parameters
        ----------
        x, y, sample_weight, class_weight
            As in `fit`; all of them are one batch.
        return_dict : bool
            Whether to return a dict by name.

        Returns
        -------
        float, list of float or dict
            Loss and metrics of this batch before the update, as from `evaluate`.

        Raises
        ------
        ValueError
            When the model is not compiled, or the data does not fit it.
        RuntimeError
            When the model is being trained already.
        """
        prepare.require_compiled(self)
        with fit.exclusively(self):
            prepared = prepare.prepare(self, x, y, sample_weight, class_weight)
            logs = self._one_batch("train", *prepared)
        return self._values(prepared[1], logs, return_dict)

    def _one_batch(self, kind: str, runtime: Runtime, resolved: Resolved, samples: Samples) -> dict[str, float]:
        with self._session(runtime, kind, prepare.capacity(samples.count), samples.weighted, resolved.heads) as session:
            fit.run_once(session, samples, self.optimizer if kind == "train" else None)
            return resolved.logs(session.totals())

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """Loss and metrics of the samples given, as one batch; see `evaluate`."""
        prepare.require_compiled(self)
        prepared = prepare.prepare(self, x, y, sample_weight, finite=False)
        return self._values(prepared[1], self._one_batch("test", *prepared), return_dict)

    def predict_on_batch(self, x: Any) -> Any:
        """The model's outputs for the samples given; see `predict`."""
        return self._as_called(self._forward(x))

    def predictor(self, batch_size: int = 1) -> Predictor:
        """A function for predictions of batches of one size at the lowest latency.

        Parameters
        ----------
        batch_size : int
            Samples of every call.

        Returns
        -------
        Predictor
            Takes an array (batch_size, ...), returns a new one; threads may share it.

        Raises
        ------
        ValueError
            When the model is not built, or ``batch_size`` is less than 1.

        Examples
        --------
        >>> import numpy as np
        >>> from fastnn import Input, Sequential
        >>> from fastnn.layers import Dense
        >>> model = Sequential([Input((3,)), Dense(1, kernel_initializer="ones")])
        >>> predict = model.predictor()
        >>> predict(np.array([[1.0, 2.0, 3.0]], np.float32))
        array([[6.]], dtype=float32)
        """
        rows = prepare.integer("batch_size", batch_size, 1)
        if self.graph is None:
            raise ValueError(f"model {self.name!r} does not know its input's shape yet: begin with Input(shape), or fit it first")
        runtime = prepare.runtime_of(self)
        runtime.program("predict")
        return Predictor(self, runtime, rows)

    def gradients(self, x: Any, y: Any, sample_weight: Any = None) -> tuple[float, list[NDArray[Any]]]:
        """The loss on the samples given, as one batch, and its gradients; no weight is changed, and dropout draws as in training.

        Parameters
        ----------
        x, y, sample_weight
            As in `fit`.

        Returns
        -------
        loss : float
            As ``compile`` defines it: by default the mean over the samples.
        gradients : list of ndarray
            One per weight of ``trainable_weights``, in order and in its shape: for ``optimizer.apply_gradients``.

        Raises
        ------
        ValueError
            When the model is not compiled, or the data does not fit it.

        Examples
        --------
        >>> from fastnn import Input, Sequential
        >>> from fastnn.layers import Dense
        >>> model = Sequential([Input((1,)), Dense(1, kernel_initializer="ones")])
        >>> model.compile("sgd", "mse", device="reference")
        >>> loss, (kernel, bias) = model.gradients([[1.0], [2.0]], [[0.0], [0.0]])
        >>> loss, kernel, bias
        (2.5, array([[5.]], dtype=float32), array([3.], dtype=float32))
        """
        prepare.require_compiled(self)
        runtime, resolved, samples = prepare.prepare(self, x, y, sample_weight)
        rows = prepare.capacity(samples.count)
        with self._session(runtime, "gradients", rows, samples.weighted, resolved.heads) as session:
            fit.run_once(session, samples)
            return resolved.logs(session.totals())["loss"], session.gradients()
