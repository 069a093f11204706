"""Real processes on this machine that find each other and start JAX together (gloo, 127.0.0.1).

Does not show: other machines, TPU or GPU runtimes, a scheduler's own start of the processes.
"""

import os
import subprocess
import sys

import pytest

from clinical_t5x.launch import facade
from clinical_t5x.storage import stage_directory
from tests.launch.test_roll_call import free_port

LAUNCHERS = ("JAX_", "SLURM_", "OMPI_", "PMIX_", "TPU_", "MEGASCALE_")


def start(arguments, environment, module="tests.launch.joining"):
    clean = {k: v for k, v in os.environ.items() if not k.startswith(LAUNCHERS)}
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=facade.CHECKOUT,
        env=clean | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ends(processes, timeout=120):
    """Exit code, standard output and standard error of each."""
    found = [process.communicate(timeout=timeout) for process in processes]
    return [(p.returncode, *texts) for p, texts in zip(processes, found, strict=True)]


def slurm(index, port):
    return {
        "SLURM_JOB_ID": "7", "SLURM_STEP_NODELIST": "127.0.0.1", "SLURM_NTASKS": "2",
        "SLURM_STEP_TASKS_PER_NODE": "2", "SLURM_NODEID": "0", "SLURM_PROCID": str(index),
        "SLURM_LOCALID": str(index), "JAX_COORDINATOR_PORT": str(port),
    }  # fmt: skip


def slices(index, port):
    return {
        "TPU_WORKER_HOSTNAMES": "127.0.0.1", "TPU_WORKER_ID": "0", "MEGASCALE_NUM_SLICES": "2",
        "MEGASCALE_SLICE_ID": str(index), "MEGASCALE_COORDINATOR_ADDRESS": "127.0.0.1:8080",
        "JAX_COORDINATOR_PORT": str(port),
    }  # fmt: skip


@pytest.mark.parametrize(
    "launcher", [pytest.param(slurm, marks=pytest.mark.slow, id="slurm"), slices]
)
def test_processes_join_without_a_flag_and_only_the_first_talks(launcher):
    port = free_port()
    first, second = ends([start([], launcher(index, port)) for index in range(2)])
    assert first[0] == second[0] == 0, (first, second)
    assert first[1].splitlines()[-2:] == ["2 processes, sum 1", '{"processes": 2}']
    assert "a warning" in first[2]
    assert "work: 1 of 2" in first[2]
    spoken = [line for line in second[1].splitlines() if not line.startswith("[Gloo]")]
    assert (spoken, second[2]) == ([], "")


def test_hosts_with_different_data_are_refused():
    shared = [f"--coordinator_address=127.0.0.1:{free_port()}", "--process_count=2"]
    group = [start([*shared, f"--process_index={i}", f"--data={i}"], {}) for i in range(2)]
    for index, (code, _, errors) in enumerate(ends(group)):
        assert code == 2
        assert errors.startswith(f"error on host {index} of 2 (")
        assert "the train data of host 1 is not that of host 0" in errors


@pytest.mark.slow
def test_explicit_flags_and_an_error_on_one_host_that_names_it():
    address = f"--coordinator_address=127.0.0.1:{free_port()}"
    shared = [address, "--process_count=2", "--fail_on=1"]
    first, second = ends([start([*shared, f"--process_index={i}"], {}) for i in range(2)])
    assert second[0] == 2
    assert second[2].startswith("error on host 1 of 2 (")
    assert second[2].endswith("): the disk is full\n")
    assert first[0] == 0


def test_a_lone_process_pays_nothing():
    ((code, output, errors),) = ends([start([], {"JAX_PLATFORMS": "cpu"})])
    assert (code, errors.count("missing")) == (0, 0)
    assert "1 processes, sum 0" in output


def test_command_says_who_is_missing(tmp_path):
    """The whole command, with a data home and a partner that never comes."""
    data_set = tmp_path / "tfds" / "clinical_notes" / "1.0.0"
    data_set.mkdir(parents=True)
    (data_set / "dataset_info.json").write_text("{}")
    with stage_directory(tmp_path / "vocabularies" / "clinical"):
        pass
    address = f"--coordinator_address=127.0.0.1:{free_port()}"
    arguments = ["--gin_file=gin/demo.gin", address, "--process_count=2", "--process_index=0"]
    home = {"CLINICAL_T5X_DATA": str(tmp_path)}
    process = start([*arguments, "--initialization_timeout=1"], home, module="t5x.train")
    ((code, _, errors),) = ends([process])
    assert code == 2
    assert errors.startswith("error on host 0 of 2 ")
    assert "1 of 2 processes are missing: number 1." in errors


def test_command_with_part_of_the_flags_says_what_is_missing():
    process = start(["--gin_file=gin/demo.gin", "--process_index=1"], {}, module="t5x.train")
    ((code, output, errors),) = ends([process])
    assert (code, output) == (2, "")
    assert "--coordinator_address and --process_count missing" in errors
