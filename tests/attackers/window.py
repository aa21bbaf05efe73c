"""Looks at a path as often as it can until the file `stop` is there; then says every mode in
which it was seen, in octal.

usage: window.py PATH
"""
import os
import stat
import sys

path, seen, rounds = sys.argv[1], set(), 0
print("ready", flush=True)
while rounds % 256 or not os.path.exists("stop"):
    rounds += 1
    try:
        seen.add(stat.S_IMODE(os.lstat(path).st_mode))
    except OSError:
        pass
print(*(f"{mode:o}" for mode in sorted(seen)))
