"""scikit-learn's gradient-boosted trees: what tabular data is usually given to. W11 alone."""

from __future__ import annotations

from benchmarks.peers import Peer, absent

PEERS = (
    Peer(
        "sklearn trees",
        "trees",
        "",
        missing=absent("sklearn"),
        note="HistGradientBoosting; one fit for each number of trees, so each point is a whole training",
    ),
)
