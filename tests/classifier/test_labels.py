"""Labels as class numbers: what tables, lists and arrays of names or numbers give."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from qnn_pynq.classifier.labels import class_numbers
from qnn_pynq.errors import InputError, ScoresUnavailableError

NETWORK = SimpleNamespace(name="net", classes=("cat", "dog", "owl"))


def objects(*values: object) -> np.ndarray:
    """As pandas gives a column."""
    found = np.empty(len(values), object)
    found[:] = values
    return found


@pytest.mark.parametrize("labels", [
    [2, 0, 1], (2, 0, 1), np.array([2, 0, 1], np.uint8), np.array([2, 0, 1], ">i4"), objects(2, 0, 1),
    objects(np.int8(2), 0, np.uint64(1)), np.ma.masked_array([2, 0, 1]),
    ["owl", "cat", "dog"], [b"owl", b"cat", b"dog"], objects("owl", "cat", "dog"),
    objects(np.str_("owl"), "cat", "dog"),
])
def test_numbers_and_names(labels):
    found = class_numbers(labels, 3, NETWORK)
    assert found.tolist() == [2, 0, 1] and found.dtype == np.intp


def test_names_in_numpys_own_texts():
    kind = getattr(getattr(np, "dtypes", None), "StringDType", None)
    if kind is None:
        pytest.skip("texts of any length came with numpy 2.0")
    assert class_numbers(np.array(["owl", "cat"], dtype=kind()), 2, NETWORK).tolist() == [2, 0]


@pytest.mark.parametrize("labels, word", [
    (objects("cat", 1, 2), "all of one kind"),
    (objects("cat", None, "dog"), "all of one kind"),
    (objects("cat", float("nan"), "dog"), "all of one kind"),
    (objects(0, 1.0, 2), "all of one kind"),
    (objects(True, False, True), "all of one kind"),
    (objects(0, np.True_, 1), "all of one kind"),
    (objects(b"cat", b"dog", b"owl"), "all of one kind"),
    ([True, False, True], "bool"),
    ([0.0, 1.0, 2.0], "float64"),
    (np.zeros(3, "M8[s]"), "datetime64"),
    (objects(0, 1, 3), r"0\.\.2, got 0\.\.3"),
    (objects("cat", "cow", "dog"), "'cow' is no class of net: use one of cat, dog, owl"),
    (["cat", 1, "dog"], "'1' is no class"),
    ([b"\xff", b"cat", b"dog"], "decode the names"),
    ([2**70, 0, 1], r"got 0\.\.1180591620717411303424"),
    ([-(2**70), 0, 1], r"got -1180591620717411303424\.\.1"),
    (np.array([0, 1, 2**63], np.uint64), r"got 0\.\.9223372036854775808"),
    ([[0], [1, 2], 0], "class numbers or names"),
    (np.ma.masked_array([0, 1, 2], [False, True, False]), "masked array"),
    ([[0], [1], [2]], "shape"),
    ({0, 1, 2}, "shape"),
    ("cat", "shape"),
    (None, "shape"),
])
def test_other_labels_are_refused(labels, word):
    with pytest.raises(InputError, match=word):
        class_numbers(labels, 3, NETWORK)


def test_a_network_without_classes_says_so():
    with pytest.raises(ScoresUnavailableError, match=r"net ends in features, .*use features\(\)"):
        class_numbers([0, 0], 2, SimpleNamespace(name="net", classes=()))


def test_a_failing_conversion_is_our_error():
    class Tensor:
        def __array__(self, *args, **kwargs):
            raise TypeError("on another device")

    with pytest.raises(InputError, match="Tensor gives no array: on another device"):
        class_numbers(Tensor(), 3, NETWORK)
