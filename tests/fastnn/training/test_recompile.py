"""What a changed optimizer, a changed number of threads and a first call from many threads do to a model in use."""

import threading

import numpy as np
import pytest

import fastnn
from fastnn import Input, Sequential, config
from fastnn.layers import Dense
from fastnn.optimizers import SGD, Adam, RMSprop

X = np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32)
Y = X[:, :1] - X[:, 1:2]


def regressor(width: int = 4) -> Sequential:
    return Sequential([Input((3,)), Dense(width, activation="tanh"), Dense(1)])


@pytest.fixture(params=["reference", "cpu"])
def device(request):
    return request.param


CHANGES = [
    (SGD(0.05), {"momentum": 0.9}),
    (SGD(0.05, momentum=0.9), {"nesterov": True}),
    (RMSprop(0.01), {"momentum": 0.5, "centered": True}),
    (Adam(0.01), {"amsgrad": True, "beta_2": 0.5}),
    (Adam(0.01), {"beta_1": 0.5}),
]


@pytest.mark.parametrize("compiles", [True, False])
@pytest.mark.parametrize(("optimizer", "changes"), CHANGES, ids=[f"{type(o).__name__}-{'-'.join(c)}" for o, c in CHANGES])
def test_a_changed_argument_of_the_optimizer_holds_from_the_next_fit_on(device, optimizer, changes, compiles):
    weights = []
    for changed in ({}, changes):
        fastnn.utils.set_random_seed(1)
        model, used = regressor(), type(optimizer).from_config(optimizer.get_config())
        model.compile(used, "mse", device=device)
        model.fit(X, Y, verbose=0, shuffle=False)
        for name, value in changed.items():
            setattr(used, name, value)
        if compiles:
            model.compile(used, "mse", device=device)
        model.fit(X, Y, batch_size=8, verbose=0, shuffle=False)
        assert used.iterations == 2 + 8
        weights.append(np.concatenate([weight.ravel() for weight in model.get_weights()]))
    assert np.isfinite(weights[1]).all()
    assert not np.allclose(weights[0], weights[1], rtol=1e-4)


def test_a_compiled_model_keeps_its_bits_for_any_number_of_threads():
    weights = []
    for threads in (1, 2, 3, 7):
        fastnn.utils.set_random_seed(3)
        model = Sequential([Input((3,)), Dense(700, activation="relu"), Dense(500, activation="tanh"), Dense(1)])
        model.compile("adam", "mse", device="cpu")
        config.set_num_threads(threads)
        try:
            model.fit(X, Y, epochs=3, batch_size=24, verbose=0)
        finally:
            config.set_num_threads(None)
        weights.append(b"".join(weight.tobytes() for weight in model.get_weights()))
    assert len(set(weights)) == 1


def test_first_calls_of_every_kind_from_many_threads():
    model = regressor()
    model.compile("adam", "mse", metrics=["mae"], device="cpu")
    start, failures = threading.Barrier(8), []

    def call(number: int) -> None:
        start.wait()
        try:
            for _ in range(5):
                if number % 2:
                    assert len(model.evaluate(X, Y, verbose=0)) == 2
                else:
                    assert model.predict(X, verbose=0).shape == (64, 1)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=call, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_another_precision_of_products_holds_from_the_next_call_on(device, monkeypatch):
    monkeypatch.setattr(config, "_settings", dict(config._settings))
    model = regressor()
    model.compile(Adam(0.01), "mse", device=device)
    model.fit(X, Y, verbose=0)
    found = []
    for precision in ("tensorfloat32", "float32"):
        config.set_matmul_precision(precision)
        model.fit(X, Y, verbose=0)
        rows = model._runtime.programs["train", False].rows
        found.append({row.attribute("precision") for row in rows if row.op == "matmul"})
    assert found == [{1}, {0}]
    assert int(model.optimizer.iterations) == 6  # its state went along
