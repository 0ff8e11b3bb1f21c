"""What the CPU is said to be."""

from fastnn_kernels.cpu.host import compiled_for


def test_the_host_is_named():
    name, features = compiled_for()
    assert name
    assert len(features) == len(set(features))


def test_numbas_variables_are_followed(monkeypatch):
    monkeypatch.setenv("NUMBA_CPU_NAME", "haswell")
    monkeypatch.setenv("NUMBA_CPU_FEATURES", "+avx2,-avx512f,+fma,+cx16")
    assert compiled_for() == ("haswell", ["avx2", "fma"])
