"""A client in another language, written from docs/PROTOCOL.md alone: it asks for one
value and prints it. Python's standard library only, so the primitives are here as well.

    stranger.py SOCKET OWNER RACK ATTACH_KEY ORG.ENV.KEY      (rack and key in hex)
"""

import base64, hashlib, hmac, json, os, socket, struct, sys


# RFC 8439: ChaCha20-Poly1305.

def chacha_block(key, counter, nonce):
    start = list(struct.unpack("<16I", b"expand 32-byte k" + key + struct.pack("<I", counter) + nonce))
    state = start[:]
    def quarter(a, b, c, d):
        for x, y, z, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            state[x] = (state[x] + state[y]) & 0xFFFFFFFF
            mixed = state[z] ^ state[x]
            state[z] = ((mixed << turn) | (mixed >> (32 - turn))) & 0xFFFFFFFF
    for _ in range(10):
        for i in range(4):
            quarter(i, 4 + i, 8 + i, 12 + i)
        for i in range(4):
            quarter(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    return struct.pack("<16I", *((a + b) & 0xFFFFFFFF for a, b in zip(state, start)))

def chacha(key, nonce, data):
    stream = b"".join(chacha_block(key, 1 + i, nonce) for i in range((len(data) + 63) // 64))
    return bytes(a ^ b for a, b in zip(data, stream))

def tag(key, nonce, ad, text):
    one_time = chacha_block(key, 0, nonce)
    r = int.from_bytes(one_time[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    pad = lambda part: part + bytes(-len(part) % 16)
    whole = pad(ad) + pad(text) + struct.pack("<QQ", len(ad), len(text))
    total = 0
    for at in range(0, len(whole), 16):
        total = (total + int.from_bytes(whole[at:at + 16] + b"\1", "little")) * r % (2**130 - 5)
    return ((total + int.from_bytes(one_time[16:32], "little")) % 2**128).to_bytes(16, "little")


# RFC 7748: X25519.

def x25519(scalar, point):
    p = 2**255 - 19
    k = (int.from_bytes(scalar, "little") & ~7 & (2**255 - 1)) | 2**254
    x = int.from_bytes(point, "little") & (2**255 - 1)
    x2, z2, x3, z3 = 1, 0, x, 1
    for bit in range(254, -1, -1):
        one = k >> bit & 1
        if one:
            x2, z2, x3, z3 = x3, z3, x2, z2
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        da, cb = d * a, c * b
        x3, z3 = (da + cb)**2 % p, x * (da - cb)**2 % p
        x2, z2 = a * a * b * b % p, (a * a - b * b) * (a * a + 121665 * (a * a - b * b)) % p
        if one:
            x2, z2, x3, z3 = x3, z3, x2, z2
    return (x2 * pow(z2, p - 2, p) % p).to_bytes(32, "little")


# Noise, revision 34: the symmetric state.

class Noise:
    def __init__(self, prologue):
        self.h = self.ck = hashlib.sha256(b"Noise_NNpsk0_25519_ChaChaPoly_SHA256").digest()
        self.mix_hash(prologue)

    def mix_hash(self, data):
        self.h = hashlib.sha256(self.h + data).digest()

    def expand(self, material, count):
        temporary, out = hmac.digest(self.ck, material, "sha256"), [b""]
        for i in range(count):
            out.append(hmac.digest(temporary, out[-1] + bytes([i + 1]), "sha256"))
        return out[1:]

    def mix_key(self, material):
        self.ck, self.k = self.expand(material, 2)
        self.n = 0

    def mix_psk(self, psk):
        self.ck, hashed, self.k = self.expand(psk, 3)
        self.mix_hash(hashed)
        self.n = 0

    def seal(self, plain):
        text = seal(self.k, self.n, self.h, plain)
        self.n += 1
        self.mix_hash(text)
        return text

    def open(self, text):
        plain = unseal(self.k, self.n, self.h, text)
        self.n += 1
        self.mix_hash(text)
        return plain

def seal(key, number, ad, plain):
    nonce = bytes(4) + struct.pack("<Q", number)
    text = chacha(key, nonce, plain)
    return text + tag(key, nonce, ad, text)

def unseal(key, number, ad, text):
    nonce = bytes(4) + struct.pack("<Q", number)
    assert hmac.compare_digest(tag(key, nonce, ad, text[:-16]), text[-16:]), "changed on the way"
    return chacha(key, nonce, text[:-16])


# docs/PROTOCOL.md.

def send(stream, payload):
    stream.sendall(struct.pack(">I", len(payload)) + payload)

def receive(stream):
    def exactly(count):
        data = b""
        while len(data) < count:
            more = stream.recv(count - len(data))
            assert more, "hung up"
            data += more
        return data
    return exactly(struct.unpack(">I", exactly(4))[0])

def main(path, owner, rack, key, slug):
    stream = socket.socket(socket.AF_UNIX)
    stream.connect(path)
    hello = b"keyrack" + bytes([1]) + struct.pack(">H", 1)
    hello += bytes([len(owner)]) + owner.encode() + bytes.fromhex(rack) + bytes([1]) + bytes(16)
    org, env, name = slug.split(".")
    ask = {"org": org, "env": env, "key": name, "exact": True}
    get = lambda caller: json.dumps({"do": "get", "asks": [ask], "caller": caller}).encode()

    noise = Noise(hello)
    noise.mix_psk(bytes.fromhex(key))
    private = os.urandom(32)
    public = x25519(private, bytes([9]) + bytes(31))
    noise.mix_hash(public)
    noise.mix_key(public)
    message = public + noise.seal(get("stranger"))
    send(stream, bytes([1]) + struct.pack(">H", len(hello)) + hello + message)

    answer = receive(stream)
    assert answer[0] == 1, answer
    theirs = answer[1:33]
    noise.mix_hash(theirs)
    noise.mix_key(theirs)
    noise.mix_key(x25519(private, theirs))
    payload = noise.open(answer[33:])
    assert payload[:2] == b"\0\1"
    out, back = noise.expand(b"", 2)
    print(value(payload[2:]))

    # The same once more, on the open channel.
    again = get("stranger again")
    send(stream, seal(out, 0, b"", struct.pack(">I", len(again)) + again))
    whole, number = b"", 0
    while not whole or len(whole) < 4 + struct.unpack(">I", whole[:4])[0]:
        whole += unseal(back, number, b"", receive(stream))
        number += 1
    print(value(whole[4:]))

def value(reply):
    answer, = json.loads(reply)["answers"]
    return base64.b64decode(answer["value"]).decode() if "value" in answer else answer["status"]

main(*sys.argv[1:])
