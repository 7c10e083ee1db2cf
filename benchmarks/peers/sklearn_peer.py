"""scikit-learn's MLPClassifier: one `partial_fit` is one step on the batch."""

from __future__ import annotations

import numpy as np
import sklearn
from inputs import MOMENTUM, Contender, batch, parameters, training
from sklearn.neural_network import MLPClassifier


def about() -> str:
    return f"scikit-learn {sklearn.__version__}"


def step(spec: dict) -> Contender:
    x, target = batch(spec)
    arrays = parameters(spec)
    sizes = spec["sizes"]

    def session(rate: float):
        model = MLPClassifier(
            sizes[1:-1],
            solver="sgd",
            alpha=0,
            batch_size=spec["batch"],
            learning_rate_init=rate,
            momentum=MOMENTUM,
            nesterovs_momentum=False,
            shuffle=False,
        )
        classes = np.arange(sizes[-1])
        # A first step makes the arrays; its rate is the model's own, so they are then overwritten.
        model.partial_fit(x, target, classes=classes)
        for i, (weight, bias) in enumerate(zip(arrays[::2], arrays[1::2])):
            model.coefs_[i][...] = weight.T
            model.intercepts_[i][...] = bias
        for velocity in model._optimizer.velocities:
            velocity[...] = 0

        def step() -> np.float64:
            model.partial_fit(x, target)
            return np.float64(model.loss_)

        return step

    return training(session, spec["optimizer"])


BUILD = {"step": step}
