"""Chapter 10 on a picture of one's own, and what chapters 9 and 10 say to options that cannot be
used. That their claims hold is tested with the other examples, in test_docs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tinygrad_edu import viz

pytest.importorskip("matplotlib")
EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def run(chapter, *options):
    return subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / f"{chapter}.py", "--quick", *map(str, options)],
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_a_dream_on_a_picture_keeps_its_shape_and_its_colours(tmp_path):
    rng = np.random.default_rng(0)
    waves = 0.5 + 0.3 * np.sin(np.arange(48)[:, np.newaxis] / 3 + np.arange(40) / 5)
    image = np.stack([waves, 0.5 * waves, np.full_like(waves, 0.2)], axis=2)
    viz.save_image(tmp_path / "sea.png", image + 0.02 * rng.standard_normal(waves.shape)[..., None])
    done = run("10_deep_dream", "--image", tmp_path / "sea.png", "--out", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    dreamt = viz.read_image(tmp_path / "10_dream.png")
    assert dreamt.shape == (48, 40, 3)
    change = (dreamt - viz.read_image(tmp_path / "sea.png")).std(axis=(0, 1))
    assert np.all(change > 0.02), "every colour changes with the brightness"


@pytest.mark.parametrize(
    "options, words",
    [
        (["--image", "absent.png"], ["absent.png", "No such file"]),
        (["--image", "text.png"], ["text.png", "not a picture"]),
        (["--image", "white.png"], ["white.png", "one shade"]),
        (["--layer", "layers.77"], ["'layers.77'", "layers.3 (ReLU)"]),
        (["--layer", "layers.8"], ["layers.8", "Layers up to layers.6"]),
        (["--channel", "32"], ["channel=32", "0 to 31"]),
        (["--mnist", "."], ["train-images-idx3-ubyte"]),
    ],
    ids=lambda value: value[-1] if value[0].startswith("--") else "",
)
def test_options_that_cannot_be_used_are_refused_before_the_work(options, words, tmp_path):
    (tmp_path / "text.png").write_text("not a picture")
    viz.save_image(tmp_path / "white.png", np.ones((20, 30)))
    name, value = options
    is_path = name in ("--image", "--mnist")
    done = run("10_deep_dream", name, tmp_path / value if is_path else value)
    assert done.returncode == 2 and not done.stdout, done.stdout + done.stderr
    assert all(word in done.stderr for word in words), done.stderr
    assert "Traceback" not in done.stderr
