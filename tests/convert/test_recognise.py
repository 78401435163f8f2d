"""Folders of published parameters are told by their files, damaged ones too; layouts as the specs list them."""

from __future__ import annotations

from pathlib import Path

import pytest

from qnn_pynq.convert.bnn_pynq import import_bnn_pynq
from qnn_pynq.convert.qnn_mo import import_qnn_mo
from qnn_pynq.convert.recognise import parameters_below, parameters_of
from qnn_pynq.errors import ConversionError, DescriptorError

LFC = {0: 32, 1: 64, 2: 32, 3: 16}
CNV_W1 = {0: 16, 1: 32, 2: 16, 3: 16, 4: 4, 5: 1, 6: 1, 7: 1, 8: 4}
CNV_W2 = {0: 8, 1: 16, 2: 8, 3: 8, 4: 4, 5: 1, 6: 1, 7: 2, 8: 4}
SETS = {
    "lfc": (LFC, 256),
    "cnvW1A1": (CNV_W1, 32),
    "cnvW1A2": (CNV_W1, 64),
    "cnvW2A2": (CNV_W2, 128),
    "qnn-mo": (dict.fromkeys(range(8), 32), 24),
}


def write_set(folder: Path, kind: str) -> Path:
    """The files of a published set, with the real names and the real size of 0-*-thres.bin."""
    layers, size = SETS[kind]
    folder.mkdir(parents=True)
    for layer, count in layers.items():
        for pe in range(count):
            (folder / f"{layer}-{pe}-weights.bin").write_bytes(bytes(8))
            if layer < 8:
                (folder / f"{layer}-{pe}-thres.bin").write_bytes(bytes(size))
    (folder / "classes.txt").write_text("a\nb\n")
    return folder


@pytest.mark.parametrize("kind", sorted(SETS))
def test_each_published_kind_is_told_and_one_file_less_or_more_does_not_matter(kind, tmp_path):
    folder = write_set(tmp_path / "set", kind)
    assert parameters_of(folder) == kind
    (folder / "0-0-weights.bin").unlink()
    (folder / "0-0-thres.bin").unlink()
    assert parameters_of(folder) == kind
    (folder / "3-33-weights.bin").write_bytes(b"")
    (folder / "notes-0-weights.bin").write_bytes(b"")
    assert parameters_of(folder) == kind


def test_published_sets_are_told(golden):
    for name in ("lfcW1A1", "lfcW1A2"):
        assert parameters_of(golden / "bnn-pynq" / "params" / "mnist" / name) == "lfc"
    assert parameters_of(golden / "qnn-mo" / "params" / "binparam-dorefanet") == "qnn-mo"
    assert parameters_of(golden / "qnn-mo" / "params") == ""


@pytest.mark.parametrize("kind", ["cnvW1A1", "cnvW1A2", "cnvW2A2"])
def test_a_cnv_folder_is_called_what_it_is(kind, tmp_path):
    folder = write_set(tmp_path / "set", kind)
    with pytest.raises(ConversionError, match=f"set holds the parameters of {kind} .*only those of the LFC overlays"):
        import_bnn_pynq(folder)
    with pytest.raises(DescriptorError, match=rf"BNN-PYNQ parameters \(of {kind}\): import them as bnn-pynq"):
        import_qnn_mo(folder)


def test_parameters_of_the_other_importer_name_it(tmp_path):
    folder = write_set(tmp_path / "binparam-net", "qnn-mo")
    with pytest.raises(ConversionError, match="QNN-MO-PYNQ network .*import it as qnn-mo"):
        import_bnn_pynq(folder)
    (tmp_path / "net-layers.json").write_text("{}")
    with pytest.raises(ConversionError, match="holds a layer list of QNN-MO-PYNQ: import it as qnn-mo"):
        import_bnn_pynq(tmp_path)
    with pytest.raises(DescriptorError, match="no layer list: pass net-layers.json in the folder above"):
        import_qnn_mo(folder)
    with pytest.raises(DescriptorError, match=r"\(of an LFC\): import them as bnn-pynq"):
        import_qnn_mo(write_set(tmp_path / "lfc", "lfc"))


def test_a_folder_of_parameter_folders_names_them_and_one_to_pass(tmp_path):
    for place, kind in (("b/lfcW1A1", "lfc"), ("a/cnvW1A1", "cnvW1A1"), (".c/lfcW1A2", "lfc")):
        write_set(tmp_path / "params" / place, kind)
    (tmp_path / "params" / "b" / "again").symlink_to(tmp_path / "params")  # no endless way round
    found = [("a/cnvW1A1", "cnvW1A1"), ("b/lfcW1A1", "lfc")]
    assert parameters_below(tmp_path / "params") == found
    with pytest.raises(ConversionError) as caught:
        import_bnn_pynq(tmp_path / "params")
    text = str(caught.value)
    assert "a/cnvW1A1 (cnvW1A1), b/lfcW1A1 (lfc)" in text
    assert text.endswith("such as {}".format(tmp_path / "params" / "b" / "lfcW1A1"))
    with pytest.raises(ConversionError, match="cnvW1A1.*; none is of an LFC overlay"):
        import_bnn_pynq(tmp_path / "params" / "a")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConversionError, match="holds no parameters: expected files 0-0-weights.bin"):
        import_bnn_pynq(tmp_path / "empty")


def test_many_folders_are_counted_not_all_named(tmp_path):
    for number in range(15):
        folder = tmp_path / f"{number:02}"
        folder.mkdir()
        (folder / "0-0-weights.bin").write_bytes(b"")
    with pytest.raises(ConversionError, match="11 \\([^)]*\\) and 3 more; "):
        import_bnn_pynq(tmp_path)


def test_layer_lists_below_are_named(tmp_path):
    (tmp_path / "qnn" / "params").mkdir(parents=True)
    for name in ("dorefanet", "tinier-yolo"):
        (tmp_path / "qnn" / "params" / (name + "-layers.json")).write_text("{}")
    with pytest.raises(DescriptorError, match="but qnn/params/dorefanet-layers.json, qnn/params/tinier-yolo-layers.js"):
        import_qnn_mo(tmp_path)
