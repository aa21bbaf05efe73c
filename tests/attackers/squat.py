"""Puts something where another user's daemon would listen, and stays until its standard
input ends. Says `ready`, then each byte it was told, in hex.

usage: squat.py KIND PATH
"""
import os
import socket
import sys
import threading


def listen(path):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    os.chmod(path, 0o777)
    listener.listen(16)

    def hear():
        while True:
            connection, _ = listener.accept()
            connection.settimeout(5)
            try:
                while said := connection.recv(65536):
                    print(said.hex(), flush=True)
            except OSError:
                pass
            connection.close()

    threading.Thread(target=hear, daemon=True).start()


def dead(path):
    socket.socket(socket.AF_UNIX).bind(path)


def file(path):
    open(path, "x").close()


def project(path):
    with open(path, "x") as file:
        file.write("org: evil\nenv.all: [PLANTED]\n")


def directory(path):
    os.mkdir(path, 0o777)


def fifo(path):
    os.mkfifo(path, 0o666)


def link_to_file(path):
    file(path + ".target")
    os.symlink(path + ".target", path)


def link_to_socket(path):
    listen(path + ".target")
    os.symlink(path + ".target", path)


def dangling_link(path):
    os.symlink(path + ".target", path)


def hard_link(path):
    listen(path + ".target")
    os.link(path + ".target", path)


KINDS = dict(
    live=listen, dead=dead, file=file, directory=directory, fifo=fifo, link_to_file=link_to_file,
    link_to_socket=link_to_socket, dangling_link=dangling_link, hard_link=hard_link, project=project,
)

kind, path = sys.argv[1:]
KINDS[kind](path)
print("ready", flush=True)
sys.stdin.read()
for name in (path, path + ".target"):
    if os.path.isdir(name) and not os.path.islink(name):
        os.rmdir(name)
    elif os.path.lexists(name):
        os.unlink(name)
