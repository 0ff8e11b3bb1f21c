"""The benchmark suite: every claim a ratio against a peer in the same run."""
