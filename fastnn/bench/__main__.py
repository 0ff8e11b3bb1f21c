"""``python -m fastnn.bench fastnn | NumPy``: one first fit, for ``python -m fastnn bench`` to time."""

import sys

from fastnn.bench.short import main

sys.exit(main(sys.argv[1:]))
