"""Leads to fastnn in processes that `multiprocessing` spawns: they get ``sys.path`` from their parent, and no finder."""

import importlib
import sys

if __name__ in ("keras", "tensorflow"):
    del sys.modules[__name__]
    from fastnn.keras import install

    install()
    importlib.import_module(__name__)
