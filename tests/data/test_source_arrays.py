"""Pictures and labels as arrays: IDX and npz files, and what Python holds in memory."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import polars
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from engram.core.errors import DataError
from engram.data.source import read
from engram.data.source.idx import read_idx

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}
X_NHW = np.arange(6 * 5 * 4, dtype=np.uint8).reshape(6, 5, 4)
Y = [0, 1, 2, 0, 1, 2]


def idx(array: np.ndarray) -> bytes:
    code = CODES[array.dtype.str[1:]]
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    array=st.sampled_from([*CODES]).flatmap(
        lambda code: hnp.arrays(np.dtype(code), hnp.array_shapes(max_dims=4, max_side=4))
    ),
    packed=st.booleans(),
    cut=st.integers(1, 4),
)
def test_idx_returns_what_was_written_and_names_what_was_cut(tmp_path, array, packed, cut):
    content = idx(array)
    pack = gzip.compress if packed else bytes
    path = tmp_path / "file"
    path.write_bytes(pack(content))
    back = read_idx(path)
    assert back.dtype == array.dtype and back.shape == array.shape
    assert back.tobytes() == array.tobytes()
    path.write_bytes(pack(content[:-1]))
    with pytest.raises(DataError, match="cut short"):
        read_idx(path)
    path.write_bytes(pack(content)[:cut])
    with pytest.raises(DataError):
        read_idx(path)


def test_an_idx_header_that_lies_takes_no_memory(tmp_path):
    (tmp_path / "x").write_bytes(struct.pack(">BBBB3I", 0, 0, 8, 3, 2**31, 2**31, 2**31) + b"1234")
    with pytest.raises(DataError, match="cut short"):
        read(tmp_path / "x")


def test_idx_pairs_in_a_folder(tmp_path):
    for name, number in (("train", 4), ("t10k", 2)):
        images, labels = X_NHW[:number], np.array(Y[:number], np.uint8)
        (tmp_path / f"{name}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images)))
        (tmp_path / f"{name}-labels-idx1-ubyte").write_bytes(idx(labels))
    table = read(tmp_path)
    assert table.columns["image"].values.shape == (6, 5, 4)
    assert table.columns["label"].values == [0, 1, 2, 0, 0, 1]
    assert table.split.tolist() == ["train"] * 4 + ["test"] * 2
    assert len(read(tmp_path / "train-images-idx3-ubyte.gz").columns["label"]) == 4
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros(3, np.uint8)))
    with pytest.raises(DataError, match="4 pictures and 3 labels"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("images", "labels"),
    [("{}_images", "{}_labels"), ("x_{}", "y_{}"), ("X_{}", "y_{}"), ("{}_x", "{}_y"), ("images_{}", "labels_{}")],
)
def test_npz_names(tmp_path, images, labels):
    arrays = {images.format(s): X_NHW[:n] for s, n in (("train", 3), ("val", 2), ("test", 1))}
    arrays |= {labels.format(s): np.array(Y[:n])[:, None] for s, n in (("train", 3), ("val", 2), ("test", 1))}
    np.savez(tmp_path / "t.npz", **arrays, meta=np.zeros(3))
    table = read(tmp_path / "t.npz")
    assert table.columns["label"].values == [0, 1, 2, 0, 1, 0]
    assert table.split.tolist() == ["train"] * 3 + ["val"] * 2 + ["test"]


def test_npz_plain_damaged_and_with_objects(tmp_path):
    np.savez(tmp_path / "plain.npz", x=X_NHW, y=np.array(list("abcabc")))
    assert read(tmp_path / "plain.npz").columns["label"].values == list("abcabc")
    np.savez(tmp_path / "objects.npz", x=X_NHW, y=np.array([{"a": 1}] * 6, dtype=object))
    (tmp_path / "cut.npz").write_bytes((tmp_path / "plain.npz").read_bytes()[:-30])
    np.savez(tmp_path / "odd.npz", left=X_NHW, right=X_NHW)
    for name, message in (("objects", "Python objects"), ("cut", "cannot be read"), ("odd", "left, right")):
        with pytest.raises(DataError, match=message):
            read(tmp_path / f"{name}.npz")


class Pairs(torch.utils.data.Dataset):
    """A data set as users write them."""

    classes = ("ant", "bee", "cow")

    def __len__(self) -> int:
        return 6

    def __getitem__(self, row: int) -> tuple[Image.Image, int]:
        return Image.fromarray(X_NHW[row]), Y[row]


PICTURES = [Image.fromarray(x) for x in X_NHW]


@pytest.mark.parametrize(
    "data",
    [
        (X_NHW, Y),
        (X_NHW, np.array(Y)),
        (torch.tensor(X_NHW), torch.tensor(Y)),
        (PICTURES, tuple(Y)),
        torch.utils.data.TensorDataset(torch.tensor(X_NHW), torch.tensor(Y)),
        list(zip(X_NHW, Y, strict=True)),
        {"image": PICTURES, "label": Y},
        {"image": X_NHW, "label": torch.tensor(Y)},
        (X_NHW, np.eye(3)[Y]),
        polars.DataFrame({"image": [b"\x89PNG"] * 6, "label": Y}),
    ],
    ids=lambda data: type(data).__name__,
)
def test_pictures_and_labels_in_memory(data):
    table = read(data)
    assert table.columns["image"].kind in ("array", "bytes") and len(table) == 6
    assert table.columns["label"].values == Y and table.columns["label"].kind == "number"
    assert table.fingerprint == read(data).fingerprint != ""


def test_data_sets_with_class_names_and_splits():
    assert read(Pairs()).columns["label"].values == ["ant", "bee", "cow"] * 2
    for data in ({"train": (X_NHW, Y), "validation": Pairs()}, ((X_NHW, Y), (X_NHW[:2], Y[:2]))):
        table = read(data)
        assert table.split.tolist()[:6] == ["train"] * 6 and set(table.split) < {"train", "val", "test"}


def test_examples_that_are_dicts():
    records = [{"image": image, "label": label} for image, label in zip(PICTURES, "abcabc", strict=True)]
    assert read({"train": records, "test": records[:2]}).columns["label"].values == list("abcabcab")


def test_several_labels_as_zeros_and_ones():
    column = read((X_NHW, np.array([[0, 1], [1, 1], [0, 0], [1, 0], [1, 0], [1, 0]]))).columns["label"]
    assert column.kind == "names" and column.values[:4] == [["1"], ["0", "1"], [], ["0"]]


@pytest.mark.parametrize("data", [PICTURES[0], X_NHW[0], b"\x89PNG", torch.zeros(3, 8, 8), np.zeros((8, 8, 3))])
def test_one_picture(data):
    assert len(read(data)) == 1


def test_paths_with_labels(tmp_path: Path):
    paths = [tmp_path / f"{row}.png" for row in range(2)]
    for path, image in zip(paths, PICTURES, strict=False):
        image.save(path)
    for given_ in (paths, [str(path) for path in paths]):
        table = read((given_, ["a", "b"]))
        assert table.columns["image"].kind == "path" and table.columns["image"].values == [str(p) for p in paths]


def test_mistakes_in_memory_are_named():
    for data, message in (
        ((X_NHW, Y[:3]), "6 pictures and 3 labels"),
        ([], "empty list"),
        ({"image": X_NHW, "label": Y[:2]}, "one length"),
        (3, "got int"),
        ((X_NHW, [object()] * 6), "labels"),
    ):
        with pytest.raises(DataError, match=message):
            read(data)


def test_a_data_set_that_changes_its_examples_is_warned_of():
    class Pictures:
        def __init__(self, noise):
            self.noise, self.random = noise, np.random.default_rng(0)

        def __len__(self):
            return 6

        def __getitem__(self, row):
            return (np.full((4, 4), row) + self.noise * self.random.integers(0, 99, (4, 4))).astype(np.uint8), row % 2

    findings = [read(Pictures(noise)).findings for noise in (0, 1)]
    assert [[finding.kind for finding in found] for found in findings] == [[], ["changing_examples"]]
