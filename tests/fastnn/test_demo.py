"""The demo, the picture it draws, and the example on README's first screen."""

import builtins
import re
from pathlib import Path

import pytest

from fastnn import demo, plotting
from fastnn.__main__ import main
from fastnn.plotting import learning_curves

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
HISTORY = {"accuracy": [0.5, 0.9], "loss": [1.0, 0.2], "val_accuracy": [0.6, 0.8], "val_loss": [0.9, 0.3]}


def test_readme_starts_with_what_it_is_and_shows_the_two_commands_first():
    assert re.match(r"# fastnn\n\nfastnn is Keras's Dense/Sequential on Numba-compiled kernels for all CPU cores\.", README)
    assert README.index("make demo") < README.index("make test") < README.index("```python")
    assert README[: README.index("```python")].count("\n") < 25


def test_readme_example_runs_as_printed(run_python):
    programs = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(programs) == 1
    assert len([line for line in programs[0].splitlines() if line]) == 10
    output = run_python(programs[0])
    assert float(re.search(r"test accuracy ([\d.]+)", output)[1]) >= 0.96


def test_demo_reports_accuracy_time_and_kernels_and_draws(run_python, tmp_path):
    picture = tmp_path / "curves.png"
    output = run_python(f"from fastnn.__main__ import main; main(['demo', '--output', {str(picture)!r}])")
    assert float(re.search(r"test accuracy +([\d.]+)", output)[1]) >= 0.96
    assert re.search(r"time +[\d.]+ ms an epoch", output)
    assert re.search(r"kernels +\d+ compiled, \d+ read from", output)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_demo_says_how_to_get_the_picture_without_matplotlib(run_python, tmp_path):
    (tmp_path / "matplotlib.py").write_text("raise ImportError('not here')")
    picture = tmp_path / "curves.png"
    output = run_python(
        f"""
        import sys; sys.path.insert(0, {str(tmp_path)!r})
        from fastnn.__main__ import main
        main(["demo", "--epochs", "1", "--output", {str(picture)!r}])
        """
    )
    assert "pip install matplotlib" in output
    assert not picture.exists()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--epochs", "0"], "--epochs must be at least 1, got 0"),
        (["--output", "missing/curves.png"], "--output: there is no folder 'missing'"),
        (["--output", "."], "--output must be a file, '.' is a folder"),
        (["--output", "curves.xyz"], "--output must end in .png"),
    ],
)
def test_what_cannot_end_well_is_refused_before_training(capsys, monkeypatch, tmp_path, arguments, text):
    monkeypatch.chdir(tmp_path)
    assert main(["demo", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"python -m fastnn demo: {text}")


def test_a_picture_that_cannot_be_written_is_refused_before_training(monkeypatch):
    monkeypatch.setattr(demo.os, "access", lambda path, mode: False)
    assert demo.obstacle(1, "curves.png") == "--output: 'curves.png' cannot be written"


def test_one_epoch_is_a_point_and_epochs_are_whole():
    from matplotlib.figure import Figure

    for epochs in (1, 2, 3):
        axes = Figure().subplots()
        plotting._panel(axes, "loss", [1.0] * epochs, None)
        assert (axes.lines[0].get_marker() == "o") == (epochs == 1)
        assert all(tick == round(tick) for tick in axes.get_xticks())
        assert axes.get_xlim()[0] == 1


def test_the_title_stands_over_the_axes(monkeypatch, tmp_path):
    from matplotlib.figure import Figure

    figures, save = [], Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda figure, *arguments, **options: figures.append(figure) or save(figure, *arguments))
    learning_curves(HISTORY, tmp_path / "curves.png", title="a title")
    (figure,) = figures
    title, axes = figure._suptitle.get_window_extent(), figure.axes[0].get_window_extent()
    assert title.x0 == pytest.approx(axes.x0, abs=2)


def test_learning_curves_need_matplotlib(monkeypatch, tmp_path):
    real = builtins.__import__

    def without(name, *arguments, **options):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match="matplotlib"):
        learning_curves(HISTORY, tmp_path / "curves.png", title="")


@pytest.mark.parametrize("history", [HISTORY, {"loss": [1.0]}, {"loss": [-1.0, -2.0]}, {"mae": [2.0, 3.0], "val_mae": [1.0, 2.0]}])
def test_learning_curves_of_any_history(history, tmp_path):
    learning_curves(history, tmp_path / "curves.png", title="a title")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
