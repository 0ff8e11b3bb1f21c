"""Lowering: layers, loss, metrics and optimizer become one Program."""
