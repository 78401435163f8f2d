"""Networks that take codes, and those that end in a pointwise layer: formats, input, and answers."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import oracle_conv
import pytest
from small_conv import in_letterbox, linear, small_network, takes_codes

from qnn_pynq import Classifier
from qnn_pynq.errors import DescriptorError, InputError, QnnError, UnsupportedNetworkError
from qnn_pynq.networks import Crop, Decode, Encoding, InputSpec, Letterbox, load_network, save_network
from qnn_pynq.pictures.prepare import prepare, prepare_many
from qnn_pynq.reliability.policy import Policy


def random_codes(network, count=3):
    spec = network.input
    shape = (count, *spec.size, spec.channels)
    return np.random.RandomState(5).randint(0, spec.encoding.levels, shape).astype(np.uint8)


@pytest.mark.parametrize("bits,channels", [(2, 1), (2, 3), (2, 70), (2, 384), (3, 16), (3, 512)])
def test_saved_and_loaded_they_answer_as_the_oracle(tmp_path, bits, channels):
    network = load_network(save_network(takes_codes(bits, channels), tmp_path / "net"))
    assert (network.input.channels, network.input.encoding.bits) == (channels, bits)
    codes = random_codes(network)
    wanted = oracle_conv.forward(network.layers, codes)
    for options in ({"board": "cpu"}, {"board": "emulated"}, {"board": "emulated", "conservative": True}):
        with Classifier(network, **options) as classifier:
            assert np.array_equal(classifier.features(codes), wanted)
            assert np.array_equal(classifier.features(list(codes.astype(np.int64))), wanted)
            assert np.array_equal(classifier.features(codes.reshape(3, -1)), wanted)


@pytest.mark.parametrize("policy", ["canary", "reload", "strict"])
def test_policies_and_the_profile_work_on_codes(policy):
    network = takes_codes()
    codes = random_codes(network)
    with Classifier(network, board="emulated", policy=Policy(policy)) as classifier:
        assert np.array_equal(classifier.features(codes), oracle_conv.forward(network.layers, codes))
        assert [layer.where for layer in classifier.profile([codes[0]]).rows] == ["overlay", "overlay"]


def test_more_channels_than_the_overlay_takes_are_refused_by_it():
    with pytest.raises(UnsupportedNetworkError, match="385"):
        Classifier(takes_codes(channels=385), board="emulated")


def test_a_tail_gives_classes():
    network = takes_codes()
    last = linear(np.random.default_rng(0), 4 * 4 * 33, 5)
    network = dataclasses.replace(
        network, layers=(*network.layers, last), decode=Decode("largest-sum"), classes=tuple("abcde")
    )
    codes = random_codes(network)
    with Classifier(network, board="cpu") as classifier:
        outputs = oracle_conv.forward(network.layers, codes)
        assert classifier.predict(codes).tolist() == outputs.argmax(axis=1).tolist()
        assert classifier.classify(codes[0]).label == "abcde"[int(outputs[0].argmax())]


# -- what is no code ---------------------------------------------------------------------------------------


def test_what_is_no_map_of_codes_is_refused_before_anything_runs():
    network = takes_codes()
    spec, codes = network.input, random_codes(network)
    for wrong, said in (
        (codes[0] + 1, "codes must be from 0 to 3, got 1..4"),
        (codes[0].astype(np.int32) - 1, "got -1..2"),
        (codes[0] / 3, "codes must be integers from 0 to 3, not dtype float64"),
        (codes[0] > 0, "not dtype bool"),
        (codes[0][:8], "expected an integer array of 9 x 9 x 70, each from 0 to 3"),
        (codes[0].reshape(-1)[1:], "no pictures but codes"),
        ("picture.png", "no pictures but codes"),
    ):
        with pytest.raises(InputError, match=said.replace("(", r"\(")):
            prepare(wrong, spec)
        with pytest.raises(InputError):
            prepare_many([wrong], spec)
    with pytest.raises(InputError, match="got 0..4"):
        prepare_many(np.minimum(codes * 4, 4), spec)
    with Classifier(network, board="emulated") as classifier:
        with pytest.raises(InputError, match="one picture where many were expected"):
            classifier.features(codes[0])
        with pytest.raises(InputError, match="from 0 to 3"):
            classifier.features(codes + 1)
        assert classifier.features(codes).shape == (3, 4, 4, 33)
    assert prepare(codes[0].reshape(-1), spec).shape == (9, 9, 70)
    assert prepare(codes[0], spec, invert=True).tolist() == codes[0].tolist()  # codes have no polarity


def refused(tmp_path, network, **fields):
    """The message that a changed descriptor is refused with."""
    path = save_network(network, tmp_path / "net", overwrite=True) / "network.json"
    document = json.loads(path.read_text())
    for key, value in fields.items():
        place = document
        *way, last = [int(part) if part.isdigit() else part for part in key.split("__")]
        for part in way:
            place = place[part]
        place[last] = value
    path.write_text(json.dumps(document))
    with pytest.raises(DescriptorError) as caught:
        load_network(path)
    return str(caught.value)


@pytest.mark.parametrize(
    "fields,said",
    [
        ({"input__channels": 0}, "input.channels: 0 is out of range: expected 1 to 16384"),
        ({"input__channels": None}, "input.channels: missing"),
        ({"input__channels": 69}, "layers[0].inputs: 70 does not match the 69 channels"),
        ({"input__encoding__bits": 3}, "layers[0].input_bits: 2 does not match the 3 bits"),
        ({"input__encoding__bits": 4}, "input.encoding.bits: 4 is not allowed: expected 2 or 3"),
        ({"input__encoding__threshold": 4}, "unknown field"),
        ({"input__polarity": "light-on-dark"}, 'does not go with encoding "codes"'),
        ({"input__crop": {"short_side": 20}}, 'input.crop: does not go with encoding "codes"'),
        ({"input__letterbox": {"fill": 20}}, 'input.letterbox: does not go with encoding "codes": expected "mean"'),
        ({"input__encoding": {"kind": "pixels"}}, "70 is not allowed: expected 1 or 3"),
    ],
)
def test_descriptors_of_codes_that_do_not_fit_are_refused(tmp_path, fields, said):
    assert said in refused(tmp_path, takes_codes(), **fields)


def test_codes_go_into_a_convolution_of_one_bit_only(tmp_path):
    spec = InputSpec((16, 16), 3, "as-is", None, Encoding("codes", bits=2))
    with pytest.raises(DescriptorError, match='16 bits do not go with codes of input.encoding: expected 1'):
        save_network(dataclasses.replace(small_network(), input=spec), tmp_path / "net")


def test_a_self_test_with_more_than_codes_is_refused(tmp_path):
    network = takes_codes()
    codes = random_codes(network)
    folder = save_network(network, tmp_path / "net")
    np.savez(str(folder / "selftest.npz"), pictures=codes, codes=oracle_conv.forward(network.layers, codes))
    document = dict(json.loads((folder / "network.json").read_text()), selftest="selftest.npz")
    (folder / "network.json").write_text(json.dumps(document))
    from qnn_pynq.reliability.answers import known_answers

    assert known_answers(load_network(folder)).pictures.max() == 3
    np.savez(str(folder / "selftest.npz"), pictures=codes + 1, codes=oracle_conv.forward(network.layers, codes))
    with pytest.raises(QnnError, match="pictures has a 4, expected codes from 0 to 3"):
        known_answers(load_network(folder))


# -- letterbox and pointwise -------------------------------------------------------------------------------


def test_letterbox_and_pointwise_layer_survive_and_answer(tmp_path):
    network = load_network(save_network(in_letterbox(), tmp_path / "net"))
    assert network.input.letterbox == Letterbox(100.0) and network.input.crop is None
    last = network.layers[-1]
    assert last.pointwise and (last.scale, last.weight_bits) == (0.5, 32)
    picture = np.random.RandomState(1).randint(0, 256, (8, 32, 3)).astype(np.uint8)
    inside = prepare(picture, network.input)
    assert (inside[:6] == 100).all() and (inside[10:] == 100).all()
    assert (inside[6, 0] == picture[0, 0]).all() and (inside[9, 15] == picture[7, 31]).all()
    assert (prepare(picture, network.input, invert=True) == 255 - inside).all()
    codes = oracle_conv.forward(network.layers[:-1], inside[None].astype(np.float64) / 255)
    wanted = 0.5 * (codes.astype(np.float64) @ last.weights.T.astype(np.float64)) + last.bias
    for board in ("cpu", "emulated"):
        with Classifier(network, board=board) as classifier:
            found = classifier.features([picture])
            assert found.shape == (1, 4, 4, 7) and np.abs(found - wanted).max() < 1e-4
            assert classifier.features(np.zeros((0, 16, 16, 3), np.uint8)).shape == (0, 4, 4, 7)


@pytest.mark.parametrize(
    "fields,said",
    [
        ({"input__letterbox": {"fill": 256}}, "input.letterbox.fill: 256 is out of range: expected 0 to 255"),
        ({"input__letterbox": {"grey": 2}}, "unknown field"),
        ({"input__letterbox": None}, "input.crop: missing"),
        ({"input__crop": {"short_side": 20, "filter": "opencv-cubic"}}, "does not go with framing or crop"),
        ({"layers__4__inputs": 41}, "layers[4].weights"),
        ({"layers__4__activation": "clip"}, "layers[4].pointwise: true does not go with thresholds or activation"),
        ({"layers__4__pointwise": False}, "layers[4].inputs: 40 does not match the 640 values"),
        ({"layers__4__pointwise": 1}, "layers[4].pointwise"),
        ({"decode__rule": "largest-sum", "classes": list("abcdefg")}, "layers[4].pointwise: true is not allowed here"),
    ],
)
def test_letterbox_and_pointwise_layer_that_do_not_fit_are_refused(tmp_path, fields, said):
    assert said in refused(tmp_path, in_letterbox(), **fields)


def test_a_pointwise_layer_stands_last(tmp_path):
    network = in_letterbox()
    last = network.layers[-1]
    wrong = dataclasses.replace(last, inputs=39, weights=np.ascontiguousarray(last.weights[:, :39]))
    with pytest.raises(DescriptorError, match="39 does not match the 40 channels that arrive"):
        save_network(dataclasses.replace(network, layers=(*network.layers[:-1], wrong)), tmp_path / "net")
    with pytest.raises(DescriptorError, match=r"layers\[5\].type: nothing stands behind the pointwise layer"):
        save_network(dataclasses.replace(network, layers=(*network.layers, last)), tmp_path / "net")


def test_a_letterbox_goes_with_floats_only(tmp_path):
    network = small_network()
    spec = dataclasses.replace(network.input, crop=None, letterbox=Letterbox())
    with pytest.raises(DescriptorError, match='does not go with encoding "pixels": expected "mean"'):
        save_network(dataclasses.replace(network, input=spec), tmp_path / "net")
    assert network.input.crop == Crop(18)
