"""The command line as a person or a script meets it: what is printed where, what is saved, and the
exit codes."""

import gzip
import json
import os
import signal
import time

import numpy as np
import pytest
from processes import started

import tinygrad_edu as tg
from tinygrad_edu.cli import main
from tinygrad_edu.cli.recipes import RECIPES

FAST = ["train", "--epochs", "2", "--hidden", "8"]


def json_of(capsys, *arguments):
    """The one JSON object that a successful command prints, with nothing else on either stream."""
    assert main([*map(str, arguments), "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == "" and out.count("\n") == 1
    return json.loads(out)


def refusal(capsys, *arguments):
    """The exit code and the one line on stderr of a command that is refused, with nothing on
    stdout."""
    try:
        status = main([*map(str, arguments), "--json"])
    except SystemExit as error:
        status = error.code
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.startswith("tinygrad-edu")
    return status, err


# ------------------------------------------------------------------------------------- the main job


def test_the_main_job_reads_handwriting(capsys):
    """The default settings and seed: at least 97 of 100 digits that were never seen."""
    result = json_of(capsys, "train")
    assert result["dataset"] == "digits" and result["seed"] == 0
    assert result["test_accuracy"] >= 0.97
    assert result["examples"] == {"train": 1258, "val": 270, "test": 269}
    matrix = np.array(result["confusion_matrix"])
    assert matrix.shape == (10, 10) and matrix.sum() == 269
    assert np.trace(matrix) / 269 == pytest.approx(result["test_accuracy"])
    assert all(26 <= row.sum() <= 28 for row in matrix)  # stratified: each digit has its share


def test_the_json_says_what_was_done(capsys):
    result = json_of(
        capsys,
        *FAST,
        "--hidden",
        "12",
        "5",
        "--activation",
        "tanh",
        "--optimizer",
        "sgd",
        "--lr",
        "0.5",
        "--batch-size",
        "64",
        "--seed",
        "7",
        "--threads",
        "1",
    )
    assert result["parameters"] == 64 * 12 + 12 + 12 * 5 + 5 + 5 * 10 + 10
    expected = {
        "hidden": [12, 5],
        "activation": "tanh",
        "optimizer": "sgd",
        "lr": 0.5,
        "batch_size": 64,
        "seed": 7,
        "epochs": 2,
        "threads": 1,
        "out": None,
        "kernels": tg.kernels.info()["kernels"],
    }
    assert {name: result[name] for name in expected} == expected
    assert result["seconds"] > 0
    chosen = result["hyperparameters"]
    assert chosen["architecture"] == {"hidden_layers": 2, "widths": [12, 5], "activation": "tanh"}
    assert chosen["training"] == {
        "optimizer": "sgd",
        "momentum": 0.9,
        "lr": 0.5,
        "lr_schedule": "half cosine",
        "batch_size": 64,
        "epochs": 2,
        "label_smoothing": 0.1,
    }
    assert (chosen["architecture_count"], chosen["training_count"], chosen["count"]) == (4, 7, 11)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_each_optimizer_learns_with_its_own_default_rate(capsys, optimizer):
    result = json_of(capsys, "train", "--epochs", "6", "--hidden", "32", "--optimizer", optimizer)
    assert result["val_accuracy"] > 0.9


def test_the_seed_decides_everything_and_the_thread_count_nothing(capsys):
    runs = [
        json_of(capsys, *FAST, "--seed", seed, "--threads", threads)
        for seed, threads in ((1, 1), (1, 2), (2, 1))
    ]
    figures = [
        {
            name: run[name]
            for name in ("train_accuracy", "val_accuracy", "test_accuracy", "confusion_matrix")
        }
        for run in runs
    ]
    assert figures[0] == figures[1] != figures[2]


@pytest.mark.parametrize(
    "name", [name for name, recipe in RECIPES.items() if not recipe.needs_root]
)
def test_every_set_that_needs_no_files_trains(capsys, name):
    result = json_of(capsys, "train", name, "--epochs", "3")
    assert result["dataset"] == name and 0 <= result["test_accuracy"] <= 1


def test_the_summary_is_for_people(capsys):
    assert main([*FAST, "--quiet"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    for words in (
        "1,258 training, 270 validation, 269 test",
        "64 -> 8 -> 10, relu",
        "610 learned",
        "9 chosen",
        "architecture   3",
        "training       6",
        "accuracy         train 0.",
        "true \\ said   0   1",
    ):
        assert words in out
    assert len(out.splitlines()) < 25 and max(map(len, out.splitlines())) <= 120


# ------------------------------------------------------------------------------------------- saving


def test_out_holds_the_weights_and_history_that_were_reported(capsys, tmp_path):
    out = tmp_path / "new" / "folder"
    result = json_of(capsys, *FAST, "--out", out)
    assert result["out"] == str(out)
    assert sorted(path.name for path in out.iterdir()) == ["history.json", "model.npz"]
    history = tg.train.History.load(out / "history.json")
    assert history.epochs == 2 and history.best_epoch == result["best_epoch"]
    model = tg.nn.MLP(64, [8, 10])
    model.load_state_dict(tg.load(out / "model.npz"))
    images, labels = tg.data.datasets.digits()[:]
    tg.manual_seed(0)
    test = tg.data.train_val_test_split(tg.data.ArrayDataset(images, labels), stratify=labels)[2]
    found = tg.train.evaluate(model, tg.nn.functional.cross_entropy, test)
    assert found["accuracy"] == pytest.approx(result["test_accuracy"])


def test_an_out_that_cannot_be_a_folder_is_refused_before_training(capsys, tmp_path):
    (tmp_path / "file").write_text("mine")
    status, words = refusal(capsys, "train", "--out", tmp_path / "file", "--epochs", 10**6)
    assert status == 1 and "is a file; expected a folder" in words
    status, words = refusal(
        capsys, "train", "--out", tmp_path / "file" / "below", "--epochs", 10**6
    )
    assert status == 1 and "file" in words
    assert (tmp_path / "file").read_text() == "mine"


# -------------------------------------------------------------------------------------------- mnist


def write_idx(folder, prefix, images, labels):
    folder.mkdir(parents=True, exist_ok=True)
    for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
        header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
        content = gzip.compress(header + array.astype(np.uint8).tobytes())
        (folder / f"{prefix}-{kind}-ubyte.gz").write_bytes(content)


def digits_as_idx():
    images, labels = tg.data.datasets.digits()[:]
    return (images.reshape(-1, 8, 8) * 255).round(), labels


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_without_t10k_files_the_test_part_comes_from_the_training_files_and_that_is_said(
    capsys, tmp_path, name
):
    images, labels = digits_as_idx()
    write_idx(tmp_path, "train", images, labels)
    result = json_of(capsys, "train", name, "--root", tmp_path, "--epochs", 2)
    assert sum(result["examples"].values()) == 1797 and result["examples"]["test"] == 150
    assert "no t10k files" in result["note"] and "split from the training files" in result["note"]
    assert (
        result["hidden"],
        result["batch_size"],
        result["hyperparameters"]["training"]["shift"],
    ) == ([128], 128, 1)


def test_with_t10k_files_those_are_the_test_part(capsys, tmp_path):
    images, labels = digits_as_idx()
    write_idx(tmp_path / "MNIST" / "raw", "train", images[:1500], labels[:1500])
    write_idx(tmp_path / "MNIST" / "raw", "t10k", images[1500:], labels[1500:])
    result = json_of(
        capsys,
        "train",
        "mnist",
        "--root",
        tmp_path,
        "--epochs",
        3,
        "--shift",
        0,
        "--batch-size",
        32,
    )
    assert (
        result["examples"] == {"train": 1375, "val": 125, "test": 297} and "t10k" in result["note"]
    )
    assert result["test_accuracy"] > 0.8
    assert not {"shift", "label_smoothing"} & set(result["hyperparameters"]["training"])
    (tmp_path / "MNIST" / "raw" / "t10k-labels-idx1-ubyte.gz").unlink()
    status, words = refusal(capsys, "train", "mnist", "--root", tmp_path)
    assert status == 1 and "t10k-labels-idx1-ubyte" in words


def test_files_that_are_wrong_are_named_in_one_sentence(capsys, tmp_path):
    images, labels = digits_as_idx()
    write_idx(tmp_path, "train", labels[:100], labels[:100])
    status, words = refusal(capsys, "train", "mnist", "--root", tmp_path)
    assert status == 1 and "train-images-idx3-ubyte.gz: holds labels" in words
    status, words = refusal(capsys, "train", "mnist", "--root", tmp_path / "nowhere")
    assert status == 1 and "nowhere does not exist" in words
    write_idx(tmp_path, "train", images[:5], labels[:5])
    status, words = refusal(capsys, "train", "mnist", "--root", tmp_path)
    assert status == 1 and "too few" in words
    write_idx(tmp_path, "train", images[:50], np.full(50, 3))
    status, words = refusal(capsys, "train", "mnist", "--root", tmp_path)
    assert status == 1 and "all 50 labels are 3" in words


# -------------------------------------------------------------------------------------------- lenet


def test_lenet_reads_the_digits(capsys, tmp_path):
    result = json_of(capsys, "train", "--model", "lenet", "--epochs", 3, "--out", tmp_path)
    assert (result["model"], result["activation"], result["hidden"]) == ("lenet", "gelu", [])
    assert result["parameters"] == 61_706 and result["inputs"] == 32 * 32
    chosen = result["hyperparameters"]
    assert chosen["architecture"]["conv1.kernel_size"] == [5, 5]
    assert chosen["architecture_count"] == len(chosen["architecture"]) == 14
    assert chosen["training"]["batch_size"] == 32
    assert result["test_accuracy"] > 0.8
    tg.nn.LeNet5().load_state_dict(tg.load(tmp_path / "model.npz"))


def test_the_summary_of_lenet_is_for_people(capsys):
    assert main(["train", "--model", "lenet", "--epochs", "1", "--quiet"]) == 0
    out = capsys.readouterr().out
    assert "network          LeNet-5, gelu" in out and "61,706 learned" in out
    assert "architecture   14: its layers" in out and max(map(len, out.splitlines())) <= 120


@pytest.mark.parametrize("side", [28, 32, 16])
def test_lenet_takes_images_of_its_sizes_from_idx_files(capsys, tmp_path, side):
    images, labels = np.random.default_rng(0).integers(0, 256, (80, side, side)), np.arange(80) % 10
    write_idx(tmp_path, "train", images, labels)
    result = json_of(
        capsys, "train", "mnist", "--root", tmp_path, "--model", "lenet", "--epochs", 1
    )
    assert result["inputs"] == (28 if side == 28 else 32) ** 2
    assert result["hyperparameters"]["training"]["shift"] == 1


def test_lenet_refuses_what_it_cannot_read(capsys, tmp_path):
    write_idx(tmp_path, "train", np.zeros((80, 20, 20)), np.arange(80) % 10)
    lenet = ("--model", "lenet")
    status, words = refusal(capsys, "train", "mnist", "--root", tmp_path, *lenet)
    assert status == 1 and "these have 400 points. Use --model mlp." in words


@pytest.mark.parametrize("hidden", [[8], [12, 5], [4, 4, 4]], ids=str)
def test_hyperparameters_are_counted_as_the_summary_of_the_model_counts_them(capsys, hidden):
    chosen = json_of(capsys, *FAST, "--hidden", *hidden)["hyperparameters"]
    assert chosen["architecture_count"] == 2 + len(hidden)  # their number, activation, each width


# ------------------------------------------------------------------------------------- bad commands


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--epochs", "0"], "--epochs: '0' is not a whole number of at least 1"),
        (["--epochs", "many"], "'many'"),
        (["--batch-size", "-3"], "'-3'"),
        (["--batch-size", "2.5"], "'2.5'"),
        (["--lr", "nan"], "--lr: 'nan' is not a finite number above 0"),
        (["--lr", "inf"], "'inf'"),
        (["--lr", "0"], "'0'"),
        (["--lr", "-0.1"], "'-0.1'"),
        (["--hidden", "0"], "--hidden: '0'"),
        (["--hidden", "8", "-8"], "-8"),
        (["--hidden"], "--hidden"),
        (["--activation", "rellu"], "'rellu'"),
        (["--optimizer", "sdg"], "'sdg'"),
        (["--label-smoothing", "1"], "'1'"),
        (["--label-smoothing", "nan"], "'nan'"),
        (["--seed", "-1"], "'-1'"),
        (["--threads", "0"], "--threads: '0'"),
        (["digit"], "'digit'"),
        (["mnist"], "--root DIR"),
        (["moons", "--root", "."], "moons needs no files"),
        (["moons", "--shift", "1"], "--shift moves images"),
        (["--model", "lenet5"], "'lenet5'"),
        (["moons", "--model", "lenet"], "--model lenet reads images"),
        (["--model", "lenet", "--hidden", "8"], "--hidden is for --model mlp"),
        (["--epoch", "3"], "unrecognized arguments: --epoch"),
    ],
    ids=" ".join,
)
def test_a_command_that_cannot_be_meant_is_refused_in_one_line(capsys, arguments, words):
    status, line = refusal(capsys, "train", *arguments)
    assert status == 2 and words in line and "--help" in line


def test_no_command_and_an_unknown_one_are_usage_errors(capsys):
    for arguments in ([], ["tain"]):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 2
        assert "train" in capsys.readouterr().err


def test_training_that_diverges_ends_with_one_sentence(capsys):
    with np.errstate(all="ignore"):
        status, words = refusal(capsys, "train", "--optimizer", "sgd", "--lr", "1e30")
    assert status == 1 and "the loss is" in words and "learning rate" in words


def test_help_names_every_set_and_option(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["train", "--help"])
    assert caught.value.code == 0
    out = capsys.readouterr().out
    options = (
        "--root",
        "--model",
        "--hidden",
        "--activation",
        "--optimizer",
        "--lr",
        "--batch-size",
        "--epochs",
        "--seed",
        "--threads",
        "--out",
        "--json",
        "--quiet",
    )
    assert all(word in out for word in (*RECIPES, *options))


def test_every_activation_on_the_list_can_be_trained_with(capsys):
    from tinygrad_edu.cli.train import ACTIVATIONS

    for name in ACTIVATIONS:
        assert json_of(capsys, *FAST, "--activation", name)["activation"] == name


# --------------------------------------------------------------------------------- info and version


def test_info_says_what_computes(capsys):
    entries = json_of(capsys, "info")
    assert entries["version"] == tg.__version__ and entries["dtype"] == "float32"
    assert entries["kernels"] in ("c", "numpy") and entries["numpy"] == np.__version__
    assert entries["threads"] >= 1
    assert entries["kernels"] == "numpy" or entries["isa"] in entries["isa_available"]
    assert main(["info"]) == 0
    out = capsys.readouterr().out
    assert all(f"{name.replace('_', ' ')} " in out for name in entries)


def test_version(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"tinygrad-edu {tg.__version__}\n"


# -------------------------------------------------------------------------- as a process of its own


@pytest.mark.skipif(os.name == "nt", reason="Windows sends Ctrl-C to groups of processes")
def test_ctrl_c_saves_and_ends_with_130(tmp_path):
    job = ("train", "moons", "--epochs", 10**7, "--out", tmp_path, "--json")
    with started("-m", "tinygrad_edu", *job) as process:
        deadline = time.monotonic() + 60
        while not (tmp_path / "model.npz").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and out == ""
    assert err.count("\n") == 1 and "interrupted after" in err and str(tmp_path) in err
    history = tg.train.History.load(tmp_path / "history.json")
    assert history.interrupted and history.epochs >= 1
    assert next(iter(tg.load(tmp_path / "model.npz").values())).shape == (32, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["history.json", "model.npz"]


def test_a_reader_who_leaves_gets_no_traceback():
    read, write = os.pipe()
    os.close(read)
    with started("-m", "tinygrad_edu", *FAST, stdout=write) as process:
        os.close(write)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (1, "")


def test_a_module_run_is_the_command():
    with started("-m", "tinygrad_edu", "info", "--json") as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert json.loads(out)["version"] == tg.__version__


# --------------------------------------------------------------------------------- compiled or not


@pytest.mark.skipif(tg.kernels.info()["kernels"] != "c", reason="programs need the C kernels")
def test_the_step_is_compiled_unless_that_is_refused(capsys):
    compiled = json_of(capsys, *FAST)
    assert compiled["compiled"] and compiled["eager_because"] is None
    assert json_of(capsys, *FAST, "--compile")["compiled"]
    python = json_of(capsys, *FAST, "--no-compile")
    assert not python["compiled"] and python["eager_because"] == "compile=False"
    assert abs(compiled["val_accuracy"] - python["val_accuracy"]) < 0.02  # 5 of 270 near a border


def test_a_step_that_is_not_compiled_although_asked_says_why_in_one_line(capsys, monkeypatch):
    from tinygrad_edu.train import steps

    monkeypatch.setattr(steps, "info", lambda: {"kernels": "numpy"})
    assert main([*FAST, "--compile"]) == 0
    out, err = capsys.readouterr()
    assert err == f"fit: training goes on without a compiled step: {steps.NO_KERNELS}\n"
    assert ", eager)" in out
    assert main([*FAST, "--compile", "--quiet"]) == 0
    assert capsys.readouterr().err == ""
