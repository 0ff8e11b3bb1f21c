"""Texts of errors about names: what came, what was perhaps meant, what is known."""

from __future__ import annotations

import difflib
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from importlib.abc import MetaPathFinder
from typing import Any

from fastnn.coverage import RENAMED, WITHOUT_EFFECT, instead, keras_has, plain

_MODULE_OF = {
    **{"activation function": "activations", "initializer": "initializers", "layer": "layers"},
    **{"loss": "losses", "metric": "metrics", "optimizer": "optimizers"},
}

MACHINERY = frozenset({"core", "deserialize", "get", "lower", "np_utils", "resolve", "serialize"})
"""Public names that no list of suggestions needs."""


def unknown(kind: str, name: object, known: Iterable[str]) -> ValueError:
    """The error for a ``name`` of a ``kind`` ("loss", "metric", "optimizer", ...) that is not among ``known``.

    >>> unknown("activation function", "rleu", ["relu", "tanh"])
    ValueError("Could not interpret activation function identifier: 'rleu'. Did you mean 'relu'? Known: 'relu', 'tanh'.")
    """
    names = _spelled_once(known)
    owner = _MODULE_OF.get(kind, kind)
    there = " Keras has it, fastnn does not cover it yet." if keras_has(owner, str(name)) else ""
    about = there + hint(owner, str(name), names)
    return ValueError(f"Could not interpret {kind} identifier: {name!r}.{about} Known: {', '.join(map(repr, names))}.")


def not_one_of(kind: str, identifier: object, known: Iterable[str]) -> ValueError:
    """The error for an ``identifier`` of a ``kind`` ("loss", "metric") that is no name: the user's own function, or anything."""
    names = ", ".join(map(repr, _spelled_once(known)))
    if callable(identifier):
        shown = getattr(identifier, "__name__", repr(identifier))
        return ValueError(f"{kind} {shown!r}: functions and classes of your own are not supported yet. Use one of {names}.")
    return ValueError(f"Could not interpret {kind} identifier: {identifier!r}. Use one of {names}, or an object.")


def hint(owner: str, name: str, known: Iterable[str]) -> str:
    """What to write instead of ``name``, which is not among ``known``, those of Keras's module ``owner``; "" or a sentence.

    >>> hint("layers", "Dence", ["Dense"]), hint("optimizers", "AdamW", ["Adam"])
    (" Did you mean 'Dense'?", " Try 'adam'.")
    """
    if advice := instead(owner, name):
        return f" {advice[0].upper()}{advice[1:]}."
    close = [] if keras_has(owner, name) else near_matches(name, known)
    return f" Did you mean {' or '.join(map(repr, close))}?" if close else ""


def missing(full: str, known: Iterable[str]) -> str:
    """The text that refuses ``full``, such as ``keras.layers.LSTM``, whose module has the names ``known``.

    >>> missing("fastnn.models.load", ["Model", "get"])
    'fastnn.models.load is not covered by fastnn. fastnn.models has: Model.'
    """
    module, _, name = full.rpartition(".")
    public = _public(known)
    last = module.rpartition(".")[2]
    owner = "" if last in ("fastnn", "keras") else last
    yet = " yet" if keras_has(owner, name) else ""
    return f"{full} is not covered by fastnn{yet}.{hint(owner, name, public)} {module} has: {', '.join(_spelled_once(public))}."


def no_attribute(module: str, name: str) -> AttributeError:
    """The error for a ``name`` that the public ``module`` does not have."""
    if _is_private(name):
        return AttributeError(f"module {module!r} has no attribute {name!r}")
    here = sys.modules[module]
    return AttributeError(missing(f"{module}.{name}", here.__all__), obj=here)  # given name=, CPython would add its guess


def refuse_names(module: str) -> None:
    """Let ``module`` list its public names alone, and say of others what was perhaps meant."""
    here = sys.modules[module]

    def getattr_(name: str) -> Any:
        raise no_attribute(module, name)

    vars(here).update(__getattr__=getattr_, __dir__=lambda: sorted(here.__all__))


class _Refusals(MetaPathFinder):
    """The last finder: says of ``from fastnn.layers import LSTM`` and ``from fastnn.layers import Dens`` why it fails."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> None:
        """Raise ImportError for a name of Keras's that fastnn does not have, and for a misspelled public one.

        Tools look for optional modules, such as ``fastnn.tests``: a name that is less like a public one is None.
        """
        module, _, name = fullname.rpartition(".")
        if module.partition(".")[0] != "fastnn" or _is_private(name):
            return
        owner, known = module.removeprefix("fastnn").removeprefix("."), getattr(sys.modules[module], "__all__", ())
        if keras_has(owner, name) or near_matches(name, _public(known), cutoff=0.75):
            raise ImportError(missing(fullname, known), name=fullname)


sys.meta_path.append(_Refusals())


def _is_private(name: str) -> bool:
    return name.startswith("_")


def _public(names: Iterable[str]) -> list[str]:
    """Those of ``names`` that may be suggested."""
    return [name for name in names if name not in MACHINERY and not _is_private(name)]


def near_matches(name: str, known: Iterable[str], count: int = 2, cutoff: float = 0.6) -> list[str]:
    """The names in ``known`` that look like ``name``, best first, from the similarity ``cutoff`` on, of 1.

    Letter case and underscores count only between spellings of the same name.

    >>> near_matches("ReLu", ["relu", "selu", "tanh"], count=1)
    ['relu']
    """
    spelled: dict[str, list[str]] = {}
    for candidate in known:
        spelled.setdefault(plain(candidate), []).append(candidate)
    close = difflib.get_close_matches(plain(name), spelled, n=count, cutoff=cutoff)
    return [difflib.get_close_matches(name, spelled[match], n=1, cutoff=0.0)[0] for match in close]


def _spelled_once(names: Iterable[str]) -> list[str]:
    """``names`` without those that differ from an earlier one in letter case and underscores alone."""
    first: dict[str, str] = {}
    for name in names:
        first.setdefault(plain(name), name)
    return list(first.values())


# -- keyword arguments ---------------------------------------------------------------------------------------------------


def meant(names: Iterable[str], known: Iterable[str]) -> str:
    """What the argument ``names``, which are not among ``known``, are called: "" or ``. Write learning_rate= instead of lr=``."""
    known = list(known)
    parts = []
    for name in names:
        if RENAMED.get(name) in known:
            parts.append(f". Write {RENAMED[name]}= instead of {name}=")
        elif close := near_matches(name, known, count=1):
            parts.append(f". Did you mean {close[0]!r}?")
    return "".join(parts)


def refuse_keywords(method: Callable[..., Any], kwargs: Mapping[str, Any]) -> None:
    """Raise TypeError for keywords that ``method`` does not have."""
    for name in kwargs:
        known = list(inspect.signature(method).parameters)[:-1]
        idle = f". Leave it out: Keras 3 has no {name}=" if name in WITHOUT_EFFECT else ""
        raise TypeError(f"{method.__name__}() got an unexpected keyword argument {name!r}{idle or meant([name], known)}")


# -- methods that are never called ---------------------------------------------------------------------------------------


def overridden(cls: type, ignored: Iterable[str], lowered: Iterable[str] = ("lower",)) -> str | None:
    """The first of the methods ``ignored`` that a class of the user's overrides without one of ``lowered``, which is compiled."""
    for base in cls.__mro__:
        own = vars(base)
        if base.__module__.partition(".")[0] == "fastnn" or any(name in own for name in lowered):
            return None
        if found := next((name for name in ignored if name in own), None):
            return found
    return None


def refuse_overrides(cls: type, ignored: Iterable[str], advice: str, lowered: Iterable[str] = ("lower",)) -> None:
    """Raise TypeError when ``cls`` overrides a method that fastnn never calls: its results would be those of another class."""
    if name := overridden(cls, ignored, lowered):
        raise TypeError(
            f"class {cls.__name__} defines {name}(), which fastnn does not run: it compiles models as a whole. {advice}"
        )
