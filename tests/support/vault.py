#!/usr/bin/env python3
"""Verifies a vault of any number of members and prints what a member can read of it, from
docs/VAULTS.md alone: vault.py DIRECTORY VAULT_ID KEY_FILE, the member's age or SSH key.
Signatures by stock `ssh-keygen -Y verify`, wraps by stock `age`."""
import base64
import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile

from unseal import associated, hkdf, unseal

root, vault_id, key_file = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
salt = bytes.fromhex(vault_id)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def signed(data, namespace, key):
    """The payload of a signed object, once `key` vouches for it."""
    payload, proof, end = data.split(b"\n")
    assert end == b"", "two lines"
    signature = json.loads(proof)["sig"]
    lines = [signature[i : i + 70] for i in range(0, len(signature), 70)]
    armor = "\n".join(["-----BEGIN SSH SIGNATURE-----", *lines, "-----END SSH SIGNATURE-----", ""])
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        (scratch / "signers").write_text(f"author {key}\n")
        (scratch / "sig").write_text(armor)
        command = ["ssh-keygen", "-Y", "verify", "-f", scratch / "signers", "-I", "author"]
        command += ["-n", namespace, "-s", scratch / "sig"]
        assert subprocess.run(command, input=payload, capture_output=True).returncode == 0, key
    return json.loads(payload)


def opened(path):
    command = ["age", "-d", "-i", key_file, path]
    return subprocess.run(command, capture_output=True, check=False).stdout


# The chain: each link after the one before, signed by a key of the state before it.
digests, state, exposed = [], None, {}
for seq, path in enumerate(sorted((root / "chain").glob("*.link"))):
    data = path.read_bytes()
    link = json.loads(data.split(b"\n")[0])
    before = state or link["state"]
    author = next(m for m in before["members"] if m["member_id"] == link["author"])
    signed(data, "link.keyrack.v1", author["sig_key"])
    assert (link["v"], link["seq"], path.name) == (1, seq, f"{seq:010}.link")
    if seq > 0:
        assert (link["prev"], link["vault_id"]) == (digests[-1], vault_id)
    digests.append(sha256(data.split(b"\n")[0]))
    state = link["state"]
    for cred, version in link["detail"].get("exposed", {}).items():
        exposed[cred] = max(version, exposed.get(cred, 0))
assert digests[0] == vault_id, "another vault"
members = {m["member_id"]: m for m in state["members"]}
epoch = state["epoch"]
print("links:", len(digests), "members:", sum(m["status"] == "active" for m in members.values()))

# The wrap that is ours opens to what the chain commits to.
folder = root / "epochs" / epoch["id"]
for member, digest in epoch["wraps"].items():
    wrap = folder / "keys" / f"{digest}.age"
    assert sha256(wrap.read_bytes()) == digest, "a wrap"
    if plain := opened(wrap):
        me, content = member, json.loads(plain)
keys = {name: base64.b64decode(key) for name, key in content["keys"].items()}
said = (content["vault_id"], content["epoch"], content["member"])
assert said == (vault_id, epoch["id"], me), "a wrap of something else"


def derived(compartment, purpose):
    parts = [epoch["id"].encode(), compartment.encode()]
    info = purpose.encode() + b"".join(bytes([len(part)]) + part for part in parts)
    return hkdf(keys[compartment], salt, info)


for name in keys:
    assert derived(name, "keyrack/v1/commit").hex() == epoch["commitments"][name], "another key"

# The records that are shared: all that the epoch began with, and what came since.
begun = folder / f"{epoch['creds_root']}.roll"
roll = begun.read_bytes() if begun.exists() else b""
assert sha256(roll) == epoch["creds_root"]
floor = {cred: int(version) for cred, version, _, _ in map(str.split, roll.decode().splitlines())}
newest = {}
for path in (folder / "creds").glob("*.cred"):
    cred, version, _ = path.name.split(".")
    newest[cred] = max(int(version), newest.get(cred, 0))
for cred, version in sorted(newest.items()):
    data = (folder / "creds" / f"{cred}.{version}.cred").read_bytes()
    record = json.loads(data.split(b"\n")[0])
    author = members[record["author"]]
    assert author["status"] == "active" and author["role"] in ("owner", "admin")
    signed(data, "cred.keyrack.v1", author["sig_key"])
    said = [record[field] for field in ("v", "vault_id", "cred_id", "version", "epoch")]
    assert said == [2, vault_id, cred, version, epoch["id"]] and version >= floor.pop(cred, 0)
    assert record["link"] == digests[record["link_seq"]], "another chain"
    compartment, klass = record["compartment"], record["about"]["class"]
    assert (compartment == "password") == (klass == "password")
    if record.get("deleted") or compartment not in keys:
        continue
    ids, sealed = (salt, bytes.fromhex(cred)), record["sealed"]
    owner = bytes.fromhex(record["owner"])
    data = associated("keyrack/v1/wrap", *ids, version, owner, "shared", epoch["id"], b"")
    key = unseal(derived(compartment, "keyrack/v1/kek"), sealed["wrap"], data)
    assert hkdf(key, salt, b"keyrack/v1/dek-commit").hex() == sealed["dek_commit"]
    data = associated("keyrack/v1/body", *ids, record["name"], klass, compartment, version)
    value = unseal(key, sealed["body"], data).decode()
    stale = " needs a new value" if record["value_version"] <= exposed.get(cred, 0) else ""
    print(f"{record['name']}: {value}{stale}")
assert not floor, f"gone: {floor}"
