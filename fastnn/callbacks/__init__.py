"""Callbacks: objects whose hooks ``fit``, ``evaluate`` and ``predict`` call. The names of ``keras.callbacks``."""

from fastnn.callbacks.base import Callback, CallbackList, LambdaCallback
from fastnn.callbacks.early_stopping import EarlyStopping
from fastnn.callbacks.history import History
from fastnn.errors import refuse_names

__all__ = ["Callback", "CallbackList", "EarlyStopping", "History", "LambdaCallback"]

refuse_names(__name__)
