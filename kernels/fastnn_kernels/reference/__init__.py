"""The reference: every instruction in NumPy float64, obvious and complete. What it computes is what the instruction means."""
