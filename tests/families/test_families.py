"""Kinds of overlay: ours and other packages' by the same entry points, or refused with what is wrong."""

from __future__ import annotations

import dataclasses
import logging
from importlib import metadata
from types import SimpleNamespace

import lfc
import numpy as np
import oracle
import pytest
import small

from qnn_pynq import Classifier
from qnn_pynq.classifier import classifier as classifier_module
from qnn_pynq.contracts import families, plugins
from qnn_pynq.contracts.driver import Driver
from qnn_pynq.contracts.twin import Twin
from qnn_pynq.errors import DescriptorError, NotFoundError, PluginError
from qnn_pynq.families.bnn_pynq.driver import BnnPynqDriver
from qnn_pynq.families.bnn_pynq.twin import BnnPynqTwin
from qnn_pynq.families.engine.driver import EngineDriver
from qnn_pynq.families.engine.twin import EngineTwin
from qnn_pynq.families.qnn_mo.driver import QnnMoDriver
from qnn_pynq.families.qnn_mo.twin import QnnMoTwin
from qnn_pynq.files.fields import Fields
from qnn_pynq.streams.driver import StreamDriver
from qnn_pynq.streams.twin import StreamTwin

GROUP = families.FAMILY_GROUP
OURS = {"bnn-pynq": (BnnPynqDriver, BnnPynqTwin), "engine": (EngineDriver, EngineTwin),
        "qnn-mo": (QnnMoDriver, QnnMoTwin), "stream": (StreamDriver, StreamTwin)}


class MyDriver(BnnPynqDriver):
    kind = "mine"


class MyTwin(BnnPynqTwin):
    pass


def nobody_checks(geometry, timing):
    geometry.integer("width", 1, 8)


class _Selectable(list):
    """What 3.10 and later give."""

    def select(self, group):
        return [point for point in self if point.group == group]


class _Point:
    """An entry point of a package that is installed."""

    group = GROUP
    value = "other:family"

    def __init__(self, name, family):
        self.name, self._family, self.loads = name, family, 0

    def load(self):
        self.loads += 1
        if isinstance(self._family, Exception):
            raise self._family
        return self._family


def _forget():
    for cached in (families._family, families._part, plugins._own):
        cached.cache_clear()


@pytest.fixture(params=["dict", "selectable"])
def install(request, monkeypatch):
    """What other packages register, as the interpreter tells it; ours are there in truth."""

    def put(*points):
        every = _Selectable(points) if request.param == "selectable" else {GROUP: list(points)}
        monkeypatch.setattr(metadata, "entry_points", lambda: every)

    _forget()
    put()
    yield put
    _forget()


def _ours():
    return {point.name: point.value for point in metadata.distribution("qnn-pynq").entry_points
            if point.group == GROUP}


# -- ours ----------------------------------------------------------------------------------------------------


def test_our_kinds_are_registered_as_everybody_elses():
    assert set(_ours()) == set(OURS)


@pytest.mark.parametrize("kind", OURS)
def test_each_of_our_kinds_has_a_whole_driver_and_twin(install, kind):
    driver, twin = OURS[kind]
    assert families.driver_class(kind) is driver is families.driver_class(driver.kind)
    assert families.twin_class(kind) is twin
    assert not driver.__abstractmethods__ and not twin.__abstractmethods__


def test_our_kinds_are_found_without_a_look_at_other_packages(install, monkeypatch):
    monkeypatch.setattr(metadata, "entry_points", lambda: pytest.fail("every package's metadata was read"))
    for kind, (driver, twin) in OURS.items():
        assert families.driver_class(kind) is driver and families.twin_class(kind) is twin


def test_without_the_packages_metadata_the_message_says_how_to_install_it(install, monkeypatch):
    monkeypatch.setattr(metadata, "distributions", lambda **_: iter(()))
    for call in (families.kinds, lambda: families.driver_class("bnn-pynq")):
        with pytest.raises(PluginError, match="qnn-pynq is not installed.*pip install"):
            call()


def test_metadata_of_a_version_without_families_is_said_too(install, monkeypatch):
    old = SimpleNamespace(entry_points=[SimpleNamespace(group="console_scripts", name="qnn-pynq", value="a:b")])
    monkeypatch.setattr(metadata, "distributions", lambda **_: iter([old]))
    with pytest.raises(PluginError, match="by an older version"):
        families.twin_class("qnn-mo")


def test_of_two_installations_the_first_on_the_path_counts(install, monkeypatch):
    point = _Point("bnn-pynq", families.Family(MyDriver, MyTwin))
    later = _Point("bnn-pynq", families.Family(dict, dict))
    found = [SimpleNamespace(entry_points=[one]) for one in (point, later)]
    monkeypatch.setattr(metadata, "distributions", lambda **_: iter(found))
    assert families.driver_class("bnn-pynq") is MyDriver and later.loads == 0


# -- other packages' -----------------------------------------------------------------------------------------


def test_another_package_adds_a_kind_but_does_not_replace_ours(install):
    name = __name__
    mine, ours = _Point("mine", families.Family(MyDriver, f"{name}:MyTwin")), _Point("bnn-pynq", None)
    install(mine, ours)
    assert families.kinds() == ("bnn-pynq", "engine", "mine", "qnn-mo", "stream")
    assert families.driver_class("mine") is MyDriver and families.twin_class("mine").__name__ == "MyTwin"
    assert families.driver_class("bnn-pynq") is BnnPynqDriver and families.twin_class("bnn-pynq") is BnnPynqTwin
    assert ours.loads == 0


def test_a_package_is_loaded_once(install):
    mine = _Point("mine", families.Family(MyDriver, MyTwin))
    install(mine)
    for _ in range(3):
        families.driver_class("mine")
        families.twin_class("mine")
        families.check_overlay("mine", Fields({}, "overlay.json", "geometry"), Fields({}, "overlay.json", "timing"))
    assert mine.loads == 1


def test_parts_that_are_named_are_imported_when_they_are_asked_for(install):
    install(_Point("mine", families.Family("a_module_that_is_not_there:Driver", MyTwin)))
    assert families.twin_class("mine") is MyTwin
    with pytest.raises(PluginError, match="kind 'mine': its driver cannot be imported from "
                                          r"'a_module_that_is_not_there:Driver': ModuleNotFoundError: No module named"):
        families.driver_class("mine")


@pytest.mark.parametrize("kind", ["nothing", "os:system", "", "qnn_pynq.families.bnn_pynq.twin:BnnPynqTwin"])
def test_an_unknown_kind_is_refused_with_what_there_is(install, kind):
    install(_Point("mine", None))
    for call in (families.driver_class, families.twin_class):
        with pytest.raises(NotFoundError, match="engine, mine, qnn-mo, stream;.*'qnn_pynq.families'"):
            call(kind)


def test_a_kind_that_is_installed_later_is_found(install):
    with pytest.raises(NotFoundError):
        families.driver_class("mine")
    install(_Point("mine", families.Family(MyDriver, MyTwin)))
    assert families.driver_class("mine") is MyDriver


# -- what breaks the contract --------------------------------------------------------------------------------


@pytest.mark.parametrize("family", [dict, 0, (MyDriver, MyTwin), "other:family"])
def test_an_entry_point_of_another_type_is_refused(install, family):
    install(_Point("mine", family))
    with pytest.raises(PluginError, match=f"kind 'mine': its entry point gives {type(family).__name__}, expected"):
        families.driver_class("mine")


def test_an_entry_point_that_gives_none_is_refused_and_not_unknown(install):
    install(_Point("mine", None))
    with pytest.raises(PluginError, match="'mine' of group 'qnn_pynq.families' gives None from other:family: repair"):
        families.driver_class("mine")


@pytest.mark.parametrize("error", [ImportError("no such thing"), AttributeError("FAMILY"), ZeroDivisionError("boom"),
                                   SyntaxError("invalid syntax")])
def test_an_entry_point_that_does_not_load_names_itself_and_the_reason(install, error):
    install(_Point("mine", error))
    with pytest.raises(PluginError, match=f"entry point 'mine' of group 'qnn_pynq.families' cannot be loaded from "
                                          f"other:family: {type(error).__name__}: {error}; repair or uninstall"):
        families.twin_class("mine")
    assert families.driver_class("bnn-pynq") is BnnPynqDriver


@pytest.mark.parametrize("part", ["", "nothing", "math:", ":Driver", "math:no_such_name", "..x:Driver"])
def test_a_name_that_leads_nowhere_is_a_plugin_error(install, part):
    install(_Point("mine", families.Family(part, part)))
    for call, what in ((families.driver_class, "driver"), (families.twin_class, "twin")):
        with pytest.raises(PluginError, match=f"kind 'mine': its {what} cannot be imported from '{part}'"):
            call("mine")


@pytest.mark.parametrize("part", [dict, MyDriver.put, None, 3, "collections:OrderedDict"])
def test_a_part_that_is_no_subclass_of_the_contract_is_refused(install, part):
    install(_Point("mine", families.Family(part, part)))
    with pytest.raises(PluginError, match="kind 'mine': its driver is .*, expected a subclass of Driver"):
        families.driver_class("mine")
    with pytest.raises(PluginError, match="kind 'mine': its twin is .*, expected a subclass of Twin"):
        families.twin_class("mine")


def _without(base, whole, missing):
    """The class `whole`, as if it had been written without some methods of the contract `base`."""
    return type("Unfinished", (base,), {
        name: vars(owner)[name] for owner in reversed(whole.__mro__[:-1]) if owner is not base and owner not in
        base.__mro__ for name in vars(owner)
        if name not in missing and name not in ("__abstractmethods__", "_abc_impl", "__dict__", "__weakref__")})


CONTRACTS = [(Driver, BnnPynqDriver, families.driver_class, "driver"), (Twin, BnnPynqTwin, families.twin_class, "twin")]


def test_the_contract_of_a_driver_asks_for_all_that_engines_call():
    assert Driver.__abstractmethods__ == {
        "split", "capacity", "input", "output", "expected_seconds", "load", "put", "start", "finish", "cancel",
        "free", "close"}


@pytest.mark.parametrize("base, whole, find, what", CONTRACTS)
def test_each_method_that_is_missing_is_named(install, base, whole, find, what):
    names = sorted(base.__abstractmethods__)
    assert len(names) >= 5
    family = families.Family(MyDriver, MyTwin)
    install(_Point("whole", family._replace(**{what: _without(base, whole, ())})))
    assert find("whole").__name__ == "Unfinished"
    for name in names:
        _forget()
        install(_Point("mine", family._replace(**{what: _without(base, whole, (name,))})))
        with pytest.raises(PluginError) as refusal:
            find("mine")
        assert str(refusal.value) == (f"overlay kind 'mine': its {what} Unfinished lacks {name}, which the contract of "
                                      f"{base.__name__} asks for")


def test_all_that_is_missing_is_named_at_once(install):
    install(_Point("mine", families.Family(_without(Driver, BnnPynqDriver, ("put", "finish", "split")), MyTwin)))
    with pytest.raises(PluginError, match="its driver Unfinished lacks finish, put, split, which"):
        families.driver_class("mine")


# -- descriptors ---------------------------------------------------------------------------------------------


def _fields(**values):
    return Fields(values, "overlay.json", "geometry")


def test_a_family_checks_its_descriptors_and_one_without_a_check_takes_any(install):
    mine = families.Family(MyDriver, MyTwin, nobody_checks)
    install(_Point("mine", mine), _Point("named", mine._replace(check=f"{__name__}:nobody_checks")),
            _Point("free", families.Family(MyDriver, MyTwin)))
    for kind in ("mine", "named"):
        families.check_overlay(kind, _fields(width=8), _fields())
        with pytest.raises(DescriptorError, match="width"):
            families.check_overlay(kind, _fields(width=9), _fields())
    for kind in ("free", "not installed"):
        families.check_overlay(kind, _fields(width=9), _fields())


@pytest.mark.parametrize("kind", OURS)
def test_each_of_our_kinds_checks_its_descriptors(install, kind):
    with pytest.raises(DescriptorError, match="overlay.json"):
        families.check_overlay(kind, _fields(), _fields())


def test_what_is_found_is_told_to_the_log(install, caplog):
    install(_Point("mine", families.Family(MyDriver, MyTwin)))
    with caplog.at_level(logging.DEBUG, "qnn_pynq"):
        families.driver_class("mine")
        families.driver_class("mine")
    assert [record.getMessage() for record in caplog.records if "mine" in record.getMessage()] == [
        f"overlay kind mine: driver {__name__}.MyDriver"]


# -- through the package -------------------------------------------------------------------------------------


def test_an_engine_runs_a_foreign_kind_by_its_driver_and_twin(install):
    install(_Point("mine", families.Family(MyDriver, f"{__name__}:MyTwin")))
    circuit = dataclasses.replace(lfc.tiny(), kind="mine")
    net = small.network(circuit, seed=4)
    rows = small.pictures(7, net)
    with Classifier(net, board="emulated", overlay=circuit) as classifier:
        assert type(classifier.engine.driver) is MyDriver and type(classifier.board.twin).__name__ == "MyTwin"
        wanted = oracle.decode(oracle.lfc_words(net.layers, small.bits(net, rows)), len(net.classes))[0]
        assert np.array_equal(classifier.predict(rows), wanted)


def test_a_foreign_kind_with_half_a_driver_is_refused_before_a_board_is_opened(install, monkeypatch):
    install(_Point("mine", families.Family(_without(Driver, BnnPynqDriver, ("put",)), MyTwin)))
    circuit = dataclasses.replace(lfc.tiny(), kind="mine")
    opened = []
    monkeypatch.setattr(classifier_module, "open_board", opened.append)
    with pytest.raises(PluginError, match="lacks put"):
        Classifier(small.network(circuit), board="emulated", overlay=circuit)
    assert not opened
