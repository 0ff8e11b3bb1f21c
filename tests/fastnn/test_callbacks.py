"""Callbacks: the order of the hooks, lists of them, History, EarlyStopping on values written out."""

import numpy as np
import pytest

from fastnn.callbacks import Callback, CallbackList, EarlyStopping, History, LambdaCallback
from fastnn.callbacks.base import BATCH_HOOKS, EPOCH_HOOKS, PLAIN_HOOKS

HOOKS = [*PLAIN_HOOKS, *EPOCH_HOOKS, *(hook for hooks in BATCH_HOOKS.values() for hook in hooks)]


class FakeModel:
    """What EarlyStopping needs of a model: a weight that counts the epochs."""

    def __init__(self, directions=()):
        self.stop_training = False
        self.history = None
        self.weights = [np.zeros(1)]
        self.directions = dict(directions)

    def get_weights(self):
        return [weight.copy() for weight in self.weights]

    def set_weights(self, weights):
        self.weights = weights

    def _metric_directions(self):
        return {"loss": -1} | self.directions


def run(stopping, values, monitor="val_loss", directions=()):
    """Feed one value an epoch; returns the model and the epochs that were run."""
    model = FakeModel(directions)
    stopping.set_model(model)
    stopping.on_train_begin()
    for epoch, value in enumerate(values):
        model.weights = [np.full(1, float(epoch))]
        stopping.on_epoch_end(epoch, {monitor: value})
        if model.stop_training:
            break
    stopping.on_train_end()
    return model, epoch + 1


@pytest.mark.parametrize("hook", HOOKS)
def test_a_list_calls_each_hook_of_each_callback_with_the_same_logs(hook):
    seen = []

    def remember(*args):
        seen.append(args)

    callbacks = CallbackList([LambdaCallback(**{hook: remember}), [LambdaCallback(**{hook: remember})]])
    logs = {"loss": 1.0}
    before = () if hook in PLAIN_HOOKS else (3,)
    getattr(callbacks, hook)(*before, logs)
    getattr(callbacks, hook)(*before)
    assert seen == [(*before, logs)] * 2 + [(*before, {})] * 2
    assert seen[0][-1] is seen[1][-1] is logs


@pytest.mark.parametrize("kind", BATCH_HOOKS)
def test_only_an_overridden_batch_hook_asks_for_batches(kind):
    class Own(Callback):
        pass

    for hook in BATCH_HOOKS[kind]:
        setattr(Own, hook, lambda self, batch, logs=None: None)
        assert CallbackList([Own()]).needs_batches(kind)
        assert CallbackList(LambdaCallback(**{hook: print})).needs_batches(kind)
        delattr(Own, hook)
    plain = CallbackList([Own(), History(), EarlyStopping(), LambdaCallback(on_epoch_end=print)])
    assert not plain.needs_batches(kind)


def test_the_old_names_of_the_batch_hooks_are_called():
    seen = []
    callback = LambdaCallback(on_batch_begin=lambda batch, logs: seen.append(batch))
    callback.on_batch_end = lambda batch, logs: seen.append(-batch)
    callbacks = CallbackList(callback)
    callbacks.on_train_batch_begin(4)
    callbacks.on_train_batch_end(4, {"loss": 1.0})
    assert seen == [4, -4]


def test_a_list_hands_out_model_params_and_history():
    model, callback = FakeModel(), Callback()
    callbacks = CallbackList(callback, add_history=True, model=model, epochs=2, steps=3, verbose=0)
    assert callback.model is model
    assert callback.params == {"epochs": 2, "steps": 3, "verbose": 0}
    assert model.history is callbacks.history
    own = History()
    assert CallbackList([own], add_history=True).history is own


@pytest.mark.parametrize(
    ("callbacks", "message"),
    [(EarlyStopping, "got the class EarlyStopping; write EarlyStopping()"), (["csv"], "got 'csv' of type str")],
)
def test_what_is_no_callback_is_refused(callbacks, message):
    with pytest.raises(TypeError, match=message.replace("(", r"\(").replace(")", r"\)")):
        CallbackList(callbacks)


def test_history_collects_and_starts_its_epochs_anew():
    history = History()
    history.on_train_begin()
    history.on_epoch_end(0, {"loss": 2.0})
    history.on_epoch_end(1, {"loss": 1.0, "val_loss": 3.0})
    assert history.history == {"loss": [2.0, 1.0], "val_loss": [3.0]}
    assert history.epoch == [0, 1]
    history.on_train_begin()
    assert history.epoch == []


@pytest.mark.parametrize(
    ("arguments", "values", "epochs", "best"),
    [
        ({}, [3, 2, 1], 3, 2),  # keeps improving
        ({}, [1, 2, 0], 2, 0),  # patience 0: the first epoch that is no better
        ({"patience": 2}, [1, 2, 3, 0], 3, 0),
        ({"patience": 2}, [1, 2, 0, 1, 1, 5], 5, 2),
        ({"min_delta": 0.5}, [1, 0.6, 0.1], 2, 0),
        ({"min_delta": -0.5}, [1, 0.6, 0.1], 2, 0),  # its size counts
        ({"mode": "max"}, [1, 2, 1, 5], 3, 1),
        ({"baseline": 0.5, "patience": 2}, [1, 0.9, 0.95, 0.1], 3, 1),  # better than the best alone does not end the waiting
        ({"baseline": 0.5, "patience": 2}, [1, 0.4, 0.45, 0.46], 4, 1),
        ({"start_from_epoch": 2}, [1, 2, 3, 4], 4, 2),
        ({}, [float("nan"), 1.0], 2, 0),  # as in Keras: nothing is better than NaN
    ],
)
def test_early_stopping(arguments, values, epochs, best):
    stopping = EarlyStopping(restore_best_weights=True, **arguments)
    model, done = run(stopping, values)
    assert done == epochs
    assert stopping.best_epoch == best
    assert model.weights[0][0] == best


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"patience": "a"}, "patience of EarlyStopping must be a whole number of epochs, got 'a'"),
        ({"patience": 1.5}, "patience of"),
        ({"min_delta": "x"}, "min_delta of EarlyStopping must be a number"),
        ({"monitor": 3}, "monitor of EarlyStopping must be a key of logs"),
    ],
)
def test_early_stopping_refuses_what_it_cannot_use(arguments, message):
    with pytest.raises(TypeError, match=message):
        EarlyStopping(**arguments)


def test_early_stopping_finds_out_which_way_to_go():
    assert run(EarlyStopping("val_accuracy"), [0.1, 0.2, 0.1], "val_accuracy", {"accuracy": 1})[1] == 3
    assert run(EarlyStopping("mae"), [0.1, 0.2, 0.1], "mae", {"mae": -1})[1] == 2
    with pytest.raises(ValueError, match=r"'val_auc', and cannot tell .* Pass mode='max' or mode='min'. Known: 'loss', 'mae'"):
        run(EarlyStopping("val_auc"), [1.0], "val_auc", {"mae": -1})


def test_early_stopping_suggests_a_name_of_the_logs():
    with pytest.raises(ValueError, match=r"'val_los', which is not among the logs. Did you mean 'val_loss'\?"):
        run(EarlyStopping("val_los"), [1.0])
    with pytest.warns(UserWarning, match=r"`val_los` which is not available.* Did you mean 'val_loss'\?"):
        run(EarlyStopping("val_los", mode="min"), [1.0])


def test_early_stopping_warns_when_there_is_nothing_to_watch():
    with pytest.warns(UserWarning, match="metric `val_loss` which is not available. Available metrics are: loss. Give fit val"):
        _, done = run(EarlyStopping(), [1.0], "loss")
    assert done == 1
    with pytest.warns(UserWarning, match="mode 'least' is unknown"):
        assert EarlyStopping(mode="least").mode == "auto"


def test_early_stopping_may_be_used_again_and_says_what_it_does(capsys):
    stopping = EarlyStopping(verbose=1, restore_best_weights=True)
    for _ in range(2):
        assert run(stopping, [1, 2, 3])[1] == 2
    text = "Epoch 2: early stopping\nRestoring model weights from the end of the best epoch: 1.\n"
    assert capsys.readouterr().out == text * 2
