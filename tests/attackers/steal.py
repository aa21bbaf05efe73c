"""Takes the standard input of every process of that name in the moment in which it starts, and
looks at what is sent to it, which is there for the process all the same. Goes on until the
file `stop` is there; then says how many it saw, and from how many it heard something.

usage: steal.py NAME
"""
import ctypes
import os
import socket
import sys
import time

libc = ctypes.CDLL(None, use_errno=True)
PIDFD_OPEN, PIDFD_GETFD = 434, 438


def name(pid):
    try:
        with open(f"/proc/{pid}/comm") as file:
            return file.read().strip()
    except OSError:
        return None


def standard_input(pid):
    """A copy of it; None where that is refused."""
    process = libc.syscall(PIDFD_OPEN, pid, 0)
    copy = libc.syscall(PIDFD_GETFD, process, 0, 0)
    if process >= 0:
        os.close(process)
    if copy < 0:
        return None
    try:
        return socket.socket(fileno=copy)
    except OSError:
        # Of another program of that name, which is sent nothing.
        os.close(copy)
        return None


def pids():
    return {int(entry) for entry in os.listdir("/proc") if entry.isdigit()}


known, taken, seen = pids(), [], 0
print("ready", flush=True)
while not os.path.exists("stop"):
    now = pids()
    for pid in now - known:
        until, met = time.monotonic() + 0.02, False
        while time.monotonic() < until and (called := name(pid)) is not None:
            met = met or called == sys.argv[1]
            if met and (copy := standard_input(pid)):
                taken.append(copy)
                break
        seen += met
    known = now
heard = 0
for copy in taken:
    copy.settimeout(0.1)
    try:
        heard += len(copy.recv(65536, socket.MSG_PEEK)) > 0
    except OSError:
        pass
print(seen, heard)
