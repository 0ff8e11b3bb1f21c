"""Cases that hold every target to the reference: for the tests, and for ``python -m fastnn selftest`` where there are none."""
