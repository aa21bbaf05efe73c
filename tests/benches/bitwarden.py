#!/usr/bin/env python3
"""As much of a Bitwarden server as `rbw` needs to log in and fetch a vault with as many entries as
an owner of the bench has, so that its agent can be measured: tests/benches/bitwarden.py PORT. The vault is made up anew and
sealed as Bitwarden's is; AES comes from openssl. Nothing of it is for keeping anything.
"""
import base64
import hashlib
import hmac
import http.server
import json
import os
import subprocess
import sys

EMAIL, PASSWORD, ROUNDS = "bench@example.org", b"master", 100_000
ENTRIES = 20


def hkdf_expand(key, info):
    return hmac.new(key, info + b"\x01", hashlib.sha256).digest()


def seal(plain, keys):
    """A Bitwarden cipher string of type 2: AES-256-CBC, then HMAC-SHA256."""
    iv = os.urandom(16)
    command = ["openssl", "enc", "-aes-256-cbc", "-K", keys[:32].hex(), "-iv", iv.hex()]
    sealed = subprocess.run(command, input=plain, capture_output=True, check=True).stdout
    mac = hmac.new(keys[32:], iv + sealed, hashlib.sha256).digest()
    return "2." + "|".join(base64.b64encode(part).decode() for part in (iv, sealed, mac))


def answers():
    """What is answered, by the end of the path."""
    master = hashlib.pbkdf2_hmac("sha256", PASSWORD, EMAIL.encode(), ROUNDS)
    stretched = hkdf_expand(master, b"enc") + hkdf_expand(master, b"mac")
    keys = os.urandom(64)
    make = ["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-outform", "DER"]
    private = seal(subprocess.run(make, capture_output=True, check=True).stdout, keys)
    login = {"username": seal(b"bench", keys), "password": seal(b"value-1", keys), "totp": None, "uris": None}
    entries = [
        {"id": f"00000000-0000-0000-0000-{n:012}", "name": seal(f"K{n}".encode(), keys), "login": login, "reprompt": 0}
        for n in range(1, ENTRIES + 1)
    ]
    key = seal(keys, stretched)
    return {
        "/prelogin": {"kdf": 0, "kdfIterations": ROUNDS},
        "/connect/token": {"access_token": "a", "refresh_token": "r", "key": key},
        "/sync": {
            "ciphers": entries,
            "folders": [],
            "profile": {"key": key, "privateKey": private, "organizations": []},
        },
    }


class Handler(http.server.BaseHTTPRequestHandler):
    answers = answers()

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.do_GET()

    def do_GET(self):
        found = next((answer for end, answer in self.answers.items() if self.path.endswith(end)), None)
        body = json.dumps(found).encode()
        self.send_response(404 if found is None else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
