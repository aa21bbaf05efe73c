#!/usr/bin/env python3
"""Runs a command under a seccomp filter that answers one system call with EPERM, as sandboxes
and container profiles and older kernels do: blocked.py CALL COMMAND."""
import ctypes
import os
import struct
import sys

NUMBERS = {
    "x86_64": {"connect": 42, "keyctl": 250, "seccomp": 317, "memfd_create": 319},
    "aarch64": {"connect": 203, "keyctl": 219, "seccomp": 277, "memfd_create": 279},
}[os.uname().machine]
# The same on every architecture.
NUMBERS.update(landlock_create_ruleset=444, memfd_secret=447)
call = NUMBERS[sys.argv[1]]
LOAD, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, ERRNO_EPERM = 0x7FFF0000, 0x00050001
program = b"".join(
    struct.pack("=HBBI", *op)
    for op in [(LOAD, 0, 0, 0), (JUMP_EQUAL, 0, 1, call), (RETURN, 0, 0, ERRNO_EPERM), (RETURN, 0, 0, ALLOW)]
)
buffer = ctypes.create_string_buffer(program)
fprog = struct.pack("@HP", 4, ctypes.addressof(buffer))
libc = ctypes.CDLL(None, use_errno=True)
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.c_char_p(fprog), 0, 0):
    sys.exit(f"no seccomp here: {os.strerror(ctypes.get_errno())}")
os.execvp(sys.argv[2], sys.argv[2:])
