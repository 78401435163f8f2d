"""The contract's suite fails for drivers and twins that break it: each of these forgets one thing."""
from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent

# What is changed in the text, into what, and a test that must notice.
BROKEN = [
    ("driver", "self.board.require(self)", "pass", "whoever_lost_the_board"),
    ("driver", "if self.displaced:", "if False:", "configured_anew"),
    ("driver", "        if self._active:\n            raise BoardBusyError",
     "        if False:\n            raise BoardBusyError", "in_flight"),
    ("driver", "if images > self._put:", "if False:", "start_without_inputs"),
    ("driver", "if not 1 <= images <= self.capacity:", "if False:", "more_pictures"),
    ("driver", "or values.dtype != np.uint8 or", "or", "shape_or_dtype"),
    ("driver", "self._closed, self.network = True, None", "self.network = None", "after_close"),
    ("driver", "self._closed, self.network = True, None", "self._closed = True", "after_close"),
    ("driver", "            if not self._active:\n                raise BoardError",
     "            if False:\n                raise BoardError", "finish_without_a_start"),
    ("driver", "lambda: self._cancelled)", "None)", "cancel"),
    ("driver", "if missing:", "if False:", "goes_wrong"),
    ("driver", "self._results.invalidate(4", "len((4", "references"),
    ("driver", "self._pictures.flush(images", "len((images", "references"),
    ("driver", "        self._templates.close()\n", "", "left_behind"),
    ("driver", "self.board.release(self)", "pass", "left_behind"),
    ("driver", "refuse(f\"layer {at}: {len(layer.templates)} templates",
     "str(f\"layer {at}: {len(layer.templates)} templates", "does_not_compute"),
    ("driver", "np.dtype(np.int32))", "np.dtype(np.int64))", "ports"),
    ("driver", "_FINISHED | _NEVER), timeout,", "_FINISHED | _NEVER), 9 * timeout + 9,", "hang_ends"),
    ("driver", "if self.board.in_flight is self and", "if self.board.in_flight is None and", "close_after_a_hang"),
    ("driver", "network.layers[at + 1 :])", "network.layers[at + 2 :])", "split"),
    ("driver", "self._active = 0  # gone with the logic", "pass", "hang_ends"),
    ("driver", "self._profile = (LayerProfile(self._index", "self._profile = (LayerProfile(self._index + 9", "times"),
    ("driver", "kind = \"mirror\"", "kind = \"glass\"", "kind_is_registered"),
    ("driver", "self._started = self.board.accelerator_seconds",
     "self._started = self.board.accelerator_seconds\n        registers.read(4 * len(self.board.kind))", "replayed"),
    ("twin", "sums = self._offsets - ", "sums = self._offsets + ", "references"),
]


def run(installed: Path, tmp_path: Path, tests: str = "") -> subprocess.CompletedProcess:
    """The suite as an author runs it, apart from this checkout's own fixtures."""
    (tmp_path / "test_mine.py").write_text("from test_plugin_contract import TestMirror\n", encoding="utf-8")
    paths = [str(installed), str(HERE), os.environ.get("PYTHONPATH", "")]
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(filter(None, paths)),
                       QNN_PYNQ_PATH=str(installed / "qnn_pynq_mirror" / "data"))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path),
               str(tmp_path / "test_mine.py"), *(["-k", tests] if tests else [])]
    return subprocess.run(command, env=environment, cwd=str(tmp_path), timeout=300, capture_output=True, text=True)


def test_the_suite_passes_outside_of_this_checkout(target: Path, tmp_path: Path) -> None:
    done = run(target, tmp_path)
    assert done.returncode == 0 and " passed" in done.stdout, done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("module, text, other, test", BROKEN, ids=["{3}-{1:.24}".format(*one) for one in BROKEN])
def test_what_is_forgotten_is_noticed(
    module: str, text: str, other: str, test: str, target: Path, tmp_path: Path
) -> None:
    shutil.copytree(str(target), str(tmp_path / "installed"))
    file = tmp_path / "installed" / "qnn_pynq_mirror" / (module + ".py")
    source = file.read_text(encoding="utf-8")
    assert source.count(text) == 1
    file.write_text(source.replace(text, other), encoding="utf-8")
    done = run(tmp_path / "installed", tmp_path, test)
    assert done.returncode == 1 and " failed" in done.stdout, done.stdout
