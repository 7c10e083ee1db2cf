"""The chapters that read MNIST's files: what they say of files that are missing or wrong, which
files they hold out, and that a claim that fails is no success."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
TRAINING, LENET = "07_training_a_deep_network.py", "08_lenet.py"
OPTIONS = [(TRAINING, "--mnist"), (LENET, "--mnist"), (LENET, "--fashion-mnist")]


def run(chapter, *arguments):
    return subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / chapter), "--quick", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        env=dict(os.environ),
    )


def write_noise(folder, prefix, n, seed):
    """n random images of 28 x 28 with random labels: nothing can be learned from them."""
    rng = np.random.default_rng(seed)
    for kind, array in (
        ("images-idx3", rng.integers(0, 256, (n, 28, 28))),
        ("labels-idx1", rng.integers(0, 10, n)),
    ):
        header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
        (folder / f"{prefix}-{kind}-ubyte").write_bytes(header + array.astype(np.uint8).tobytes())


@pytest.mark.parametrize(("chapter", "option"), OPTIONS)
def test_files_that_are_missing_or_no_idx_end_with_status_2(tmp_path, chapter, option):
    done = run(chapter, option, tmp_path / "nowhere")
    assert done.returncode == 2 and done.stdout == ""
    assert f"error: {option}: " in done.stderr and "nowhere does not exist" in done.stderr
    for kind in ("images-idx3", "labels-idx1"):
        (tmp_path / f"train-{kind}-ubyte").write_text("<html>404</html>")
    done = run(chapter, option, tmp_path)
    assert done.returncode == 2 and done.stdout == ""
    assert "train-images-idx3-ubyte: not an IDX file" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [("--seed", "-1"), ("--mnist", "a", "--fashion-mnist", "b")])
def test_arguments_that_cannot_be_meant_end_with_status_2(arguments):
    done = run(LENET, *arguments)
    assert done.returncode == 2 and "error: " in done.stderr and "Traceback" not in done.stderr


def test_a_claim_that_does_not_hold_ends_with_status_1_on_training_and_on_test_files(tmp_path):
    write_noise(tmp_path, "train", 80, seed=0)
    done = run(LENET, "--mnist", tmp_path)
    assert done.returncode == 1 and done.stderr == ""
    assert "60 images to learn from, 20 held out (held out of the training files" in done.stdout
    assert "All 4 claims hold: False" in done.stdout
    write_noise(tmp_path, "t10k", 30, seed=1)
    done = run(LENET, "--mnist", tmp_path, "--out", tmp_path / "pictures")
    assert done.returncode == 1 and done.stderr == ""
    assert "80 images to learn from, 30 held out (the test files)" in done.stdout
    assert len(list((tmp_path / "pictures").glob("08_*.png"))) == 4
