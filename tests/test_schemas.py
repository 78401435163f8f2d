"""The published JSON schemas say the same as the loader, as far as a schema can."""

from __future__ import annotations

import copy
import functools
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import small_conv

sys.path.insert(0, str(Path(__file__).resolve().parent / "networks"))

import test_network  # noqa: E402
import test_network_codes  # noqa: E402
import test_overlay  # noqa: E402

from qnn_pynq.catalogue import networks
from qnn_pynq.errors import DescriptorError
from qnn_pynq.networks import load_network, save_network

try:
    from jsonschema import Draft202012Validator
except ImportError:
    pytest.skip("needs jsonschema 4", allow_module_level=True)

ROOT = Path(__file__).resolve().parent.parent

# What only the loader can see: arrays, digests, one field against another.
BEYOND = (
    "is larger than",
    "too few for the",
    "does not match",
    "does not divide",
    "is not there",
    "is no .npy file",
    "has shape",
    "need 9 neurons",
    "expected multiples of 4",
    'expected "binary"',
    "needs bits at the end",
    "geometry.layers[2].thresholds",
    "[4, 4.0]",  # an integer, says JSON schema
)


@functools.lru_cache(maxsize=None)
def validator(name):
    schema = json.loads((ROOT / "docs" / (name + ".schema.json")).read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def changed(document, fields):
    document = copy.deepcopy(document)
    for key, value in fields.items():
        place = document
        *way, last = [int(part) if part.isdigit() else part for part in key.split("__")]
        for part in way:
            place = place[part]
        if value is ...:
            del place[last]
        else:
            place[last] = value
    return document


def cases(function):
    mark = next(mark for mark in function.pytestmark if mark.name == "parametrize")
    return list(mark.args[1])


@pytest.mark.parametrize(
    "path", sorted(test_overlay.SHIPPED.glob("*/overlay.json")), ids=lambda p: p.parent.name
)
def test_shipped_overlays_fit_the_schema(path):
    validator("overlay").validate(json.loads(path.read_text()))


def test_shipped_networks_fit_the_schema():
    for folder in networks().values():
        validator("network").validate(json.loads((folder / "network.json").read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    folder = save_network(test_network.small(), tmp_path_factory.mktemp("schema") / "small")
    return json.loads((folder / "network.json").read_text())


def test_whatever_is_saved_fits_the_schema(document, tmp_path):
    validator("network").validate(document)
    table = test_network.Encoding("table", pixels=np.zeros(4, np.uint16), thresholds=np.zeros(4, np.uint8))
    spec = test_network.InputSpec((4, 4), 3, "as-is", None, table)
    folder = save_network(
        test_network.small(input=spec, provenance={"accuracy": {"test": 0.9}}), tmp_path / "t"
    )
    validator("network").validate(json.loads((folder / "network.json").read_text()))


@pytest.mark.parametrize(
    ("fields", "message"),
    cases(test_network.test_wrong_fields_are_named_with_value_and_what_is_allowed),
)
def test_network_schema_refuses_what_the_loader_refuses(document, fields, message):
    valid = validator("network").is_valid(changed(document, fields))
    assert not valid or any(part in message for part in BEYOND)


@pytest.mark.parametrize(("fields", "message"), test_overlay.WRONG)
def test_overlay_schema_refuses_what_the_loader_refuses(fields, message):
    document = json.loads((test_overlay.SHIPPED / test_overlay.NAMES[0] / "overlay.json").read_text())
    valid = validator("overlay").is_valid(changed(document, fields))
    assert not valid or any(part in message for part in BEYOND)


@pytest.mark.parametrize(("fields", "message"), test_overlay.WRONG_OFFLOAD)
def test_overlay_schema_refuses_wrong_offload_overlays(fields, message):
    document = json.loads((test_overlay.SHIPPED / test_overlay.OFFLOAD[0] / "overlay.json").read_text())
    valid = validator("overlay").is_valid(changed(document, fields))
    assert not valid or any(part in message for part in BEYOND + ("expected 64",))


@pytest.mark.parametrize(
    "field", ["title", "description", "overlays", "selftest", "provenance", "decode__scale"]
)
def test_null_means_absent_to_both(document, field, tmp_path):
    folder = save_network(test_network.small(), tmp_path / "small")
    empty = changed(document, {field: None})
    validator("network").validate(empty)
    (folder / "network.json").write_text(json.dumps(empty))
    load_network(folder)


def test_fields_that_the_schema_wants_are_the_ones_that_the_loader_wants(document, tmp_path):
    folder = save_network(test_network.small(), tmp_path / "small")
    for where in ("", "input__", "input__encoding__", "layers__0__", "decode__"):
        place = document
        for part in where.split("__")[:-1]:
            place = place[int(part) if part.isdigit() else part]
        for key in list(place):
            lacking = changed(document, {where + key: ...})
            (folder / "network.json").write_text(json.dumps(lacking))
            try:
                load_network(folder)
                loads = True
            except DescriptorError:
                loads = False
            assert validator("network").is_valid(lacking) == loads, where + key


def test_a_convolutional_network_fits_the_schema(tmp_path):
    path = save_network(small_conv.small_network(), tmp_path / "small") / "network.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    validator("network").validate(document)
    for fields in ({"layers__1__weight_bits": 2}, {"layers__2__size": 1}, {"classes": []}, {"layers__4__bais": "x"}):
        assert not validator("network").is_valid(changed(document, fields))


@pytest.mark.parametrize("make", [small_conv.takes_codes, small_conv.in_letterbox])
def test_networks_of_codes_and_of_a_letterbox_fit_the_schema(make, tmp_path):
    path = save_network(make(), tmp_path / "net") / "network.json"
    validator("network").validate(json.loads(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("make", "fields", "message"),
    [(small_conv.takes_codes, *case)
     for case in cases(test_network_codes.test_descriptors_of_codes_that_do_not_fit_are_refused)]
    + [(small_conv.in_letterbox, *case)
       for case in cases(test_network_codes.test_letterbox_and_pointwise_layer_that_do_not_fit_are_refused)],
)
def test_the_schema_refuses_codes_and_letterboxes_as_the_loader_does(make, fields, message, tmp_path):
    path = save_network(make(), tmp_path / "net") / "network.json"
    valid = validator("network").is_valid(changed(json.loads(path.read_text(encoding="utf-8")), fields))
    beyond = (*BEYOND, "input.crop: missing", "with framing or crop", "layers[4].weights", "not allowed here")
    assert not valid or any(part in message for part in beyond)


def test_padding_of_a_kernel_of_one_may_be_a_pair(tmp_path):
    path = save_network(small_conv.takes_codes(), tmp_path / "net") / "network.json"
    for padding in (0, [0, 0]):
        document = changed(json.loads(path.read_text(encoding="utf-8")), {"layers__2__padding": padding})
        validator("network").validate(document)
        path.write_text(json.dumps(document), encoding="utf-8")
        assert load_network(path).layers[2].padding == (0, 0)
