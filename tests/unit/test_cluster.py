"""Which cluster the environment names, as `bytewax.run` reads it under the Helm chart."""

import pytest

from connectors.contract import SettingsError
from flows.cluster import Cluster, cluster_of
from flows.settings import Settings
from scripts.run import run_flow, service

ADDRESSES = "a:1;b:2"


def test_no_variables_name_no_cluster():
    assert cluster_of({"BYTEWAX_ADDRESSES": ADDRESSES, "BYTEWAX_POD_NAME": "watch-1"}) is None


def test_a_process_and_addresses():
    env = {"BYTEWAX_PROCESS_ID": "1", "BYTEWAX_ADDRESSES": ADDRESSES}
    assert cluster_of(env) == Cluster(1, ("a:1", "b:2"))


def test_a_pod_and_a_file_of_hosts(tmp_path):
    hosts = tmp_path / "hosts.txt"
    hosts.write_text("a:1\n\nb:2\n")
    env = {
        "BYTEWAX_POD_NAME": "farwatch-watch-1",
        "BYTEWAX_STATEFULSET_NAME": "farwatch-watch",
        "BYTEWAX_HOSTFILE_PATH": str(hosts),
    }
    assert cluster_of(env) == Cluster(1, ("a:1", "b:2"))


@pytest.mark.parametrize(
    ("env", "says"),
    [
        ({"BYTEWAX_PROCESS_ID": "2", "BYTEWAX_ADDRESSES": ADDRESSES}, "process 2 of 2 addresses"),
        ({"BYTEWAX_PROCESS_ID": "one", "BYTEWAX_ADDRESSES": ADDRESSES}, "BYTEWAX_PROCESS_ID `one`"),
        ({"BYTEWAX_PROCESS_ID": "0"}, "not set: BYTEWAX_ADDRESSES or BYTEWAX_HOSTFILE_PATH"),
        (
            {"BYTEWAX_POD_NAME": "watch-0", "BYTEWAX_STATEFULSET_NAME": "other"},
            "BYTEWAX_POD_NAME `watch-0` of BYTEWAX_STATEFULSET_NAME `other`",
        ),
        (
            {"BYTEWAX_PROCESS_ID": "0", "BYTEWAX_HOSTFILE_PATH": "/none/hosts.txt"},
            "`/none/hosts.txt`: No such file",
        ),
    ],
)
def test_what_does_not_fit_together_is_told(env, says):
    with pytest.raises(SettingsError) as told:
        cluster_of(env)
    assert says in str(told.value)


def test_more_processes_than_key_groups_are_refused():
    with pytest.raises(SettingsError, match="2 key groups leave some without work"):
        service("watch", Settings(processes=3, key_groups=2))


def test_processes_of_a_process_of_a_cluster_are_refused(monkeypatch):
    monkeypatch.setenv("BYTEWAX_PROCESS_ID", "0")
    monkeypatch.setenv("BYTEWAX_ADDRESSES", ADDRESSES)
    with pytest.raises(SettingsError, match="leave FARWATCH_PROCESSES out"):
        run_flow("watch", Settings(processes=2))
