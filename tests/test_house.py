"""The plan of the package: which module may import which, read from the source without running it."""
from __future__ import annotations

import ast
from pathlib import Path
from typing import Iterator

import pytest

import qnn_pynq

ROOT = Path(qnn_pynq.__file__).resolve().parent

# Storeys from the top down: a wing (a folder), or a module of the package's root. An import runs to a lower storey or
# stays in its wing; wings of one storey know nothing of each other. "" is the package's own face.
STOREYS = (
    ("__main__",),
    ("testing",),
    ("cli",),
    ("",),
    ("diagnosis",),
    ("classifier",),
    ("reliability",),
    ("engines", "train"),
    ("streams", "convert"),
    ("datasets", "fetch", "demo"),
    ("boards",),
    ("families",),
    ("catalogue",),
    ("pictures",),
    ("networks",),
    ("overlay",),
    ("contracts",),
    ("kernels",),
    ("files", "faults"),
    ("errors", "_version"),
)
BESIDE = {"_build", "overlays", "params", "notebooks"}  # for setup.py, and data that lie in an installed package
# Parts of a wing that know nothing of each other.
APART = (("families.bnn_pynq", "families.qnn_mo", "families.engine"), ("train.dorefa", "train.lfc"))
COMPILED = {"_kernels"}  # has no source in Python
# Texts that are a module's name by chance: the logger, and the groups of entry points.
TEXTS = {"qnn_pynq", "qnn_pynq.families", "qnn_pynq.layers"}

def module_name(path: Path, root: Path) -> str:
    """"" for the package itself, "files.fields" for files/fields.py."""
    parts = list(path.relative_to(root).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def read_modules(root: Path) -> dict[str, ast.Module]:
    """Every module's tree by its name within the package."""
    return {module_name(path, root): ast.parse(path.read_text(encoding="utf-8"), str(path))
            for path in sorted(root.rglob("*.py"))}


def packages(root: Path) -> set[str]:
    return {module_name(path, root) for path in root.rglob("__init__.py")}


def within(name: str, package: str) -> bool:
    return not package or name == package or name.startswith(package + ".")


class Imports:
    """What each module imports, whenever it does: at once, in a function, for types only, or by a text."""

    def __init__(self, root: Path) -> None:
        self.trees = read_modules(root)
        self.packages = packages(root)
        self.arrows = {(name, to) for name, tree in self.trees.items() for to in self._of(name, tree) if to != name}

    def _of(self, name: str, tree: ast.Module) -> Iterator[str]:
        for node in ast.walk(tree):
            for found in self._named(name, node):
                # The module, and the faces that Python runs on the way to it.
                parts = found.split(".")
                for count in range(len(parts)):
                    package = ".".join(parts[: count])
                    if not within(name, package):
                        yield package
                yield found

    def _named(self, name: str, node: ast.AST) -> Iterator[str]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from self._absolute(alias.name)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                base = self._above(name, node.level)
                whole = ".".join(part for part in (base, node.module or "") if part)
            elif node.module and node.module.split(".")[0] == "qnn_pynq":
                whole = node.module[len("qnn_pynq."):]
            else:
                return
            for alias in node.names:
                inner = ".".join(part for part in (whole, alias.name) if part)
                if not COMPILED & {inner, whole}:
                    yield inner if inner in self.trees else whole
        elif isinstance(node, ast.Call) and node.args and _called(node) in ("import_module", "__import__"):
            text = _text(node.args[0])
            if text.startswith("."):
                level = len(text) - len(text.lstrip("."))
                inner = ".".join(part for part in (self._above(name, level), text.lstrip(".")) if part)
                if inner in self.trees:
                    yield inner
            else:
                yield from self._absolute(text)
        else:
            text = _text(node).partition(":")[0]
            if text not in TEXTS:
                yield from self._absolute(text)

    def _above(self, name: str, level: int) -> str:
        """The package that `level` dots stand for."""
        parts = name.split(".") if name else []
        drop = level - 1 if name in self.packages else level
        return ".".join(parts[: len(parts) - drop])

    def _absolute(self, text: str) -> Iterator[str]:
        if text == "qnn_pynq":
            yield ""
        elif text.startswith("qnn_pynq.") and text[len("qnn_pynq."):] in self.trees and text != "qnn_pynq.":
            yield text[len("qnn_pynq."):]


def _called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")


def _text(node: ast.AST) -> str:
    """A constant text, whatever version of Python made the tree."""
    value = getattr(node, "value", None) if isinstance(node, ast.Constant) else getattr(node, "s", None)
    return value if isinstance(value, str) else ""


def circles(arrows: set[tuple[str, str]]) -> set[frozenset[str]]:
    """Groups of modules each of which imports, by way of others, every other one."""
    onwards: dict[str, set[str]] = {}
    for one, other in arrows:
        onwards.setdefault(one, set()).add(other)

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        todo = list(onwards.get(start, ()))
        while todo:
            name = todo.pop()
            if name not in seen:
                seen.add(name)
                todo.extend(onwards.get(name, ()))
        return seen

    reach = {name: reached(name) for name in onwards}
    return {frozenset(other for other in names if name in reach.get(other, ())) for name, names in reach.items()
            if name in names}


def wing(name: str) -> str:
    return name.split(".")[0]


def storey(name: str) -> int:
    """Counted from the top."""
    return next(index for index, names in enumerate(STOREYS) if wing(name) in names)


@pytest.fixture(scope="module")
def imports() -> Imports:
    return Imports(ROOT)


def test_every_wing_and_root_module_has_its_storey(imports: Imports) -> None:
    placed = [name for names in STOREYS for name in names]
    assert len(placed) == len(set(placed))
    found = {wing(name) for name in imports.trees} - BESIDE
    assert found == set(placed)


def test_no_module_imports_itself_by_way_of_others(imports: Imports) -> None:
    assert circles(imports.arrows) == set()


def test_no_import_runs_upwards_or_to_a_wing_of_the_same_storey(imports: Imports) -> None:
    wrong = {(one, other) for one, other in imports.arrows
             if wing(one) != wing(other) and wing(one) not in BESIDE and storey(other) <= storey(one)}
    assert wrong == set()


def test_what_stands_apart_in_a_wing_does_not_import_the_other(imports: Imports) -> None:
    wrong = {(one, other) for one, other in imports.arrows for group in APART for a in group for b in group
             if a != b and within(one, a) and within(other, b)}
    assert wrong == set()


def test_contracts_import_nothing_sideways(imports: Imports) -> None:
    """So that an author of a family can read them without the rest of the house."""
    allowed = ("contracts", "errors", "faults", "files", "kernels")
    wrong = {(one, other) for one, other in imports.arrows if within(one, "contracts") and wing(other) not in allowed}
    assert wrong == set()


def test_an_import_by_text_has_the_whole_name_in_sight(imports: Imports) -> None:
    """A name put together at run time would be an arrow that nobody sees."""
    calls = [(name, node.lineno, type(node.args[0]).__name__) for name, tree in imports.trees.items()
             for node in ast.walk(tree)
             if isinstance(node, ast.Call) and node.args and _called(node) in ("import_module", "__import__")]
    assert calls
    assert [call for call in calls if call[2] not in ("Constant", "Str", "Name", "Subscript")] == []


def test_the_root_has_few_modules(imports: Imports) -> None:
    root = sorted(name for name in imports.trees if name and "." not in name and name not in imports.packages)
    assert len(root) <= 8, root


def test_every_module_says_what_it_offers(imports: Imports) -> None:
    """Except those that only have a docstring, and the one that Python runs."""
    without = {name for name, tree in imports.trees.items() if name != "__main__" and len(tree.body) > 1
               and not any(isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__"
                           for node in tree.body)}
    assert not without


# ---- the reader itself, on a house built for it


@pytest.fixture
def house(tmp_path: Path) -> Path:
    files = {
        "__init__.py": "",
        "a/__init__.py": "",
        "a/one.py": "def f():\n    from ..b import two\n",
        "a/kept.py": "from .one import f\nfrom . import one\n",
        "b/__init__.py": "from .two import g\n",
        "b/two.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ..c.three import h\n",
        "c/__init__.py": "",
        "c/three.py": "PLACE = 'qnn_pynq.a.one:f'\nGROUP = 'qnn_pynq.families'\n",
        "c/four.py": "import importlib\nimportlib.import_module('.three', __package__)\nimport qnn_pynq.a.kept\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_lazy_typing_and_text_imports_are_seen(house: Path) -> None:
    assert Imports(house).arrows == {
        ("a.one", "b"), ("a.one", "b.two"), ("a.kept", "a.one"), ("b", "b.two"), ("b.two", "c"), ("b.two", "c.three"),
        ("c.three", "a"), ("c.three", "a.one"), ("c.four", "c.three"), ("c.four", "a"), ("c.four", "a.kept"),
    }


def test_a_circle_through_lazy_typing_and_text_imports_is_found(house: Path) -> None:
    assert circles(Imports(house).arrows) == {frozenset({"a.one", "b", "b.two", "c.three"})}
