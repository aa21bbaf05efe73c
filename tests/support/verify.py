#!/usr/bin/env python3
"""Checks signatures with stock `ssh-keygen -Y verify`, from docs/FORMATS.md alone:
verify.py MANIFEST VAULT, the manifest decrypted and the vault's directory."""
import base64
import json
import pathlib
import struct
import subprocess
import sys
import tempfile


def signer(blob):
    """The public key inside an SSHSIG blob, as a line of a public key file."""
    assert blob[:6] == b"SSHSIG"
    (length,) = struct.unpack(">I", blob[10:14])
    return "ssh-ed25519 " + base64.b64encode(blob[14 : 14 + length]).decode()


def holds(key, namespace, message, signature):
    lines = [signature[i : i + 70] for i in range(0, len(signature), 70)]
    armor = "\n".join(["-----BEGIN SSH SIGNATURE-----", *lines, "-----END SSH SIGNATURE-----", ""])
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        (scratch / "signers").write_text(f"owner {key}\n")
        (scratch / "sig").write_text(armor)
        command = ["ssh-keygen", "-Y", "verify", "-f", scratch / "signers", "-I", "owner"]
        command += ["-n", namespace, "-s", scratch / "sig"]
        return subprocess.run(command, input=message, capture_output=True).returncode == 0


manifest = pathlib.Path(sys.argv[1]).read_bytes()
body, _, signature = manifest.rstrip(b"\n").rpartition(b"\nsignature: ")
body, signature = body + b"\n", signature.decode()
key = signer(base64.b64decode(signature))
assert holds(key, "manifest.keyrack.v1", body, signature)
print("manifest")

records = sorted(pathlib.Path(sys.argv[2]).rglob("*.cred"))
for record in records:
    payload, proof = record.read_bytes().rstrip(b"\n").split(b"\n")
    assert holds(key, "cred.keyrack.v1", payload, json.loads(proof)["sig"]), record
print("records:", len(records))

changed = body.replace(b"version: 1", b"version: 2", 1)
print("changed:", "accepted" if holds(key, "manifest.keyrack.v1", changed, signature) else "refused")
