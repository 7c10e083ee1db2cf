"""Why did the network say that? What a decision rests on, and what a layer looks for.

    attribution.py   saliency, integrated gradients, occlusion: which inputs one decision rests on
    importance.py    permutation importance: which inputs the model as a whole rests on
    ascent.py        gradient ascent on the image itself: what a class wants to see, deep dream
    reading.py       a model is run as it is: in evaluation mode, no parameter's gradient written

All work on any Module, and on one example or a batch:

    features   (F,) one example, (N, F) a batch
    images     (C, H, W) one, (N, C, H, W) a batch, channels first, as the layers take them; (H, W)
               is one grey image if the model has a convolution

Inputs are arrays or Tensors of float32 or float64, results are arrays. `target` is the class whose
score is explained: an integer, or one for each example; None where the model gives one number an
example. The score is what the model puts out, for a classifier of this package the logit.
"""

from .ascent import Dream, Octave, dream, maximise
from .attribution import completeness_gap, integrated_gradients, occlusion, saliency
from .importance import permutation_importance
from .reading import Capture, capture

__all__ = [
    "Capture",
    "Dream",
    "Octave",
    "capture",
    "completeness_gap",
    "dream",
    "integrated_gradients",
    "maximise",
    "occlusion",
    "permutation_importance",
    "saliency",
]
