from __future__ import annotations

import builtins
import dataclasses
import hashlib
import http.server
import json
import multiprocessing
import os
import re
import socket
import sys
import threading
from pathlib import Path

import pytest
from bitfiles import bit_file, hwh_file

from qnn_pynq import catalogue, fetch
from qnn_pynq.errors import DescriptorError, DigestError, FetchError, OverlayMissingError
from qnn_pynq.fetch import fetch_overlay
from qnn_pynq.files import download
from qnn_pynq.overlay import load_overlay

SHIPPED = catalogue.overlays()["bnn-pynq-lfc-w1a1"]  # in the package or in the checkout
BIT = bit_file(frames=os.urandom(300_000 - len(bit_file(frames=b""))))
HWH = hwh_file(inner="<MODULE/>" * 2_000)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        web = self.server.web
        web.requests.append((self.path, self.headers.get("Range")))
        if self.path in web.redirects:
            self.send_response(302)
            self.send_header("Location", web.redirects[self.path])
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = web.files.get(self.path)
        if body is None:
            self.send_error(404)
            return
        match = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(match.group(1)) if match and web.ranges else 0
        if start and start >= len(body):
            self.send_response(416)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        if web.say_length:
            self.send_header("Content-Length", str(len(body) - start))
        self.send_header("Connection", "close")
        self.end_headers()
        sent = body[start:]
        if web.cuts:
            sent = sent[: web.cuts.pop(0)]
        if web.gate:
            web.gate.wait(10)
        self.wfile.write(sent)
        self.close_connection = True


class Web:
    """A server on the loopback that can be told to misbehave."""

    def __init__(self):
        self.files, self.redirects, self.requests, self.cuts = {}, {}, [], []
        self.ranges, self.say_length, self.gate = True, True, None
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.handle_error = lambda *_: None  # a client that goes away is what we test
        self.server.daemon_threads = True
        self.server.web = self
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def web(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    web = Web()
    web.files.update({"/a/x.bit": BIT, "/a/x.hwh": HWH})
    yield web
    web.server.shutdown()
    web.server.server_close()


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("QNN_PYNQ_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "overlays" / "toy"


@pytest.fixture
def overlay(web, cache, tmp_path):
    """A descriptor whose files the server has at its second address; the first is a 404."""
    text = json.loads((SHIPPED / "overlay.json").read_text())
    text["name"] = "toy"
    for key, name, body in (("bitstream", "x.bit", BIT), ("hwh", "x.hwh", HWH)):
        text["files"][key] = {
            "name": name,
            "size": len(body),
            "sha256": hashlib.sha256(body).hexdigest(),
            "urls": [web.url + "/gone/" + name, web.url + "/a/" + name],
        }
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "overlay.json").write_text(json.dumps(text))
    return load_overlay(tmp_path / "toy")


def parts(cache: Path):
    return [path for path in cache.iterdir() if path.name.endswith(".part")] if cache.is_dir() else []


def part_of(cache: Path, name: str, body: bytes) -> Path:
    return cache / f".{name}.{hashlib.sha256(body).hexdigest()[:12]}.part"


def test_fetches_verifies_and_stores(overlay, web, cache):
    with pytest.raises(OverlayMissingError) as missing:
        catalogue.overlay_files(overlay)
    assert str(cache / "x.bit") in str(missing.value) and "overlays fetch toy" in str(missing.value)
    found = fetch_overlay(overlay)
    assert found == {"bitstream": cache / "x.bit", "hwh": cache / "x.hwh"} == catalogue.overlay_files(overlay)
    assert found["bitstream"].read_bytes() == BIT and found["hwh"].read_bytes() == HWH
    assert sorted(path.name for path in cache.iterdir()) == ["x.bit", "x.hwh"]
    asked = len(web.requests)
    assert fetch_overlay(overlay) == found and len(web.requests) == asked  # nothing twice


def test_mirror_and_name_with_trailing_slash(overlay, web, cache):
    fetch_overlay(overlay, source=web.url + "/a/")
    assert [path for path, _ in web.requests] == ["/a/x.bit", "/a/x.hwh"]


def test_redirect_is_followed(overlay, web, cache):
    web.redirects["/gone/x.bit"] = web.url + "/a/x.bit"
    web.redirects["/gone/x.hwh"] = "/a/x.hwh"
    assert fetch_overlay(overlay)["hwh"].read_bytes() == HWH
    assert [path for path, _ in web.requests] == ["/gone/x.bit", "/a/x.bit", "/gone/x.hwh", "/a/x.hwh"]


@pytest.mark.parametrize("place", ["file:///etc/hosts", "ftp://127.0.0.1/x", "data:,x"])
def test_redirect_out_of_the_web_is_refused(overlay, web, cache, place):
    web.redirects["/m/x.bit"] = place
    with pytest.raises(FetchError, match="neither http nor https|is not allowed"):
        fetch_overlay(overlay, source=web.url + "/m")
    assert not parts(cache)


def test_redirect_loop_ends(overlay, web, cache):
    web.redirects["/m/x.bit"] = "/m/x.bit"
    with pytest.raises(FetchError, match="/m/x.bit"):
        fetch_overlay(overlay, source=web.url + "/m")


def test_truncated_body_is_resumed_at_once(overlay, web, cache):
    web.cuts = [100_000, 70_000]
    fetch_overlay(overlay, source=web.url + "/a")
    assert [span for _, span in web.requests] == [None, "bytes=100000-", "bytes=170000-", None]
    assert (cache / "x.bit").read_bytes() == BIT


def test_body_that_stays_truncated_is_an_error_and_resumed_by_the_next_call(overlay, web, cache):
    web.cuts = [1000, 1000, 1000]
    with pytest.raises(FetchError, match="3000 of 300000 bytes"):
        fetch_overlay(overlay, source=web.url + "/a")
    assert [path.stat().st_size for path in parts(cache)] == [3000]
    assert not (cache / "x.bit").exists()
    web.requests.clear()
    fetch_overlay(overlay, source=web.url + "/a")
    assert web.requests[0] == ("/a/x.bit", "bytes=3000-") and not parts(cache)


def test_server_without_ranges_sends_all_again(overlay, web, cache):
    web.ranges = False
    cache.mkdir(parents=True)
    part_of(cache, "x.bit", BIT).write_bytes(BIT[:5000])
    fetch_overlay(overlay, source=web.url + "/a")
    assert web.requests[0] == ("/a/x.bit", "bytes=5000-")
    assert (cache / "x.bit").read_bytes() == BIT and not parts(cache)


def test_part_of_another_file_is_thrown_away(overlay, web, cache):
    cache.mkdir(parents=True)
    part_of(cache, "x.bit", BIT).write_bytes(b"?" * 5000)
    fetch_overlay(overlay, source=web.url + "/a")
    assert [span for _, span in web.requests] == ["bytes=5000-", None, None]
    assert (cache / "x.bit").read_bytes() == BIT


@pytest.mark.parametrize("extra", [b"", b"more"])
def test_part_as_long_as_the_file_or_longer(overlay, web, cache, extra):
    cache.mkdir(parents=True)
    part_of(cache, "x.bit", BIT).write_bytes(BIT + extra)
    fetch_overlay(overlay, source=web.url + "/a")
    assert (cache / "x.bit").read_bytes() == BIT
    assert len(web.requests) == (2 if extra else 1)  # a complete part needs no server


def test_part_longer_than_the_servers_file_is_thrown_away(overlay, web, cache):
    web.files["/short/x.bit"] = BIT[:4000]
    cache.mkdir(parents=True)
    part_of(cache, "x.bit", BIT).write_bytes(BIT[:5000])
    with pytest.raises(FetchError, match="it has 4000 bytes, expected 300000"):
        fetch_overlay(overlay, source=web.url + "/short")
    assert [span for _, span in web.requests] == ["bytes=5000-", None] and not parts(cache)


def test_wrong_digest_names_both_and_keeps_nothing(overlay, web, cache):
    wrong = bytes(len(BIT))
    web.files["/a/x.bit"] = wrong
    with pytest.raises(DigestError) as caught:
        fetch_overlay(overlay)
    assert hashlib.sha256(wrong).hexdigest() in str(caught.value)
    assert hashlib.sha256(BIT).hexdigest() in str(caught.value)
    assert list(cache.iterdir()) == []


def test_address_with_wrong_contents_is_passed_over(overlay, web, cache):
    web.files["/gone/x.bit"] = bytes(len(BIT))
    assert fetch_overlay(overlay)["bitstream"].read_bytes() == BIT


@pytest.mark.parametrize("say_length", [True, False])
def test_body_of_wrong_length_is_refused(overlay, web, cache, say_length):
    web.say_length = say_length
    web.files["/long/x.bit"] = BIT + bytes(10_000_000)
    with pytest.raises(FetchError, match="300000"):
        fetch_overlay(overlay, source=web.url + "/long")
    assert not parts(cache)


def test_no_length_at_all_still_works(overlay, web, cache):
    web.say_length = False
    assert fetch_overlay(overlay)["bitstream"].read_bytes() == BIT


def test_damaged_file_in_the_cache_is_noticed_and_replaced(overlay, web, cache):
    fetch_overlay(overlay)
    (cache / "x.bit").write_bytes(BIT[:-1])
    with pytest.raises(DigestError, match="remove it and run 'qnn-pynq overlays fetch toy'"):
        catalogue.overlay_files(overlay)
    fetch_overlay(overlay)
    assert catalogue.overlay_files(overlay)["bitstream"].read_bytes() == BIT


def beside(overlay) -> dict:
    return {key: overlay.path / file.name for key, file in overlay.files.items()}


def test_files_beside_the_descriptor_are_used(overlay, web, cache):
    for name, body in (("x.bit", BIT), ("x.hwh", HWH)):
        (overlay.path / name).write_bytes(body)
    assert fetch_overlay(overlay) == catalogue.overlay_files(overlay) == beside(overlay)
    assert not web.requests and not cache.exists()


def test_files_of_an_overlay_are_brought_side_by_side(overlay, web, cache):
    (overlay.path / "x.bit").write_bytes(BIT)  # without its .hwh pynq cannot load it
    with pytest.raises(OverlayMissingError, match="run 'qnn-pynq overlays fetch toy'"):
        catalogue.overlay_files(overlay)
    assert fetch_overlay(overlay) == {"bitstream": cache / "x.bit", "hwh": cache / "x.hwh"}
    (cache / "x.bit").unlink()  # right ones are here, but apart
    with pytest.raises(OverlayMissingError, match="run 'qnn-pynq overlays fetch toy'") as caught:
        catalogue.overlay_files(overlay)
    assert str(cache / "x.bit") in str(caught.value)


@pytest.fixture
def shipped(overlay):
    """The same overlay without addresses: its files lie beside the descriptor."""
    path = overlay.path / "overlay.json"
    text = json.loads(path.read_text())
    for key, body in (("bitstream", BIT), ("hwh", HWH)):
        del text["files"][key]["urls"]
        (overlay.path / text["files"][key]["name"]).write_bytes(body)
    path.write_text(json.dumps(text))
    return load_overlay(path)


def test_files_without_addresses_come_with_the_descriptor(shipped, overlay, web, cache):
    assert all(file.shipped for file in shipped.files.values())
    assert not any(file.shipped for file in overlay.files.values())
    assert fetch_overlay(shipped) == catalogue.overlay_files(shipped) == beside(shipped)
    assert not web.requests and not cache.exists()


@pytest.mark.parametrize("key", ["bitstream", "hwh"])
def test_a_shipped_file_that_is_missing_says_where_it_should_be_and_what_to_do(shipped, key):
    path = beside(shipped)[key]
    path.unlink()
    with pytest.raises(OverlayMissingError) as caught:
        catalogue.overlay_files(shipped)
    text = str(caught.value)
    assert text.startswith(f"{path.name} of overlay toy should lie in {shipped.path}: ")
    assert "install qnn-pynq again" in text and "qnn-pynq overlays fetch toy --from DIR" in text
    with pytest.raises(FetchError, match="x.bit of overlay toy comes with its descriptor and has no address: .*again"):
        fetch_overlay(shipped)


@pytest.mark.parametrize("key, contents", [("bitstream", BIT[:-1] + bytes([BIT[-1] ^ 1])), ("bitstream", BIT[:-1]),
                                           ("bitstream", b""), ("hwh", HWH + b" ")])
def test_a_shipped_file_with_other_contents_is_refused_and_replaced_from_a_folder(
        shipped, cache, tmp_path, web, key, contents):
    path = beside(shipped)[key]
    path.write_bytes(contents)
    with pytest.raises(DigestError) as caught:
        catalogue.overlay_files(shipped)
    text = str(caught.value)
    assert text.startswith(f"{path} has ") and shipped.files[key].sha256 in text
    assert "install qnn-pynq again" in text and "remove" not in text
    with pytest.raises(FetchError, match="no address"):
        fetch_overlay(shipped)
    (tmp_path / "stick").mkdir()
    for name, body in (("x.bit", BIT), ("x.hwh", HWH)):
        (tmp_path / "stick" / name).write_bytes(body)
    found = fetch_overlay(shipped, source=tmp_path / "stick")
    assert found == {"bitstream": cache / "x.bit", "hwh": cache / "x.hwh"} == catalogue.overlay_files(shipped)
    assert path.read_bytes() == contents and not web.requests  # what others installed is left as it is


def test_a_shipped_file_comes_from_a_mirror_where_one_is_named(shipped, cache, web):
    beside(shipped)["bitstream"].unlink()
    assert fetch_overlay(shipped, source=web.url + "/a") == catalogue.overlay_files(shipped)
    assert (cache / "x.bit").read_bytes() == BIT


def test_off_line_says_which_file_to_put_where(overlay, cache, web):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with pytest.raises(FetchError) as caught:
        fetch_overlay(overlay, source=f"http://127.0.0.1:{port}")
    text = str(caught.value)
    assert "refused" in text.lower()
    for file in overlay.files.values():
        assert f"put {file.urls[0]} to {cache / file.name}" in text
    assert "--from" in text and not parts(cache)


def test_silent_server_times_out(overlay, web, cache):
    web.gate = threading.Event()
    with pytest.raises(FetchError, match="timed out"):
        fetch_overlay(overlay, source=web.url + "/a", timeout=0.2)
    web.gate.set()


def test_server_that_speaks_no_http(overlay, cache, web):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(1)

        def answer():
            peer, _ = server.accept()
            with peer:
                peer.recv(1000)
                peer.sendall(b"no idea what you mean\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(FetchError, match="x.bit could not be fetched"):
            fetch_overlay(overlay, source=f"http://127.0.0.1:{server.getsockname()[1]}")
        thread.join()


def test_interrupt_leaves_a_part_that_is_resumed(overlay, web, cache, monkeypatch):
    real = download.Progress.step

    def step(self, count):
        real(self, count)
        if self._have > 100_000:
            raise KeyboardInterrupt

    monkeypatch.setattr(download.Progress, "step", step)
    with pytest.raises(KeyboardInterrupt):
        fetch_overlay(overlay, source=web.url + "/a")
    monkeypatch.setattr(download.Progress, "step", real)
    left = parts(cache)
    assert [path.name for path in cache.iterdir()] == [left[0].name] and left[0].stat().st_size > 100_000
    web.requests.clear()
    size = left[0].stat().st_size
    fetch_overlay(overlay, source=web.url + "/a")
    assert web.requests[0] == ("/a/x.bit", f"bytes={size}-") and not parts(cache)


def _worker(folder, source, results):
    try:
        results.put(sorted(str(path) for path in fetch_overlay(folder, source=source).values()))
    except BaseException as error:
        results.put(repr(error))


def test_two_processes_at_once_download_once(overlay, web, cache):
    web.gate = threading.Event()
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    both = [
        context.Process(target=_worker, args=(str(overlay.path), web.url + "/a", results)) for _ in range(2)
    ]
    for process in both:
        process.start()
    threading.Timer(1.0, web.gate.set).start()
    got = [results.get(timeout=60) for _ in both]
    for process in both:
        process.join(10)
    assert got == [[str(cache / "x.bit"), str(cache / "x.hwh")]] * 2
    assert sorted(path for path, _ in web.requests) == ["/a/x.bit", "/a/x.hwh"]
    assert sorted(path.name for path in cache.iterdir()) == ["x.bit", "x.hwh"]


def test_many_threads_at_once(overlay, web, cache):
    web.cuts = [1000, 5000]
    failures = []

    def run():
        try:
            fetch_overlay(overlay, source=web.url + "/a")
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not failures and (cache / "x.bit").read_bytes() == BIT
    assert sorted(path.name for path in cache.iterdir()) == ["x.bit", "x.hwh"]


def test_unwritable_cache_is_named(overlay, web, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("QNN_PYNQ_CACHE", str(tmp_path / "file" / "cache"))
    for source in (web.url + "/a", tmp_path / "local"):
        (tmp_path / "local").mkdir(exist_ok=True)
        (tmp_path / "local" / "x.bit").write_bytes(BIT)
        with pytest.raises(FetchError, match="cannot (write|copy).*QNN_PYNQ_CACHE"):
            fetch_overlay(overlay, source=source)


def test_full_disk_is_named(overlay, web, cache, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FetchError, match="No space left on device; make room"):
        fetch_overlay(overlay, source=web.url + "/a")
    assert not (cache / "x.bit").exists()


@pytest.mark.parametrize("sub", ["", "bnn/bitstreams/pynqZ1-Z2"])
def test_local_folder_or_checkout_of_the_home(overlay, cache, tmp_path, sub):
    folder = tmp_path / "local" / sub
    folder.mkdir(parents=True)
    (folder / "x.bit").write_bytes(BIT)
    (folder / "x.hwh").write_bytes(HWH)
    fetch_overlay(overlay, source=tmp_path / "local")
    assert (cache / "x.bit").read_bytes() == BIT and (cache / "x.bit").stat().st_mode & 0o444 == 0o444
    assert sorted(path.name for path in cache.iterdir()) == ["x.bit", "x.hwh"]


def test_local_folder_with_wrong_or_missing_files(overlay, cache, tmp_path):
    (tmp_path / "local").mkdir()
    with pytest.raises(FetchError, match="no file .*x.bit"):
        fetch_overlay(overlay, source=tmp_path / "local")
    (tmp_path / "local" / "x.bit").write_bytes(b"no")
    with pytest.raises(DigestError, match=f"has 2 bytes, expected {len(BIT)} with sha256 "
                                          f"{hashlib.sha256(BIT).hexdigest()}"):
        fetch_overlay(overlay, source=str(tmp_path / "local"))
    (tmp_path / "local" / "x.bit").write_bytes(bytes(len(BIT)))
    with pytest.raises(DigestError, match="expected " + hashlib.sha256(BIT).hexdigest()):
        fetch_overlay(overlay, source=str(tmp_path / "local"))
    assert not cache.exists() or not list(cache.iterdir())


def test_other_schemes_are_refused(overlay, cache):
    with pytest.raises(FetchError, match="neither a folder nor an http"):
        fetch_overlay(overlay, source="ftp://example.org/x")


def test_progress_is_text_without_tqdm_and_only_on_a_terminal(overlay, web, cache, monkeypatch, capsys):
    fetch_overlay(overlay, source=web.url + "/a")
    assert capsys.readouterr().err == ""
    (cache / "x.bit").unlink()
    real = builtins.__import__

    def no_tqdm(name, *args, **kwargs):
        if name.startswith("tqdm"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", no_tqdm)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    fetch_overlay(overlay, source=web.url + "/a")
    assert "x.bit: 300000 of 300000 bytes" in capsys.readouterr().err
    (cache / "x.bit").unlink()
    fetch_overlay(overlay, source=web.url + "/a", progress=False)
    assert capsys.readouterr().err == ""


def test_progress_is_a_bar_with_tqdm(overlay, web, cache, monkeypatch, capsys):
    pytest.importorskip("tqdm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    fetch_overlay(overlay, source=web.url + "/a")
    assert "x.bit: 100%" in capsys.readouterr().err


def test_published_files_from_a_local_folder(golden, tmp_path, monkeypatch):
    monkeypatch.setenv("QNN_PYNQ_CACHE", str(tmp_path))
    for name in ("bnn-pynq-lfc-w1a1", "bnn-pynq-lfc-w1a2"):
        found = fetch.fetch_overlay(name, source=golden / "bnn-pynq" / "bitstreams")
        assert found == catalogue.overlay_files(name) and set(found) == {"bitstream", "hwh"}


# ---- what came instead of a file, and right files that are no bitstream

PAGE = b"<!DOCTYPE html>\n<html><body>Sign in to the network</body></html>"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:9ea7\nsize 4045675\n"


@pytest.mark.parametrize("body, said", [(PAGE, "it is an HTML page"), (POINTER, "it is a Git LFS pointer"),
                                        (PAGE + bytes(len(BIT) - len(PAGE)), "it is an HTML page")])
def test_a_page_or_pointer_that_a_server_sends_instead_is_called_that(overlay, web, cache, body, said):
    web.files["/m/x.bit"] = body
    with pytest.raises(FetchError, match=re.escape(said)):
        fetch_overlay(overlay, source=web.url + "/m")
    assert not parts(cache) and not (cache / "x.bit").exists()


@pytest.mark.parametrize("body, said", [(PAGE, "an HTML page"), (POINTER, "a Git LFS pointer"), (b"", "empty"),
                                        (HWH[:500], "an XML text, such as a .hwh")])
def test_a_file_with_another_digest_is_called_what_it_is(overlay, cache, tmp_path, body, said):
    cache.mkdir(parents=True)
    for name, data in (("x.bit", body), ("x.hwh", HWH)):
        (cache / name).write_bytes(data)
    with pytest.raises(DigestError, match=f"x.bit has {len(body)} bytes, expected .*; it is {said}"):
        catalogue.overlay_files(overlay)
    (tmp_path / "stick").mkdir()
    (tmp_path / "stick" / "x.bit").write_bytes(body)
    with pytest.raises(DigestError, match=f"; it is {said}"):
        fetch_overlay(overlay, source=tmp_path / "stick")


def test_another_bitstream_is_not_called_anything(overlay, cache):
    cache.mkdir(parents=True)
    for name, data in (("x.bit", bit_file()), ("x.hwh", HWH)):
        (cache / name).write_bytes(data)
    with pytest.raises(DigestError) as caught:
        catalogue.overlay_files(overlay)
    assert "it is" not in str(caught.value)


@pytest.mark.parametrize("key, body, said", [
    ("bitstream", POINTER, "x.bit is a Git LFS pointer"),
    ("bitstream", bit_file(part="7z010clg400", idcode=0x03722093), "x.bit is for another part"),
    ("bitstream", bit_file("region;PARTIAL=TRUE"), "x.bit is a partial bitstream"),
    ("hwh", hwh_file("2022.1"), "x.bit is by Vivado 2018.2, x.hwh beside it by Vivado 2022.1"),
    ("hwh", PAGE, "x.hwh is an HTML page, and no .hwh"),
])
def test_files_with_right_digests_that_cannot_be_loaded_are_refused_by_all_that_gives_them_out(
        overlay, cache, tmp_path, key, body, said):
    file = dataclasses.replace(overlay.files[key], sha256=hashlib.sha256(body).hexdigest(), size=len(body))
    wrong = dataclasses.replace(overlay, files={**overlay.files, key: file})
    bodies = {"bitstream": BIT, "hwh": HWH, key: body}
    (tmp_path / "stick").mkdir()
    for other, entry in wrong.files.items():
        (tmp_path / "stick" / entry.name).write_bytes(bodies[other])
    for _ in range(2):  # when they come, and when they are there
        with pytest.raises(DescriptorError, match=said):
            fetch_overlay(wrong, source=tmp_path / "stick")
    with pytest.raises(DescriptorError, match=said):
        catalogue.overlay_files(wrong)
