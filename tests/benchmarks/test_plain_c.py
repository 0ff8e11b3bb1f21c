"""The libraries that plain C is compiled into: compiled once, and again when something about them changes."""

import subprocess

import pytest

from benchmarks.peers import plain_c

SIZES = {"INPUTS": 2, "HIDDEN1": 5, "HIDDEN2": 5, "OUTPUTS": 3, "ROWS": 1, "SOFTMAX": True}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    if reason := plain_c.missing():
        pytest.skip(reason)
    monkeypatch.setattr(plain_c, "CACHE", tmp_path / "cache")
    return tmp_path / "cache"


def built(cache):
    return sorted(path.name for path in cache.iterdir() if path.name != ".gitignore")


def test_a_library_is_compiled_once(cache):
    plain_c.library("infer.c", SIZES)
    before = [(cache / name).stat().st_mtime_ns for name in built(cache)]
    plain_c.library("infer.c", SIZES)
    assert [(cache / name).stat().st_mtime_ns for name in built(cache)] == before
    assert len(before) == 1


def test_other_sizes_are_another_library(cache):
    plain_c.library("infer.c", SIZES)
    plain_c.library("infer.c", {**SIZES, "ROWS": 2})
    assert len(built(cache)) == 2


def test_a_failed_compilation_leaves_nothing(cache):
    with pytest.raises(subprocess.CalledProcessError):
        plain_c.library("infer.c", {**SIZES, "ROWS": "("})
    assert built(cache) == []
