"""Run programs written for Keras, unchanged, on fastnn.

* ``python -m fastnn.keras script.py [arguments]`` runs a script;
* ``%load_ext fastnn.keras`` as the first line of a notebook;
* ``import fastnn.keras; fastnn.keras.install()`` as the first lines of a program.

From then on ``import keras``, ``from keras.layers import Dense``, ``import tensorflow as tf`` (``tf.keras``, ``tf.nn`` and what
lessons use around them) lead to fastnn. What fastnn does not cover is refused by its name.
"""

from __future__ import annotations

import sys
from typing import Any

from fastnn.keras.finder import KerasFinder, Stand, loaded_elsewhere

__all__ = ["install", "uninstall"]


def install() -> None:
    """Make ``keras`` and ``tensorflow`` lead to fastnn from now on; a second call changes nothing.

    Raises
    ------
    ImportError
        If Keras or TensorFlow is already imported: its objects and fastnn's cannot be mixed.
    """
    if found := loaded_elsewhere():
        raise ImportError(
            f"{' and '.join(found)} is already imported; call fastnn.keras.install() before the first import of keras or "
            "tensorflow (in a notebook: restart the kernel and put %load_ext fastnn.keras first)"
        )
    if not any(isinstance(finder, KerasFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, KerasFinder())


def uninstall() -> None:
    """Undo `install`: the next ``import keras`` finds what is installed under that name."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, KerasFinder)]
    for name, module in list(sys.modules.items()):
        if isinstance(module, Stand):
            del sys.modules[name]


def load_ipython_extension(ipython: Any) -> None:
    """What ``%load_ext fastnn.keras`` calls."""
    install()


def unload_ipython_extension(ipython: Any) -> None:
    """What ``%unload_ext fastnn.keras`` calls."""
    uninstall()
