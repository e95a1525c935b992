"""A stand-in for `libcdsprpc.so`, the library through which programs reach the DSP.

Every function of it answers at once with the same code: the board looks as if its library were
there and its DSP did not answer. It is written byte by byte, since the host needs no compiler for
the board otherwise.

Sources: System V ABI, chapter 5 (dynamic linking), and its AArch64 supplement; the names are those
of `remote.h` and `rpcmem.h` of Qualcomm's fastrpc.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

SONAME = "libcdsprpc.so.1"
_NO_ANSWER = 0x3FF
_CODES = {
    **dict.fromkeys(
        (
            "dspqueue_close",
            "dspqueue_create",
            "dspqueue_export",
            "dspqueue_read",
            "dspqueue_read_noblock",
            "dspqueue_write",
            "dspqueue_write_noblock",
            "fastrpc_mmap",
            "fastrpc_munmap",
            "remote_handle64_close",
            "remote_handle64_control",
            "remote_handle64_invoke",
            "remote_handle64_open",
            "remote_handle_close",
            "remote_handle_invoke",
            "remote_handle_open",
            "remote_mem_map",
            "remote_mem_unmap",
            "remote_mmap64",
            "remote_munmap64",
            "remote_register_dma_handle",
        ),
        _NO_ANSWER,
    ),
    # Settings are accepted without asking the DSP. No memory is shared with one that is silent.
    **dict.fromkeys(
        (
            "remote_handle_control",
            "remote_register_buf",
            "remote_register_buf_attr",
            "remote_session_control",
            "remote_system_request",
            "rpcmem_alloc",
            "rpcmem_alloc2",
            "rpcmem_deinit",
            "rpcmem_free",
            "rpcmem_init",
            "rpcmem_to_fd",
        ),
        0,
    ),
}

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_DYNAMIC = struct.Struct("<qQ")
_AARCH64, _SHARED_OBJECT = 183, 3
_LOAD, _DYNAMIC_SEGMENT = 1, 2
_ALL, _READ_WRITE = 7, 6
"""The loader writes into the dynamic table, which shares its page with the code."""
_HASH, _STRTAB, _SYMTAB, _STRSZ, _SYMENT, _SONAME = 4, 5, 6, 10, 11, 14
_GLOBAL_FUNCTION = 0x12
_PAGE = 1 << 16
_RETURN = 0xD65F03C0


def library(codes: Mapping[str, int] = _CODES, soname: str = SONAME) -> bytes:
    """An AArch64 shared library.

    Args:
        codes: name of each function to what it returns, 0 to 65535.
        soname: the name that programs ask for.
    """
    names = sorted(codes)
    strings, offsets = _strings([*names, soname])
    code_at = _HEADER.size + 2 * _SEGMENT.size
    code = b"".join(struct.pack("<II", 0x52800000 | codes[name] << 5, _RETURN) for name in names)
    symbols_at = code_at + len(code)
    symbols = _SYMBOL.pack(0, 0, 0, 0, 0, 0) + b"".join(
        _SYMBOL.pack(offsets[name], _GLOBAL_FUNCTION, 0, 1, code_at + 8 * number, 8)
        for number, name in enumerate(names)
    )
    hash_at = symbols_at + len(symbols)
    hashes = _hash_table(len(names) + 1)
    dynamic_at = hash_at + len(hashes)
    table = {
        _SONAME: offsets[soname],
        _HASH: hash_at,
        _SYMTAB: symbols_at,
        _SYMENT: _SYMBOL.size,
        _STRSZ: len(strings),
    }
    strings_at = dynamic_at + (len(table) + 2) * _DYNAMIC.size
    dynamic = b"".join(
        _DYNAMIC.pack(tag, value) for tag, value in {**table, _STRTAB: strings_at, 0: 0}.items()
    )
    size = strings_at + len(strings)
    head = _HEADER.pack(
        *(b"\x7fELF\x02\x01\x01", _SHARED_OBJECT, _AARCH64, 1, 0, _HEADER.size, 0, 0),
        *(_HEADER.size, _SEGMENT.size, 2, 0, 0, 0),
    )
    place = (dynamic_at, dynamic_at, dynamic_at, len(dynamic), len(dynamic))
    segments = _SEGMENT.pack(_LOAD, _ALL, 0, 0, 0, size, size, _PAGE)
    segments += _SEGMENT.pack(_DYNAMIC_SEGMENT, _READ_WRITE, *place, 8)
    return head + segments + code + symbols + hashes + dynamic + strings


def _strings(names: list[str]) -> tuple[bytes, dict[str, int]]:
    """The string table, and where in it each name begins."""
    table, offsets = b"\0", {}
    for name in names:
        offsets[name] = len(table)
        table += name.encode() + b"\0"
    return table, offsets


def _hash_table(symbols: int) -> bytes:
    """A hash table of one bucket: each symbol leads to the next."""
    chain = [0, *range(2, symbols), 0]
    table = struct.pack(f"<{3 + len(chain)}I", 1, symbols, 1, *chain)
    return table + bytes(-len(table) % 8)
