"""What `qnn_pynq` exports at its top: enough for all that is documented, there for people, tools and type checkers."""

from __future__ import annotations

import ast
import inspect
import json
import pydoc
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Iterator

import pytest

import qnn_pynq

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "training" / "README.md",
         *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "notebooks").glob("*.ipynb"))]
# Dotted names that are no import: a logger's, an entry-point group's, the extension's, a data package's, and files.
NO_MODULE = {"families", "layers", "testing", "overlays", "params", "notebooks", "_kernels", "egg"}
checkout = pytest.mark.skipif(not (ROOT / "notebooks").is_dir(), reason="the pages lie beside a checkout")


def text_of(page: Path) -> str:
    text = page.read_text(encoding="utf-8")
    if page.suffix != ".ipynb":
        return text
    return "\n\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])


def imports(text: str) -> Iterator[tuple[str, str]]:
    """(module, name) of each import from the package in a text, in whatever words stand around it."""
    for module, names in re.findall(r"\bfrom (qnn_pynq[\w.]*) import (\([^)]*\)|[^#\n]*)", text):
        for name in names.strip("()").split(","):
            yield module, name.split(" as ")[0].strip()
    for module in re.findall(r"(?m)^\s*import (qnn_pynq[\w.]*)", text):
        yield module, ""
    for module in re.findall(r"-m (qnn_pynq[\w.]*)", text):
        yield module, ""


def dotted(text: str) -> set[str]:
    """`qnn_pynq.x.y` anywhere in a text: "x.y"."""
    return set(re.findall(r"\bqnn_pynq\.([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)", text))


@checkout
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_page_uses_a_deeper_path(page: Path) -> None:
    text = text_of(page)
    for module, name in imports(text):
        assert module in ("qnn_pynq", "qnn_pynq.errors", "qnn_pynq.testing"), (module, name)
        assert not name or hasattr(import_module(module), name), (module, name)
        assert module != "qnn_pynq" or not name or name in qnn_pynq.__all__, name
    for name in dotted(text):
        first = name.split(".")[0]
        assert first in NO_MODULE or first in qnn_pynq.__all__, name


def test_what_counts_as_a_deeper_path() -> None:
    text = ("from qnn_pynq.faults import (Fault,\n    FaultPlan as Plan)\nimport qnn_pynq.streams as s\n"
            "`python -m qnn_pynq.reliability.x NAME`, see `qnn_pynq.classifier.results`")
    assert list(imports(text)) == [("qnn_pynq.faults", "Fault"), ("qnn_pynq.faults", "FaultPlan"),
                                   ("qnn_pynq.streams", ""), ("qnn_pynq.reliability.x", "")]
    assert "classifier.results" in dotted(text)


@pytest.mark.parametrize("name", qnn_pynq.__all__)
def test_every_name_resolves_and_is_documented(name: str) -> None:
    found = getattr(qnn_pynq, name)
    if name == "__version__":
        assert re.fullmatch(r"\d+\.\d+\.\d+", found)
        return
    assert (found.__name__.split(".")[-1] if isinstance(found, ModuleType) else found.__name__) == name
    text = inspect.getdoc(found) or ""
    assert text and not text.startswith(f"{name}("), "the docstring that a dataclass writes itself says nothing"
    assert re.search(rf"`{name}\b", qnn_pynq.__doc__ or "")


@checkout
@pytest.mark.parametrize("name", qnn_pynq.__all__)
def test_the_guide_names_every_name(name: str) -> None:
    guide = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")
    assert re.search(rf"^\| [^|]*`{name}\b", guide, re.M)


@pytest.mark.parametrize("name", import_module("qnn_pynq.errors").__all__)
def test_every_error_is_exported_by_errors(name: str) -> None:
    error = getattr(qnn_pynq.errors, name)
    assert issubclass(error, (qnn_pynq.QnnError, qnn_pynq.errors.QnnWarning)) and error.__doc__


def test_no_error_is_defined_elsewhere() -> None:
    folder, known = Path(qnn_pynq.__file__).parent, set(qnn_pynq.errors.__all__)
    found = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and {getattr(base, "id", "") for base in node.bases} & known:
                found.add((path.relative_to(folder).as_posix(), node.name))
    assert {name for path, name in found if path == "errors.py"} == known - {"QnnError", "QnnWarning"}
    assert {path for path, _ in found} == {"errors.py"}


def test_people_and_tools_see_the_names_before_they_are_used() -> None:
    code = "import qnn_pynq\nprint(*dir(qnn_pynq))"
    out = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True).stdout.decode().split()
    assert set(qnn_pynq.__all__) <= set(out)
    shown = pydoc.plain(pydoc.render_doc(qnn_pynq))
    for name in set(qnn_pynq.__all__) - {"__version__"}:  # which pydoc shows as VERSION
        assert re.search(rf"\b{name}\b", shown), name
    assert "class Classifier" in shown and "prepare(picture" in shown


def test_listing_the_names_imports_nothing_heavy() -> None:
    code = ("import sys, qnn_pynq\ndir(qnn_pynq)\nqnn_pynq.errors.InputError\nfrom qnn_pynq import QnnError, demo\n"
            "print([m for m in ('numpy', 'PIL', 'torch', 'pynq', 'cffi', 'matplotlib', 'av') if m in sys.modules])")
    out = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True).stdout.decode()
    assert out.strip() == "[]"


def test_a_type_checker_reads_the_homes_that_python_takes() -> None:
    tree = ast.parse(Path(qnn_pynq.__file__).read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    homes = {}
    for node in block.body:
        assert isinstance(node, ast.ImportFrom)
        for alias in node.names:
            whole = ".".join(filter(None, ("qnn_pynq", node.module, alias.name)))
            home = whole if isinstance(getattr(qnn_pynq, alias.name), ModuleType) else ":".join(whole.rsplit(".", 1))
            homes[alias.name] = home
    assert homes == qnn_pynq._HOME
    assert {*homes, "__version__"} == set(qnn_pynq.__all__) and sorted(qnn_pynq.__all__) == qnn_pynq.__all__


@pytest.mark.slow
def test_under_mypy_strict_the_names_are_classes_and_functions(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    (tmp_path / "program.py").write_text(
        "from qnn_pynq import Classifier, errors, prepare\nreveal_type(Classifier)\nreveal_type(prepare)\n"
        "def load(error: errors.InputError) -> Classifier:\n    return Classifier('x')\n"
    )
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "--cache-dir", str(tmp_path / "c")]
    done = subprocess.run([*command, str(tmp_path / "program.py")], stdout=subprocess.PIPE, cwd=str(ROOT))
    out = done.stdout.decode()
    assert done.returncode == 0, out
    assert "qnn_pynq.classifier.classifier.Classifier" in out and "def (picture: Any" in out


def test_the_path_of_before_goes_on_working() -> None:
    from qnn_pynq.classifier import Classifier
    from qnn_pynq.errors import QnnError

    assert Classifier is qnn_pynq.Classifier and QnnError is qnn_pynq.QnnError
