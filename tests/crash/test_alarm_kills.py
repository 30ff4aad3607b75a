"""kill -9 amid alarms that are commanded and notified, resume: the same alarms, nothing lost."""

import random

import pytest

from tests.commanded import answer, command_file, commanded_inputs
from tests.killing import kill_until_done, popen
from tests.watching import command, environment, run, told


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    commanded_inputs(folder, 4_800)
    return folder


@pytest.mark.parametrize(
    "kills", [2, pytest.param(60, marks=pytest.mark.slow)], ids=lambda n: f"{n}-kills"
)
def test_alarms_after_kills_are_those_of_an_undisturbed_run(inputs, tmp_path, kills):
    commands, rng = command_file(inputs, tmp_path / "first"), random.Random(kills)
    undisturbed = tmp_path / "undisturbed"
    done = run(command("watch", "--quiet"), environment(inputs, undisturbed, commands=commands))
    assert done.returncode == 0, done.stderr
    pace = {"epoch_s": 0.05, "epoch_rows": 60, "frame_rows": 60}
    out = tmp_path / "killed"
    env = environment(inputs, out, commands=commands, recovery=out / "recovery", **pace)
    out.mkdir()

    def start():
        return [popen(command("watch", "--quiet"), env, out)]

    assert kill_until_done(start, out, rng, kills, longest_s=3.0 / kills) >= kills
    events = told(out)
    assert answer(events) == answer(told(undisturbed))
