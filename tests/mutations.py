"""Inputs for parsers: good ones, and what a seeded hand makes of them."""

import random
from collections.abc import Sequence

TOKENS = (
    *(
        b"{",
        b"}",
        b"[",
        b"]",
        b'"',
        b":",
        b",",
        b"\\",
        b"\n",
        b"\r\n",
        b"\x00",
        b"\xff",
        b"\xef\xbb\xbf",
    ),
    *(b"null", b"true", b"NaN", b"Infinity", b"-0", b"1e999", b"-1e-999", b"9" * 40, b"0.1" * 9),
    *(b'"\\ud800"', b"\\u0000", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc2", b"%", b"://", b"@"),
    *(b"- ", b"&a", b"*a", b"!!python/object:os.system", b"<<: *a", b"|\n", b"? ", b"---\n", b"\t"),
    *(b"2026-13-40T25:61:61Z", b"0000-00-00", b"9999-12-31T23:59:60+99:99", b"-" * 30, b" " * 30),
    *(b"[" * 300, b'{"a":' * 300, b"(" * 300, b"!" * 300, b"((((1" * 40),
    *(b"1 / 0", b"'a'.size()", b"record.", b"zone.", b"has(", b"? :", b"in [", b"matches("),
)
"""What parsers are known to trip over."""


def mutated(rng: random.Random, corpus: Sequence[bytes]) -> bytes:
    """One of the inputs with one to six changes: bits, pieces, tokens, joins with another."""
    data = bytearray(rng.choice(corpus))
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        _CHANGES[rng.randrange(len(_CHANGES))](rng, data, corpus)
    return bytes(data[:20_000])


def _flip(rng: random.Random, data: bytearray, _corpus: Sequence[bytes]) -> None:
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _set(rng: random.Random, data: bytearray, _corpus: Sequence[bytes]) -> None:
    if data:
        data[rng.randrange(len(data))] = rng.randrange(256)


def _cut(rng: random.Random, data: bytearray, _corpus: Sequence[bytes]) -> None:
    start = rng.randrange(len(data) + 1)
    del data[start : start + rng.choice((1, 1, 4, 30, 1000))]


def _repeat(rng: random.Random, data: bytearray, _corpus: Sequence[bytes]) -> None:
    start = rng.randrange(len(data) + 1)
    piece = data[start : start + rng.choice((1, 8, 60))]
    data[start:start] = piece * rng.choice((1, 1, 2, 40))


def _insert(rng: random.Random, data: bytearray, _corpus: Sequence[bytes]) -> None:
    at = rng.randrange(len(data) + 1)
    data[at : at + rng.choice((0, 0, 1, 5))] = rng.choice(TOKENS)


def _splice(rng: random.Random, data: bytearray, corpus: Sequence[bytes]) -> None:
    other = rng.choice(corpus)
    data[rng.randrange(len(data) + 1) :] = other[rng.randrange(len(other) + 1) :]


_CHANGES = (_flip, _set, _cut, _repeat, _insert, _splice)
