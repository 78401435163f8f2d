"""The threat notes of docs/reliability.md against the package: what is never imported and never called."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Iterator

import pytest

import qnn_pynq

PACKAGE = Path(qnn_pynq.__file__).resolve().parent
MODULES = sorted(PACKAGE.rglob("*.py"))
# pickletools is not among them: it names opcodes and executes none.
NEVER_IMPORTED = {"pickle", "cPickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "subprocess", "pty",
                  "runpy"}
NEVER_CALLED = ("os.system", "os.popen", "os.exec", "os.posix_spawn", "os.spawn", "urllib.request.url")
COMPILES = {"boards/rtl/build.py": ["import subprocess"]}  # Verilator and a compiler, for the simulated board
BARE = ("eval", "exec", "__import__", "urlopen", "urlretrieve")  # `network.eval()` of torch evaluates nothing
NEEDED = {"np.load": ("allow_pickle", False), "torch.load": ("weights_only", True)}


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield (node.module or "").split(".")[0]


def _dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return _dotted(node.value) + "." + node.attr
    return node.id if isinstance(node, ast.Name) else "?"


def faults(text: str) -> list[str]:
    """What the notes say that there is none of."""
    tree = ast.parse(text)
    found = ["import " + name for name in _imports(tree) if name in NEVER_IMPORTED]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = _dotted(node.func)
            keywords = {each.arg: getattr(each.value, "value", None) for each in node.keywords}
            if name in BARE or name.startswith(NEVER_CALLED):
                found.append(name)
            if name in NEEDED and keywords.get(NEEDED[name][0]) is not NEEDED[name][1]:
                found.append("{} without {}={}".format(name, *NEEDED[name]))
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_pickle_no_eval_no_shell_no_subprocess(path: Path) -> None:
    allowed = COMPILES.get(path.relative_to(PACKAGE).as_posix(), [])
    assert faults(path.read_text(encoding="utf-8")) == allowed


@pytest.mark.parametrize("text", [
    "import pickle", "from subprocess import run", "eval('1')", "os.system('x')", "np.load('x')",
    "np.load('x', allow_pickle=True)", "torch.load('x')"])
def test_the_check_can_fail(text: str) -> None:
    assert faults(text)
