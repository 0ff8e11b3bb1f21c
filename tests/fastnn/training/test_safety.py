"""Threads, forks, Ctrl-C, losses that are no longer finite."""

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from fastnn.callbacks import LambdaCallback
from fastnn.optimizers import SGD


def test_eight_threads_predict_at_once(classifier, data, device):
    x = np.random.default_rng(0).normal(size=(8, 40, 3))
    model = classifier(device)
    expected = [classifier(device).predict(part, verbose=0) for part in x]
    start = threading.Barrier(8)

    def predict(number):
        start.wait()
        return [model.predict(x[number], verbose=0) if turn % 2 else model(x[number]) for turn in range(10)]

    with ThreadPoolExecutor(8) as pool:
        for number, found in enumerate(pool.map(predict, range(8))):
            for out in found:
                np.testing.assert_array_equal(out, expected[number])


def test_two_threads_fit_two_models(classifier, data, device):
    x, labels, _ = data

    def train(model):
        model.fit(x, labels, epochs=20, batch_size=4, shuffle=False, verbose=0)
        return model.get_weights()[0].tobytes()

    alone = train(classifier(device))
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(train, [classifier(device), classifier(device)])) == [alone, alone]


def test_one_model_is_trained_by_one_thread(regressor, data):
    x, _, y = data
    model = regressor()

    def nested(epoch, logs):
        with ThreadPoolExecutor(1) as pool, pytest.raises(RuntimeError, match="is being trained already"):
            pool.submit(model.fit, x, y, verbose=0).result()
        with pytest.raises(RuntimeError, match="is being trained already"):
            model.train_on_batch(x, y)
        assert np.isfinite(model.evaluate(x, y, verbose=0))

    model.fit(x, y, verbose=0, callbacks=LambdaCallback(on_epoch_end=nested))
    model.fit(x, y, verbose=0)
    assert model.optimizer.iterations == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_trains_and_predicts(classifier, data, device):
    x, labels, _ = data
    model = classifier(device)
    model.fit(x, labels, verbose=0)
    child = os.fork()
    if child == 0:
        os._exit(int(not np.isfinite(model.fit(x, labels, verbose=0).history["loss"][0] + model.predict(x, verbose=0).sum())))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("verbose", [0, 1])
def test_ctrl_c_ends_fit_and_leaves_a_usable_model(regressor, data, device, verbose, capsys):
    x, _, y = data
    model = regressor(device, optimizer="adam")
    epochs = []
    timer = threading.Timer(0.2, signal.raise_signal, [signal.SIGINT])
    begin = LambdaCallback(on_train_begin=lambda logs: timer.start(), on_epoch_end=lambda epoch, logs: epochs.append(epoch))
    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, batch_size=2, epochs=10**9, verbose=verbose, callbacks=begin)
    timer.join()
    done = model.optimizer.iterations
    assert 10 * len(epochs) <= done <= 10 * (len(epochs) + 1)
    assert np.isfinite(model.get_weights()[0]).all()
    model.fit(x, y, verbose=0)
    assert model.optimizer.iterations == done + 1
    assert capsys.readouterr().out.endswith("\n" if verbose else "")


def test_an_error_in_a_callback_leaves_a_usable_model(regressor, data):
    x, _, y = data
    model = regressor()

    def fail(batch, logs):
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        model.fit(x, y, batch_size=5, verbose=0, callbacks=LambdaCallback(on_train_batch_end=fail))
    assert model.optimizer.iterations == 1
    model.fit(x, y, verbose=0)


@pytest.mark.parametrize(
    ("spoil", "culprit"),
    [
        (lambda model, x, y: x.__setitem__((5, 0), np.inf), "the output of layer 'dense(_\\d+)?' is not, and it is the first one"),
        (
            lambda model, x, y: y.__setitem__(5, np.nan),
            "every layer's weights and outputs are finite; targets or sample weights are missing or too large",
        ),
    ],
)
def test_a_warning_names_the_layer_whose_output_went_first(regressor, data, device, spoil, culprit):
    x, _, y = (array.copy() for array in data)
    model = regressor(device, optimizer=SGD(0.01))
    spoil(model, x, y)
    with pytest.warns(RuntimeWarning, match=culprit) as caught:
        history = model.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0, check_finite=False)
    assert len(caught) == 1
    assert "in epoch 1, step 2: " in str(caught[0].message)
    assert "Lower the learning rate (now 0.01) or scale the features" in str(caught[0].message)
    assert str(caught[0].message).endswith("Training goes on, as in Keras.")
    assert caught[0].filename == __file__
    assert np.isnan(history.history["loss"]).all()
    assert model.optimizer.iterations == 10


def test_a_warning_names_the_weights_when_they_went_first(classifier, data, device):
    x, labels, _ = data
    model = classifier(device)
    model.layers[1].set_weights([np.full((4, 3), np.nan), np.zeros(3)])
    with pytest.warns(RuntimeWarning, match=r"the weights of layer 'dense_?\d*' \(dense_?\d*/kernel\) are not"):
        model.fit(x, labels, verbose=0)


def test_learning_too_fast_is_told(regressor, data, device):
    x, _, y = data
    model = regressor(device, optimizer=SGD(1e20))
    with pytest.warns(RuntimeWarning, match=r"not finite any more in epoch \d+, step 1: .*learning rate \(now 1e\+20\)"):
        model.fit(x, y, epochs=5, verbose=0)
