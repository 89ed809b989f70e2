"""Valid files made invalid, one small change after the other."""

from __future__ import annotations

import random

INTERESTING = (
    *(bytes([value]) for value in (0, 1, 0x7F, 0x80, 0xFF)),
    *(value.to_bytes(4, "little") for value in (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)),
    *(value.to_bytes(8, "little") for value in (0, 1 << 31, 1 << 32, 1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)),
    *(b"-1", b"1e999", b"NaN", b"null", b"true", b"[]", b"{}", b'""', b"99999999999999999999", b"\\ud800", b"[[[[[["),
    *(
        b"../../x",
        b"/etc/passwd",
        b"\n",
        b"\x1b[2J",
        "\u202e".encode(),
        b"\xff\xfe",
        b"---",
        b"&a",
        b"*a",
        b"!!python/name:os",
    ),
)


def mutated(content: bytes, seed: int) -> bytes:
    """The content with one to eight changes, drawn from the seed alone."""
    draw = random.Random(seed)
    changed = bytearray(content)
    for _ in range(draw.randint(1, 8)):
        place = draw.randrange(len(changed) + 1)
        span = draw.choice((1, 2, 4, 8, 16, 64, max(1, len(changed) // 4)))
        match draw.randrange(7):
            case 0 if place < len(changed):
                changed[place] ^= 1 << draw.randrange(8)
            case 1:
                value = draw.choice(INTERESTING)
                changed[place : place + len(value)] = value
            case 2:
                changed[place:place] = draw.choice(INTERESTING)
            case 3:
                del changed[place : place + span]
            case 4:
                changed[place:place] = changed[max(0, place - span) : place]
            case 5:
                other = draw.randrange(len(changed) + 1)
                changed[place : place + span] = changed[other : other + span]
            case _:
                changed[place : place + span] = draw.randbytes(min(span, 16))
    return bytes(changed)
