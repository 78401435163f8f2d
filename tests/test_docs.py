"""What the documentation shows is what the library does."""
from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from qnn_pynq import Classifier
from qnn_pynq.catalogue import networks, overlays
from qnn_pynq.networks import load_network

ROOT = Path(__file__).resolve().parent.parent


def blocks(page: str, language: str) -> list:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.S)


def test_the_network_written_by_hand_loads_and_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, _ = blocks("docs/formats.md", "python")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "docs/formats.md", "exec"), {})  # the page's own example
    assert load_network(tmp_path).name == "by-hand"
    picture = np.arange(784, dtype=np.uint8)
    with Classifier(tmp_path, board="emulated") as board, Classifier(tmp_path, board="cpu") as cpu:
        assert board.predict(picture) == cpu.predict(picture)


def test_the_convolutional_network_written_by_hand_loads_and_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, code = blocks("docs/formats.md", "python")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "docs/formats.md", "exec"), {})
    assert load_network(tmp_path).name == "by-hand-conv"
    pictures = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    with Classifier(tmp_path, board="emulated") as board, Classifier(tmp_path, board="cpu") as cpu:
        codes = cpu.features(pictures)
        assert codes.shape == (3, 4, 4, 64) and set(codes.ravel()) == {0, 1, 2, 3}
        assert np.array_equal(board.features(pictures), codes)
        assert np.array_equal(board.decision_function(pictures), cpu.decision_function(pictures))


def test_the_example_descriptor_has_the_fields_of_a_real_one() -> None:
    example, convolutional, segments = (json.loads(block) for block in blocks("docs/formats.md", "json"))
    real = json.loads((networks()["lfc-w1a1-mnist"] / "network.json").read_text(encoding="utf-8"))
    assert set(example) == set(real)
    assert set(example["layers"][0]) == set(real["layers"][0]) and set(example["input"]) == set(real["input"])
    real = json.loads((networks()["dorefa-w1a2-imagenette"] / "network.json").read_text(encoding="utf-8"))
    assert set(convolutional) <= set(real) and set(convolutional["input"]) == set(real["input"])
    assert [set(layer) for layer in convolutional["layers"]] == [set(real["layers"][k]) for k in (0, 1, 2, -1)]
    assert set(overlays()) >= set(segments["overlays"] + [one["overlay"] for one in segments["segments"]])


def test_the_example_descriptors_keep_to_the_schema() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((ROOT / "docs" / "network.schema.json").read_text(encoding="utf-8"))
    example, convolutional, segments = (json.loads(block) for block in blocks("docs/formats.md", "json"))
    jsonschema.validate(example, schema)
    jsonschema.validate({**convolutional, **segments}, schema)


def test_every_link_within_a_page_has_its_heading() -> None:
    for page in sorted((ROOT / "docs").glob("*.md")):
        text = page.read_text(encoding="utf-8")
        for target, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", text):
            where = (page.parent / target).read_text(encoding="utf-8") if target else text
            headings = re.findall(r"^#+ (.*)$", where, re.M)
            known = [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]
            known += [name + "-1" for name in known if known.count(name) > 1]
            assert anchor in known, f"{page.name}: #{anchor}"


@pytest.mark.skipif(not (ROOT / "qnn_pynq").exists(), reason="the pages link to files of a checkout")
def test_every_local_link_leads_somewhere() -> None:
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


PAGES = ["README.md", "CONTRIBUTING.md", "training/README.md",
         *(f"docs/{page.name}" for page in sorted(ROOT.glob("docs/*.md")))]
PLACES = "qnn_pynq|tests|tools|benchmarks|training|docs|csrc|overlays|params|notebooks"


@pytest.mark.skipif(not (ROOT / "qnn_pynq").exists(), reason="the pages name files of a checkout")
@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_a_page_names_is_there(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for name in re.findall(rf"(?<![\w/.]|~)((?:{PLACES})/[\w./*-]*\w)", text):
        if not re.search(r"[A-Z]{4}|mnist/lfc", name):  # NAME stands for one; upstream's folder
            assert list(ROOT.glob(name)), name


def test_the_readme_names_every_shipped_network_and_overlay_with_its_accuracy() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in overlays():
        assert f"`{name}`" in text
    for name, path in networks().items():
        test = load_network(path).provenance["accuracy"]["test"]
        assert re.search(rf"`{name}`.*\*\*{100 * test:.2f} %\*\*", text), name
