"""What the tests of training share."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def one_thread() -> Any:
    """PyTorch computes on one thread: sums come in the same order, and tests side by side do not fight for cores."""
    torch = pytest.importorskip("torch", reason="training needs PyTorch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
