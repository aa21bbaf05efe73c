"""Opens the memory of every process of its user in the moment in which it starts, before
the program can close it, and reads it when it has closed it. Goes on until the file `stop`
is there; then says how many programs of that name it saw, and how many of them it could
read.

usage: race.py NAME
"""
import os
import sys
import time

NAME = sys.argv[1]
# A process that is that old is past its start, in seconds.
START = 0.1


class Watched:
    def __init__(self, pid):
        self.pid, self.begun, self.opened = pid, time.monotonic(), []

    def try_to_open(self):
        try:
            self.opened.append(os.open(f"/proc/{self.pid}/maps", os.O_RDONLY))
        except OSError:
            return
        # The last ones are what counts: a program that is executed has a memory of its own.
        if len(self.opened) > 64:
            os.close(self.opened.pop(0))

    def is_meant(self):
        try:
            with open(f"/proc/{self.pid}/comm") as file:
                return file.read().strip() == NAME
        except OSError:
            return False

    def is_closed(self):
        try:
            os.close(os.open(f"/proc/{self.pid}/maps", os.O_RDONLY))
        except PermissionError:
            return True
        except OSError:
            pass
        return False

    def could_be_read(self):
        def reads(descriptor):
            try:
                return len(os.pread(descriptor, 4096, 0)) > 0
            except OSError:
                return False
        return any(reads(descriptor) for descriptor in self.opened)


def pids():
    return {int(name) for name in os.listdir("/proc") if name.isdigit()}


known, watched, seen, read = pids(), [], 0, 0
print("ready", flush=True)
while not os.path.exists("stop"):
    now = pids()
    watched += [Watched(pid) for pid in now - known]
    known = now
    for process in list(watched):
        process.try_to_open()
        is_late = time.monotonic() - process.begun > START
        if process.is_meant() and process.is_closed():
            seen += 1
            read += process.could_be_read()
        elif not is_late:
            continue
        watched.remove(process)
        for descriptor in process.opened:
            os.close(descriptor)
print(seen, read)
