"""docs/families.md shows what the plug-in really has, and names all that the contracts ask for."""
from __future__ import annotations

import re
from pathlib import Path

import pytest

import qnn_pynq.testing
from qnn_pynq.testing import Driver, Layer

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = Path(__file__).resolve().parent / "package"
PAGE = ROOT / "docs" / "families.md"
pytestmark = pytest.mark.skipif(not PAGE.is_file(), reason="the page lies in a checkout")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)


def same(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def test_what_is_registered_is_what_the_package_registers() -> None:
    assert same(blocks("ini")[0]) in same((PACKAGE / "setup.cfg").read_text(encoding="utf-8") + " ")


def test_the_code_runs_and_is_the_packages() -> None:
    family, check, suite = blocks("python")
    import qnn_pynq_mirror

    found: dict = {}
    exec(compile(family, "docs/families.md", "exec"), found)  # the page's own example
    assert found["FAMILY"] == qnn_pynq_mirror.FAMILY
    body = check[check.index("    geometry.pair"):]
    assert same(body) in same((PACKAGE / "qnn_pynq_mirror" / "descriptor.py").read_text(encoding="utf-8"))
    exec(compile(suite, "docs/families.md", "exec"), found)
    assert issubclass(found["TestMirror"], qnn_pynq.testing.FamilyContract)
    own = (Path(__file__).parent / "test_plugin_contract.py").read_text(encoding="utf-8")
    assert same(suite[suite.index("    def reference"):]) in same(own)


def test_every_part_of_the_contracts_is_named() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for base in (Driver, Layer):
        for name in base.__abstractmethods__:
            assert re.search(rf"`{name}\b", text), name


def test_every_name_for_authors_is_there_and_documented() -> None:
    for name in qnn_pynq.testing.__all__:
        found = getattr(qnn_pynq.testing, name)
        assert not isinstance(found, type) or found.__doc__, name
    assert set(qnn_pynq.testing.__all__) <= set(dir(qnn_pynq.testing))
    with pytest.raises(AttributeError, match="no attribute 'Familie'"):
        qnn_pynq.testing.Familie  # noqa: B018  # the access is the test


def test_the_messages_are_those_that_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    import qnn_pynq_mirror.driver
    import qnn_pynq_mirror.layers

    from qnn_pynq.contracts import families
    from qnn_pynq.errors import PluginError
    from qnn_pynq.networks.layers import layer_class

    driver, layer = blocks("text")[0].strip().splitlines()
    monkeypatch.setattr(qnn_pynq_mirror.driver.MirrorDriver, "__abstractmethods__", frozenset({"cancel"}))
    families._part.cache_clear()
    with pytest.raises(PluginError) as caught:
        families.driver_class("mirror")
    assert str(caught.value) == driver
    families._part.cache_clear()
    monkeypatch.setattr(qnn_pynq_mirror.layers.Weigh, "__abstractmethods__", frozenset({"follow"}))
    with pytest.raises(PluginError) as caught:
        layer_class("weigh")
    assert str(caught.value) == layer
