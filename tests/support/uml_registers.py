"""Runs User-Mode Linux on processors that have more registers than it knows.

It reads the registers of its processes and puts them back, which the kernel accepts only of all of
them. Where there is AMX (processors since 2023) they do not fit into the memory that Debian 12's
has for them, and it ends with "ptrace set fp regs failed, errno = 14". Where the kernel cannot give
all, it keeps those of FXSAVE. So that one question is answered with EIO here.

    python uml_registers.py PATH/linux.uml ARGUMENT ...
"""

import ctypes
import errno
import os
import struct
import sys

# The others are lost with each page fault, so its programs have to do without: nothing but the C
# library uses them in a shell script.
ENVIRONMENT = "GLIBC_TUNABLES=glibc.cpu.hwcaps=" + ",".join(
    f"-{feature}"
    for feature in ("AVX", "AVX2", "AVX512BW", "AVX512F", "AVX512VL", "AVX_Fast_Unaligned_Load")
)

# linux/filter.h, linux/seccomp.h, linux/ptrace.h and linux/elf.h, on x86-64.
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_NUMBER, _ARGUMENTS = 0, 16
_PTRACE, _GETREGSET, _XSTATE = 101, 0x4204, 0x202
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _MODE_FILTER = 38, 22, 2

# (code, jump if true, jump if false, value); all that are compared are below 2**32.
_FILTER = [
    (_LOAD, 0, 0, _NUMBER),
    (_JUMP_IF_EQUAL, 0, 5, _PTRACE),
    (_LOAD, 0, 0, _ARGUMENTS),
    (_JUMP_IF_EQUAL, 0, 3, _GETREGSET),
    (_LOAD, 0, 0, _ARGUMENTS + 2 * 8),
    (_JUMP_IF_EQUAL, 0, 1, _XSTATE),
    (_RETURN, 0, 0, _ERRNO | errno.EIO),
    (_RETURN, 0, 0, _ALLOW),
]


class _Program(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def _refuse_xstate() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in _FILTER)
    program = ctypes.byref(_Program(len(_FILTER), code))
    for call in ((_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (_PR_SET_SECCOMP, _MODE_FILTER, program)):
        if libc.prctl(*call) != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"prctl {call[0]}: {os.strerror(number)}")


if __name__ == "__main__":
    _refuse_xstate()
    os.execv(sys.argv[1], sys.argv[1:])
