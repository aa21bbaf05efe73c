#!/usr/bin/env python3
"""Reads values out of a personal vault, from docs/FORMATS.md alone and with nothing but
Python's own library: read.py MANIFEST VAULT SLUG, the manifest decrypted and the vault's
directory. No example of care with secrets."""
import base64
import hashlib
import json
import pathlib
import re
import sys

from unseal import associated, hkdf, unseal


def section(text, name):
    """The lines below `name:`, without their indentation; keyrack's YAML needs no more."""
    lines = text.splitlines()
    at = next(n for n, line in enumerate(lines) if line.rstrip(":").strip("'") == name)
    body = []
    for line in lines[at + 1 :]:
        if not line.startswith("  "):
            break
        body.append(line[2:])
    return "\n".join(body)


def scalar(text, name):
    return re.search(rf"^{name}: '?([^'\n]*)'?$", text, re.M).group(1)


manifest, directory, slug = pathlib.Path(sys.argv[1]).read_text(), sys.argv[2], sys.argv[3]
named = section(section(section(manifest, "keys"), slug), "cred")
vaults = section(manifest, "vaults")
vault_id = next(line.rstrip(":") for line in vaults.splitlines() if not line.startswith(" "))
vault, salt = section(vaults, vault_id), bytes.fromhex(vault_id)
epoch = scalar(vault, "epoch")

cred, version = scalar(named, "id"), int(scalar(named, "version"))
record = pathlib.Path(directory, "epochs", epoch, "creds", f"{cred}.{version}.cred").read_bytes()
assert hashlib.sha256(record).hexdigest() == scalar(named, "sha256"), "the manifest's digest"
record = json.loads(record.split(b"\n")[0])
for field, value in [("v", 1), ("vault_id", vault_id), ("epoch", epoch), ("cred_id", cred)]:
    assert record[field] == value, field
assert (record["name"], record["version"]) == (slug, version)

compartment = record["compartment"]
assert (compartment == "password") == (record["class"] == "password")
vault_key = base64.b64decode(scalar(section(vault, "keys"), compartment))


def derived(purpose):
    info = purpose.encode()
    for part in (epoch, compartment):
        info += bytes([len(part)]) + part.encode()
    return hkdf(vault_key, salt, info)


committed = scalar(section(vault, "commitments"), compartment)
assert derived("keyrack/v1/commit").hex() == committed, "the vault key's commitment"
ids = (salt, bytes.fromhex(cred))
owner = bytes.fromhex(record["owner"])
wrap = associated("keyrack/v1/wrap", *ids, version, owner, record["visibility"], epoch)
dek = unseal(derived("keyrack/v1/kek"), record["wrap"], wrap)
assert hkdf(dek, salt, b"keyrack/v1/dek-commit").hex() == record["dek_commit"], "the commitment"
body = associated("keyrack/v1/body", *ids, slug, record["class"], compartment, version)
sys.stdout.buffer.write(unseal(dek, record["body"], body))
