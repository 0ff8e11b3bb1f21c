"""The generator needs Keras and JAX: it is run by hand, and its files are committed."""

collect_ignore = ["make_golden.py"]
