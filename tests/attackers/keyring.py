"""A process that knows the ids of another tree's key and ring, and tries every keyctl(2)
operation that could profit from it. Prints one line for each: its name, and what the
kernel said. `ok` is a success of the attack.

usage: keyring.py KEY RING
"""
import ctypes
import os
import sys

libc = ctypes.CDLL(None, use_errno=True)
ADD_KEY, KEYCTL = {"x86_64": (248, 250), "aarch64": (217, 219)}[os.uname().machine]
SESSION, PROCESS = -3, -2
key, ring = int(sys.argv[1]), int(sys.argv[2])
buffer = ctypes.create_string_buffer(4096)


def keyctl(*arguments):
    return libc.syscall(KEYCTL, *arguments)


def own():
    """A key of ours, to be put where it does not belong."""
    return libc.syscall(ADD_KEY, b"user", b"attacker", b"x", 1, PROCESS)


OPERATIONS = [
    ("read the key", lambda: keyctl(11, key, buffer, 4096)),
    ("describe the key", lambda: keyctl(6, key, buffer, 4096)),
    ("update the key", lambda: keyctl(2, key, b"x", 1)),
    ("revoke the key", lambda: keyctl(3, key)),
    ("invalidate the key", lambda: keyctl(21, key)),
    ("set the key's permissions", lambda: keyctl(5, key, 0x3F3F3F3F)),
    ("give the key away", lambda: keyctl(4, key, os.getuid(), os.getgid())),
    ("let the key time out", lambda: keyctl(15, key, 1)),
    ("read the key's label", lambda: keyctl(17, key, buffer, 4096)),
    ("link the key into the session", lambda: keyctl(8, key, SESSION)),
    ("link the key into the process", lambda: keyctl(8, key, PROCESS)),
    ("move the key out of its ring", lambda: keyctl(30, key, ring, PROCESS, 0)),
    ("unlink the key from its ring", lambda: keyctl(9, key, ring)),
    ("list the ring", lambda: keyctl(11, ring, buffer, 4096)),
    ("search the ring", lambda: keyctl(10, ring, b"user", b"keyrack:tree", 0)),
    ("clear the ring", lambda: keyctl(7, ring)),
    ("put a key into the ring", lambda: keyctl(8, own(), ring)),
    ("link the ring into the session", lambda: keyctl(8, ring, SESSION)),
]
for name, attempt in OPERATIONS:
    ctypes.set_errno(0)
    result = attempt()
    errno = ctypes.get_errno()
    print(f"{name}: {'ok' if result >= 0 else os.strerror(errno)}")
