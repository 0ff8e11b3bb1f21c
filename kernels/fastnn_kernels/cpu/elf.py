"""The symbol table of a 64-bit little-endian ELF object, the format of Linux."""

from __future__ import annotations

import struct

SYMBOL_TABLE = 2
UNDEFINED = 0


def symbols(data: bytes) -> tuple[set[str], set[str]]:
    """The names that an object defines for others and the names it needs; ValueError when ``data`` is not such an object."""
    if data[:6] != b"\x7fELF\x02\x01":
        raise ValueError("not a 64-bit little-endian ELF object")
    defined: set[str] = set()
    needed: set[str] = set()
    try:
        (table,) = struct.unpack_from("<Q", data, 40)
        size, count = struct.unpack_from("<HH", data, 58)
        headers = [struct.unpack_from("<IIQQQQIIQQ", data, table + index * size) for index in range(count)]
        for _, kind, _, _, offset, length, link, *_ in headers:
            if kind == SYMBOL_TABLE:
                for place in range(offset, offset + length, 24):
                    _read_symbol(data, place, headers[link][4], defined, needed)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise ValueError(f"a broken ELF object: {error}") from None
    return defined, needed


def _read_symbol(data: bytes, place: int, strings: int, defined: set[str], needed: set[str]) -> None:
    name, info, _, section = struct.unpack_from("<IBBH", data, place)
    if name and info >> 4:  # bindings above 0: global or weak
        start = strings + name
        text = data[start : data.index(b"\0", start)].decode()
        (needed if section == UNDEFINED else defined).add(text)
