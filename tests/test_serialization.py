"""What is saved comes back; what is damaged is refused by name; what is being written never harms
what was there."""

import io
import pickle
import sys
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinygrad_edu as tg
from tinygrad_edu import serialization
from tinygrad_edu.errors import DataError, DtypeError

STATE = {
    "0.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "0.bias": np.zeros(2),
    "step": np.array(3),
}
dtypes = st.sampled_from(["<f4", ">f4", "<f8", "<i8", ">i2", "u1", "?"])


@given(
    array=dtypes.flatmap(
        lambda d: hnp.arrays(d, hnp.array_shapes(min_dims=0, min_side=0, max_dims=3))
    ),
    name=st.text(
        st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]),
        min_size=1,
        max_size=9,
    ),
    order=st.sampled_from("CF"),
)
def test_any_array_under_any_name_comes_back(array, name, order, tmp_path_factory):
    path = tmp_path_factory.mktemp("any") / "state.npz"
    tg.save(path, {name: np.asarray(array, order=order), "file": array})
    loaded = tg.load(path)
    assert list(loaded) == ([name, "file"] if name != "file" else ["file"])
    for result in loaded.values():
        assert result.shape == array.shape and result.dtype == array.dtype.newbyteorder("=")
        assert result.flags.writeable and result.dtype.isnative and result.flags.c_contiguous
        np.testing.assert_array_equal(result, array)


def test_tensors_and_numbers_can_be_saved_and_numpy_reads_the_file(tmp_path):
    path = tmp_path / "a.npz"
    tg.save(path, {"t": tg.Tensor(np.ones((2, 2), np.float32)), "n": 1.5})
    with np.load(path) as archive:
        np.testing.assert_array_equal(archive["t"], np.ones((2, 2), np.float32))
        assert archive["n"] == 1.5
    np.savez_compressed(tmp_path / "b.npz", x=np.arange(3))
    np.testing.assert_array_equal(tg.load(tmp_path / "b.npz")["x"], [0, 1, 2])


def test_equal_states_give_equal_files(tmp_path):
    for name in ("a.npz", "b.npz"):
        tg.save(tmp_path / name, STATE)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_every_truncation_is_refused_by_name(tmp_path):
    path = tmp_path / "weights.npz"
    tg.save(path, STATE)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match="weights.npz"):
            tg.load(path)


def test_a_damaged_byte_never_gives_other_numbers(tmp_path):
    path = tmp_path / "weights.npz"
    tg.save(path, {"w": STATE["0.weight"]})
    whole = path.read_bytes()
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0xFF]) + whole[position + 1 :])
        try:
            loaded = tg.load(path)
        except DataError as error:
            assert "weights.npz" in str(error)
        else:  # the name, a date or a permission; the numbers have a checksum
            np.testing.assert_array_equal(next(iter(loaded.values())), STATE["0.weight"])


def npy(array):
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array)
    return stream.getvalue()


def archive_of(path, **members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was executed",))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (npy(np.array([1, None])), "pickled objects"),
        (pickle.dumps(Bomb()), "not a .npy array"),
        (npy(np.zeros(4))[:-1], r"shape \(4,\).*32 bytes.*31 bytes"),
        (npy(np.zeros(4)) + b"x", "33 bytes"),
        (
            npy(np.zeros(4))
            .replace(b"(4,), }", b"(9999999999999,), }")
            .replace(b"          \n", b"\n", 1),
            "bytes",
        ),
        (b"", "not a .npy array"),
    ],
    ids=["objects", "pickle", "short", "long", "absurd-shape", "empty"],
)
def test_members_that_are_no_plain_arrays_are_refused(tmp_path, content, words):
    archive_of(tmp_path / "odd.npz", good=npy(np.zeros(2)), bad=content)
    with pytest.raises(DataError, match=f"odd.npz.*'bad.npy'.*{words}"):
        tg.load(tmp_path / "odd.npz")


def test_objects_and_things_without_names_are_not_saved(tmp_path):
    path = tmp_path / "a.npz"
    with pytest.raises(DtypeError, match="'x' holds Python objects"):
        tg.save(path, {"x": np.array([None])})
    with pytest.raises(TypeError, match="mapping of names"):
        tg.save(path, [np.zeros(2)])
    with pytest.raises(TypeError, match="state_dict"):
        tg.save(path, tg.nn.MLP(2, [2]))
    for name in (1, "", "a\0b"):
        with pytest.raises(TypeError, match="non-empty string"):
            tg.save(path, {name: np.zeros(2)})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a.pkl", "a.pt", "a", "npz"])
def test_another_suffix_is_refused_with_those_that_are_known(tmp_path, name):
    (tmp_path / name).write_bytes(b"")
    for call in (lambda path: tg.save(path, STATE), tg.load):
        with pytest.raises(ValueError, match=r"\.npz or \.safetensors"):
            call(tmp_path / name)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.npz"
    tg.save(path, STATE)
    before = path.read_bytes()
    for error in (RuntimeError, KeyboardInterrupt):
        with pytest.raises(error), serialization.replacing(path) as file:
            file.write(b"half of it")
            raise error
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.npz"]


def test_the_data_are_synced_before_the_name_appears(tmp_path, monkeypatch):
    events = []
    for name in ("fsync", "replace"):
        real = getattr(serialization.os, name)
        monkeypatch.setattr(
            serialization.os, name, lambda *a, n=name, f=real: (events.append(n), f(*a))[1]
        )
    tg.save(tmp_path / "a.npz", STATE)
    assert events[:2] == ["fsync", "replace"]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="folder .*nowhere does not exist"):
        tg.save(tmp_path / "nowhere" / "a.npz", STATE)
    (tmp_path / "dir.npz").mkdir()
    with pytest.raises(IsADirectoryError, match="is a folder"):
        tg.save(tmp_path / "dir.npz", STATE)


def test_a_symbolic_link_stays_one(tmp_path):
    target, link = tmp_path / "real.npz", tmp_path / "link.npz"
    target.write_bytes(b"old")
    try:
        link.symlink_to(target)
    except OSError:
        pytest.skip("symbolic links need a permission here")
    tg.save(link, STATE)
    assert link.is_symlink() and list(tg.load(target)) == list(STATE)


def test_safetensors_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    with pytest.raises(ImportError, match=r"pip install 'tinygrad-edu\[io\]'"):
        tg.save(tmp_path / "a.safetensors", STATE)
    assert not list(tmp_path.iterdir())


def test_safetensors_round_trip_and_truncations(tmp_path):
    pytest.importorskip("safetensors")
    path = tmp_path / "a.safetensors"
    tg.save(
        path,
        {
            **STATE,
            "fortran": np.asfortranarray(STATE["0.weight"]),
            "big": np.arange(3, dtype=">f4"),
        },
    )
    loaded = tg.load(path)
    np.testing.assert_array_equal(loaded["fortran"], STATE["0.weight"])
    np.testing.assert_array_equal(loaded["big"], [0, 1, 2])
    assert all(array.flags.writeable for array in loaded.values())
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match="a.safetensors"):
            tg.load(path)
