"""One block runs whole steps of a table: the same results as one launch a row, and the row that stopped it."""

import numpy as np
import pytest
from fastnn_kernels.instructions import FLAG_STATUS, INSTRUCTIONS, ROW_WORDS, STATUS
from fastnn_kernels.operands import attribute_word, check_operands

ROWS = 3


class Model:
    """Steps of: next_batch; take_rows; accumulate_mean of ``out = relu(x)``'s rows as a loss that may stop."""

    def __init__(self, device, seed):
        rng = np.random.default_rng(seed)
        data = rng.normal(size=(12, 1)).astype(np.float32)
        self.host = {
            "data": data.view(np.uint8).reshape(12, 4),
            "control": np.array([-1, 0, 0, 0, 0, 0, 0, 0]),
            "out": np.zeros((ROWS, 4), np.uint8),
            "value": np.zeros(ROWS, np.float32),
            "scale": np.ones(1, np.float32),
            "total": np.zeros(2),
        }
        self.device = device
        self.buffers = {name: device.allocate(array.nbytes) for name, array in self.host.items()}

    def table(self):
        out = self.buffers["out"].address
        return np.stack(
            [
                self.row("next_batch", {}, {"control": "control"}, [ROWS]),
                self.row("take_rows", {}, {"data": "data", "control": "control", "out": "out"}, []),
                self.row("relu", {"x": out}, {"out": "value"}, [0.0, np.inf, 0.0], size=ROWS),
                self.row(
                    "accumulate_loss", {}, {"value": "value", "scale": "scale", "total": "total", "control": "control"}, [ROWS]
                ),
            ]
        )

    def row(self, op, addresses, names, attributes, size=0):
        from fastnn_kernels.cuda.interpreter import NUMBERS

        instruction = INSTRUCTIONS[op]
        addresses = addresses | {operand: self.buffers[name].address for operand, name in names.items()}
        arrays = {operand: self.host[name] for operand, name in names.items()}
        sizes = [size] if size else check_operands(instruction, arrays, "float32")
        operands = [addresses.get(spec.name, 0) for spec in instruction.operands]
        values = [attribute_word(kind, value) for (_, kind), value in zip(instruction.attributes, attributes, strict=True)]
        words = [NUMBERS[op], FLAG_STATUS * instruction.may_stop, *operands, *sizes, *values]
        return np.pad(np.array(words), (0, ROW_WORDS - len(words)))

    def upload(self, stream):
        for name, array in self.host.items():
            stream.upload(self.buffers[name].address, array)

    def download(self, stream):
        for name, array in self.host.items():
            stream.download(array, self.buffers[name].address)


@pytest.fixture
def device():
    from fastnn_kernels.cuda import device

    return device


def run(device, models, steps, first_row=0):
    stream, tables = device.Stream(), np.concatenate([model.table() for model in models])
    rows, buffer, positions = len(tables) // len(models), device.allocate(tables.nbytes), device.allocate(8 * len(models))
    for model in models:
        model.upload(stream)
    stream.upload(buffer.address, tables)
    unit = "interpreter-float32"
    stream.launch(device.load([unit])[unit], len(models), [buffer.address, rows, first_row, steps, positions.address])
    found = np.zeros(len(models), np.int64)
    stream.download(found, positions.address)
    for model in models:
        model.download(stream)
    stream.synchronize()
    return found.tolist()


def test_a_grid_runs_a_model_a_block(device):
    models = [Model(device, seed) for seed in range(3)]
    assert run(device, models, steps=4) == [16, 16, 16]
    for model in models:
        expected = np.maximum(model.host["data"].view(np.float32), 0).sum(dtype=np.float64)
        np.testing.assert_allclose(model.host["total"], [3 * expected, 12], rtol=1e-6)
        assert model.host["control"][:3].tolist() == [3, 9, 12]


def test_a_status_stops_one_block_and_it_resumes(device):
    models = [Model(device, seed) for seed in range(2)]
    models[1].host["data"].view(np.float32)[4] = np.nan
    assert run(device, models, steps=3) == [12, 7]
    assert models[1].host["control"][[0, STATUS]].tolist() == [1, 1]
    models[1].host["control"][STATUS] = 0
    assert run(device, models[1:], steps=2, first_row=4) == [8]
    assert models[1].host["control"][0] == 2
