"""A .hwh that is none: always our error. What a design's says is compared in tests/boards/test_zynq_streams.py."""
from __future__ import annotations

import pytest
from stream_circuits import EXAMPLES

from qnn_pynq.errors import DescriptorError
from qnn_pynq.streams.hwh import check_hwh


@pytest.mark.parametrize("content", [
    b"", b"\0" * 9, b"<a>" * 9999, b'<?xml version="1.0" encoding="none"?><a/>',
    b'<?xml version="1.0" encoding="utf-7"?><a/>', b'<?xml version="1.0" encoding="idna"?><a>\x81</a>'])
def test_what_is_no_hwh_is_refused(content, tmp_path):
    path = tmp_path / "design.hwh"
    path.write_bytes(content)
    with pytest.raises(DescriptorError, match="design.hwh: no .hwh: "):
        check_hwh(EXAMPLES["loopback"], path)
