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
member = scalar(section(manifest, "signing"), "member")
vaults = section(manifest, "vaults")
personal = next(
    line.rstrip(":")
    for line in vaults.splitlines()
    if not line.startswith(" ") and scalar(section(vaults, line.rstrip(":")), "name") == "personal"
)
own = section(section(vaults, personal), "privateKey")

cred, version = scalar(named, "id"), int(scalar(named, "version"))
record = pathlib.Path(directory, "private", member, f"{cred}.{version}.cred").read_bytes()
assert hashlib.sha256(record).hexdigest() == scalar(named, "sha256"), "the manifest's digest"
record = json.loads(record.split(b"\n")[0])
for field, value in [("v", 2), ("vault_id", personal), ("cred_id", cred), ("owner", member)]:
    assert record[field] == value, field
assert (record["name"], record["version"]) == (slug, version)

compartment, klass, generation = record["compartment"], record["about"]["class"], record["generation"]
assert (compartment == "password") == (klass == "password")
own_key, number = base64.b64decode(scalar(own, "key")), generation.to_bytes(8, "big")


def derived(purpose, *parts):
    info = purpose.encode()
    for part in (number, *parts):
        info += bytes([len(part)]) + part
    return hkdf(own_key, bytes.fromhex(member), info)


assert derived("keyrack/v1/own-commit").hex() == scalar(own, "commitment"), "the key's commitment"
salt, sealed = bytes.fromhex(personal), record["sealed"]
ids, owner = (salt, bytes.fromhex(cred)), bytes.fromhex(member)
wrap = associated("keyrack/v1/wrap", *ids, version, owner, "private", str(generation), owner)
dek = unseal(derived("keyrack/v1/own-kek", compartment.encode()), sealed["wrap"], wrap)
assert hkdf(dek, salt, b"keyrack/v1/dek-commit").hex() == sealed["dek_commit"], "the commitment"
body = associated("keyrack/v1/body", *ids, slug, klass, compartment, version)
sys.stdout.buffer.write(unseal(dek, sealed["body"], body))
