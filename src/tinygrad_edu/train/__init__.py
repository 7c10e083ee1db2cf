"""Training: `fit` runs the loop that everyone writes, and `evaluate` measures without learning.

model = tg.nn.MLP(64, [128, 10], rng=0)
optimizer = tg.optim.Adam(model.parameters(), lr=1e-3)
history = tg.train.fit(model, tg.nn.functional.cross_entropy, optimizer, train, val, epochs=30)
print(tg.train.evaluate(model, tg.nn.functional.cross_entropy, test))
"""

from .best import EarlyStopping
from .history import History
from .loop import Run, evaluate, fit

__all__ = ["EarlyStopping", "History", "Run", "evaluate", "fit"]
