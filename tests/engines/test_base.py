"""The contract of an engine, in software and on a board: the oracle's words, start and wait, explicit states."""
from __future__ import annotations

import dataclasses

import lfc
import numpy as np
import pytest
import small
from hypothesis import given, settings
from hypothesis import strategies as st

from qnn_pynq.boards.emulated import EmulatedBoard
from qnn_pynq.engines import BoardEngine, Prepared, SoftwareEngine
from qnn_pynq.errors import BoardError, ClosedError, InputError, NotReadyError, UnsupportedNetworkError


def _board_engine(board=None, circuit=None, **options):
    return BoardEngine(board or EmulatedBoard(), [circuit or lfc.tiny()], **options)


@pytest.fixture(params=["software", "board"])
def engine(request):
    made = SoftwareEngine() if request.param == "software" else _board_engine()
    with made:
        yield made


# -- words -----------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.booleans(), st.booleans())
def test_random_small_networks_give_the_oracles_words(seed, count, table, hostile):
    net = small.network(seed=seed, table=table, hostile=hostile)
    rows = small.pictures(count, net, seed)
    wanted = small.words(net, rows)
    for engine in (SoftwareEngine(), _board_engine()):
        with engine:
            engine.load(net)
            assert (engine.run(rows).values == wanted).all()
            for k in range(min(count, 3)):
                assert engine.one(rows[k]) == wanted[k]


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(st.sampled_from(["w1a1", "w1a2"]), st.integers(0, 2**32 - 1), st.integers(1, 150), st.booleans(), st.booleans())
def test_random_lfc_networks_give_the_oracles_words(kind, seed, count, table, hostile):
    circuit = lfc.overlay(kind)
    net = small.network(circuit, seed, table=table, hostile=hostile)
    rows = small.pictures(count, net, seed)
    wanted = small.words(net, rows)
    for engine in (SoftwareEngine(), _board_engine(circuit=circuit)):
        with engine:
            engine.load(net)
            assert (engine.run(rows).values == wanted).all()


@pytest.mark.parametrize("kind", ["w1a1", "w1a2"])
def test_one_random_lfc_network_gives_the_oracles_words(kind):
    circuit = lfc.overlay(kind)
    net = small.network(circuit, 7, table=True, hostile=True)
    rows = small.pictures(70, net)
    wanted = small.words(net, rows)
    for engine in (SoftwareEngine(threads=2), _board_engine(circuit=circuit)):
        with engine:
            engine.load(net)
            assert (engine.run(rows).values == wanted).all()


def test_chunks_give_what_one_run_gives(engine):
    net = small.network(seed=5)
    rows = small.pictures(100, net)
    engine.load(net)
    if isinstance(engine, BoardEngine):
        engine.driver._capacity = 16
    assert (engine.run(rows).values == small.words(net, rows)).all()


def test_results_are_arrays_of_their_own_that_say_what_they_are(engine):
    net = small.network()
    rows = small.pictures(5, net)
    engine.load(net)
    first = engine.run(rows)
    kept = first.values.copy()
    engine.run(small.pictures(5, net, 1))
    assert (first.values == kept).all() and (kept == small.words(net, rows)).all()
    assert (first.kind, first.values.dtype, first.end, first.sums) == ("words", np.uint64, len(net.layers), None)
    assert (engine.kind, engine.after) == ("words", ())


def test_pictures_of_another_engines_first_stage_are_computed_from_the_pictures(engine):
    """Those of an engine that an alarm has replaced."""
    net = small.network()
    rows = small.pictures(5, net)
    engine.load(net)
    prepared = Prepared(rows, np.zeros((5, 3)), lambda pictures: pictures)
    assert (engine.run(prepared).values == small.words(net, rows)).all()
    assert (engine.run(prepared[2:4]).values == small.words(net, rows[2:4])).all()


def test_start_and_wait_are_run(engine):
    net = small.network()
    rows = small.pictures(5, net)
    engine.load(net)
    engine.start(rows)
    assert (engine.wait().values == small.words(net, rows)).all()
    with pytest.raises((BoardError, InputError), match="start"):
        engine.wait()


def test_no_pictures_give_no_words(engine):
    net = small.network()
    engine.load(net)
    assert engine.run(small.pictures(0, net)).values.shape == (0,)


# -- stages ----------------------------------------------------------------------------------


# -- states ----------------------------------------------------------------------------------


def test_before_configure_and_after_close_everything_is_refused(engine):
    rows = np.zeros((1, 64), np.uint8)
    with pytest.raises(NotReadyError, match="load"):
        engine.run(rows)
    with pytest.raises(NotReadyError, match="load"):
        engine.one(rows[0])
    engine.close()
    engine.close()
    for call in (lambda: engine.run(rows), lambda: engine.one(rows[0]), lambda: engine.load(small.network())):
        with pytest.raises(ClosedError):
            call()


def test_an_unsupported_network_leaves_the_former_one(engine):
    net = small.network(seed=1)
    rows = small.pictures(4, net)
    engine.load(net)
    bad = dataclasses.replace(net, decode=dataclasses.replace(net.decode, levels=7))
    with pytest.raises(UnsupportedNetworkError, match="levels"):
        engine.load(bad)
    assert (engine.run(rows).values == small.words(net, rows)).all()
