"""The CUDA engine with the reference's kernels in the simulator's memory: results, what is moved when, stops, trouble."""

import gc
import threading
import weakref
from types import SimpleNamespace

import numpy as np
import pytest
from fastnn_kernels.cuda import device_simulated as simulated
from fastnn_kernels.instructions import STATUS

from fastnn import Input, Model, Sequential, config
from fastnn.engine import cuda, select
from fastnn.engine.cuda import CudaEngine
from fastnn.engine.session import Session
from fastnn.layers import Dense, Dropout, Flatten
from fastnn.lowering.builder import CONTROL, Builder
from fastnn.memory import AWAY
from fastnn.program import BATCH, Operand
from fastnn.utils import set_random_seed
from fastnn.variables import Variable, place_in_arena
from tests.fastnn.engine.reference_gpu import gpu

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(21, 2, 3)).astype(np.float32), RNG.integers(0, 3, 21)


@pytest.fixture
def log(cuda_by_reference):
    return cuda_by_reference


def classifier(device, optimizer="adam", dtype="float32"):
    set_random_seed(1)
    hidden = [Flatten(), Dense(4, activation="relu", dtype=dtype), Dropout(0.25)]
    model = Sequential([Input((2, 3)), *hidden, Dense(3, activation="softmax", dtype=dtype)])
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], device=device)
    return model


def everything(model):
    """What a model says of itself after each thing it can do."""
    history = model.fit(X, Y, batch_size=8, epochs=3, verbose=0, validation_split=0.3).history
    results = {f"fit {name}": values for name, values in history.items()}
    results["evaluate"] = model.evaluate(X, Y, batch_size=4, verbose=0)
    results["train_on_batch"] = [model.train_on_batch(X[:5], Y[:5], sample_weight=np.arange(5.0)) for _ in range(3)]
    results["test_on_batch"] = model.test_on_batch(X[:9], Y[:9])
    results["predict"] = model.predict(X, batch_size=4, verbose=0)
    results["call"] = np.concatenate([model(X[:7]).numpy(), model(X[7:9], training=True).numpy()])
    loss, gradients = model.gradients(X[:6], Y[:6])
    results["gradients"] = np.concatenate([[loss], *map(np.ravel, gradients)])
    predictor = model.predictor(2)
    results["predictor"] = np.concatenate([predictor(X[start : start + 2]) for start in range(0, 8, 2)])
    model.set_weights([weight / 2 for weight in model.get_weights()])
    model.fit(X, Y, batch_size=7, epochs=2, initial_epoch=1, shuffle=False, verbose=0, steps_per_epoch=2)
    results["weights"] = np.concatenate([weight.ravel() for weight in model.get_weights()])
    results["state"] = np.concatenate([np.ravel(variable.numpy()) for variable in model.optimizer.variables])
    return results


@pytest.mark.parametrize(("optimizer", "dtype"), [("adam", "float32"), ("sgd", "float64"), ("rmsprop", "float32")])
def test_whatever_a_model_does_it_does_as_on_the_host(steps, log, optimizer, dtype):
    wanted = everything(classifier("reference", optimizer, dtype))
    for name, value in everything(classifier("cuda", optimizer, dtype)).items():
        np.testing.assert_array_equal(value, wanted[name], err_msg=name)


def test_weights_stay_on_the_device_until_somebody_looks(log):
    model = classifier("cuda")
    model.fit(X, Y, epochs=1, verbose=0)
    arena = model.weights[0].buffer.memory.nbytes
    log.clear()
    model.fit(X, Y, epochs=3, verbose=0, validation_split=0.3)
    model.evaluate(X, Y, verbose=0)
    model.predict(X, verbose=0)
    assert f"upload {arena}" not in log
    assert f"download {arena}" not in log
    assert id(model.weights[0].buffer) in AWAY
    assert not np.isfinite(model.weights[0].memory).any()
    model.get_weights()
    assert log.count(f"download {arena}") == 1
    model.predict(X, verbose=0)
    assert log.count(f"upload {arena}") == 1


def test_the_samples_are_copied_once_a_fit(steps, log):
    model = classifier("cuda")
    model.fit(X, Y, batch_size=4, epochs=5, verbose=0, shuffle=False)
    assert log.count(f"upload {X.nbytes}") == 1
    X[0] += 1
    model.fit(X, Y, batch_size=4, epochs=5, verbose=0, shuffle=False)
    assert log.count(f"upload {X.nbytes}") == 2


def test_one_graph_for_each_size_of_batch(log, monkeypatch):
    monkeypatch.setattr(cuda, "one_block_pays", lambda *_: False)
    model = classifier("cuda")
    model.fit(X, Y, batch_size=4, epochs=5, verbose=0)
    assert log.count("capture") == 2
    model.fit(X, Y, batch_size=4, epochs=5, verbose=0)
    assert log.count("capture") == 2
    model.fit(X[:20], Y[:20], batch_size=4, epochs=5, verbose=0)  # other sizes in the launches
    assert log.count("capture") == 3


def test_predictions_fetch_the_rows_that_were_written(log):
    model = classifier("cuda")
    model.predict(X, batch_size=4, verbose=0)
    assert "download 252" not in log  # all 21 rows of three float32
    assert "download 12" in log  # the last batch


def test_a_loss_that_is_not_finite_is_told_and_training_goes_on(steps, log):
    x, results = X.copy(), []
    x[9, 0, 0] = np.inf
    for device in ("reference", "cuda"):
        model = classifier(device)
        with pytest.warns(RuntimeWarning, match="epoch 1, step 3: the output of layer 'flatten"):
            history = model.fit(x, Y, batch_size=4, epochs=2, shuffle=False, verbose=0, check_finite=False).history
        results.append([*history["loss"], *history["accuracy"], *np.concatenate([w.ravel() for w in model.get_weights()])])
    np.testing.assert_array_equal(results[1], results[0])


@pytest.mark.parametrize("bad", [[1], [0, 1], [0]])
def test_of_several_losses_the_one_that_stops_is_known(steps, log, bad):
    results = []
    targets = [np.ones((12, 1), np.float32), np.ones((12, 2), np.float32)]
    for place in bad:
        targets[place][6] = np.nan
    for device in ("reference", "cuda"):
        set_random_seed(2)
        x = Input((2, 3))
        features = Dense(3)(Flatten()(x))
        model = Model(x, [Dense(1)(features), Dense(2)(features)])
        model.compile("sgd", "mse", device=device)
        with pytest.warns(RuntimeWarning, match="step 2"):
            history = model.fit(X[:12], targets, batch_size=4, epochs=2, verbose=0, shuffle=False, check_finite=False).history
        results.append([*history.values(), model.optimizer.iterations])
    for ours, wanted in zip(results[1], results[0], strict=True):
        np.testing.assert_array_equal(ours, wanted)


def test_models_share_layers_across_devices(log):
    set_random_seed(3)
    x = Input((2, 3))
    y = Dense(3)(Flatten()(x))
    on_device, on_host = Model(x, y), Model(x, y)
    target = np.ones((21, 3), np.float32)
    on_device.compile("sgd", "mse", device="cuda")
    on_host.compile("sgd", "mse", device="cpu")
    losses = []
    for _ in range(3):
        losses.append(on_device.fit(X, target, verbose=0).history["loss"][0])
        losses.append(on_host.fit(X, target, verbose=0).history["loss"][0])
    assert losses == sorted(losses, reverse=True)
    np.testing.assert_allclose(on_device(X), on_host(X), rtol=1e-5, atol=1e-5)


def test_a_model_moves_from_device_to_device(log):
    model = classifier("cuda")
    model.fit(X, Y, verbose=0)
    outputs = model.predict(X, verbose=0)
    model.compile(model.optimizer, "sparse_categorical_crossentropy", device="reference")
    np.testing.assert_array_equal(model.predict(X, verbose=0), outputs)
    model.fit(X, Y, verbose=0)
    model.compile(model.optimizer, "sparse_categorical_crossentropy", device="cuda")
    model.fit(X, Y, verbose=0)
    assert model.optimizer.iterations == 3


def test_threads_train_models_of_their_own_while_others_look(log):
    models, failures = [classifier("cuda") for _ in range(3)], []

    def train(model):
        try:
            model.fit(X, Y, epochs=5, verbose=0, shuffle=False)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=train, args=(model,)) for model in models]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert all(np.isfinite(weight).all() for model in models for weight in model.get_weights())
    assert not failures
    for model in models[1:]:
        for weight, wanted in zip(model.get_weights(), models[0].get_weights(), strict=True):
            np.testing.assert_array_equal(weight, wanted)


def test_without_memory_the_model_stays_usable(log, monkeypatch):
    model = classifier("cuda")
    model.fit(X, Y, epochs=1, verbose=0)
    allocate, weights = gpu.allocate, model.get_weights()

    def full(size):
        raise MemoryError(f"{size:,} bytes were asked of the GPU, of whose 8 bytes 0 are free")

    monkeypatch.setattr(gpu, "allocate", full)
    large = np.repeat(X, 100, axis=0)
    with pytest.raises(MemoryError, match="were asked of the GPU"):
        model.fit(large, np.repeat(Y, 100), verbose=0)
    for weight, wanted in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(weight, wanted)
    monkeypatch.setattr(gpu, "allocate", allocate)
    model.fit(large, np.repeat(Y, 100), verbose=0)


def test_a_failed_run_leaves_the_weights_in_reach(log, monkeypatch):
    model = classifier("cuda")
    model.fit(X, Y, epochs=1, verbose=0)
    wanted, launch = model.predict(X, verbose=0), gpu.Stream.launch

    def interrupted(stream, entry, blocks, arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(gpu.Stream, "launch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, epochs=1, verbose=0)
    monkeypatch.setattr(gpu.Stream, "launch", launch)
    np.testing.assert_array_equal(model.predict(X, verbose=0), wanted)


def test_without_a_device_the_reason_is_told():
    missing = SimpleNamespace(why_not=lambda: "there is no NVIDIA driver")
    with pytest.raises(RuntimeError, match="device 'cuda' cannot be used: there is no NVIDIA driver"):
        CudaEngine(missing)


def test_the_setting_chooses_the_device(log, monkeypatch):
    config.set_device("cuda")
    try:
        model = classifier(None)
    finally:
        config.set_device(None)
    model.predict(X, verbose=0)
    assert any(entry.endswith("take_rows") for entry in log)
    log.clear()
    monkeypatch.setenv("FASTNN_DEVICE", "cuda")
    classifier(None).predict(X, verbose=0)
    assert any(entry.endswith("take_rows") for entry in log)


def test_a_weight_outside_an_arena_is_refused():
    kernel = Variable(np.ones((3, 2)), "float64")
    b = Builder("predict", "float64", [kernel])
    b.emit("next_batch", early=True, control=CONTROL, batch=BATCH)
    b.emit("sum_rows", x=b.weight(kernel), out=Operand("control", 128, (2,), "f"), accumulate=0)
    for _ in range(6):
        b.scalar()
    session = Session(CudaEngine(gpu), b.finish(), [kernel], 4)
    session.start(4)
    with pytest.raises(ValueError, match="lies in no arena"):
        session.run()
    place_in_arena([kernel])
    session = Session(CudaEngine(gpu), session.program, [kernel], 4)
    session.start(4)
    assert session.run() == 1
    assert session.memory.segments["control"][128:144].view(np.float64).tolist() == [3.0, 3.0]
    assert session.control[STATUS] == 0


def test_one_block_is_for_small_programs_whose_interpreter_is_there(log, monkeypatch):
    wide = Sequential([Input((512,)), Dense(512)])
    wide.compile(device="cuda")
    wide.predict(np.zeros((512, 512), np.float32), batch_size=512, verbose=0)
    assert "take_rows" in log
    log.clear()
    classifier("cuda").predict(X, verbose=0)
    assert "row take_rows" in log
    log.clear()
    monkeypatch.setattr(gpu, "ready", lambda unit: False)
    engine = CudaEngine(gpu)
    monkeypatch.setattr(select, "get", lambda device: engine)
    classifier("cuda").predict(X, verbose=0)
    assert "take_rows" in log


def test_a_models_memory_on_the_device_goes_with_it(log, monkeypatch):
    allocated = []
    monkeypatch.setattr(gpu, "allocate", lambda size: allocated.append(weakref.ref(buffer := simulated.allocate(size))) or buffer)
    classifier("cuda").fit(X, Y, verbose=0)
    gc.collect()
    assert allocated
    assert not any(buffer() for buffer in allocated)
    model = classifier("cuda")
    gc.disable()
    try:
        model.predict(np.zeros((5000, 2, 3)), batch_size=5000, verbose=0)  # too large a batch to be kept
        assert max((buffer().size for buffer in allocated if buffer()), default=0) < 5000
    finally:
        gc.enable()


def test_memory_that_only_a_cycle_holds_is_found(log, monkeypatch):
    cycle = [simulated.allocate(100)]
    cycle.append(cycle)
    held = weakref.ref(cycle[0])

    def allocate(size):
        if held():
            raise MemoryError
        return simulated.allocate(size)

    monkeypatch.setattr(gpu, "allocate", allocate)
    del cycle
    classifier("cuda").predict(X, verbose=0)
