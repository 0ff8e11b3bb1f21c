"""The requirements of the peers, a line at a time."""

from benchmarks.setup_peers import REQUIREMENTS, groups


def test_groups_are_lines_without_comments():
    assert groups("# all\n\njax jaxlib\nmkl  # products\n") == [["jax", "jaxlib"], ["mkl"]]


def test_pytorch_is_pinned():
    assert ["torch==2.13.0"] in groups(REQUIREMENTS.read_text())
