"""``python -m fastnn.keras script.py`` and ``%load_ext fastnn.keras``."""

import subprocess
import sys

import pytest


def runner(*arguments, cwd=None, **options):
    command = [sys.executable, "-m", "fastnn.keras", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, stdin=subprocess.DEVNULL, **options)


def test_a_script_runs_as_main_with_its_arguments_and_folder(tmp_path, python_environment):
    (tmp_path / "helper.py").write_text("value = 42")
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, helper, keras\nif __name__ == '__main__':\n    print(helper.value, sys.argv[1:], keras.__name__, __file__)\n"
    )
    done = runner(script, "--epochs", "3", env=python_environment)
    assert done.stderr == ""
    assert done.stdout == f"42 ['--epochs', '3'] keras {script}\n"


def test_an_exception_and_an_exit_status_come_through(tmp_path, python_environment):
    failing, leaving = tmp_path / "failing.py", tmp_path / "leaving.py"
    failing.write_text("1 / 0")
    leaving.write_text("raise SystemExit(7)")
    failed = runner(failing, env=python_environment)
    assert failed.returncode == 1
    assert failed.stderr.startswith(f'Traceback (most recent call last):\n  File "{failing}", line 1, in <module>\n')
    assert failed.stderr.endswith("ZeroDivisionError: division by zero\n")
    assert runner(leaving, env=python_environment).returncode == 7


@pytest.mark.parametrize(("line", "guesses"), [("keras.serialise", 0), ("keras.layers.Dence", 1)])
def test_python_adds_no_guess_of_its_own_to_a_refusal(tmp_path, python_environment, line, guesses):
    script = tmp_path / "script.py"
    script.write_text(f"import keras\n{line}\n")
    refusal = runner(script, env=python_environment).stderr
    assert f"AttributeError: {line} is not covered by fastnn" in refusal
    assert refusal.count("Did you mean") == guesses


def test_a_script_that_is_no_python_is_shown_as_python_shows_it(tmp_path, python_environment):
    script = tmp_path / "broken.py"
    script.write_text("print(1\n")
    broken = runner(script, env=python_environment)
    assert broken.returncode == 1
    assert broken.stderr.startswith(f'  File "{script}", line 1\n')


def test_processes_that_a_script_spawns_are_led_to_fastnn_too(tmp_path, python_environment):
    script = tmp_path / "script.py"
    script.write_text(
        "import multiprocessing, keras\nfrom tensorflow.keras import layers\n"
        "def name(_):\n    return keras.layers.Dense.__module__, layers.Dense is keras.layers.Dense\n"
        "if __name__ == '__main__':\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n        print(pool.map(name, [1]))\n"
    )
    done = runner(script, env=python_environment, timeout=60)
    assert (done.stdout, done.stderr) == ("[('fastnn.layers.dense', True)]\n", "")


def test_an_interrupted_script_ends_as_python_ends_it(tmp_path, python_environment):
    script = tmp_path / "interrupted.py"
    script.write_text("raise KeyboardInterrupt")
    plain = subprocess.run([sys.executable, script], capture_output=True, text=True, env=python_environment)
    interrupted = runner(script, env=python_environment)
    assert (interrupted.returncode, interrupted.stderr) == (plain.returncode, plain.stderr)


def test_usage_and_a_missing_file(python_environment):
    assert "usage: python -m fastnn.keras" in runner("--help", env=python_environment).stdout
    nothing = runner(env=python_environment)
    assert (nothing.returncode, nothing.stdout) == (2, "")
    missing = runner("nowhere.py", env=python_environment)
    assert missing.returncode == 2
    assert "no such file: nowhere.py" in missing.stderr


def test_the_ipython_extension_installs_and_uninstalls(run_python):
    run_python(
        """
        import warnings; warnings.simplefilter("ignore")
        from IPython.core.interactiveshell import InteractiveShell
        shell = InteractiveShell.instance()
        shell.run_line_magic("load_ext", "fastnn.keras")
        import keras
        assert keras.utils.to_categorical([0]).tolist() == [[1]]
        shell.run_line_magic("unload_ext", "fastnn.keras")
        import sys
        assert "keras" not in sys.modules
        """
    )
