"""Kinds of overlay: built in, from another package's entry point, or refused."""
from __future__ import annotations

from importlib import metadata
from types import SimpleNamespace

import pytest

from qnn_pynq.contracts import families
from qnn_pynq.errors import NotFoundError
from qnn_pynq.families.bnn_pynq.driver import BnnPynqDriver
from qnn_pynq.families.bnn_pynq.twin import BnnPynqTwin


class _Selectable(list):
    """What 3.10 and later give."""

    def select(self, group):
        return [point for point in self if point.group == group]


GROUP = families.ENTRY_POINT_GROUP


def _point(name, family):
    return SimpleNamespace(name=name, group=GROUP, value="other:family", load=lambda: family)


@pytest.fixture(params=["dict", "selectable"])
def install(request, monkeypatch):
    def put(*points):
        every = _Selectable(points) if request.param == "selectable" else {GROUP: list(points)}
        monkeypatch.setattr(metadata, "entry_points", lambda: every)
    return put


def test_the_built_in_kind_has_a_driver_and_a_twin():
    assert families.driver_class("bnn-pynq") is BnnPynqDriver is families.driver_class(BnnPynqDriver.kind)
    assert families.twin_class("bnn-pynq") is BnnPynqTwin


def test_another_package_adds_a_kind_but_does_not_replace_ours(install):
    install(_point("mine", families.Family(dict, "collections:OrderedDict")),
            _point("bnn-pynq", families.Family(dict, dict)))
    from collections import OrderedDict

    assert families.kinds() == ("bnn-pynq", "mine", "qnn-mo", "stream")
    assert families.driver_class("mine") is dict and families.twin_class("mine") is OrderedDict
    assert families.driver_class("bnn-pynq") is BnnPynqDriver


@pytest.mark.parametrize("kind", ["nothing", "os:system", "", "qnn_pynq.families.bnn_pynq.twin:BnnPynqTwin"])
def test_an_unknown_kind_is_refused_with_what_there_is(install, kind):
    install()
    with pytest.raises(NotFoundError, match="bnn-pynq"):
        families.twin_class(kind)


def test_an_entry_point_of_another_type_is_refused(install):
    install(_point("mine", dict))
    with pytest.raises(NotFoundError, match="expected a qnn_pynq.contracts.families.Family"):
        families.driver_class("mine")
