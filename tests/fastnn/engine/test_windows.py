"""Samples that do not fit on the device pass through it in parts: the bits of the resident run, in order, in little memory."""

import gc
import weakref

import numpy as np
import pytest
from fastnn_kernels.cuda import device_simulated as simulated

from fastnn import Input, Model, Sequential, config
from fastnn.engine import cuda, select, windows
from fastnn.engine.cuda import CudaEngine
from fastnn.layers import Dense, Flatten
from fastnn.utils import set_random_seed
from tests.fastnn.engine import late_gpu
from tests.fastnn.engine.reference_gpu import gpu

RNG = np.random.default_rng(0)
COUNT = 45
X, Y = RNG.normal(size=(COUNT, 2, 3)).astype(np.float32), RNG.integers(0, 3, COUNT)
WEIGHTS = RNG.uniform(0.5, 2.0, COUNT)


@pytest.fixture(autouse=True)
def _all_samples_fit_afterwards():
    yield
    config.set_sample_memory(None)


@pytest.fixture
def log(cuda_by_reference):
    return cuda_by_reference


@pytest.fixture
def late(monkeypatch, poisoned_host):
    """Device "cuda" does nothing before somebody waits for it."""
    engine, get = CudaEngine(late_gpu.gpu), select.get
    monkeypatch.setattr(select, "get", lambda device: engine if device == "cuda" else get(device))


def classifier():
    set_random_seed(1)
    model = Sequential([Input((2, 3)), Flatten(), Dense(4, activation="relu"), Dense(3, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], device="cuda")
    return model


def everything():
    """What a model says of itself after each thing it can do, on samples in any number of windows."""
    model, results = classifier(), {}

    def fit(**keywords):
        history = model.fit(X, Y, verbose=0, **keywords).history
        results.update({f"{len(results)} {name}": values for name, values in history.items()})

    fit(batch_size=8, epochs=2, sample_weight=WEIGHTS, validation_data=(X[:20], Y[:20], WEIGHTS[:20]))
    fit(batch_size=4, class_weight={0: 2.0, 2: 0.5}, validation_split=0.3, validation_batch_size=3)
    fit(batch_size=16, shuffle=False)
    fit(batch_size=32, epochs=2)
    fit(batch_size=5, epochs=5, steps_per_epoch=3)
    results["evaluate"] = model.evaluate(X, Y, batch_size=4, verbose=0, sample_weight=WEIGHTS)
    results["some"] = model.evaluate(X, Y, batch_size=4, verbose=0, steps=5)
    results["predict"] = model.predict(X, batch_size=4, verbose=0)
    results["predict at once"] = model.predict(X, verbose=0)
    results["call"] = model(X).numpy()
    results["train_on_batch"] = model.train_on_batch(X, Y)
    loss, gradients = model.gradients(X, Y)
    results["gradients"] = np.concatenate([[loss], *map(np.ravel, gradients)])
    predictor = model.predictor(2)
    results["predictor"] = np.concatenate([predictor(X[start : start + 2]) for start in range(0, 8, 2)])
    results["weights"] = np.concatenate([weight.ravel() for weight in model.get_weights()])
    return results


@pytest.mark.parametrize("budget", [0, 1000])
def test_the_bits_are_those_of_samples_that_stay(steps, log, budget):
    wanted = everything()
    config.set_sample_memory(budget)
    for name, value in everything().items():
        np.testing.assert_array_equal(value, wanted[name], err_msg=name)


def test_nothing_is_read_before_it_is_there(late):
    wanted = everything()
    config.set_sample_memory(0)
    for name, value in everything().items():
        np.testing.assert_array_equal(value, wanted[name], err_msg=name)


def test_little_memory_holds_many_samples(log, monkeypatch):
    x, sizes = np.zeros((100_000, 2, 3), np.float32), []
    monkeypatch.setattr(gpu, "allocate", lambda size: sizes.append(size) or simulated.allocate(size))
    config.set_sample_memory(10_000)
    classifier().predict(x, batch_size=1000, verbose=0)
    assert max(sizes) < x.nbytes / 10
    assert f"upload {x.nbytes}" not in log
    config.set_sample_memory(None)
    classifier().predict(x, batch_size=1000, verbose=0)
    assert f"upload {x.nbytes}" in log


def test_windows_go_with_their_call(log, monkeypatch):
    monkeypatch.setattr(cuda, "one_block_pays", lambda *_: False)
    made, model = [], classifier()
    model.predict(X, batch_size=4, verbose=0)
    for name in ("allocate", "pinned"):
        make = getattr(gpu, name)
        monkeypatch.setattr(gpu, name, lambda size, make=make: made.append(weakref.ref(memory := make(size))) or memory)
    config.set_sample_memory(0)
    model.predict(X, batch_size=4, verbose=0)
    gc.collect()
    assert made
    assert not any(memory() is not None for memory in made)


@pytest.mark.parametrize(("free", "streamed"), [(10_000, False), (1_500, True)])
def test_what_the_driver_says_is_free_decides(log, monkeypatch, free, streamed):
    monkeypatch.setattr(gpu, "memory_info", lambda: (free, 1 << 20))
    monkeypatch.setattr(windows, "SMALL_BYTES", 0)
    classifier().predict(X, batch_size=4, verbose=0)
    assert (f"upload {X.nbytes}" not in log) == streamed


def test_for_few_samples_the_driver_is_not_asked(log, monkeypatch):
    monkeypatch.setattr(gpu, "memory_info", lambda: pytest.fail("asked"))
    classifier().predict(X, batch_size=4, verbose=0)
    assert f"upload {X.nbytes}" in log


def test_the_next_window_is_filled_while_the_device_computes(log, monkeypatch):
    monkeypatch.setattr(cuda, "one_block_pays", lambda *_: False)
    config.set_sample_memory(0)
    classifier().predict(X[:45], batch_size=15, verbose=0)
    window = 15 * X[0].nbytes
    kinds = [entry for entry in log if entry in (f"upload {window}", "put_rows", "download 180")]
    assert kinds[:3] == [f"upload {window}", "put_rows", f"upload {window}"]
    assert kinds.count(f"upload {window}") == 3
    assert kinds.count("download 180") == 3  # 15 rows of three float32


def test_a_loss_that_is_not_finite_is_told_and_training_goes_on(steps, log):
    x, results = X.copy(), []
    x[37, 0, 0] = np.inf
    for budget in (None, 0):
        config.set_sample_memory(budget)
        model = classifier()
        with pytest.warns(RuntimeWarning, match="epoch 1, step 10: the output of layer 'flatten"):
            history = model.fit(x, Y, batch_size=4, epochs=2, shuffle=False, verbose=0, check_finite=False).history
        results.append([*history["loss"], *history["accuracy"], *np.concatenate([w.ravel() for w in model.get_weights()])])
    np.testing.assert_array_equal(results[1], results[0])


def test_several_inputs_and_outputs(log):
    a, b = Input((3,)), Input((2,))
    first, second = Dense(2), Dense(1)
    model = Model([a, b], [first(a), second(b)])
    model.compile("sgd", "mse", device="cuda")
    x = [RNG.normal(size=(COUNT, 3)), RNG.normal(size=(COUNT, 2))]
    y = [RNG.normal(size=(COUNT, 2)), RNG.normal(size=(COUNT, 1))]
    wanted, weights = model.predict(x, verbose=0, batch_size=7), model.get_weights()
    losses = model.fit(x, y, batch_size=7, shuffle=False, verbose=0).history["loss"]
    model.set_weights(weights)
    config.set_sample_memory(0)
    for found, expected in zip(model.predict(x, verbose=0, batch_size=7), wanted, strict=True):
        np.testing.assert_array_equal(found, expected)
    assert model.fit(x, y, batch_size=7, shuffle=False, verbose=0).history["loss"] == losses


def test_a_file_is_read_window_by_window(log, tmp_path):
    model, path = classifier(), tmp_path / "x.npy"
    wanted = model.predict(X, batch_size=8, verbose=0)
    np.save(path, X)
    config.set_sample_memory(0)
    np.testing.assert_array_equal(model.predict(np.load(path, mmap_mode="r"), batch_size=8, verbose=0), wanted)


def test_a_callback_sees_the_predictions_of_its_batch(late):
    from fastnn.callbacks import LambdaCallback

    seen, model = [], classifier()
    wanted = model.predict(X, batch_size=8, verbose=0)
    config.set_sample_memory(0)
    callback = LambdaCallback(on_predict_batch_end=lambda batch, logs: seen.append(logs["outputs"].copy()))
    model.predict(X, batch_size=8, verbose=0, callbacks=[callback])
    np.testing.assert_array_equal(np.concatenate(seen), wanted)


def test_without_memory_for_windows_the_model_stays_usable(log, monkeypatch):
    model = classifier()
    wanted = model.predict(X, batch_size=4, verbose=0)

    def full(size):
        raise MemoryError(f"{size:,} bytes were asked of the GPU, of whose 8 bytes 0 are free")

    config.set_sample_memory(0)
    with monkeypatch.context() as patch:
        patch.setattr(gpu, "allocate", full)
        with pytest.raises(MemoryError, match="were asked of the GPU"):
            model.predict(X, batch_size=4, verbose=0)
    np.testing.assert_array_equal(model.predict(X, batch_size=4, verbose=0), wanted)


def test_the_setting(monkeypatch):
    assert config.sample_memory() is None
    monkeypatch.setenv("FASTNN_SAMPLE_MEMORY", "12")
    assert config.sample_memory() == 12
    config.set_sample_memory(0)
    assert config.sample_memory() == 0
    config.set_sample_memory(None)
    monkeypatch.setenv("FASTNN_SAMPLE_MEMORY", "2 GB")
    with pytest.raises(ValueError, match="FASTNN_SAMPLE_MEMORY must be a number of bytes, got '2 GB'"):
        config.sample_memory()
    for count, error in ((-1, ValueError), (True, TypeError), (1.5, TypeError)):
        with pytest.raises(error):
            config.set_sample_memory(count)
