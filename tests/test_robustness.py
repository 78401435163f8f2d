"""Test images as users have them: saved, enlarged, inverted, coloured, moved. How often is the answer the same?

Agreement with the plain array path on 1,000 test images, in percent, in software, measured 2026-11-21
(MNIST: published W1A1 parameters; Fashion-MNIST: lfc-w1a1-fashion-mnist of that day); in brackets the
accuracy on the form, where the arrays give 98.3 and 89.1:

    form                     MNIST          Fashion-MNIST
    png, inverted or not     100.0 (98.3)   99.9 (89.0)
    png coloured             100.0 (98.3)   96.4 (88.8)
    200 x 200, inverted too   99.2 (98.0)   93.2 (88.2)
    200 x 200 coloured        99.2 (98.0)   93.6 (88.4)
    red on green              98.8 (98.0)   93.6 (88.2)
    moved on a larger page    98.9 (98.0)   94.2 (87.7)
    jpeg, quality 75          99.1 (98.2)   93.4 (88.2)
    transparent               99.2 (98.0)   93.1 (88.6)

Resampling costs some: clothes have fine patterns. The bounds leave room for networks trained anew.
"""
from __future__ import annotations

import io
from typing import Callable

import numpy as np
import pytest
import small
from PIL import Image

from qnn_pynq import Classifier, demo


def _png(image: Image.Image) -> bytes:
    data = io.BytesIO()
    image.save(data, "PNG")
    return data.getvalue()


def _jpeg(image: Image.Image) -> bytes:
    data = io.BytesIO()
    image.save(data, "JPEG", quality=75)
    return data.getvalue()


def _large(image: Image.Image, side: int = 200) -> Image.Image:
    return image.resize((side, side), Image.BICUBIC)


def _inverted(image: Image.Image) -> Image.Image:
    return Image.fromarray(255 - np.asarray(image))


def _coloured(image: Image.Image, paper=(250, 244, 220), ink=(30, 40, 150)) -> Image.Image:
    part = np.asarray(image)[:, :, None] / 255.0
    return Image.fromarray((np.array(paper) * (1 - part) + np.array(ink) * part).astype(np.uint8))


def _moved(image: Image.Image) -> Image.Image:
    page = Image.new("L", (320, 240), 0)
    page.paste(_large(image, 130), (150, 20))
    return page


def _transparent(image: Image.Image) -> Image.Image:
    large = _large(image)
    result = Image.new("RGBA", large.size, (20, 20, 20, 0))
    result.putalpha(large)
    return result


# form -> (maker, least agreement on MNIST, on Fashion-MNIST)
FORMS: dict[str, tuple[Callable[[Image.Image], bytes], float, float]] = {
    "png": (_png, 1.0, 0.998),
    "png inverted": (lambda image: _png(_inverted(image)), 1.0, 0.998),
    "png coloured": (lambda image: _png(_coloured(image)), 0.99, 0.93),
    "200 x 200": (lambda image: _png(_large(image)), 0.97, 0.9),
    "200 x 200 inverted": (lambda image: _png(_inverted(_large(image))), 0.97, 0.9),
    "200 x 200 coloured": (lambda image: _png(_coloured(_large(image))), 0.97, 0.9),
    "red on green": (lambda image: _png(_coloured(_large(image), (40, 150, 40), (200, 30, 30))), 0.97, 0.9),
    "moved on a larger page": (lambda image: _png(_inverted(_moved(image))), 0.965, 0.9),
    "jpeg": (lambda image: _jpeg(_inverted(_large(image))), 0.97, 0.9),
    "transparent": (lambda image: _png(_transparent(image)), 0.97, 0.9),
}


def _agreement(classifier: Classifier, rows: np.ndarray, form: str) -> float:
    files = [FORMS[form][0](Image.fromarray(row.reshape(28, 28))) for row in rows]
    answers = [prediction.index for prediction in classifier.classify_many(files)]
    return float((classifier.predict(rows) == answers).mean())


@pytest.mark.parametrize("form", list(FORMS))
def test_a_hundred_digits_in_every_form(golden, shared_data, form):
    rows = small.test_set(shared_data, "mnist")[0][:100]
    with Classifier(small.published(golden, "lfcW1A1"), board="cpu") as classifier:
        assert _agreement(classifier, rows, form) >= FORMS[form][1] - 0.01


@pytest.mark.slow
@pytest.mark.parametrize("form", list(FORMS))
@pytest.mark.parametrize("name", ["published", "lfc-w1a1-mnist", "lfc-w1a1-fashion-mnist"])
def test_a_thousand_images_in_every_form(golden, shared_data, name, form):
    network = small.published(golden, "lfcW1A1") if name == "published" else name
    fashion = "fashion" in name
    rows = small.test_set(shared_data, "fashion-mnist" if fashion else "mnist")[0][:1000]
    with Classifier(network, board="cpu") as classifier:
        agreement = _agreement(classifier, rows, form)
    print(f"{name}: {form}: {100 * agreement:.1f} %")
    assert agreement >= FORMS[form][2 if fashion else 1]


@pytest.mark.parametrize("dataset, least", [("mnist", 95), ("fashion-mnist", 88)])
@pytest.mark.parametrize("kind", ["w1a1", "w1a2"])
def test_demo_pictures_are_mostly_right(dataset, kind, least):
    """Hit rate of the pictures that we drew; `python tools/draw_demo.py --hits NAME` prints it."""
    pairs = demo.pictures(dataset)
    with Classifier(f"lfc-{kind}-{dataset}", board="cpu") as classifier:
        answers = classifier.classify_many([path for path, _ in pairs])
    right = sum(answer.label == label for answer, (_, label) in zip(answers, pairs))
    assert right >= least
