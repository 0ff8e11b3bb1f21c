"""The device: its memory, what runs on it, and why it cannot be used. A GPU by `driver`, or the simulator.

stream = Stream()
buffer = allocate(array.nbytes)
stream.upload(buffer.address, array)
entry = load(["relu-float32"])["relu-float32"]
stream.launch(entry, blocks, arguments)       # as `adapters.parameters` says
graph = stream.capture([(entry, blocks, arguments), ...])
graph.launch(times)
stream.download(array, buffer.address)
stream.synchronize()
"""

from __future__ import annotations

from fastnn_kernels.cuda import SIMULATED

if SIMULATED:
    from fastnn_kernels.cuda.device_simulated import Buffer, Entry, Graph, Launch, Stream, allocate, load, properties, why_not
else:
    from fastnn_kernels.cuda.driver import Buffer, Entry, Graph, Launch, Stream, allocate, load, properties, why_not

__all__ = ["Buffer", "Entry", "Graph", "Launch", "Stream", "allocate", "available", "load", "properties", "why_not"]


def available() -> bool:
    """Whether a device can be used; `why_not` says why it cannot."""
    return why_not() is None
