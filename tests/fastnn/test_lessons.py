"""The lessons' programs run as they are, and by-hand mathematics agrees with the models."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastnn
from fastnn.keras.names import VERSIONS

ROOT = Path(__file__).parents[2]
LESSONS = ROOT / "examples" / "lessons"
DOCUMENT = (ROOT / "docs" / "lessons.md").read_text(encoding="utf-8")


@pytest.fixture
def run_lesson(python_environment):
    """``run_lesson(name, *arguments)``: a lesson's output under ``python -m fastnn.keras``."""

    def run(name, *arguments):
        command = [sys.executable, "-m", "fastnn.keras", str(LESSONS / name), *arguments]
        done = subprocess.run(command, env=python_environment, capture_output=True, text=True, encoding="utf-8", timeout=240)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def number_after(text: str, output: str) -> float:
    """The number that follows ``text`` in ``output``."""
    found = re.search(re.escape(text) + r"\s*([-+0-9.e]+)", output)
    assert found, output
    return float(found[1])


def test_25_15_4_classifier(run_lesson):
    output = run_lesson("blobs_25_15_4.py")
    assert 'Model: "blobs"' in output
    assert number_after("\naccuracy:", output) > 0.95


def test_64_64_1_regression_on_auto_mpg(run_lesson):
    folder = os.environ.get("FASTNN_DATA")
    if not folder:
        pytest.skip("needs Auto MPG: set FASTNN_DATA to the folder of mpg.csv, from https://github.com/mwaskom/seaborn-data")
    output = run_lesson("auto_mpg_64_64_1.py", os.path.join(folder, "mpg.csv"))
    assert number_after("Testing set Mean Abs Error:", output) < 2.5
    assert number_after("Testing set Mean Abs Error:", output) == number_after("Mean Abs Error of the predictions:", output)


def test_the_regression_says_what_file_it_needs(python_environment):
    command = [sys.executable, "-m", "fastnn.keras", str(LESSONS / "auto_mpg_64_64_1.py")]
    done = subprocess.run(command, env=python_environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("One argument is needed: Auto MPG as a CSV file")


@pytest.mark.parametrize("program", sorted(LESSONS.glob("*.py")), ids=lambda path: path.name)
def test_a_lesson_says_how_it_is_run_and_is_listed(program):
    first = program.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith(f"# Run it on fastnn: python -m fastnn.keras examples/lessons/{program.name}")
    assert f"| `{program.name}` |" in DOCUMENT


def test_the_document_names_the_versions_that_programs_are_told():
    for version in VERSIONS.values():
        assert f"`{version}+fastnn.{fastnn.__version__}`" in DOCUMENT


def test_64_64_1_regression_on_a_made_up_table(run_lesson, tmp_path):
    rng = np.random.default_rng(0)
    columns = "mpg,cylinders,displacement,horsepower,weight,acceleration,model_year,origin,name"
    rows = [columns]
    for car in range(120):
        size = rng.uniform(1, 4)
        numbers = [45 - 9 * size, round(2 * size), 90 * size, 50 * size, 1000 * size, 20 - size, 70 + car % 13]
        numbers = [f"{value + rng.normal(0, 0.1):.3f}" for value in numbers]
        rows.append(",".join([*numbers, ["usa", "europe", "japan"][car % 3], f"car {car}"]))
    table = tmp_path / "mpg.csv"
    table.write_text("\n".join(rows))
    output = run_lesson("auto_mpg_64_64_1.py", str(table))
    assert number_after("Testing set Mean Abs Error:", output) < 4  # the spread of mpg is 27


def test_6_6_3_classifier_on_iris(run_lesson):
    assert number_after("accuracy:", run_lesson("iris_6_6_3.py").split("\n", 1)[-1]) >= 93


@pytest.mark.parametrize("name", ["least_squares.py", "logistic_regression.py"])
def test_a_single_dense_layer_is_the_classical_method(run_lesson, name):
    assert number_after("largest difference:", run_lesson(name)) < 1e-3


@pytest.fixture
def by_hand():
    """The example that writes backpropagation out, as a module."""
    spec = importlib.util.spec_from_file_location("two_layers_by_hand", ROOT / "examples" / "two_layers_by_hand.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("written", ["half sum of squares", "mean cross-entropy"])
def test_backpropagation_by_hand_is_the_derivative_of_its_loss(by_hand, written):
    X, Y = by_hand.data()
    rng = np.random.default_rng(2)
    shapes = [(by_hand.HIDDEN, by_hand.INPUTS), (by_hand.HIDDEN, 1), (by_hand.OUTPUTS, by_hand.HIDDEN), (by_hand.OUTPUTS, 1)]
    weights = [rng.normal(size=shape) for shape in shapes]
    _, gradients = by_hand.backward(weights, X, Y, written)
    for place, gradient in enumerate(gradients):
        shifted = [weight.copy() for weight in weights]
        central = np.empty_like(gradient)
        for index in np.ndindex(gradient.shape):
            values = []
            for step in (1e-5, -1e-5):
                shifted[place][index] = weights[place][index] + step
                values.append(by_hand.backward(shifted, X, Y, written)[0])
            shifted[place][index] = weights[place][index]
            central[index] = (values[0] - values[1]) / 2e-5
        np.testing.assert_allclose(gradient, central, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("written", ["half sum of squares", "mean cross-entropy"])
def test_gradients_equal_those_by_hand_up_to_the_factor_between_the_losses(by_hand, written):
    X, Y = by_hand.data()
    m, k = by_hand.EXAMPLES, by_hand.OUTPUTS
    # Keras's losses are means over the m * k outputs. By hand: 1/2 sum = (m k / 2) mean;  (1/m) sum = k mean.
    name, factor = {"half sum of squares": ("mse", m * k / 2), "mean cross-entropy": ("binary_crossentropy", k)}[written]
    model = by_hand.build(name)
    value, expected = by_hand.backward(by_hand.columns(model.get_weights()), X, Y, written)
    loss, gradients = model.gradients(X.T, Y.T)
    assert factor * loss == pytest.approx(value, rel=1e-6)
    assert len(gradients) == len(model.trainable_weights) == 4
    for ours, hand in zip(by_hand.columns(gradients), expected, strict=True):
        np.testing.assert_allclose(factor * ours, hand, rtol=1e-6, atol=1e-9)


def test_the_example_by_hand_runs_and_its_loop_lowers_the_loss(by_hand, capsys):
    by_hand.main()
    output = capsys.readouterr().out
    assert output.count("gradients differ by") == 2
    before, after = (float(value) for value in re.search(r"from ([\d.]+) to ([\d.]+)", output).groups())
    assert after < before
