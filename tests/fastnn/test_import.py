"""Importing fastnn costs next to nothing and brings no compiler."""

import pytest

HEAVY = ["numba", "llvmlite", "matplotlib", "pandas", "scipy", "sklearn", "IPython"]


def imported(run_python, program: str) -> set[str]:
    return set(run_python(f"{program}\nimport sys\nprint(*sys.modules)").split())


def test_import_fastnn_brings_nothing_that_import_numpy_does_not(run_python):
    beyond = imported(run_python, "import fastnn") - imported(run_python, "import numpy")
    assert beyond == {"fastnn"}


@pytest.mark.parametrize(
    "program",
    [
        "import fastnn.keras; fastnn.keras.install()",
        "import fastnn\nfor name in fastnn.__all__: getattr(fastnn, name)",
        "import fastnn\nmodel = fastnn.Sequential([fastnn.Input((3,)), fastnn.layers.Dense(2)])",
    ],
)
def test_no_compiler_before_the_first_run(run_python, program):
    assert not imported(run_python, program).intersection(HEAVY)


def test_the_namesake_on_pypi_is_warned_of(run_python, tmp_path):
    import fastnn

    package = tmp_path / "fastnn"
    package.mkdir()
    with open(fastnn.__file__, encoding="utf-8") as source:
        (package / "__init__.py").write_text(source.read(), encoding="utf-8")
    program = f"""
        import sys, warnings; sys.path.insert(0, {str(tmp_path)!r})
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            import fastnn
        print(*(warning.message for warning in caught))
    """
    assert run_python(program).strip() == ""
    (tmp_path / "fastnn_numba-0.1.0.dist-info").mkdir()
    assert run_python(program).strip() == ""
    (tmp_path / "fastnn-0.4.0.dist-info").mkdir()
    assert "pip uninstall fastnn" in run_python(program)
