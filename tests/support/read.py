#!/usr/bin/env python3
"""Reads values out of a personal vault, from docs/FORMATS.md alone and with nothing but
Python's own library: read.py MANIFEST VAULT SLUG, the manifest decrypted and the vault's
directory. Slow, and no example of care with secrets."""
import base64
import hashlib
import hmac
import json
import pathlib
import re
import struct
import sys


def hkdf(key, salt, info):
    """HKDF-SHA256 (RFC 5869), 32 bytes."""
    prk = hmac.new(salt, key, hashlib.sha256).digest()
    return hmac.new(prk, info + b"\1", hashlib.sha256).digest()


def rounds(state):
    """Twenty rounds of ChaCha (RFC 8439, 2.3), without the addition at the end."""
    x = list(state)
    columns = [(0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15)]
    diagonals = [(0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)]
    for _ in range(10):
        for a, b, c, d in columns + diagonals:
            for p, q, r, bits in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
                x[p] = (x[p] + x[q]) & 0xFFFFFFFF
                turned = x[r] ^ x[p]
                x[r] = (turned << bits | turned >> (32 - bits)) & 0xFFFFFFFF
    return x


CONSTANTS = struct.unpack("<4I", b"expand 32-byte k")


def stream(key, nonce, counter, length):
    out = b""
    while len(out) < length:
        state = [*CONSTANTS, *struct.unpack("<8I", key), counter, *struct.unpack("<3I", nonce)]
        out += struct.pack("<16I", *((a + b) & 0xFFFFFFFF for a, b in zip(rounds(state), state)))
        counter += 1
    return out[:length]


def poly1305(key, message):
    r = int.from_bytes(key[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    tag = 0
    for at in range(0, len(message), 16):
        tag = (tag + int.from_bytes(message[at : at + 16] + b"\1", "little")) * r % (2**130 - 5)
    return ((tag + int.from_bytes(key[16:], "little")) % 2**128).to_bytes(16, "little")


def unseal(key, text, associated):
    """XChaCha20-Poly1305: 24 bytes of nonce, the ciphertext, 16 bytes of tag; in base64."""
    sealed = base64.b64decode(text, validate=True)
    nonce, body, tag = sealed[:24], sealed[24:-16], sealed[-16:]
    mixed = rounds([*CONSTANTS, *struct.unpack("<8I", key), *struct.unpack("<4I", nonce[:16])])
    key, nonce = struct.pack("<8I", *mixed[:4], *mixed[12:]), b"\0" * 4 + nonce[16:]
    padded = b"".join(part + b"\0" * (-len(part) % 16) for part in (associated, body))
    padded += struct.pack("<QQ", len(associated), len(body))
    assert hmac.compare_digest(tag, poly1305(stream(key, nonce, 0, 32), padded)), "the tag"
    return bytes(a ^ b for a, b in zip(body, stream(key, nonce, 1, len(body))))


def associated(*parts):
    parts = [p.to_bytes(8, "big") if isinstance(p, int) else p for p in parts]
    parts = [p.encode() if isinstance(p, str) else p for p in parts]
    return b"".join(struct.pack(">I", len(p)) + p for p in parts)


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
