"""Every kernel and conversion of every space of the zoo, made small, can be timed alone."""

from __future__ import annotations

import pytest

from predictors.latency import Target
from predictors.latency.backends import onnxruntime as backend
from predictors.latency.key import BoundaryKey, LayerKey
from predictors.latency.plan import keys_of
from predictors.latency.probes import key_model
from spaces.randomness import generator
from tests.small import EVERY_EXPORTED, elastic_in_precision

INTEGER = {"conv": "QLinearConv", "linear": "QGemm"}
SOME = 40  # models of one space that are run


@pytest.mark.parametrize("name", EVERY_EXPORTED)
def test_every_key_has_a_model_that_runs_on_the_kernel_it_names(name: str) -> None:
    """Integer convolutions and linear layers on integers, float ones not."""
    space = elastic_in_precision(name)
    keys = keys_of(space.sample_many(100, generator(0, "test"), by_choice=True), Target())
    assert {isinstance(key, BoundaryKey) for key in keys} == {False, True}
    for key in sorted(keys, key=str)[:: max(1, len(keys) // SOME)]:
        model = key_model(key)
        backend.prepared(model, 1)()
        if isinstance(key, LayerKey) and key.op in INTEGER:
            ops = [node.op_type for node in backend.optimised(model).graph.node]
            assert (INTEGER[key.op] in ops) == (key.source == "u8"), key
