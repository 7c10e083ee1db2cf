"""Data: examples in arrays, batches of Tensors, splits, and the data sets of the course.

images, labels = tg.data.datasets.digits()[:] train, validation, test =
tg.data.train_val_test_split(tg.data.datasets.digits(), stratify=labels, rng=0) for images, labels
in tg.data.DataLoader(train, batch_size=32, shuffle=True): ...
"""

from . import datasets
from .augment import RandomShift
from .dataset import ArrayDataset, DataLoader
from .split import train_val_test_split

__all__ = ["ArrayDataset", "DataLoader", "RandomShift", "datasets", "train_val_test_split"]
