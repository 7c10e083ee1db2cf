"""Layers: what one neuron cannot, a layer of them can.

Claim: a multilayer perceptron with one hidden layer learns XOR and the two moons; its parameters
can be counted by hand.
"""

import sys

import numpy as np

import tinygrad_edu as tg


def train(model, x, y, steps, lr):
    """Full-batch Adam on the cross-entropy; returns the share of right answers."""
    optimizer = tg.optim.Adam(model.parameters(), lr=lr)
    for _ in range(steps):
        optimizer.zero_grad()
        tg.nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    return float((model(x).data.argmax(axis=1) == y).mean())


def moons(rng, n=200):
    """(n, 2) points on two interleaved half circles, and which one each belongs to."""
    angle = rng.uniform(0, np.pi, n // 2)
    outer = np.column_stack([np.cos(angle), np.sin(angle)])
    points = np.concatenate([outer, [1.0, 0.5] - outer]) + 0.1 * rng.standard_normal((n, 2))
    return points.astype(np.float32), np.repeat([0, 1], n // 2)


def main():
    corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=np.float32)
    small = tg.nn.MLP(2, [4, 2], activation="tanh", rng=0)
    xor = train(small, corners, np.array([0, 1, 1, 0]), steps=500, lr=0.05)

    model = tg.nn.MLP(2, [16, 16, 2], rng=0)
    print(model.summary())
    x, y = moons(np.random.default_rng(0))
    accuracy = train(model, x, y, steps=500, lr=0.01)
    by_hand = (2 * 16 + 16) + (16 * 16 + 16) + (16 * 2 + 2)
    counted = sum(p.size for p in model.parameters())
    print(f"parameters: {counted}, by hand {by_hand}")
    print(f"XOR {xor:.0%}, moons {accuracy:.1%}")
    holds = xor == 1 and accuracy >= 0.99 and counted == by_hand
    print("Claim: hidden layers learn what a line cannot separate:", holds)
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
