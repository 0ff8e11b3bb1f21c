"""The part of ``keras.backend`` that programs still use."""

from fastnn.config import epsilon, floatx, image_data_format, set_floatx
from fastnn.errors import refuse_names
from fastnn.utils import clear_session

__all__ = ["clear_session", "epsilon", "floatx", "image_data_format", "set_floatx"]

refuse_names(__name__)
