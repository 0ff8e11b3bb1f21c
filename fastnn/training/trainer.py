"""Trainer: what a model can do with data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from fastnn import config, optimizers
from fastnn.engine import select
from fastnn.errors import refuse_keywords
from fastnn.training import fit, prepare
from fastnn.training.evaluate import Evaluation
from fastnn.training.hooks import callback_list
from fastnn.training.one_batch import OneBatch
from fastnn.training.predict import GROUP, empty_outputs, predict
from fastnn.training.spec import Compiled

if TYPE_CHECKING:
    from fastnn.callbacks import History


class Trainer(OneBatch):
    """Training, evaluation and prediction; the base of `fastnn.Model`."""

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: bool | str = "auto",
        auto_scale_loss: bool = True,
        device: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Say how to train. Keeps the weights; metrics start anew, and so does the state of an optimizer given by name.

        Parameters
        ----------
        optimizer : str or Optimizer
            See `fastnn.optimizers`. The same object given again keeps its state.
        loss : str, Loss or function, or a list or dict of them, one per output
            See `fastnn.losses`. ``"crossentropy"`` is the one that fits the output and y.
        loss_weights : float, list or dict, optional
            Factors of the outputs' losses in the sum that is minimised.
        metrics, weighted_metrics : list or dict, optional
            See `fastnn.metrics`; ``"accuracy"`` is the one that fits the output and y. Only ``weighted_metrics`` see the sample
            weights. With several outputs: one entry (or list) per output.
        run_eagerly, steps_per_execution, jit_compile, auto_scale_loss
            Accepted for Keras, without effect: everything is compiled once, and no step returns to Python.
        device : str, optional
            ``"cpu"``, ``"cuda"`` (an NVIDIA GPU), or ``"reference"``: plain NumPy in float64. By default `fastnn.config.device`.

        Raises
        ------
        ValueError
            For an unknown name or device, or metrics that are no list.
        TypeError
            For a keyword that is none of these, or a loss or metric of a class of your own.
        RuntimeError
            For a device that this machine lacks, saying what is missing.

        Examples
        --------
        >>> from fastnn import Input, Sequential
        >>> from fastnn.layers import Dense
        >>> model = Sequential([Input((3,)), Dense(1)])
        >>> model.compile("sgd", "mse", metrics=["mae"])
        """
        refuse_keywords(Trainer.compile, kwargs)
        compiled = Compiled(loss, loss_weights, metrics, weighted_metrics)
        compiled.check()
        chosen = optimizers.get(optimizer)
        device = config.device() if device is None else device
        select.get(device)
        self._compiled, self._device, self._resolved = compiled, device, None
        self.optimizer, self.loss = chosen, loss
        if self._runtime is not None and self._runtime.device == device:
            self._runtime.forget("train", "test", "gradients")
        else:
            self._runtime = None
        self.stop_training = False
        self.compiled = True

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Mapping[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Sequence[int] = 1,
        check_finite: bool = True,
        **kwargs: Any,
    ) -> History:
        """Train for a number of epochs; a second call goes on where the first one ended.

        Parameters
        ----------
        x : array_like, data frame, or a list or dict of them
            Inputs (N, ...), of any number type; one per input of the model. Arrays of CuPy, PyTorch, JAX and Numba that lie on a
            GPU are used there where the model's device is "cuda", in the model's dtype; so is y.
        y : array_like, data frame, series, or a list or dict of them
            Targets: class numbers (N,) or (N, 1), or values of the output's shape.
        batch_size : int, optional
            Samples a step, from 1 to N; by default 32, or what ``steps_per_epoch`` steps need for one pass. The last batch may be
            shorter.
        epochs : int
            The number of the epoch after which to end.
        verbose : {0, 1, 2, "auto"}
            0 silent, 1 a bar, 2 a line an epoch; "auto" is 1.
        callbacks : Callback or list of them, optional
            See `fastnn.callbacks`.
        validation_split : float
            Fraction of the samples, the last ones, to hold back for validation.
        validation_data : (x, y) or (x, y, sample_weight), optional
            Samples for validation, instead of ``validation_split``.
        shuffle : bool
            Whether each epoch takes the samples in a new order; see `fastnn.utils.set_random_seed`.
        class_weight : dict from class number to weight, optional
            Weight of a sample's loss by its class; 1 for a class that is not named.
        sample_weight : array_like (N,), optional
            Weight of each sample's loss.
        initial_epoch : int
            Number of the first epoch.
        steps_per_epoch : int, optional
            Steps an epoch, when that is not one pass over the samples.
        validation_steps : int, optional
            Steps of the validation, by default one pass.
        validation_batch_size : int, optional
            By default ``batch_size``.
        validation_freq : int or list of int
            Validate every so many epochs, or after these epochs (counted from 1).
        check_finite : bool
            Whether NaN and infinity in x and y are refused.

        Returns
        -------
        History
            ``history.history`` maps each name to one float an epoch.

        Raises
        ------
        ValueError
            When the model is not compiled, or the data does not fit it; before anything is trained.
        TypeError
            For a tensor on a GPU that requires a gradient.
        RuntimeError
            When the model is being trained already, or an array lies on a GPU and none can be used.

        Warns
        -----
        RuntimeWarning
            When the loss is no longer finite: in which step, and which layer went first.
        """
        refuse_keywords(Trainer.fit, kwargs)
        prepare.require_compiled(self)
        level, shuffle = prepare.verbosity(verbose), prepare.flag("shuffle", shuffle)
        span = range(prepare.integer("initial_epoch", initial_epoch, 0), prepare.integer("epochs", epochs, 0))
        steps = None if steps_per_epoch is None else prepare.integer("steps_per_epoch", steps_per_epoch, 1)
        for name, size in (("batch_size", batch_size), ("validation_batch_size", validation_batch_size)):
            prepare.batch_size_of(size, name)
        val_steps = None if validation_steps is None else prepare.integer("validation_steps", validation_steps, 1)
        validates = prepare.validation_epochs(validation_freq)
        with fit.exclusively(self):
            runtime, resolved, samples = prepare.prepare(self, x, y, sample_weight, class_weight, finite=check_finite)
            weighted = sample_weight is not None
            samples, others = prepare.held_back(self, samples, validation_data, validation_split, weighted, check_finite)
            batch = prepare.batch_size_of(batch_size, steps=steps, count=samples.count)
            steps_shown = steps or -(-samples.count // batch)
            hooks = callback_list(self, callbacks, level, steps_shown, span.stop, history=True)
            heads = resolved.heads
            with ExitStack() as sessions:
                session = sessions.enter_context(self._session(runtime, "train", batch, samples.weighted, heads))
                training = fit.Training(self, runtime, resolved, samples, session, steps=steps, shuffle=shuffle)
                validation = None
                if others is not None:
                    val_batch = prepare.batch_size_of(validation_batch_size or batch_size, steps=val_steps, count=others.count)
                    session = sessions.enter_context(self._session(runtime, "test", val_batch, others.weighted, heads))
                    validation = Evaluation(session, resolved, others, val_steps)
                training.run(hooks, span, validation, validates)
        assert hooks.history is not None
        return hooks.history

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Loss and metrics on given samples.

        Parameters
        ----------
        x, y, batch_size, verbose, sample_weight, callbacks
            As in `fit`.
        steps : int, optional
            Batches to look at, by default all.
        return_dict : bool
            Whether to return a dict by name.

        Returns
        -------
        float, list of float or dict
            The loss; with metrics ``[loss, *metrics]`` in the order of `metrics_names`.

        Raises
        ------
        ValueError
            When the model is not compiled, or the data does not fit it.
        """
        refuse_keywords(Trainer.evaluate, kwargs)
        prepare.require_compiled(self)
        level, limit = prepare.verbosity(verbose), None if steps is None else prepare.integer("steps", steps, 1)
        prepare.batch_size_of(batch_size)
        runtime, resolved, samples = prepare.prepare(self, x, y, sample_weight, finite=False)
        batch = prepare.batch_size_of(batch_size, steps=limit, count=samples.count)
        hooks = callback_list(self, callbacks, level, limit or -(-samples.count // batch))
        with self._session(runtime, "test", batch, samples.weighted, resolved.heads) as session:
            logs = Evaluation(session, resolved, samples, limit).run(hooks)
        return self._values(resolved, logs, return_dict)

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        steps: int | None = None,
        callbacks: Any = None,
        **kwargs: Any,
    ) -> Any:
        """The model's outputs for given inputs; builds a model that has not seen data, and needs no ``compile``.

        Parameters
        ----------
        x, verbose, callbacks
            As in `fit`.
        batch_size : int, optional
            Samples a step, 32 by default; the predictions do not depend on it.
        steps : int, optional
            Batches to predict, by default all; without ``batch_size`` they hold all samples.

        Returns
        -------
        ndarray, or a list or dict of them
            (N, ...) in the model's dtype; (0, ...) for no samples. A `fastnn_kernels.DeviceArray` where all inputs lie on the GPU.

        Raises
        ------
        ValueError
            When x does not fit the model.
        """
        refuse_keywords(Trainer.predict, kwargs)
        level, limit = prepare.verbosity(verbose), None if steps is None else prepare.integer("steps", steps, 1)
        prepare.batch_size_of(batch_size)
        runtime, slots, count = self._inputs(x)
        batch = prepare.batch_size_of(batch_size, steps=limit, count=count)
        if limit is not None:
            count = min(count, limit * batch)
            slots = {name: array[:count] for name, array in slots.items()}
        if not level and not callbacks and count <= batch:  # one step that nobody watches
            return self._as_called(self._outputs(runtime, slots, count, batch))
        hooks = callback_list(self, callbacks, level, -(-count // batch))
        group = 1 if batch_size is not None or limit is not None or hooks.needs_batches("predict") else GROUP
        outputs = empty_outputs(runtime, count, slots)
        with self._session(runtime, "predict", batch * group) as session:
            predict(session, slots, outputs, count, group, hooks)
        return self._as_called(outputs)
