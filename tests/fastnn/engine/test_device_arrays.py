"""Models on arrays that lie on the GPU: used where they lie, looked at there, refused by name; numbers as from the host."""

import gc
import threading
import weakref

import numpy as np
import pytest
from fastnn_kernels import DeviceArray, to_device
from fastnn_kernels.cuda import device, streams

from fastnn import Input, Model, Sequential, config, selftest
from fastnn.callbacks import LambdaCallback
from fastnn.layers import Dense, Flatten
from fastnn.utils import set_random_seed
from tests.foreign import LEGACY, LIBRARIES, OfCupy, OfJax, OfTorch

RNG = np.random.default_rng(0)
COUNT = 21
X, Y = RNG.normal(size=(COUNT, 2, 3)).astype(np.float32), RNG.integers(0, 3, COUNT)
WEIGHTS = RNG.uniform(0.5, 2.0, COUNT).astype(np.float32)
VALUES = RNG.normal(size=(COUNT, 3)).astype(np.float32)
ONE_HOT = np.eye(3, dtype=np.float32)[Y]


@pytest.fixture(autouse=True)
def log(cuda_by_reference):
    return cuda_by_reference


def model_with(loss="sparse_categorical_crossentropy", device="cuda", activation="softmax"):
    set_random_seed(1)
    model = Sequential([Input((2, 3)), Flatten(), Dense(4, activation="relu"), Dense(3, activation=activation)])
    model.compile("adam", loss, device=device)
    return model


def everything(place, loss, y):
    """What a model says of itself after each thing it can do with arrays in ``place``."""
    model, results = model_with(loss), {}
    x, y, weights = place(X), place(y), place(WEIGHTS)
    for keywords in ({"validation_split": 0.3}, {"sample_weight": weights, "validation_data": (x, y, weights)}):
        history = model.fit(x, y, batch_size=8, epochs=2, verbose=0, **keywords).history
        results |= {f"{name} {list(keywords)}": values for name, values in history.items()}
    results["evaluate"] = model.evaluate(x, y, batch_size=4, verbose=0, sample_weight=weights)
    results["train_on_batch"] = [model.train_on_batch(x, y), model.train_on_batch(x, y, sample_weight=weights)]
    results["test_on_batch"] = model.test_on_batch(x, y)
    loss, gradients = model.gradients(x, y)
    results["gradients"] = np.concatenate([[loss], *map(np.ravel, gradients)])
    results["predict"] = model.predict(x, batch_size=4, verbose=0)
    results["steps"] = model.predict(x, batch_size=4, verbose=0, steps=2)
    results["on_batch"], results["call"] = model.predict_on_batch(x), model(x)
    results["weights"] = np.concatenate([weight.ravel() for weight in model.get_weights()])
    return results


CLASSES = "sparse_categorical_crossentropy"


@pytest.mark.parametrize(
    ("library", "loss", "y"),
    [
        *((library, CLASSES, Y) for library in (to_device, *LIBRARIES)),
        (OfCupy, CLASSES, Y.astype(np.int32)[:, np.newaxis]),
        (OfCupy, "categorical_crossentropy", ONE_HOT),
        (OfCupy, "mse", VALUES),
    ],
)
def test_the_numbers_are_those_of_the_host(library, loss, y):
    wanted = everything(lambda array: array, loss, y)
    for name, value in everything(library, loss, y).items():
        assert isinstance(value, DeviceArray) == (name in ("predict", "steps", "on_batch", "call")), name
        np.testing.assert_array_equal(np.asarray(value), wanted[name], err_msg=name)


def test_samples_are_used_where_they_lie(log):
    model, x, y = model_with("mse"), OfCupy(X), OfTorch(VALUES)
    model.fit(X, VALUES, verbose=0)
    log.clear()
    model.fit(x, y, verbose=0, epochs=2)
    outputs = model.predict(x, verbose=0)
    sizes = {int(entry.split()[1]) for entry in log if entry.startswith(("upload", "download"))}
    assert not sizes & {X.nbytes, VALUES.nbytes}
    assert outputs.owner[0].address == outputs.address


def test_labels_and_weights_alone_come_to_the_host(log):
    model = model_with()
    model.fit(OfCupy(X), OfCupy(Y), sample_weight=OfCupy(WEIGHTS), verbose=0)
    downloads = [entry for entry in log if entry.startswith("download")]
    assert downloads.count(f"download {Y.nbytes}") == 1
    assert f"download {X.nbytes}" not in log


def test_class_weights_follow_labels_on_the_gpu():
    results = []
    for place in (np.asarray, OfTorch):
        model = model_with()
        results.append(model.fit(place(X), place(Y), class_weight={1: 3.0}, verbose=0, shuffle=False).history["loss"])
    assert results[0] == results[1]


def test_host_and_gpu_may_meet_in_fit():
    on_gpu, on_host = model_with("mse"), model_with("mse")
    history = on_gpu.fit(OfCupy(X), VALUES, shuffle=False, verbose=0, epochs=2).history["loss"]
    assert history == on_host.fit(X, OfCupy(VALUES), shuffle=False, verbose=0, epochs=2).history["loss"]


def test_several_inputs_and_outputs():
    set_random_seed(2)
    a, b = Input((3,)), Input((2,))
    model = Model([a, b], [Dense(2)(a), Dense(1)(b)])
    model.compile("sgd", "mse", device="cuda")
    x = [RNG.normal(size=(COUNT, size)).astype(np.float32) for size in (3, 2)]
    wanted = model.predict(x, verbose=0)
    for found, expected in zip(model.predict([to_device(part) for part in x], verbose=0), wanted, strict=True):
        assert isinstance(found, DeviceArray)
        np.testing.assert_array_equal(found.copy_to_host(), expected)
    mixed = model.predict([x[0], to_device(x[1])], verbose=0)
    assert [type(part) for part in mixed] == [np.ndarray, np.ndarray]  # some inputs lie on the host, so do the outputs


def test_streams_of_samples_on_the_gpu_and_off_it():
    wanted = model_with("mse").fit(X, VALUES, batch_size=4, verbose=0, epochs=2).history["loss"]
    config.set_sample_memory(0)
    try:
        model = model_with("mse")
        assert model.fit(OfCupy(X), VALUES, batch_size=4, verbose=0, epochs=2).history["loss"] == wanted
        outputs = model.predict(OfCupy(X), verbose=0)
        np.testing.assert_array_equal(outputs.copy_to_host(), model.predict(X, verbose=0))
    finally:
        config.set_sample_memory(None)


def test_a_layer_is_called_on_an_array_of_the_gpu():
    layer = Dense(2)
    with pytest.raises(ValueError, match="x lies on the GPU, but the model runs on device 'cpu'"):
        layer(OfCupy(VALUES))
    config.set_device("cuda")
    try:
        found = Dense(2, kernel_initializer="ones")(OfCupy(VALUES))
    finally:
        config.set_device(None)
    np.testing.assert_allclose(found.numpy(), np.repeat(VALUES.sum(axis=1, keepdims=True), 2, axis=1), rtol=1e-6)


def test_callbacks_see_predictions_on_the_gpu():
    seen = []
    callback = LambdaCallback(on_predict_batch_end=lambda batch, logs: seen.append(logs["outputs"].copy_to_host()))
    outputs = model_with().predict(OfCupy(X), batch_size=8, verbose=0, callbacks=[callback])
    np.testing.assert_array_equal(np.concatenate(seen), outputs.copy_to_host())


def test_the_selftest_trains_on_samples_in_either_place(monkeypatch, capsys):
    monkeypatch.setattr(selftest, "EPOCHS", 1)
    assert selftest.place_failures("cpu") == 0
    assert selftest.place_failures("cuda") == 0
    assert capsys.readouterr().out.splitlines() == [f"digits, samples {what}: the same bits" for what in ("on the GPU", "streamed")]
    monkeypatch.setattr(selftest, "train_digits", lambda width, device, place=None: [0.5 if place is to_device else 1.0])
    assert selftest.place_failures("cuda") == 1
    assert "digits, samples on the GPU: FAILED" in capsys.readouterr().out
    assert config.sample_memory() is None


# -- what the arrays hold ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_no_nan_is_hidden(value, place):
    data = [X.copy(), VALUES.copy(), WEIGHTS.copy()]
    data[place].reshape(COUNT, -1)[7, 0] = value
    x, y, weights = map(OfCupy, data)
    name = ("x", "y", "sample_weight")[place]
    model = model_with("mse", activation="linear")
    before = model.get_weights()
    with pytest.raises(ValueError, match=rf"{name} holds {value} in row 7"):
        model.fit(x, y, sample_weight=weights, verbose=0)
    for weight, wanted in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, wanted)


def test_infinities_that_cancel_are_found():
    x = X.copy()
    x[3, 0, 0], x[4, 0, 0] = np.inf, -np.inf
    with pytest.raises(ValueError, match="x holds inf in row 3, column 0, 0"):
        model_with().fit(OfCupy(x), Y, verbose=0)


def test_a_sum_too_large_is_no_trouble():
    set_random_seed(1)
    model = Sequential([Input((2,), dtype="float64"), Dense(1, dtype="float64", kernel_initializer="zeros")])
    model.compile("sgd", "mse", device="cuda")
    model.fit(OfCupy(np.full((3, 2), 1.5e308)), np.zeros(3), verbose=0)


def test_values_that_are_no_probabilities_are_refused():
    y = ONE_HOT.copy()
    y[5, 1] = 1.5
    with pytest.raises(ValueError, match=r"y holds values from 0\.0 to 1\.5; loss 'categorical_crossentropy' takes 0, 1"):
        model_with("categorical_crossentropy").fit(OfCupy(X), OfCupy(y), verbose=0)
    y[5, 1] = np.nan
    model_with("categorical_crossentropy").evaluate(OfCupy(X), OfCupy(y), verbose=0)  # let pass, as on the host
    y[5, 1] = -0.25
    with pytest.raises(ValueError, match=r"y holds values from -0\.25 to 1"):
        model_with("categorical_crossentropy").evaluate(OfCupy(X), OfCupy(y), verbose=0)


def test_wrong_labels_are_refused():
    with pytest.raises(ValueError, match="y holds class numbers from 1 to 3; the model has 3 outputs"):
        model_with().fit(OfTorch(X), OfTorch(Y + 1), verbose=0)


def test_the_layer_that_is_not_finite_is_named():
    x = X.copy()
    x[9, 0, 0] = np.inf
    with pytest.warns(RuntimeWarning, match="epoch 1, step 3: the output of layer 'flatten"):
        model_with().fit(OfCupy(x), Y, batch_size=4, shuffle=False, verbose=0, check_finite=False)


# -- what is refused ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["cpu", "reference"])
def test_a_model_elsewhere_says_what_to_do(place):
    model, x = model_with(device=place), OfJax(X)
    for call, name in (
        (lambda: model.predict(x, verbose=0), "x"),
        (lambda: model(x), "x"),
        (lambda: model.fit(X, OfJax(Y), verbose=0), "y"),
        (lambda: model.fit(X, Y, sample_weight=to_device(WEIGHTS), verbose=0), "sample_weight"),
        (lambda: model.fit(X, Y, validation_data=(x, Y), verbose=0), "validation_data's x"),
    ):
        message = rf"{name} lies on the GPU, but the model runs on device '{place}'; .* copy on the host is {name}\.cpu\(\)\.numpy"
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize("dtype", ["float64", "float16", "int64", "uint8"])
def test_other_dtypes_are_refused_by_name(dtype):
    model = model_with("mse")
    with pytest.raises(ValueError, match=rf"x is {dtype} on the GPU, the model takes float32; x\.astype\('float32'\)"):
        model.predict(OfCupy(X.astype(dtype)), verbose=0)
    with pytest.raises(ValueError, match=rf"y is {dtype} on the GPU, the model takes float32"):
        model.fit(OfCupy(X), OfCupy(VALUES.astype(dtype)), verbose=0)


def test_other_layouts_and_kinds_are_refused_by_name():
    model = model_with()
    with pytest.raises(ValueError, match=r"x lies on the GPU and is not C-contiguous; x\.contiguous\(\)"):
        model.predict(OfTorch(X, order="F"), verbose=0)
    with pytest.raises(ValueError, match=r"x has dtype complex64 on the GPU, not float32 or float64"):
        model.predict(OfTorch(X.astype(np.complex64)), verbose=0)
    tensor = OfTorch(X)
    tensor.requires_grad = True
    with pytest.raises(TypeError, match=r"x requires a gradient"):
        model.predict(tensor, verbose=0)
    with pytest.raises(ValueError, match=r"x has shape \(21, 3\), the model takes \(N, 2, 3\)"):
        model.predict(OfTorch(VALUES), verbose=0)
    with pytest.raises(ValueError, match="x lies on the GPU, a predictor takes arrays of the host"):
        model.predictor(COUNT)(OfCupy(X))


def test_arrays_of_the_host_from_other_libraries_are_as_before():
    class OfTorchOnTheHost:
        """As `torch.Tensor` of the CPU."""

        requires_grad = False

        def __init__(self, array):
            self.array, self.shape, self.ndim = array, array.shape, array.ndim

        def __dlpack_device__(self):
            return (1, 0)

        def __array__(self, dtype=None, copy=None):
            return np.asarray(self.array, dtype)

    model = model_with()
    np.testing.assert_array_equal(model.predict(OfTorchOnTheHost(X), verbose=0), model.predict(X, verbose=0))


# -- lifetimes and streams ---------------------------------------------------------------------------------------------------


def test_arrays_are_held_for_the_call_and_let_go_after_it():
    model, held = model_with("mse"), []

    def look(epoch, logs):
        gc.collect()
        assert all(reference() is not None for reference in held)

    def arrays_of_a_caller():
        found = OfCupy(X), OfTorch(VALUES)
        held.extend(map(weakref.ref, found))
        return found

    model.fit(*arrays_of_a_caller(), epochs=2, verbose=0, callbacks=[LambdaCallback(on_epoch_end=look)])
    gc.collect()
    assert not any(reference() for reference in held)


def test_the_callers_stream_and_the_sessions_wait_for_each_other(monkeypatch):
    orders, model = [], model_with()
    monkeypatch.setitem(vars(device), "order", lambda first, second: orders.append((first, second)))
    model.predict(OfCupy(X), verbose=0)
    own = streams.own_stream().handle
    readers = [after for before, after in orders if before == LEGACY and after != own]
    assert readers
    assert all((reader, LEGACY) in orders for reader in readers)


def test_threads_predict_their_own_arrays(steps):
    model, failures = model_with(), []
    parts = [RNG.normal(size=(9, 2, 3)).astype(np.float32) for _ in range(4)]
    wanted = [model.predict(part, verbose=0) for part in parts]

    def run(number):
        try:
            for _ in range(5):
                np.testing.assert_array_equal(model.predict(OfTorch(parts[number]), verbose=0).copy_to_host(), wanted[number])
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
