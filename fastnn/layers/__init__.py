"""Layers. The names of ``keras.layers``."""

from fastnn.errors import refuse_names
from fastnn.layers.activation import Activation, LeakyReLU, ReLU, Softmax
from fastnn.layers.base import Layer
from fastnn.layers.dense import Dense
from fastnn.layers.dropout import Dropout
from fastnn.layers.flatten import Flatten
from fastnn.layers.input import Input, InputLayer
from fastnn.layers.registry import deserialize, serialize

__all__ = [
    "Activation",
    "Dense",
    "Dropout",
    "Flatten",
    "Input",
    "InputLayer",
    "Layer",
    "LeakyReLU",
    "ReLU",
    "Softmax",
    "deserialize",
    "serialize",
]

refuse_names(__name__)
