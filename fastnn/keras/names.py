"""Which names of Keras and TensorFlow lead where: one table from their modules to fastnn's."""

from __future__ import annotations

KERAS_VERSION = "3.15.1"
"""The Keras whose signatures, defaults and names fastnn follows."""

TENSORFLOW_VERSION = "2.20.0"
"""A TensorFlow that comes with Keras 3; programs that ask want to know whether they run on TensorFlow 2."""

KERAS = {
    "": "fastnn",
    "activations": "fastnn.activations",
    "backend": "fastnn.backend",
    "callbacks": "fastnn.callbacks",
    "config": "fastnn.config",
    "datasets": "fastnn.datasets",
    "datasets.digits": "fastnn.datasets.digits",
    "dtype_policies": "fastnn.dtype_policies",
    "initializers": "fastnn.initializers",
    "layers": "fastnn.layers",
    "layers.core": "fastnn.layers",  # Keras 1 and 2
    "losses": "fastnn.losses",
    "metrics": "fastnn.metrics",
    "mixed_precision": "fastnn.mixed_precision",
    "models": "fastnn.models",
    "optimizers": "fastnn.optimizers",
    "random": "fastnn.random",
    "utils": "fastnn.utils",
    "utils.np_utils": "fastnn.utils",  # Keras 1 and 2
}
"""Module of Keras (without the leading ``keras.``): module of fastnn."""

TENSORFLOW = {
    "": "fastnn.keras.tensorflow",
    "autograph": "fastnn.keras.tensorflow.autograph",
    "config": "fastnn.keras.tensorflow.config",
    "config.experimental": "fastnn.keras.tensorflow.config",
    "nn": "fastnn.keras.tensorflow.nn",
    "random": "fastnn.keras.tensorflow.random",
    "train": "fastnn.keras.tensorflow.train",
    "initializers": "fastnn.initializers",
    "losses": "fastnn.losses",
    "metrics": "fastnn.metrics",
    "optimizers": "fastnn.optimizers",
}
"""Module of TensorFlow (without the leading ``tensorflow.``): module of fastnn."""


def _modules() -> dict[str, str]:
    roots = {"keras": KERAS, "tensorflow": TENSORFLOW, "tensorflow.keras": KERAS}
    return {f"{root}.{name}".rstrip("."): target for root, table in roots.items() for name, target in table.items()}


MODULES = _modules()
"""Every module that can be imported while the drop-in is installed, by its full name."""

VERSIONS = {"keras": KERAS_VERSION, "tensorflow": TENSORFLOW_VERSION, "tensorflow.keras": KERAS_VERSION}
