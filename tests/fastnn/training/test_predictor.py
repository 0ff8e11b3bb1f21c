"""The prepared callable: what it takes, what it returns, threads, memory."""

import copy
import pickle
import sys
import threading
import tracemalloc

import numpy as np
import pytest

from fastnn import Input, Model, Sequential
from fastnn.layers import Dense


@pytest.fixture
def model(classifier, device):
    return classifier(device)


def samples(rows, seed=0):
    return np.random.default_rng(seed).normal(size=(rows, 3)).astype(np.float32)


@pytest.mark.parametrize("rows", [1, 7, 300])
def test_it_equals_predict(model, rows):
    predict = model.predictor(rows)
    assert predict.batch_size == rows
    for seed in range(3):
        x = samples(rows, seed)
        np.testing.assert_allclose(predict(x), model.predict(x, verbose=0), rtol=1e-6)
        assert predict(x).dtype == np.float32


@pytest.mark.parametrize(
    "convert",
    [np.ndarray.tolist, np.asfortranarray, lambda x: x.astype(np.float64), lambda x: x.astype(">f4"), lambda x: x.copy()[:, ::-1]],
)
def test_it_takes_what_predict_takes(model, convert):
    x = convert(samples(4))
    np.testing.assert_allclose(model.predictor(4)(x), model.predict(x, verbose=0), rtol=1e-6)


def test_results_are_new_arrays(model):
    predict = model.predictor()
    first = predict(samples(1))
    kept = first.copy()
    predict(-samples(1))
    np.testing.assert_array_equal(first, kept)


def test_training_and_new_weights_show(model, data):
    x, labels, _ = data
    predict = model.predictor(20)
    before = predict(x)
    model.fit(x, labels, verbose=0)
    after = predict(x)
    assert not np.array_equal(before, after)
    np.testing.assert_allclose(after, model.predict(x, verbose=0), rtol=1e-6)
    model.set_weights([np.zeros_like(weight) for weight in model.get_weights()])
    np.testing.assert_allclose(predict(x), 1 / 3, rtol=1e-6)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.ones((3, 3)), r"x has 3 samples, this predictor takes 2; .* model.predictor\(3\), or call predict"),
        (np.ones((2, 4)), r"x has shape \(2, 4\), the model takes \(N, 3\)"),
        (np.array([["a", "b", "c"]] * 2), "x has dtype <U1, not numbers"),
        (np.ones((2, 3), complex), "x has dtype complex128, not numbers"),
        (None, "x is None"),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(model, x, message):
    predict = model.predictor(2)
    expected = predict(samples(2))
    with pytest.raises(ValueError, match=message):
        predict(x)
    np.testing.assert_array_equal(predict(samples(2)), expected)


def test_a_model_without_an_input_shape_and_bad_sizes_are_refused(model):
    with pytest.raises(ValueError, match="does not know its input's shape yet"):
        Sequential([Dense(2)]).predictor()
    with pytest.raises(ValueError, match="batch_size must be an integer of at least 1, got 0"):
        model.predictor(0)


def test_inputs_and_outputs_keep_their_structure():
    a, b = Input((2,), name="a"), Input((3,), name="b")
    model = Model({"a": a, "b": b}, {"u": Dense(1)(a), "v": Dense(2)(b)})
    x = {"a": np.ones((2, 2)), "b": np.ones((2, 3), np.float32)}
    found, expected = model.predictor(2)(x), model.predict(x, verbose=0)
    assert found.keys() == expected.keys()
    for name, value in found.items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-6)
    with pytest.raises(ValueError, match=r"x\['b'\] has 1 samples"):
        model.predictor(2)({"a": np.ones((2, 2)), "b": np.ones((1, 3))})


@pytest.mark.parametrize("clone", [copy.deepcopy, copy.copy, lambda predict: pickle.loads(pickle.dumps(predict))])
def test_a_copy_has_memory_of_its_own(model, clone):
    predict = model.predictor()
    twin = clone(predict)
    np.testing.assert_array_equal(twin(samples(1)), predict(samples(1)))
    assert not np.shares_memory(twin._idle[0].outputs[0], predict._idle[0].outputs[0])


def test_threads_share_a_predictor_and_get_the_same_bits(classifier):
    predict = classifier("cpu").predictor(64)
    inputs = [samples(64, seed) for seed in range(8)]
    expected = [predict(x).tobytes() for x in inputs]
    wrong = []

    def work(number):
        for turn in range(200):
            place = (number + turn) % len(inputs)
            if predict(inputs[place]).tobytes() != expected[place]:
                wrong.append((number, turn))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(predict._idle) <= len(threads)


def test_calls_leave_nothing_behind(classifier):
    model, x = classifier("cpu"), samples(1)
    predict = model.predictor()
    calls = (lambda: predict(x), lambda: model(x), lambda: model.predict(x, verbose=0))
    for call in calls:
        for _ in range(10):
            call()
    references = sys.getrefcount(x)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for call in calls:
            for _ in range(2000):
                call()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 4000  # a byte a call would be 6,000
    assert sys.getrefcount(x) == references


def test_it_runs_without_numba(classifier, run_python):
    classifier("cpu").predictor()  # from here on the objects are in the cache
    found = run_python(
        """
        import sys, numpy as np
        from fastnn import Input, Sequential
        from fastnn.layers import Dense
        predict = Sequential([Input((3,)), Dense(4, activation="tanh"), Dense(3, activation="softmax")]).predictor()
        print(predict(np.ones((1, 3), np.float32)).shape, "numba" in sys.modules)
        """
    )
    assert found == "(1, 3) False\n"
