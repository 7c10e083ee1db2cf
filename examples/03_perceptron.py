"""Rosenblatt's perceptron 1958: a neuron that learns from its mistakes.

Claim: on separable data the rule stops after no more corrections than Novikoff's bound allows; on
XOR it never stops.
"""

import sys

import numpy as np

import tinygrad_edu as tg


def separable(rng, n=100):
    """(n, 2) points and 0/1 labels on the two sides of a line, none closer to it than 0.2."""
    points = rng.uniform(-2, 2, (4 * n, 2))
    distance = points @ np.array([0.6, -0.8]) + 0.3
    chosen = np.flatnonzero(np.abs(distance) > 0.2)[:n]
    return points[chosen], (distance[chosen] > 0).astype(int)


def main():
    x, y = separable(np.random.default_rng(0))
    neuron = tg.nn.Perceptron(2)
    history = neuron.fit(x, y)
    bound = tg.nn.novikoff_bound(x, y, [0.6, -0.8], 0.3)
    print(f"mistakes in each pass: {history.mistakes}")
    print(f"corrections: {history.updates}, Novikoff's bound: {bound:.0f}")
    learned = (
        history.converged and history.updates <= bound and np.array_equal(neuron.predict(x), y)
    )

    corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    xor = tg.nn.Perceptron(2).fit(corners, [0, 1, 1, 0], max_epochs=100)
    print(f"XOR after {len(xor.mistakes)} passes: still {xor.mistakes[-1]} mistakes a pass")
    holds = learned and not xor.converged
    print("Claim: it learns what a line separates, within the bound, and never XOR:", holds)
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
