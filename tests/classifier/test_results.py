"""Prediction and Evaluation: what they say, as text, table, HTML, JSON and plot."""
from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from qnn_pynq.classifier.results import Evaluation, Prediction
from qnn_pynq.errors import InputError

NAMES = ("cat", "d<o>g", "fox")


def _prediction(**changes):
    values = {"label": "d<o>g", "index": 1, "scores": np.array([0, 2, 2]), "fired": True, "classes": NAMES,
              "stages": {"pack": 1e-6, "accelerator": 18.3e-6}, "accelerator_is_modelled": True}
    values.update(changes)
    return Prediction(**values)


def _evaluation(**changes):
    values = {"network": "net", "board": "emulated board", "classes": NAMES, "labels": np.array([0, 1, 2, 2]),
              "predictions": np.array([0, 1, 2, 0]), "unfired": 1, "seconds": 2.0,
              "stages": {"pack": 0.4, "accelerator": 4 * 8.41e-6, "emulation": 1.0}, "accelerator_is_modelled": True}
    values.update(changes)
    return Evaluation(**values)


# -- prediction ------------------------------------------------------------------------------


def test_predictions_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        _prediction().label = "x"


def test_top_is_in_the_order_of_the_decode_rule():
    assert _prediction(index=2, label="fox").top(2) == [("fox", 2), ("d<o>g", 2)]
    assert [name for name, _ in _prediction().top(10)] == ["fox", "d<o>g", "cat"]
    with pytest.raises(InputError):
        _prediction().top(0)


def test_probabilities_where_there_are_sums():
    assert _prediction().probability is None
    sure = _prediction(probabilities=np.array([0.1, 0.7, 0.2]))
    assert sure.probability == pytest.approx(0.7)
    assert sure.top(1) == [("d<o>g", pytest.approx(0.7))]
    assert "0.700" in repr(sure)


def test_texts_of_a_prediction():
    assert str(_prediction()) == "d<o>g"
    assert repr(_prediction()) == "Prediction('d<o>g', index=1, score=2)"
    assert "no neuron fired" in repr(_prediction(fired=False)) and "no neuron fired" in _prediction(
        fired=False)._repr_html_()
    html = _prediction()._repr_html_()
    assert "d&lt;o&gt;g" in html and "accelerator (modelled) 18.3 us" in html


# -- evaluation ------------------------------------------------------------------------------


def test_figures():
    result = _evaluation()
    assert (result.pictures, result.correct, result.accuracy) == (4, 3, 0.75)
    assert result.confusion.tolist() == [[1, 0, 0], [0, 1, 0], [1, 0, 1]]
    assert result.images_per_second == 2
    assert result.accelerator_images_per_second == pytest.approx(1 / 8.41e-6)


def test_emulation_is_never_shown_as_the_fpgas_time():
    text = str(_evaluation())
    assert "accelerator (modelled)" in text and "8.41 us" in text and "emulation 250 ms" in text
    assert "emulated board end to end" in text and "no neuron fired for 1 of 4" in text
    real = str(_evaluation(accelerator_is_modelled=False))
    assert "modelled" not in real


def test_comparison():
    software = _evaluation(board="cpu", stages={"kernel": 1e-3}, seconds=0.001, accelerator_is_modelled=False,
                           predictions=np.array([0, 1, 2, 1]))
    both = _evaluation(software=software)
    assert both.differing == 1 and "differ on 1 of 4" in str(both)
    assert [row[0] for row in both.rows()[1:]] == [
        "accelerator (modelled)", "emulated board end to end", "software"]
    assert software.accelerator_images_per_second is None and _evaluation().differing is None


def test_json_has_plain_types():
    data = json.loads(json.dumps(_evaluation(software=_evaluation(board="cpu")).as_dict()))
    assert data["accuracy"] == 0.75 and data["software"]["board"] == "cpu" and data["differing"] == 0
    assert data["confusion"] == [[1, 0, 0], [0, 1, 0], [1, 0, 1]]


def test_html_is_escaped():
    html = _evaluation(network="<net>")._repr_html_()
    assert "&lt;net&gt;" in html and "<net>" not in html and "<th>" in html


def test_plot():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    axes = _evaluation(software=_evaluation(board="cpu")).plot()
    assert len(np.ravel(axes)) == 2
    pyplot.close("all")
    _, axis = pyplot.subplots()
    assert _evaluation().plot(axis) is axis
    pyplot.close("all")
