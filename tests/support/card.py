#!/usr/bin/env python3
"""Another program that uses the first card there is, through libpcsclite:
card.py hold   has it to itself until stdin ends, and says "held" first
card.py busy   is in the middle of something until stdin ends, and says "held" first
card.py reset  connects and leaves it reset
card.py otp    connects, chooses another application, and leaves it like that"""
import ctypes
import sys

SYSTEM, EXCLUSIVE, SHARED, T1, LEAVE, RESET = 2, 1, 2, 2, 0, 1
OTP = bytes.fromhex("00a4040007a0000005272001")

lib = ctypes.CDLL("libpcsclite.so.1")
long, ref = ctypes.c_ulong, ctypes.byref


class Protocol(ctypes.Structure):
    _fields_ = [("protocol", long), ("length", long)]


def done(what, result):
    if result != 0:
        sys.exit(f"{what}: {result & 0xFFFFFFFF:#x}")


def connect(context, mode):
    length = long(1024)
    names = ctypes.create_string_buffer(length.value)
    done("readers", lib.SCardListReaders(context, None, names, ref(length)))
    card, protocol = long(), long()
    first = ctypes.c_char_p(names.value)
    done("connect", lib.SCardConnect(context, first, long(mode), long(T1), ref(card), ref(protocol)))
    return card


def main(act):
    context = long()
    done("context", lib.SCardEstablishContext(long(SYSTEM), None, None, ref(context)))
    card = connect(context, EXCLUSIVE if act == "hold" else SHARED)
    if act == "busy":
        done("begin", lib.SCardBeginTransaction(card))
    if act in ("hold", "busy"):
        print("held", flush=True)
        sys.stdin.read()
    if act == "otp":
        answer, length = ctypes.create_string_buffer(258), long(258)
        pci = Protocol(T1, ctypes.sizeof(Protocol))
        sent = lib.SCardTransmit(card, ref(pci), OTP, long(len(OTP)), None, answer, ref(length))
        done("transmit", sent)
    done("leave", lib.SCardDisconnect(card, long(RESET if act == "reset" else LEAVE)))


main(sys.argv[1])
