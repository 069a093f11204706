"""Which group a process belongs to, from flags and from what launchers leave in the environment.

Does not show: that the launchers write what their manuals say; the variables are those of Slurm
23, Open MPI 4 and 5, Google Kubernetes Engine and the metadata server of Cloud TPU machines.
"""

import dataclasses
import http.server
import threading

import pytest

from clinical_t5x.console import UserError
from clinical_t5x.launch import tpu_hosts
from clinical_t5x.launch.flags import Flags, parse_flags
from clinical_t5x.launch.processes import find_group

SLURM = {
    "SLURM_JOB_ID": "4097",
    "SLURM_STEP_NODELIST": "gpu[07-08,11],big1",
    "SLURM_STEP_NUM_TASKS": "7",
    "SLURM_NTASKS": "7",
    "SLURM_STEP_TASKS_PER_NODE": "2(x3),1",
    "SLURM_PROCID": "3",
    "SLURM_NODEID": "1",
    "SLURM_LOCALID": "1",
}
OPEN_MPI = {
    "OMPI_COMM_WORLD_SIZE": "4",
    "OMPI_COMM_WORLD_RANK": "2",
    "OMPI_COMM_WORLD_LOCAL_RANK": "0",
    "OMPI_COMM_WORLD_LOCAL_SIZE": "2",
    "OMPI_MCA_orte_hnp_uri": "1531576320.0;tcp://10.96.0.1,10.148.0.1:34911",
}
KUBERNETES = {"TPU_WORKER_HOSTNAMES": "host-0,host-1", "TPU_WORKER_ID": "1"}
SLICES = {
    "MEGASCALE_NUM_SLICES": "3",
    "MEGASCALE_SLICE_ID": "2",
    "MEGASCALE_COORDINATOR_ADDRESS": "first-0:8080",
}


def flags(*arguments):
    return parse_flags("train", arguments)


def place(group):
    return group.coordinator, group.count, group.index


@pytest.mark.parametrize(
    "environment",
    [
        {},
        SLURM | {"SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"},
        {name: SLURM[name] for name in ("SLURM_JOB_ID", "SLURM_NTASKS", "SLURM_PROCID")},
        OPEN_MPI | {"OMPI_COMM_WORLD_SIZE": "1", "OMPI_COMM_WORLD_RANK": "0"},
        {"TPU_WORKER_HOSTNAMES": "localhost", "TPU_WORKER_ID": "0"},
        KUBERNETES | {"JAX_PLATFORMS": "cpu"},
    ],
    ids=["laptop", "one task", "batch script", "one rank", "one TPU host", "CPU on a TPU host"],
)
def test_process_on_its_own(environment):
    assert find_group(Flags(), environment) is None


def test_process_count_of_one_runs_alone_anywhere():
    for environment in (SLURM, OPEN_MPI, KUBERNETES):
        assert find_group(flags("--process_count=1"), environment) is None


def test_flags_say_everything():
    group = find_group(
        flags("--coordinator_address=10.0.0.1:9999", "--process_count=4", "--process_index=2"),
        SLURM,
    )
    assert place(group) == ("10.0.0.1:9999", 4, 2)
    assert group.local_device_ids is None


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        (["--coordinator_address=a:1"], {}, "--process_count and --process_index missing"),
        (["--process_count=2"], {}, "--coordinator_address and --process_index missing"),
        (["--process_index=0"], {}, "--coordinator_address and --process_count missing"),
        (["--multiprocess_gpu"], {}, "--multiprocess_gpu given, but"),
        ([], {"JAX_COORDINATOR_ADDRESS": "a:1"}, "--process_count and --process_index missing"),
        (["--process_count=2", "--process_index=2", "--coordinator_address=a:1"], {}, "0 to 1"),
        (["--process_count=1", "--process_index=3", "--coordinator_address=a:1"], {}, "0 to 0"),
        (["--process_count=2", "--process_index=1", "--coordinator_address=a"], {}, "HOST:PORT"),
        (["--process_count=2", "--process_index=1", "--coordinator_address=a:x"], {}, "HOST:PORT"),
        ([], {k: v for k, v in OPEN_MPI.items() if "uri" not in k}, "found Open MPI, but --coord"),
    ],
)
def test_part_of_the_flags_is_refused_with_the_cure(arguments, environment, message):
    with pytest.raises(UserError, match=message):
        find_group(flags(*arguments), environment)


def test_slurm():
    group = find_group(Flags(), SLURM)
    assert place(group) == ("gpu07:61441", 7, 3)
    assert group.local_device_ids == (1,)
    assert [group.places[i] for i in range(7)] == [
        "gpu07", "gpu07", "gpu08", "gpu08", "gpu11", "gpu11", "big1",
    ]  # fmt: skip


def test_a_task_alone_on_its_machine_has_all_of_its_devices():
    alone = SLURM | {"SLURM_STEP_TASKS_PER_NODE": "1(x7)", "SLURM_LOCALID": "0"}
    assert find_group(Flags(), alone).local_device_ids is None


def test_devices_that_slurm_shared_out_are_not_shared_out_again():
    environment = SLURM | {"CUDA_VISIBLE_DEVICES": "0"}  # --gpus-per-task=1 shows each its own
    assert find_group(Flags(), environment).local_device_ids is None
    environment = SLURM | {"CUDA_VISIBLE_DEVICES": "0,1"}
    assert find_group(Flags(), environment).local_device_ids == (1,)


def test_flags_win_over_the_launcher_which_fills_in_the_rest():
    group = find_group(flags("--coordinator_address=10.0.0.9:1234", "--multiprocess_gpu"), SLURM)
    assert place(group) == ("10.0.0.9:1234", 7, 3)


@pytest.mark.parametrize("nodes", ["a1", "a1,b2", "a[1-3]", "a[1,3]", "a[1-2],b[7-9]"])
def test_first_machine_of_a_node_list(nodes):
    environment = SLURM | {"SLURM_STEP_NODELIST": nodes, "JAX_COORDINATOR_PORT": "77"}
    assert find_group(Flags(), environment).coordinator == "a1:77"


def test_open_mpi():
    group = find_group(Flags(), OPEN_MPI)
    assert group.coordinator.startswith("10.96.0.1:")
    assert place(group)[1:] == (4, 2)
    assert group.local_device_ids == (0,)


def test_open_mpi_5_on_one_machine():
    environment = {k: v for k, v in OPEN_MPI.items() if "uri" not in k}
    environment |= {"OMPI_COMM_WORLD_LOCAL_SIZE": "4", "PMIX_NAMESPACE": "prterun-a-77@1"}
    group = find_group(Flags(), environment)
    assert group.coordinator.startswith("127.0.0.1:")
    other = environment | {"OMPI_COMM_WORLD_RANK": "3", "OMPI_COMM_WORLD_LOCAL_RANK": "3"}
    assert find_group(Flags(), other).coordinator == group.coordinator


def test_tpu_pod_in_kubernetes():
    group = find_group(Flags(), KUBERNETES)
    assert place(group) == ("host-0:8482", 2, 1)
    assert group.places == {0: "host-0", 1: "host-1"}


def test_several_slices_need_no_flag():
    group = find_group(Flags(), KUBERNETES | SLICES)
    assert place(group) == ("first-0:8482", 6, 5)
    assert group.places == {4: "host-0", 5: "host-1"}
    assert group.found_by == "Cloud TPU, 3 slices"


def test_ports_and_addresses_of_the_hosts():
    environment = {"TPU_PROCESS_ADDRESSES": "10.0.0.1:8471,10.0.0.2:8471", "TPU_WORKER_ID": "0"}
    assert place(find_group(Flags(), environment)) == ("10.0.0.1:8482", 2, 0)
    environment["TPU_PROCESS_ADDRESSES"] = "fd00::1,fd00::2"
    assert find_group(Flags(), environment).coordinator == "[fd00::1]:8482"


class MetadataServer(http.server.BaseHTTPRequestHandler):
    """Answers as the metadata server of a Cloud TPU machine does; 503 once, as that does too."""

    attributes: dict[str, str] = {}  # noqa: RUF012
    failures = 0

    def do_GET(self):
        name = self.path.rpartition("/")[2]
        assert self.headers["Metadata-Flavor"] == "Google"
        code = 200 if name in self.attributes else 404
        if MetadataServer.failures:
            MetadataServer.failures -= 1
            code = 503
        self.send_response(code)
        self.end_headers()
        if code == 200:
            self.wfile.write(self.attributes[name].encode())

    def log_message(self, *arguments):
        pass


@pytest.fixture
def metadata(monkeypatch):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), MetadataServer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(tpu_hosts, "_has_chips", lambda: True)
    monkeypatch.setattr(tpu_hosts, "_BETWEEN_TRIES", 0.0)
    monkeypatch.setattr(MetadataServer, "attributes", {})
    yield {"GCE_METADATA_IP": f"127.0.0.1:{server.server_port}"}
    server.shutdown()
    server.server_close()


def test_tpu_machine_tells_its_pod(metadata):
    MetadataServer.attributes = {
        "agent-worker-number": "1",
        "worker-network-endpoints": "unknown:unknown:10.0.0.7,unknown:unknown:10.0.0.8",
        "tpu-env": "ZONE: 'z'\nMEGASCALE_NUM_SLICES: '2'\nMEGASCALE_SLICE_ID: '1'\n"
        "MEGASCALE_COORDINATOR_ADDRESS: '10.0.0.5:8080'\n",
    }
    MetadataServer.failures = 1
    assert place(find_group(Flags(), metadata)) == ("10.0.0.5:8482", 4, 3)


def test_tpu_machine_of_one_host_runs_alone(metadata):
    MetadataServer.attributes = {
        "agent-worker-number": "0",
        "worker-network-endpoints": "10.0.0.7",
    }
    assert find_group(Flags(), metadata) is None


def test_machine_without_such_metadata_runs_alone(metadata):
    assert find_group(Flags(), metadata) is None
    assert find_group(Flags(), {"GCE_METADATA_IP": "127.0.0.1:1"}) is None


def test_nothing_is_asked_where_jax_is_told_not_to(metadata):
    MetadataServer.attributes = {
        "agent-worker-number": "0",
        "worker-network-endpoints": "10.0.0.7,10.0.0.8",
    }
    assert find_group(Flags(), metadata).count == 2
    assert find_group(Flags(), metadata | {"TPU_SKIP_MDS_QUERY": "1"}) is None
    assert find_group(Flags(), metadata | {"JAX_PLATFORMS": "cpu"}) is None


def test_group_is_a_plain_value():
    assert dataclasses.replace(find_group(Flags(), SLURM), index=0).index == 0
