"""``tf.nn``: the activations that programs name there."""

from fastnn.activations import relu, sigmoid, softmax, tanh

__all__ = ["relu", "sigmoid", "softmax", "tanh"]
