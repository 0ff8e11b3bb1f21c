"""The bar as Keras draws it; live, plain and ASCII streams."""

import io
import re
import sys
import threading

import pytest

from fastnn.training import progress
from fastnn.training.progress import CompileProgress, ProgressBar, ProgressLogger, display_of


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


class Kernel(io.StringIO):
    encoding = "UTF-8"


Kernel.__module__ = "ipykernel.iostream"


class Ascii(io.StringIO):
    encoding = "ascii"


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch):
    for name in ("NO_COLOR", "PYCHARM_HOSTED"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def clock(monkeypatch):
    """A clock that is set by hand."""
    time = [100.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: time[0])
    return time


def plain(text):
    """``text`` without colours."""
    return re.sub(r"\x1b\[\d+m", "", text)


def test_a_live_bar_goes_back_to_the_start_of_its_line_and_ends_it_once(clock):
    stream = Terminal()
    bar = ProgressBar(100, 1, stream)
    clock[0] += 0.5
    bar.update(50, {"loss": 0.123456})
    clock[0] += 0.5
    bar.finish({"loss": 0.00012, "mae": 2.0})
    bar.close()
    first, last = plain(stream.getvalue()).split("\r")[1:]
    assert first == " 50/100 " + "━" * 20 + " 0s 10ms/step - loss: 0.1235"
    assert last == "100/100 " + "━" * 20 + " 1s 10ms/step - loss: 1.2000e-04 - mae: 2.0000\n"
    assert "\x1b[32m" + "━" * 10 + "\x1b[0m\x1b[37m" + "━" * 10 + "\x1b[0m" in stream.getvalue()


def test_a_shorter_frame_covers_the_one_before(clock):
    stream = Terminal()
    bar = ProgressBar(2, 1, stream)
    bar.update(1, {"loss": 1.0, "mae": 1.0})
    bar.finish({"loss": 1.0})
    before, after = plain(stream.getvalue()).split("\r")[1:]
    assert len(after.rstrip("\n")) == len(before)


def test_a_frame_is_cut_to_the_terminal_and_the_last_one_goes_on_in_whole_words(clock, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    stream = Terminal()
    bar = ProgressBar(10, 1, stream)
    clock[0] += 0.1
    values = {"accuracy": 0.5, "loss": 1.0, "val_accuracy": 0.5, "val_loss": 1.0}
    bar.update(3, values)
    bar.finish(values)
    first, last = plain(stream.getvalue()).split("\r")[1:]
    assert len(first) == 59
    assert last.splitlines() == [
        ("10/10 " + "━" * 20 + " 0s 10ms/step - accuracy: 0.5000").ljust(59),
        "      - loss: 1.0000 - val_accuracy: 0.5000",
        "      - val_loss: 1.0000",
    ]


def test_a_terminal_too_narrow_for_the_bar_still_gets_every_value(clock, monkeypatch):
    monkeypatch.setenv("COLUMNS", "10")
    stream = Terminal()
    ProgressBar(10, 1, stream).finish({"loss": 1.0, "mae": 2.0})
    assert [line.strip() for line in stream.getvalue().split("\n")[1:-1]] == ["- loss: 1.0000", "- mae: 2.0000"]


@pytest.mark.parametrize("stream", [Terminal(), Kernel()], ids=["terminal", "notebook"])
def test_terminals_and_notebooks_are_live(stream):
    assert display_of(stream).live
    assert display_of(stream).colour


@pytest.mark.parametrize(
    ("stream", "variable", "value", "live", "colour"),
    [
        (io.StringIO(), None, None, False, False),
        (Terminal(), "TERM", "dumb", False, False),
        (Terminal(), "NO_COLOR", "1", True, False),
        (None, None, None, False, False),
    ],
)
def test_other_streams(monkeypatch, stream, variable, value, live, colour):
    if variable:
        monkeypatch.setenv(variable, value)
    display = display_of(stream)
    assert (display.live, display.colour) == (live, colour)


def test_pycharms_console_is_live_and_a_file_it_writes_is_not(monkeypatch, tmp_path):
    monkeypatch.setenv("PYCHARM_HOSTED", "1")
    with open(tmp_path / "log", "w") as file:
        assert not display_of(file).live
    with open(sys.executable, "rb") as file, monkeypatch.context() as patch:
        patch.setattr(progress.stat, "S_ISREG", lambda mode: False)
        assert display_of(file).live


def test_a_pipe_gets_one_plain_line(clock):
    stream = Ascii()
    bar = ProgressBar(3, 1, stream)
    clock[0] += 3e-5
    assert not bar.due()
    bar.finish({"loss": -0.5})
    bar.close()
    assert stream.getvalue() == "3/3 ==================== 0s 10us/step - loss: -0.5000\n"


def test_verbose_2_is_one_line_without_a_bar(clock):
    stream = Terminal()
    bar = ProgressBar(20, 2, stream)
    clock[0] += 30.0
    assert not bar.due()
    bar.finish({"loss": 0.25})
    assert stream.getvalue() == "20/20 - 30s - 2s/step - loss: 0.2500\n"


def test_an_interrupted_bar_is_closed(clock):
    stream = Terminal()
    bar = ProgressBar(10, 1, stream)
    bar.update(3, {})
    bar.close()
    bar.close()
    assert stream.getvalue().endswith("\n")
    assert stream.getvalue().count("\n") == 1


def test_frames_come_at_most_every_50_ms(clock):
    bar = ProgressBar(10, 1, Terminal())
    assert bar.due()
    bar.update(1, {})
    clock[0] += 0.04
    assert not bar.due()
    clock[0] += 0.02
    assert bar.due()


def logger(verbose, epochs, steps):
    found = ProgressLogger()
    found.set_params({"verbose": verbose, "epochs": epochs, "steps": steps})
    return found


@pytest.mark.parametrize(("epochs", "heading"), [(2, "Epoch 1/2\n"), (1, "")])
@pytest.mark.parametrize("verbose", [1, 2])
def test_the_logger_heads_each_of_several_epochs_and_keeps_validation_silent(capsys, verbose, epochs, heading):
    bars = logger(verbose, epochs, 4)
    bars.on_train_begin()
    bars.on_epoch_begin(0)
    bars.tick(2, dict)
    bars.on_test_begin()
    bars.tick_test(2, dict)
    bars.on_test_end({"loss": 9.0})
    bars.on_epoch_end(0, {"loss": 1.0, "val_loss": 9.0})
    bars.close()
    out = capsys.readouterr().out
    assert out.startswith(heading + "4/4 ")
    assert out.endswith(" - loss: 1.0000 - val_loss: 9.0000\n")
    assert out.count("\n") == 1 + bool(heading)


@pytest.mark.parametrize("kind", ["test", "predict"])
def test_the_logger_of_evaluate_and_predict(capsys, kind):
    bars = logger(1, 1, 4)
    getattr(bars, f"on_{kind}_begin")()
    getattr(bars, f"on_{kind}_end")({"loss": 1.0} if kind == "test" else {})
    assert capsys.readouterr().out.startswith("4/4 ")


def test_the_values_are_asked_for_only_when_a_frame_is_drawn(clock, monkeypatch):
    monkeypatch.setattr(sys, "stdout", Terminal())
    asked = []
    bars = logger(1, 1, 9)
    bars.on_epoch_begin(0)
    for step in range(1, 10):
        clock[0] += 0.02
        bars.tick(step, lambda step=step: asked.append(step) or {})
    assert asked == [1, 4, 7]  # the last step is drawn by on_epoch_end


COMPILING = "compiling kernels for this machine, once:"


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (
            io.StringIO(),
            f"{COMPILING} 1/4 adam\n{COMPILING} 3/4 relu\n4 kernels for this machine ready in 10.0s\n",
        ),
        (
            Terminal(),
            f"\r{COMPILING} 1/4 adam\r{COMPILING} 2/4 sgd \r{COMPILING} 3/4 relu"
            f"\r{'4 kernels for this machine ready in 10.0s':<{len(COMPILING) + 9}}\n",
        ),
    ],
    ids=["pipe", "terminal"],
)
def test_a_long_compilation_is_told_of(clock, stream, expected):
    tell = CompileProgress(stream)
    tell(0, 4, "matmul")
    assert stream.getvalue() == ""
    for done, (unit, seconds) in enumerate([("adam", 2.0), ("sgd", 3.0), ("relu", 2.5)], start=1):
        clock[0] += seconds
        tell(done, 4, unit)
    clock[0] += 2.5
    tell(4, 4, "")
    tell.close()
    assert stream.getvalue() == expected


def test_it_is_told_of_while_its_first_kernel_is_being_compiled():
    class Waited(io.StringIO):
        written = threading.Event()

        def flush(self):
            self.written.set()

    stream = Waited()
    tell = CompileProgress(stream, patience=0.0)
    tell(0, 1, "matmul")
    assert stream.written.wait(60)
    tell(1, 1, "")
    tell.close()
    assert stream.getvalue().startswith(f"{COMPILING} 0/1 matmul\n1 kernel for this machine ready in ")


def test_a_compilation_that_fails_does_not_claim_its_end(clock):
    stream = io.StringIO()
    tell = CompileProgress(stream)
    tell(0, 3, "matmul")
    clock[0] += 9.0
    tell(1, 3, "adam")
    tell.close()
    assert stream.getvalue().endswith("\n1 of 3 kernels for this machine ready in 9.0s\n")


def test_a_short_compilation_says_nothing_and_none_at_all_neither(clock):
    stream = io.StringIO()
    tell = CompileProgress(stream)
    tell.close()
    tell(0, 2, "matmul")
    clock[0] += 0.9
    tell(1, 2, "adam")
    tell(2, 2, "")
    tell.close()
    assert stream.getvalue() == ""


def test_every_first_run_tells_on_stderr_that_it_compiles(run_python):
    out = run_python(
        """
        import contextlib, io
        import numpy as np, fastnn
        from fastnn.engine.cpu import CpuEngine
        from fastnn.training import progress

        now = [0.0]
        progress.time.perf_counter = lambda: now[0]
        real = CpuEngine.prepare

        def slow(self, programs, progress=None):
            progress(0, 2, "matmul")
            now[0] += 3.0
            progress(1, 2, "adam")
            real(self, programs)

        CpuEngine.prepare = slow
        x, y = np.zeros((2, 3)), np.zeros((2, 1))
        calls = ["fit(x, y, verbose=0)", "evaluate(x, y, verbose=0)", "predict(x, verbose=2)", "__call__(x)",
                 "train_on_batch(x, y)", "test_on_batch(x, y)", "predict_on_batch(x)", "gradients(x, y)", "predictor(2)"]
        for call in calls:
            model = fastnn.Sequential([fastnn.Input((3,)), fastnn.layers.Dense(1)])
            model.compile("sgd", "mse")
            with contextlib.redirect_stderr(io.StringIO()) as stderr:
                eval("model." + call)
            assert "once: 1/2 adam" in stderr.getvalue(), call
        """
    )
    assert "compil" not in out
