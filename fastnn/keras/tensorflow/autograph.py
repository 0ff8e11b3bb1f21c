"""``tf.autograph``: lessons silence it in their first lines."""

__all__ = ["set_verbosity"]


def set_verbosity(level: int, alsologtostdout: bool = False) -> None:
    """Do nothing: there is no autograph to silence."""
