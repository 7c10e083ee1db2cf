"""McCulloch and Pitts 1943: a neuron that computes logic.

Claim: with Boolean inputs, a threshold and absolute inhibition, single units compute AND, OR, NOT,
NAND, NOR and majority; XOR needs a second layer; and units suffice to build an adder.
"""

import itertools
import sys

import numpy as np

import tinygrad_edu as tg

Unit = tg.nn.McCullochPitts
BITS = np.array(list(itertools.product((0, 1), repeat=2)))


def gates():
    """(name, the unit, what it should compute): the thresholds that make two inputs into each
    gate."""
    return [
        ("AND", Unit(2, threshold=2), lambda a, b: a & b),
        ("OR", Unit(2, threshold=1), lambda a, b: a | b),
        ("NOR", Unit(2, threshold=0, inhibitory=(0, 1)), lambda a, b: 1 - (a | b)),
        ("a AND NOT b", Unit(2, threshold=1, inhibitory=(1,)), lambda a, b: a & (1 - b)),
    ]


def xor(a, b):
    """a XOR b in two layers: one of them without the other."""
    without = Unit(2, threshold=1, inhibitory=(1,))
    left, right = without(np.stack([a, b], axis=-1)), without(np.stack([b, a], axis=-1))
    return Unit(2, threshold=1)(np.stack([left, right], axis=-1))


def nand(a, b):
    """NOT (a AND b): a unit without excitatory inputs fires unless it is inhibited."""
    both = Unit(2, threshold=2)(np.stack([a, b], axis=-1))
    return Unit(1, threshold=0, inhibitory=(0,))(both[..., np.newaxis])


def add_bits(a, b, carry):
    """A full adder: (sum, carry) of three bits."""
    return xor(xor(a, b), carry), Unit(3, threshold=2)(np.stack([a, b, carry], axis=-1))


def main():
    a, b = BITS.T
    right = []
    for name, unit, truth in gates():
        out = unit(BITS)
        right.append(np.array_equal(out, truth(a, b)))
        print(f"{name:12} {unit}: {dict(zip(map(tuple, BITS.tolist()), out.tolist()))}")
    right.append(np.array_equal(nand(a, b), 1 - (a & b)))
    right.append(np.array_equal(xor(a, b), a ^ b))
    print(f"{'XOR':12} two layers: {xor(a, b).tolist()}")
    a, b, carry = np.array(list(itertools.product((0, 1), repeat=3))).T
    total, carried = add_bits(a, b, carry)
    right.append(np.array_equal(2 * carried + total, a + b + carry))
    majority = Unit(3, threshold=2)(np.stack([a, b, carry], axis=-1))
    right.append(np.array_equal(majority, (a + b + carry) >= 2))
    print(
        "Claim: units with fixed thresholds compute every gate, XOR in two layers, and an adder:",
        all(right),
    )
    return 0 if all(right) else 1


if __name__ == "__main__":
    sys.exit(main())
