"""What surrounds a flow while it runs in this process."""

import gc

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.testing import TestingSink, TestingSource

from flows.launch import launch
from flows.settings import Settings


def test_what_is_loaded_is_out_of_the_collectors_sight_while_a_flow_runs():
    seen: list[int] = []
    flow = Dataflow("test")
    looked = op.map(
        "look", op.input("one", flow, TestingSource([0])), lambda _: gc.get_freeze_count()
    )
    op.output("out", looked, TestingSink(seen))
    before = gc.get_freeze_count()
    launch(flow, Settings.load(None, telemetry="file:nothing"), None)
    assert seen[0] > before + 1_000
    assert gc.get_freeze_count() == 0
