"""Streams: in whose order the memory of arrays on the GPU is used."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from fastnn_kernels.cuda import device

if TYPE_CHECKING:
    from fastnn_kernels.cuda.arrays import DeviceArray

_threads = threading.local()


def own_stream() -> Any:
    """The stream of this thread, on which the functions run."""
    if not hasattr(_threads, "stream"):
        _threads.stream = device.Stream()
    return _threads.stream


@contextmanager
def in_order(stream: Any, *arrays: DeviceArray | None) -> Iterator[None]:
    """Use the memory of ``arrays`` by ``stream``: after what their own streams were given before, before what comes then.

    Where an array has no stream, all is done at the end.
    """
    handle = stream.handle
    present = [array for array in arrays if array is not None]
    others = {array.stream for array in present if array.stream is not None} - {handle}
    unknown = any(array.stream is None for array in present)
    first = others | ({own_stream().handle} - {handle} if unknown else set())  # this thread's stream waited when they were read
    for other in first:
        device.order(other, handle)
    try:
        yield
    finally:
        for other in others:
            device.order(handle, other)
        if unknown:
            stream.synchronize()
