"""The symbol table of an object, and objects that are none."""

import llvmlite.binding as llvm
import pytest
from fastnn_kernels.cpu.elf import symbols

MODULE = """
target triple = "x86_64-unknown-linux-gnu"
declare i64 @needed(i64)
define internal i64 @private(i64 %x) noinline { ret i64 %x }
define i64 @public(i64 %x) {
  %y = call i64 @needed(i64 %x)
  %z = call i64 @private(i64 %y)
  ret i64 %z
}
"""


@pytest.fixture(scope="module")
def elf():
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    machine = llvm.Target.from_triple("x86_64-unknown-linux-gnu").create_target_machine()
    return machine.emit_object(llvm.parse_assembly(MODULE))


def test_symbols(elf):
    assert symbols(elf) == ({"public"}, {"needed"})


@pytest.mark.parametrize("data", [b"", b"\x7fELF", b"\xcf\xfa\xed\xfe" * 20, b"\x7fELF\x01\x01" + bytes(80)])
def test_what_is_no_such_object(data):
    with pytest.raises(ValueError, match="not a 64-bit little-endian ELF object"):
        symbols(data)


def test_a_cut_object(elf):
    with pytest.raises(ValueError, match="a broken ELF object"):
        symbols(elf[: len(elf) // 2])
