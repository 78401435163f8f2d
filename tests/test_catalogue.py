from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from qnn_pynq import catalogue
from qnn_pynq.boards import emulates, open_board
from qnn_pynq.errors import DescriptorError, NotFoundError, OverlayMissingError

SHIPPED = catalogue.overlays()["bnn-pynq-lfc-w1a1"].parent  # in the package or in the checkout


def network_folder(folder: Path, text: str = "{}") -> Path:
    folder.mkdir(parents=True)
    (folder / "network.json").write_text(text)
    return folder


def test_shipped_overlays_are_found_and_load():
    found = catalogue.overlays()
    assert {"bnn-pynq-lfc-w1a1", "bnn-pynq-lfc-w1a2"} <= set(found)
    for name, path in found.items():
        assert catalogue.find_overlay(name).name == name
        assert catalogue.find_overlay(path).path == path
        assert catalogue.find_overlay(str(path / "overlay.json")).name == name


def test_every_shipped_network_loads_under_its_own_name():
    for name, path in catalogue.networks().items():
        network = catalogue.find_network(name)
        assert network.name == name and network.path == path
        assert set(network.overlays) <= set(catalogue.overlays())


def test_search_path_comes_before_the_users_folder_and_the_package(tmp_path, monkeypatch):
    one = network_folder(tmp_path / "one" / "mine")
    other = network_folder(tmp_path / "many" / "other")
    network_folder(tmp_path / "many" / "mine")
    network_folder(tmp_path / "many" / ".hidden")
    (tmp_path / "many" / "file").write_text("")
    (tmp_path / "many" / "empty").mkdir()
    user = network_folder(catalogue.data_folder() / "networks" / "user")
    try:
        path = os.pathsep.join([str(one), "", str(tmp_path / "many"), str(tmp_path / "nowhere")])
        monkeypatch.setenv("QNN_PYNQ_PATH", path)
        found = catalogue.networks()
        assert found["mine"] == one and found["other"] == other and found["user"] == user
        assert ".hidden" not in found and "empty" not in found
        monkeypatch.setenv("QNN_PYNQ_PATH", "")
        assert "mine" not in catalogue.networks()
    finally:
        shutil.rmtree(str(user))


def test_users_overlay_shadows_the_shipped_one(tmp_path, monkeypatch):
    shutil.copytree(str(SHIPPED / "bnn-pynq-lfc-w1a1"), str(tmp_path / "bnn-pynq-lfc-w1a1"))
    monkeypatch.setenv("QNN_PYNQ_PATH", str(tmp_path))
    assert catalogue.find_overlay("bnn-pynq-lfc-w1a1").path == tmp_path / "bnn-pynq-lfc-w1a1"


def test_broken_network_is_listed_and_says_why_when_loaded(tmp_path, monkeypatch):
    network_folder(tmp_path / "broken", '{"format": 3}')
    network_folder(tmp_path / "worse", "not JSON")
    (tmp_path / "worst" / "network.json").mkdir(parents=True)
    monkeypatch.setenv("QNN_PYNQ_PATH", str(tmp_path))
    found = catalogue.networks()
    assert "broken" in found and "worse" in found and "worst" not in found
    with pytest.raises(DescriptorError, match="format: 3 is no string"):
        catalogue.find_network("broken")
    with pytest.raises(DescriptorError, match="no JSON"):
        catalogue.find_network(found["worse"])


def test_unknown_names_come_with_near_ones(tmp_path):
    with pytest.raises(NotFoundError, match='"bnn-pynq-lfc-w1a3" not found; did you mean bnn-pynq-lfc-w1a'):
        catalogue.find_overlay("bnn-pynq-lfc-w1a3")
    with pytest.raises(NotFoundError, match="known: .*bnn-pynq-lfc-w1a1, bnn-pynq-lfc-w1a2"):
        catalogue.find_overlay("zzzzzzz")
    with pytest.raises(NotFoundError, match="expected a folder with network.json"):
        catalogue.find_network(tmp_path / "nowhere")
    with pytest.raises(NotFoundError):
        catalogue.find_network("")


class NoPath:
    def __fspath__(self):
        return 5


@pytest.mark.parametrize("name", ["x" * 5000, "x/" * 5000, "x" * 5000 + ".json", "a\0b", "\ud800", "~" * 5000])
def test_what_can_be_no_path_is_not_found(name):
    for find in (catalogue.find_network, catalogue.find_overlay):
        with pytest.raises(NotFoundError, match="not found|expected a folder") as caught:
            find(name)
        assert len(str(caught.value)) < 600


@pytest.mark.parametrize("name", [None, 5, b"lfc", NoPath()])
def test_what_is_no_path_is_refused(name):
    with pytest.raises(NotFoundError, match="expected a name or the path"):
        catalogue.find_network(name)


def test_an_entry_of_the_search_path_may_be_too_long(monkeypatch, caplog):
    monkeypatch.setenv("QNN_PYNQ_PATH", "x" * 5000)
    assert "lfc-w1a1-mnist" in catalogue.networks()
    assert "QNN_PYNQ_PATH names xxx" in caplog.text and len(caplog.text) < 600


def test_relative_folder_is_a_path(tmp_path, monkeypatch):
    network_folder(tmp_path / "mine", "oops")
    monkeypatch.chdir(tmp_path)
    for name in ("mine", "./mine", "mine/network.json", Path("mine")):
        with pytest.raises(DescriptorError, match="no JSON"):
            catalogue.find_network(name)


def test_cache_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert catalogue.cache_folder() == tmp_path / "qnn-pynq"
    monkeypatch.setenv("QNN_PYNQ_CACHE", str(tmp_path / "c"))
    assert catalogue.cache_folder() == tmp_path / "c"
    monkeypatch.delenv("QNN_PYNQ_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert catalogue.cache_folder() == tmp_path / "home" / ".cache" / "qnn-pynq"
    monkeypatch.delenv("XDG_DATA_HOME")
    assert catalogue.data_folder() == tmp_path / "home" / ".local" / "share" / "qnn-pynq"


def test_missing_files_say_what_to_put_where():
    overlay = catalogue.find_overlay("bnn-pynq-lfc-w1a1")
    with pytest.raises(OverlayMissingError) as caught:
        catalogue.overlay_files("bnn-pynq-lfc-w1a1")
    text = str(caught.value)
    assert "qnn-pynq overlays fetch bnn-pynq-lfc-w1a1" in text
    for file in overlay.files.values():
        assert f"put {file.urls[0]} to {catalogue.cached_path(overlay, file)}" in text


def test_the_catalogue_needs_neither_boards_nor_kernels():
    code = "import sys, qnn_pynq.catalogue, qnn_pynq.fetch; print([m for m in sys.modules if 'qnn' in m])"
    root = str(Path(__file__).resolve().parent.parent)
    out = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, check=True, cwd=root
    ).stdout.decode()
    assert "qnn_pynq.catalogue" in out
    for part in ("boards", "drivers", "kernels", "twins", "families"):
        assert "qnn_pynq." + part not in out


def test_a_board_takes_the_first_overlay_and_an_emulated_one_the_first_that_is_quick():
    def names(network, emulated):
        return [overlay.name for overlay in catalogue.default_overlays(catalogue.find_network(network), emulated)]

    assert names("lfc-w1a1-mnist", False) == ["engine-z7020-32x2"]
    assert names("lfc-w1a1-mnist", True) == ["bnn-pynq-lfc-w1a1"]
    assert names("lfc-w1a1-sums-mnist", True) == ["engine-z7020-32x2"]  # no other computes it


@pytest.mark.parametrize("board, expected", [("emulated", True), ("rtl", False), ("zynq", False), (5, False)])
def test_what_a_name_of_a_board_gives_is_known_before_it_is_opened(board, expected):
    assert emulates(board) is expected
    with open_board("emulated") as opened:
        assert emulates(opened)
