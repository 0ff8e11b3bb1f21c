"""``tf.train``: the optimizers of TensorFlow 1 by their old names and defaults."""

from __future__ import annotations

from fastnn.optimizers import SGD, Adam, RMSprop

__all__ = ["AdamOptimizer", "GradientDescentOptimizer", "RMSPropOptimizer"]


def AdamOptimizer(  # noqa: N802
    learning_rate: float = 0.001, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-08
) -> Adam:
    """`fastnn.optimizers.Adam` with TensorFlow 1's argument names and epsilon."""
    return Adam(learning_rate, beta_1=beta1, beta_2=beta2, epsilon=epsilon)


def GradientDescentOptimizer(learning_rate: float) -> SGD:  # noqa: N802
    """`fastnn.optimizers.SGD`."""
    return SGD(learning_rate)


def RMSPropOptimizer(  # noqa: N802
    learning_rate: float, decay: float = 0.9, momentum: float = 0.0, epsilon: float = 1e-10, centered: bool = False
) -> RMSprop:
    """`fastnn.optimizers.RMSprop` with TensorFlow 1's argument names and epsilon.

    The mean square starts at 0, as in Keras; TensorFlow 1 started it at 1, so its first steps were smaller.
    """
    return RMSprop(learning_rate, rho=decay, momentum=momentum, epsilon=epsilon, centered=centered)
