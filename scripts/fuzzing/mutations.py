"""Ways a file goes bad: cut off, bits flipped, blocks lost or doubled, mixed with another."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

Mutation = Callable[[Random, bytes, bytes], bytes]

_EDGE = 600  # bytes in front and behind that are hit more often: headers and indexes
_NUMBERS = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x00\x00\xff\xff")


def mutate(rng: Random, data: bytes, other: bytes) -> tuple[bytes, list[str]]:
    """`data` after one to three mutations, and their names; `other` is a second file to take parts of."""
    weights = [weight for _, weight in MUTATIONS.values()]
    names = rng.choices(list(MUTATIONS), weights, k=rng.choice((1, 1, 2, 3)))
    for name in names:
        if data:
            data = MUTATIONS[name][0](rng, data, other)
    return data, names


def mutate_graph(rng: Random, data: bytes) -> bytes:
    """An ONNX file that parses, with one to three numbers, names or nodes of its graph changed.

    Flipped bits mostly end in the parser; this is what comes after it.
    """
    import onnx

    model = onnx.load_from_string(data)
    for _ in range(rng.choice((1, 1, 2, 3))):
        _change_graph(rng, model.graph)
    return model.SerializeToString()


def _change_graph(rng: Random, graph: Any) -> None:
    node = rng.choice(graph.node)
    names = [name for each in graph.node for name in (*each.input, *each.output)]
    what = rng.choice(("attribute", "dims", "type", "input", "output", "operator", "lose", "shape", "values"))
    numbers = (-1, 0, 1, 2, 3, 7, 1 << 16, 1 << 31, -(1 << 31), (1 << 63) - 1)
    if what == "attribute" and node.attribute:
        attribute = rng.choice(node.attribute)
        if attribute.ints:
            attribute.ints[rng.randrange(len(attribute.ints))] = rng.choice(numbers)
        else:
            attribute.i, attribute.s = rng.choice(numbers), rng.randbytes(3)
    elif what == "dims" and graph.initializer:
        tensor = rng.choice(graph.initializer)
        tensor.dims[:] = [*tensor.dims[1:], rng.choice(numbers)]
    elif what == "type" and graph.initializer:
        rng.choice(graph.initializer).data_type = rng.randrange(24)
    elif what == "values" and graph.initializer:
        tensor = rng.choice(graph.initializer)
        tensor.raw_data = mutate(rng, tensor.raw_data, b"")[0]
    elif what == "input" and node.input:
        node.input[rng.randrange(len(node.input))] = rng.choice(names)
    elif what == "output" and node.output:
        node.output[rng.randrange(len(node.output))] = rng.choice(names)
    elif what == "operator":
        node.op_type = rng.choice(graph.node).op_type
    elif what == "lose" and len(graph.node) > 1:
        graph.node.remove(node)
    elif what == "shape":
        dim = rng.choice(rng.choice((graph.input, graph.output))[0].type.tensor_type.shape.dim)
        dim.dim_value = rng.choice(numbers)


def smaller(data: bytes, original: bytes, still_wrong: Callable[[bytes], bool], tries: int = 60) -> bytes:
    """A file nearer to its original, or shorter, that is wrong in the same way."""
    best = data

    def attempt(candidate: bytes) -> bool:
        nonlocal best, tries
        if tries <= 0 or candidate == best:
            return False
        tries -= 1
        if not still_wrong(candidate):
            return False
        best = candidate
        return True

    if len(data) == len(original):
        places = [index for index in range(len(data)) if data[index] != original[index]]
        step = max(1, len(places) // 2)
        while places and tries > 0:  # give back the original's bytes, in ever smaller groups
            for begin in range(0, len(places), step):
                group = places[begin : begin + step]
                candidate = bytearray(best)
                for place in group:
                    candidate[place] = original[place]
                attempt(bytes(candidate))
            places = [place for place in places if best[place] != original[place]]
            if step == 1:
                break
            step //= 2
        return best
    step = len(data) // 2
    while step and tries > 0:
        if not attempt(best[:-step]):
            step //= 2
    return best


def _place(rng: Random, data: bytes) -> int:
    """An index into the data; in two of three cases one near its begin or end."""
    near = rng.randrange(min(_EDGE, len(data)))
    return rng.choice((near, len(data) - 1 - near, rng.randrange(len(data))))


def _block(rng: Random, data: bytes) -> slice:
    begin = _place(rng, data)
    return slice(begin, begin + rng.choice((1, 2, 4, 16, 64, 512, 4096)))


def _truncate(rng: Random, data: bytes, other: bytes) -> bytes:
    return data[: rng.choice((rng.randrange(len(data)), len(data) - 1 - rng.randrange(min(64, len(data)))))]


def _header_only(rng: Random, data: bytes, other: bytes) -> bytes:
    return data[: rng.randrange(1, 64)]


def _flip_bits(rng: Random, data: bytes, other: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        changed[_place(rng, data)] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _random_bytes(rng: Random, data: bytes, other: bytes) -> bytes:
    changed = bytearray(data)
    part = _block(rng, data)
    changed[part] = rng.randbytes(len(data[part]))
    return bytes(changed)


def _number(rng: Random, data: bytes, other: bytes) -> bytes:
    """The numbers a size, a count or an offset should never be."""
    place = _place(rng, data)
    return (data[:place] + rng.choice(_NUMBERS) + data[place + 4 :])[: len(data)]


def _zero(rng: Random, data: bytes, other: bytes) -> bytes:
    part = _block(rng, data)
    return data[: part.start] + bytes(len(data[part])) + data[part.stop :]


def _lose(rng: Random, data: bytes, other: bytes) -> bytes:
    part = _block(rng, data)
    return data[: part.start] + data[part.stop :]


def _double(rng: Random, data: bytes, other: bytes) -> bytes:
    part = _block(rng, data)
    return data[: part.stop] + data[part] * rng.choice((1, 1, 30)) + data[part.stop :]


def _swap(rng: Random, data: bytes, other: bytes) -> bytes:
    """Two blocks in each other's place."""
    size = rng.choice((1, 2, 4, 64))
    first, second = sorted((_place(rng, data), _place(rng, data)))
    if first + size > second or second + size > len(data):
        return data[-1:] + data[:-1]
    early, late = data[first : first + size], data[second : second + size]
    return data[:first] + late + data[first + size : second] + early + data[second + size :]


def _append(rng: Random, data: bytes, other: bytes) -> bytes:
    return data + rng.choice((rng.randbytes(rng.randrange(1, 5000)), other))


def _splice(rng: Random, data: bytes, other: bytes) -> bytes:
    """The beginning of one file, and the end of another."""
    return data[: _place(rng, data)] + other[rng.randrange(len(other) + 1) :]


def _line_ends(rng: Random, data: bytes, other: bytes) -> bytes:
    """What a transfer as text does to a file."""
    return data.replace(b"\n", b"\r\n") if rng.random() < 0.5 else data.decode("utf-8", "replace").encode()


MUTATIONS: dict[str, tuple[Mutation, int]] = {
    "truncate": (_truncate, 4),
    "header only": (_header_only, 1),
    "flip bits": (_flip_bits, 6),
    "random bytes": (_random_bytes, 3),
    "number": (_number, 4),
    "zero": (_zero, 2),
    "lose": (_lose, 2),
    "double": (_double, 2),
    "swap": (_swap, 2),
    "append": (_append, 1),
    "splice": (_splice, 2),
    "line ends": (_line_ends, 1),
}
"""Name -> the mutation, and how often it is chosen."""
