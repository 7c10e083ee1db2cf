"""From line to neuron: at every step look around and choose the best direction.

Claim: descending the squared error finds the line of least squares; with a sigmoid behind the line,
the same descent finds a neuron that separates two classes.
"""

import sys

import numpy as np

import tinygrad_edu as tg


def descend(loss, parameters, lr, steps):
    """Plain gradient descent, written out: this is all that an optimizer does."""
    for _ in range(steps):
        for p in parameters:
            p.grad = None
        loss().backward()
        for p in parameters:
            p.data -= lr * p.grad.data


def main():
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 4, 50)
    y = 1.5 * x - 2 + 0.3 * rng.standard_normal(50)

    slope = tg.tensor(np.float64(0.0), requires_grad=True)
    intercept = tg.tensor(np.float64(0.0), requires_grad=True)
    descend(
        lambda: ((slope * x + intercept - y) ** 2).mean(), [slope, intercept], lr=0.1, steps=1000
    )
    expected = np.polyfit(x, y, 1)
    print(f"descent:       slope {slope.item():.6f}, intercept {intercept.item():.6f}")
    print(f"least squares: slope {expected[0]:.6f}, intercept {expected[1]:.6f}")
    line = np.allclose([slope.item(), intercept.item()], expected, atol=1e-6)

    above = (x > 2).astype(np.float64)
    weight = tg.tensor(np.float64(0.0), requires_grad=True)
    bias = tg.tensor(np.float64(0.0), requires_grad=True)
    descend(
        lambda: tg.nn.functional.binary_cross_entropy_with_logits(weight * x + bias, above),
        [weight, bias],
        lr=1.0,
        steps=2000,
    )
    threshold = -bias.item() / weight.item()
    print(f"the sigmoid neuron fires above x = {threshold:.2f}; the classes part at 2")
    holds = line and abs(threshold - 2) < 0.1
    print("Claim: descent finds least squares, and the neuron the threshold:", holds)
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
