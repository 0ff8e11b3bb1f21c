"""The requirements of the peers, a line at a time."""

import pytest

from benchmarks.setup_peers import REQUIREMENTS, groups


def test_groups_are_lines_without_comments():
    assert groups("# all\n\njax jaxlib\nmkl  # products\n") == [["jax", "jaxlib"], ["mkl"]]


@pytest.mark.parametrize("name", ["", "-cuda"])
def test_pytorch_is_pinned(name):
    assert ["torch==2.13.0"] in groups(REQUIREMENTS[name].read_text())
