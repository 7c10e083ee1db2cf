"""einsum: its notation, and what it means in terms of four operations that are rows.

Each operand is reduced to one axis a letter (`diagonal`, `squeeze`), what nobody else needs is
summed away (`sum`), and the operands are joined two by two (`contract`). So there is no gradient to
write here.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, overload

import numpy as np

from ..errors import ArgumentError, CallError, ShapeError
from .arrange import diagonal
from .contraction import LETTERS, contract
from .reduction import sum
from .shape import shape_of, squeeze, transpose

if TYPE_CHECKING:
    from ..payloads import Array, Data, Operand
    from ..tensor import Tensor


@overload
def einsum(  # type: ignore[overload-overlap]  # a Tensor has __array__, too
    subscripts: str, *operands: Data | float,
) -> Array: ...
@overload
def einsum(subscripts: str, *operands: Operand) -> Tensor: ...
def einsum(subscripts, *operands):
    """Products summed as the subscripts say: einsum("ij,jk->ik", x, y) is x @ y.

    A letter names an axis, axes of one name run together, and what the result does not name is
    summed over. Without "->" the result has, in alphabetical order, the letters that occur once.
    "..." stands for axes that broadcast; a letter twice in one operand takes its diagonal. Several
    operands are joined two by two, in the order that `np.einsum_path` finds. Returns an array or
    Tensor. Raises ValueError for subscripts that mean nothing, ShapeError for shapes that do not
    fit them.
    """
    if not isinstance(subscripts, str):
        raise CallError('einsum: the first argument is the subscripts, like "ij,jk->ik".')
    shapes = tuple(map(shape_of, operands))
    terms, out, length, path = _plan(subscripts, shapes)
    held = [_unrepeated(x, term, shape, length)
            for x, term, shape in zip(operands, terms, shapes)]
    for group in path:
        x, term = held.pop(group[-1])
        for position in group[-2::-1]:
            others = {c for i, (_, term) in enumerate(held) if i != position for c in term}
            x, term = _joined(*held.pop(position), x, term, others.union(out))
        held.append((x, term))
    x, term = _summed(*held[0], keep=out)
    return transpose(x, axes=tuple(term.index(c) for c in out))


@functools.lru_cache
def _plan(subscripts, shapes):
    """What einsum has to do for operands of these shapes: a term for each, the result's, the length
    of every axis, and who is joined with whom."""
    terms, out = _parsed(subscripts, shapes)
    return terms, out, _lengths(subscripts, terms, shapes), _path(terms, out, shapes)


def _path(terms, out, shapes):
    """The positions that are joined in each step, ascending; what comes of them goes to the end."""
    if len(terms) < 3:
        return [(0, 1)] if len(terms) == 2 else []
    empty = [np.broadcast_to(np.float32(0), shape) for shape in shapes]
    path, _ = np.einsum_path(f"{','.join(terms)}->{out}", *empty, optimize="greedy")
    return [sorted(group) for group in path[1:]]


def _unrepeated(x, term, shape, length):
    """The operand with each letter once: of two axes of one name the diagonal, and none of length 1
    that is longer elsewhere: there the others are multiplied by the same number."""
    single = tuple(i for i, c in enumerate(term) if shape[i] != length[c])
    if single:
        x, term = squeeze(x, axis=single), "".join(c for i, c in enumerate(term) if i not in single)
    for c in term:
        while term.count(c) > 1:
            first, second = term.index(c), term.rindex(c)
            x = diagonal(x, axis1=first, axis2=second)
            term = "".join(d for i, d in enumerate(term) if i not in (first, second)) + c
    return x, term


def _summed(x, term, keep):
    """The operand summed over the letters that nobody asks for any more."""
    gone = tuple(i for i, c in enumerate(term) if c not in keep)
    return (sum(x, axis=gone), "".join(c for c in term if c in keep)) if gone else (x, term)


def _joined(x, left, y, right, wanted):
    """Two operands as one."""
    x, left = _summed(x, left, wanted.union(right))
    y, right = _summed(y, right, wanted.union(left))
    made = "".join(c for c in dict.fromkeys(left + right) if c in wanted)
    return contract(x, y, subscripts=f"{left},{right}->{made}"), made


def _parsed(subscripts, shapes):
    """One string of letters for each operand, and one for the result; "..." written out."""
    inputs, arrow, out = subscripts.replace(" ", "").partition("->")
    terms = inputs.split(",")
    if len(terms) != len(shapes):
        raise ArgumentError(f"einsum: {subscripts!r} describes {len(terms)} operands, and "
                            f"{len(shapes)} came.", code="bad-subscripts")
    free = "".join(c for c in LETTERS if c not in subscripts)
    spare = [_unnamed(subscripts, term, shape) for term, shape in zip(terms, shapes)]
    dots = free[:max(spare)]
    terms = [t.replace("...", dots[len(dots) - n:]) for t, n in zip(terms, spare)]
    if arrow:
        if dots and "..." not in out:
            raise ArgumentError(f"einsum: {subscripts!r}: the axes under ... would be lost. Write "
                                "... into the result, or name and drop them.",
                                code="bad-subscripts")
        out = out.replace("...", dots)
    else:
        named = "".join(terms)
        out = dots + "".join(sorted(c for c in set(named) - set(dots) if named.count(c) == 1))
    unknown = [c for c in out if c not in "".join(terms) or out.count(c) > 1]
    if unknown:
        raise ArgumentError(f"einsum: {subscripts!r}: {unknown[0]!r} in the result must be an axis "
                            "of some operand, and stand there once.", code="bad-subscripts")
    return terms, out


def _unnamed(subscripts, term, shape):
    """How many axes of an operand stand under the dots of its term."""
    named = term.replace("...", "", 1)
    if any(c not in LETTERS for c in named):
        raise ArgumentError(f"einsum: {subscripts!r}: {term!r} is not made of letters and one "
                            "'...'.", code="bad-subscripts")
    n = len(shape) - len(named)
    if n < 0 or (n and named == term):
        raise ShapeError(f"einsum: {subscripts!r}: {term!r} names {len(named)} axes, and its "
                         f"operand has shape {shape}.", code="bad-subscripts")
    return n


def _lengths(subscripts, terms, shapes):
    """{letter: length}. Axes of one name are equally long, or 1; in one operand, equally long."""
    length = dict.fromkeys("".join(terms), 1)
    for term, shape in zip(terms, shapes):
        own = {}
        for c, n in zip(term, shape):
            if own.setdefault(c, n) != n or (n != 1 and length[c] not in (1, n)):
                other = own[c] if own[c] != n else length[c]
                raise ShapeError(f"einsum: {subscripts!r} with shapes {shapes}: the axis {c!r} is "
                                 f"once {n} and once {other} long.")
            length[c] = n if length[c] == 1 else length[c]
    return length
