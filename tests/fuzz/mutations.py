"""Damages bytes and values, the same way for the same seed."""

import random
import struct
from collections.abc import Callable

# Sizes, counts and times at which programs go wrong.
ODD_NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
ODD_FLOATS = (float("nan"), float("inf"), -float("inf"), 1e30, -1e30, 1e-40)
MOST_ZEROS = 1 << 20


def mutated(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    """Returns the data with one to eight damages.

    Args:
        data: the contents of a good file.
        rng: decides on everything.
        others: contents of other good files, from which pieces are taken.
    """
    for _ in range(rng.choice((1, 1, 2, 4, 8))):
        data = rng.choice(DAMAGES)(bytearray(data), rng, others)
    return bytes(data)


def _flip_bits(data: bytearray, rng: random.Random, _others) -> bytearray:
    for _ in range(rng.choice((1, 3, 30, 300))):
        if data:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return data


def _odd_number(data: bytearray, rng: random.Random, _others) -> bytearray:
    # Most numbers that decide on sizes are in the first bytes, or in the last ones as in mp4.
    number = rng.choice(ODD_NUMBERS)
    order, size = rng.choice("<>"), rng.choice("BHIQ")
    packed = struct.pack(order + size, number & (256 ** struct.calcsize(size) - 1))
    at = _place(data, rng)
    data[at : at + len(packed)] = packed
    return data


def _odd_float(data: bytearray, rng: random.Random, _others) -> bytearray:
    packed = struct.pack("<f", rng.choice(ODD_FLOATS))
    at = _place(data, rng) & ~3
    data[at : at + 4] = packed
    return data


def _cut(data: bytearray, rng: random.Random, _others) -> bytearray:
    return data[: rng.randrange(len(data) + 1)]


def _drop(data: bytearray, rng: random.Random, _others) -> bytearray:
    at = _place(data, rng)
    del data[at : at + rng.choice((1, 4, 64, 1024))]
    return data


def _repeat(data: bytearray, rng: random.Random, _others) -> bytearray:
    at = _place(data, rng)
    piece = data[at : at + rng.choice((4, 64, 1024))]
    data[at:at] = piece * rng.choice((1, 2, 50))
    return data


def _zero_tail(data: bytearray, rng: random.Random, _others) -> bytearray:
    return data + bytes(rng.randrange(MOST_ZEROS))


def _zeros(data: bytearray, rng: random.Random, _others) -> bytearray:
    at, count = _place(data, rng), rng.choice((16, 256, 4096))
    data[at : at + count] = bytes(min(count, len(data) - at))
    return data


def _splice(data: bytearray, rng: random.Random, others: list[bytes]) -> bytearray:
    other = rng.choice(others)
    at = _place(data, rng)
    start = rng.randrange(len(other) + 1)
    data[at : at + rng.choice((0, 64, 4096))] = other[start : start + rng.choice((16, 256, 4096))]
    return data


def _place(data: bytearray, rng: random.Random) -> int:
    near = min(512, len(data))
    return rng.choice((rng.randrange(len(data) + 1), rng.randrange(near + 1), len(data) - rng.randrange(near + 1)))


DAMAGES: tuple[Callable[[bytearray, random.Random, list[bytes]], bytearray], ...] = (
    _flip_bits,
    _odd_number,
    _odd_number,
    _odd_float,
    _cut,
    _drop,
    _repeat,
    _zero_tail,
    _zeros,
    _splice,
)


def with_odd_value(tree: object, rng: random.Random, values: list) -> object:
    """Returns a tree of dicts and lists in which one to three values, keys or entries are others.

    Args:
        tree: what JSON or YAML holds.
        rng: decides on everything.
        values: to choose from.
    """
    for _ in range(rng.choice((1, 1, 2, 3))):
        tree = _changed(tree, rng, values)
    return tree


def _changed(tree: object, rng: random.Random, values: list) -> object:
    if isinstance(tree, dict) and tree and rng.random() < 0.95:
        key = rng.choice(list(tree))
        choice = rng.random()
        if choice < 0.1:
            return {name: value for name, value in tree.items() if name != key}
        if choice < 0.15:
            return tree | {str(rng.choice(values)): tree[key]}
        return tree | {key: _changed(tree[key], rng, values)}
    if isinstance(tree, list) and tree and rng.random() < 0.8:
        at = rng.randrange(len(tree))
        return [*tree[:at], _changed(tree[at], rng, values), *tree[at + 1 :]]
    return rng.choice(values)
