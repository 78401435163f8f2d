"""Published words and accuracies, through `Classifier`, in software and on the emulated board."""
from __future__ import annotations

import numpy as np
import pytest
import small
from PIL import Image

from qnn_pynq import Classifier

CASES = [("lfcW1A1", "t10k_lfcW1A1_gold.bin", 9840), ("lfcW1A2", "t10k_lfcW1A2_gold2k.bin", 9849)]


@pytest.fixture(scope="module")
def mnist(shared_data):
    return small.test_set(shared_data, "mnist")


@pytest.mark.parametrize("board", ["cpu", "emulated"])
@pytest.mark.parametrize("kind, words, correct", CASES)
def test_every_published_word_and_the_published_accuracy(golden, mnist, kind, words, correct, board):
    rows, labels = mnist
    wanted = np.fromfile(str(golden / "bnn-pynq" / "results" / words), "<u8")
    with Classifier(small.published(golden, kind), board=board) as classifier:
        result = classifier.evaluate(rows, labels)
        assert result.correct == correct
        found = classifier.engine.run(rows)
        assert found.kind == "words" and found.end == len(classifier.network.layers)
        found = found.values[: len(wanted)]
        assert (found == wanted).all()
        for k in range(0, 2000, 97):  # the path of one picture
            assert classifier.engine.one(rows[k]) == wanted[k]
        assert (classifier.predict(rows) == result.predictions).all()
        assert classifier.unfired_ == result.unfired == (wanted & 1023 == 0).sum() or len(wanted) < 10000


@pytest.mark.parametrize("board", ["cpu", "emulated"])
@pytest.mark.parametrize("kind", ["lfcW1A1", "lfcW1A2"])
def test_upstreams_three_gives_word_8(golden, kind, board, tmp_path):
    raw = (golden / "bnn-pynq" / "images" / "3.image-idx3-ubyte").read_bytes()
    pixels = np.frombuffer(raw, np.uint8, offset=16).reshape(28, 28)
    Image.fromarray(pixels).save(tmp_path / "3.png")
    with Classifier(small.published(golden, kind), board=board) as classifier:
        assert classifier.engine.one(pixels) == 0x8
        assert classifier.classify(tmp_path / "3.png").label == "3"


@pytest.mark.parametrize("kind", ["lfcW1A1", "lfcW1A2"])
def test_modelled_rate_is_the_recorded_one(golden, mnist, kind):
    with Classifier(small.published(golden, kind), board="emulated") as classifier:
        result = classifier.evaluate(*mnist)
    assert result.accelerator_is_modelled
    assert result.accelerator_images_per_second == pytest.approx(118_883, rel=0.002)
