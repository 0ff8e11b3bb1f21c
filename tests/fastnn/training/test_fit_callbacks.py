"""``fit`` and callbacks: the order of the hooks, and what a callback may change."""

import numpy as np
import pytest

from fastnn.callbacks import Callback, CallbackList, EarlyStopping, History, LambdaCallback
from fastnn.optimizers import SGD


class Recorder(Callback):
    """Notes every hook."""

    def __init__(self):
        self.seen = []

    def __getattribute__(self, name):
        if name.startswith("on_") and name not in ("on_batch_begin", "on_batch_end"):
            return lambda *args: self.seen.append(name[3:] + (str(args[0]) if len(args) == 2 else ""))
        return super().__getattribute__(name)


def test_hooks_come_in_keras_order(regressor, data):
    x, _, y = data
    model, recorder = regressor(), Recorder()
    model.fit(x, y, batch_size=10, epochs=1, validation_split=0.5, verbose=0, callbacks=[recorder])
    batches = "train_batch_begin0 train_batch_end0"
    tests = "test_begin test_batch_begin0 test_batch_end0 test_end"
    assert " ".join(recorder.seen) == f"train_begin epoch_begin0 {batches} {tests} epoch_end0 train_end"
    recorder.seen.clear()
    model.evaluate(x, y, batch_size=10, verbose=0, callbacks=recorder)
    assert " ".join(recorder.seen) == ("test_begin test_batch_begin0 test_batch_end0 test_batch_begin1 test_batch_end1 test_end")
    recorder.seen.clear()
    model.predict(x, batch_size=20, verbose=0, callbacks=recorder)
    assert " ".join(recorder.seen) == "predict_begin predict_batch_begin0 predict_batch_end0 predict_end"


def test_batch_hooks_see_the_means_so_far_and_change_no_bit(classifier, data, device):
    x, labels, _ = data
    logs = []
    watched, plain = classifier(device), classifier(device)
    watch = LambdaCallback(on_train_batch_end=lambda _, seen: logs.append(seen))
    history = watched.fit(x, labels, batch_size=6, shuffle=False, verbose=0, callbacks=watch)
    plain.fit(x, labels, batch_size=6, shuffle=False, verbose=0)
    assert len(logs) == 4
    assert logs[-1]["loss"] == history.history["loss"][0]
    assert watched.get_weights()[0].tobytes() == plain.get_weights()[0].tobytes()


def test_a_learning_rate_set_by_a_callback_holds_from_the_next_batch_or_epoch_on(regressor, data):
    x, _, y = data
    model = regressor(optimizer=SGD(0.1))
    weights = [model.get_weights()[0]]

    def stop(batch, logs):
        weights.append(model.get_weights()[0])
        model.optimizer.learning_rate = 0.0

    model.fit(x, y, batch_size=5, verbose=0, callbacks=LambdaCallback(on_train_batch_end=stop))
    assert not np.array_equal(weights[0], weights[1])
    np.testing.assert_array_equal(weights[1], weights[4])
    model.fit(x, y, verbose=0, callbacks=LambdaCallback(on_epoch_begin=lambda *_: setattr(model.optimizer, "learning_rate", 0.1)))
    assert not np.array_equal(weights[4], model.get_weights()[0])


@pytest.mark.parametrize(("hook", "batches", "epochs"), [("on_train_batch_end", 1, 1), ("on_epoch_end", 4, 1)])
def test_stop_training_stops_after_the_batch_or_the_epoch(regressor, data, hook, batches, epochs):
    x, _, y = data
    model = regressor()
    stop = LambdaCallback(**{hook: lambda *_: setattr(model, "stop_training", True)})
    history = model.fit(x, y, batch_size=5, epochs=9, verbose=0, callbacks=stop)
    assert (model.optimizer.iterations, len(history.epoch)) == (batches, epochs)
    assert len(model.fit(x, y, epochs=2, verbose=0).epoch) == 2


def test_early_stopping_restores_the_best_weights(regressor, data):
    x, _, y = data
    model = regressor(optimizer=SGD(0.9))  # one good step, then it diverges
    stopping = EarlyStopping("loss", patience=2, restore_best_weights=True)
    history = model.fit(x, y, epochs=9, verbose=0, callbacks=stopping).history
    assert len(history["loss"]) == 4
    assert stopping.best_epoch == 1
    np.testing.assert_allclose(model.evaluate(x, y, verbose=0), history["loss"][2], rtol=1e-5)  # one batch: the loss before step 3


def test_a_callback_list_of_the_users_own_is_taken_as_it_is(regressor, data):
    x, _, y = data
    model, own = regressor(), History()
    assert model.fit(x, y, callbacks=CallbackList([own], model=model)) is own
    assert own.epoch == [0]
