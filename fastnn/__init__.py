"""fastnn: Keras's Dense/Sequential on Numba-compiled kernels for all CPU cores.

``import fastnn as keras`` is the one line to change; `fastnn.keras` runs programs that cannot be changed.
Names are resolved on first use, so that importing fastnn costs next to nothing.
"""

import os as _os
from importlib import import_module as _import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastnn import activations as activations
    from fastnn import backend as backend
    from fastnn import callbacks as callbacks
    from fastnn import config as config
    from fastnn import datasets as datasets
    from fastnn import dtype_policies as dtype_policies
    from fastnn import initializers as initializers
    from fastnn import layers as layers
    from fastnn import losses as losses
    from fastnn import metrics as metrics
    from fastnn import mixed_precision as mixed_precision
    from fastnn import models as models
    from fastnn import optimizers as optimizers
    from fastnn import random as random
    from fastnn import utils as utils
    from fastnn.dtype_policies import DTypePolicy as DTypePolicy
    from fastnn.initializers import Initializer as Initializer
    from fastnn.keras_tensor import KerasTensor as KerasTensor
    from fastnn.layers import Input as Input
    from fastnn.layers import Layer as Layer
    from fastnn.losses import Loss as Loss
    from fastnn.metrics import Metric as Metric
    from fastnn.models import Model as Model
    from fastnn.models import Sequential as Sequential
    from fastnn.optimizers import Optimizer as Optimizer
    from fastnn.variables import Variable as Variable

__version__ = "0.1.0"

_MODULES = (
    "activations",
    "backend",
    "callbacks",
    "config",
    "datasets",
    "dtype_policies",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "mixed_precision",
    "models",
    "optimizers",
    "random",
    "utils",
)
_OBJECTS = {
    "DTypePolicy": "dtype_policies",
    "Initializer": "initializers",
    "Input": "layers",
    "KerasTensor": "keras_tensor",
    "Layer": "layers",
    "Loss": "losses",
    "Metric": "metrics",
    "Model": "models",
    "Optimizer": "optimizers",
    "Sequential": "models",
    "Variable": "variables",
}

__all__ = [*_MODULES, *_OBJECTS, "__version__"]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return _import_module(f"fastnn.{name}")
    if name in _OBJECTS:
        value = getattr(_import_module(f"fastnn.{_OBJECTS[name]}"), name)
        globals()[name] = value
        return value
    from fastnn.errors import no_attribute

    raise no_attribute(__name__, name)


def __dir__() -> list[str]:
    return sorted(__all__)


def _warn_of_namesake() -> None:
    """Warn if the unrelated distribution ``fastnn``, which installs a package of the same name, lies in the same folder."""
    try:
        folder = _os.listdir(_os.path.dirname(__path__[0]))
    except OSError:  # imported from a zip file
        return
    if any(entry.startswith("fastnn-") and entry.endswith(".dist-info") for entry in folder):
        from warnings import warn

        warn(
            "two distributions provide the package 'fastnn' here, and each overwrites files of the other: 'fastnn-numba' (this "
            "one) and the unrelated 'fastnn'. Run: pip uninstall fastnn fastnn-numba, then: pip install fastnn-numba",
            stacklevel=3,
        )


_warn_of_namesake()
