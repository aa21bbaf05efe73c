#!/usr/bin/env python3
"""Prints, as JSON of hex digits, which variables a reader finds: read_back.py HOW [FILE].

environment  this process's own: what a shell or node made of a file
dotenv       python-dotenv
docker       the rules of docker's --env-file: a line a variable, nothing quoted
docker-cli   docker itself, which tells a daemon made here what it read
gha          the rules of a GitHub runner's $GITHUB_ENV: KEY<<END, lines, END
"""
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler
from socketserver import UnixStreamServer


def docker(path):
    found = {}
    for line in open(path, "rb").read().split(b"\n"):
        line = line.lstrip(b" \t").removesuffix(b"\r")
        assert len(line) < 65536, "docker would find the line too long"
        if line and not line.startswith(b"#"):
            line.decode()
            name, _, value = line.partition(b"=")
            found[name] = value
    return found


def docker_cli(path):
    created = []

    class Daemon(BaseHTTPRequestHandler):
        def answer(self, status, body):
            self.send_response(status)
            self.send_header("Api-Version", "1.43")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def do_GET(self):
            self.answer(200, b"{}")

        do_HEAD = do_GET

        def do_POST(self):
            created.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.answer(409, b'{"message": "that is all"}')

        def address_string(self):
            return "docker"

        def log_message(self, *_):
            pass

    socket = os.path.abspath("docker.sock")
    server = UnixStreamServer(socket, Daemon)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    command = ["docker", "-H", f"unix://{socket}", "create", "--pull=never", "--env-file", path, "image"]
    done = subprocess.run(command, capture_output=True)
    server.shutdown()
    os.remove(socket)
    assert created, done.stderr.decode()
    return dict(one.encode().split(b"=", 1) for one in created[0]["Env"])


def gha(path):
    found, lines = {}, open(path, "rb").read().split(b"\n")
    while lines:
        name, heredoc, end = lines.pop(0).partition(b"<<")
        if heredoc:
            value = []
            while lines[0] != end:
                value.append(lines.pop(0))
            lines.pop(0)
            found[name] = b"\n".join(value)
    return found


def dotenv(path):
    from dotenv import dotenv_values

    return {name.encode(): value.encode() for name, value in dotenv_values(path).items()}


how = sys.argv[1]
readers = {"docker": docker, "docker-cli": docker_cli, "gha": gha, "dotenv": dotenv}
found = dict(os.environb) if how == "environment" else readers[how](sys.argv[2])
print(json.dumps({name.decode(errors="replace"): value.hex() for name, value in found.items()}))
