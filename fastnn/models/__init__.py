"""Models. The names of ``keras.models``."""

from fastnn.errors import refuse_names
from fastnn.layers.registry import register
from fastnn.models.configuration import clone_model
from fastnn.models.model import Model
from fastnn.models.sequential import Sequential

__all__ = ["Model", "Sequential", "clone_model"]

refuse_names(__name__)
register(Functional=Model, Model=Model, Sequential=Sequential)
