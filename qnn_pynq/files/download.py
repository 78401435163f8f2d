"""One file from the web, or none: resumed, verified by sha256, and put in place atomically."""

from __future__ import annotations

import fcntl
import hashlib
import http.client
import logging
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Iterator, Sequence

from .._version import __version__
from ..errors import DigestError, FetchError
from .foreign import FIRST, stand_in
from .progress import Progress

__all__ = ["TIMEOUT", "download", "is_web_address"]

TIMEOUT = 30.0  # seconds without a byte
_BLOCK = 1 << 16
_ATTEMPTS = 3
_log = logging.getLogger(__name__)
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)\Z")


class _Unusable(Exception):
    """This address does not give the file."""


class _Broken(_Unusable):
    """The connection failed; whatever came is kept, and resuming may help."""


class _Redirect(urllib.request.HTTPRedirectHandler):
    """Follows redirects within http and https only."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if not is_web_address(newurl):
            raise _Unusable(f"it redirects to {newurl}, which is neither http nor https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def is_web_address(text: str) -> bool:
    """True for http:// and https:// addresses, the only ones that are opened."""
    return urllib.parse.urlsplit(text).scheme in ("http", "https")


def download(
    urls: Sequence[str],
    target: Path,
    sha256: str,
    size: int | None = None,
    progress: bool = True,
    timeout: float = TIMEOUT,
) -> Path:
    """Fetch the file with this digest from the first of `urls` that has it.

    What has come of an interrupted download stays as a hidden `.part` file beside `target` and is resumed.
    Two processes that want the same file take turns; the second finds it done.

    Parameters
    ----------
    size
        Length in bytes, where it is known: a longer body is not read to its end.
    progress
        A tqdm bar where tqdm is installed, else lines of text; on a terminal only.
    timeout
        Seconds without a byte until an address is given up.

    Raises
    ------
    DigestError
        The contents are wrong at every address that answered; nothing is kept.
    FetchError
        No address answered, or the folder cannot be written.
    """
    if _has(target, sha256):
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _locked_part(target, sha256) as part:
            if part is not None:
                _from_any(urls, part, sha256, size, target.name, progress, timeout)
                part.flush()
                os.fsync(part.fileno())
                os.replace(part.name, str(target))
    except FetchError:
        raise
    except OSError as error:
        reason = error.strerror or error
        raise FetchError(
            f"cannot write {target}: {reason}; make room, or choose a folder that you may write to "
            "(QNN_PYNQ_CACHE names the cache)"
        ) from error
    return target


def _has(path: Path, sha256: str) -> bool:
    try:
        with path.open("rb") as stream:
            return _digest(stream) == sha256
    except OSError:
        return False


def _digest(stream: BinaryIO) -> str:
    found = hashlib.sha256()
    stream.seek(0)
    for block in iter(lambda: stream.read(_BLOCK), b""):
        found.update(block)
    return found.hexdigest()


@contextmanager
def _locked_part(target: Path, sha256: str) -> Iterator[BinaryIO | None]:
    """The part file, ours alone; None once somebody else has put `target` in place."""
    path = target.parent / f".{target.name}.{sha256[:12]}.part"
    while True:
        with open(str(path), "a+b") as part:
            _lock(part, target.name)
            if not _same(path, part):
                continue  # the one before us has put it in place, or removed it
            try:
                yield None if _has(target, sha256) else part
            finally:
                if _same(path, part) and (_length(part) == 0 or _has(target, sha256)):
                    path.unlink()
            return


def _lock(part: BinaryIO, name: str) -> None:
    try:
        fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        _log.info("%s: waiting for another download of it", name)
        fcntl.flock(part, fcntl.LOCK_EX)
    except OSError as error:  # some network file systems; the digest still guards the result
        _log.warning("%s: no file lock (%s)", name, error)


def _same(path: Path, stream: BinaryIO) -> bool:
    try:
        return os.path.samestat(os.stat(str(path)), os.fstat(stream.fileno()))
    except FileNotFoundError:
        return False


def _from_any(
    urls: Sequence[str],
    part: BinaryIO,
    sha256: str,
    size: int | None,
    name: str,
    progress: bool,
    timeout: float,
) -> None:
    """Fill `part` from one of `urls`, or empty it and raise."""
    failures: list[str] = []
    wrong = False
    for url in urls:
        try:
            actual = _from_one(url, part, sha256, size, name, progress, timeout)
        except _Unusable as error:
            failures.append(f"{url}: {error}")
            continue
        if actual == sha256:
            return
        wrong = True
        part.seek(0)
        failures.append(f"{url}: sha256 is {actual}, expected {sha256}{_said(part.read(FIRST))}")
        part.truncate(0)
    kind = DigestError if wrong else FetchError
    raise kind("{} could not be fetched\n  {}".format(name, "\n  ".join(failures or ["it has no address"])))


def _from_one(
    url: str, part: BinaryIO, sha256: str, size: int | None, name: str, progress: bool, timeout: float
) -> str:
    """The digest of what `url` has. A broken connection is resumed while it brings anything at all."""
    resumed = _length(part) > 0
    for attempt in range(_ATTEMPTS):
        before = _length(part)
        try:
            _receive(url, part, size, name, progress, timeout)
            break
        except _Broken:
            if attempt == _ATTEMPTS - 1 or _length(part) <= before:
                raise
            _log.info("%s: the connection broke after %d bytes: resuming", name, _length(part))
            resumed = True
    actual = _digest(part)
    if actual != sha256 and resumed:  # the first half may be of another file: once more from the start
        part.truncate(0)
        _receive(url, part, size, name, progress, timeout)
        actual = _digest(part)
    return actual


def _length(part: BinaryIO) -> int:
    return part.seek(0, os.SEEK_END)


def _receive(url: str, part: BinaryIO, size: int | None, name: str, progress: bool, timeout: float) -> None:
    """Append what is missing of `url` to `part`."""
    have = _length(part)
    if size is not None and have >= size:
        if have == size:
            return
        part.truncate(0)
        have = _length(part)
    headers = {"User-Agent": "qnn-pynq/" + __version__}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        answer = _opener().open(urllib.request.Request(url, headers=headers), timeout=timeout)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code != 416 or not have:  # 416: the server's file ends before our part does
            raise _Unusable(f"the server answered {error.code} {error.reason}") from None
        part.truncate(0)
        _receive(url, part, size, name, progress, timeout)
        return
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _Broken(str(getattr(error, "reason", "") or error) or type(error).__name__) from None
    with answer:
        expected = _expected_length(answer, part, have)
        if size is not None and expected is not None and expected != size:
            part.truncate(0)
            raise _Unusable(f"it has {expected} bytes, expected {size}{_said(_first(answer))}")
        total = size if size is not None else expected
        _copy(answer, part, total, Progress(name, total, _length(part), progress))


def _opener() -> urllib.request.OpenerDirector:
    """http and https, proxies and redirects, and no other scheme (build_opener adds file: and ftp:)."""
    opener = urllib.request.OpenerDirector()
    opener.add_handler(urllib.request.ProxyHandler())
    opener.add_handler(urllib.request.UnknownHandler())
    opener.add_handler(urllib.request.HTTPHandler())
    opener.add_handler(urllib.request.HTTPSHandler())
    opener.add_handler(urllib.request.HTTPDefaultErrorHandler())
    opener.add_handler(urllib.request.HTTPErrorProcessor())
    opener.add_handler(_Redirect())
    return opener


def _expected_length(answer: Any, part: BinaryIO, have: int) -> int | None:
    """Length of the whole file as the server says; empties `part` where it sends everything again."""
    match = _RANGE.match(answer.headers.get("Content-Range", "")) if answer.status == 206 else None
    if match and int(match.group(1)) == have:
        return None if match.group(2) == "*" else int(match.group(2))
    if answer.status == 206:
        part.truncate(0)
        raise _Broken("it sent another range than was asked for")
    part.truncate(0)
    part.seek(0)
    length = answer.headers.get("Content-Length", "")
    return int(length) if length.isdigit() else None


def _first(answer: Any) -> bytes:
    """The beginning of a body that is refused; nothing where that breaks off, too."""
    try:
        found: bytes = answer.read(FIRST)
    except (OSError, http.client.HTTPException):
        return b""
    return found


def _said(data: bytes) -> str:
    """What came, where its first bytes tell."""
    kind = stand_in(data)
    return "" if kind is None else f" (it is {kind.what})"


def _copy(answer: Any, part: BinaryIO, total: int | None, show: Progress) -> None:
    have = _length(part)
    with show:
        while total is None or have <= total:
            try:
                block = answer.read(_BLOCK)
            except (OSError, http.client.HTTPException) as error:
                part.flush()
                problem = "the connection broke after {} bytes ({})"
                raise _Broken(problem.format(have, error or type(error).__name__)) from None
            if not block:
                break
            part.write(block)
            have += len(block)
            show.step(len(block))
    part.flush()
    if total is not None and have < total:
        raise _Broken(f"it ended after {have} of {total} bytes")
    if total is not None and have > total:
        part.truncate(0)
        raise _Unusable(f"it has more than the expected {total} bytes")
