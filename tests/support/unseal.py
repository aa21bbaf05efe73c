"""HKDF-SHA256 and XChaCha20-Poly1305 of Python's own library, for the readers beside this
file. Slow, and no example of care with secrets."""
import base64
import hashlib
import hmac
import struct


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
