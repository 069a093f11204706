"""scripts/pod.py and scripts/host.sh as they are, with a stand-in for gcloud on PATH.

The slow ones: `pytest tests/scripts -m slow`.

Does not show: Google's answers in other words than these, ssh, real machines, their Python.
"""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import pytest

SCRIPTS = pathlib.Path(__file__).resolve().parents[2] / "scripts"
STANDIN = pathlib.Path(__file__).with_name("gcloud_standin.py")
NEW = ("create", "big", "--accelerator-type=v5litepod-16", "--zone=z")
TRAIN = ("python", "-m", "t5x.train", "--gin.MODEL_DIR=gs://b/run")
QUOTA = "ERROR: (gcloud) RESOURCE_EXHAUSTED: Quota limit 'TPUV5sLitepod' has been exceeded. 429"
BUSY = "ERROR: (gcloud) HTTPError 429: Too many requests"


class Cloud:
    """The stand-in's folder, and a small project of git with the real scripts in it."""

    def __init__(self, root):
        self.root, self.project = root / "cloud", root / "project"
        (root / "bin").mkdir()
        (self.root / "template").mkdir(parents=True)
        shutil.copytree(SCRIPTS, self.project / "scripts", ignore=shutil.ignore_patterns("__*"))
        (self.project / "README").write_text("a project\n")
        identity = ["-c", "user.name=t", "-c", "user.email=t@t"]
        for words in (["init", "-q"], ["add", "."], [*identity, "commit", "-qm", "first"]):
            subprocess.run(["git", "-C", self.project, *words], check=True)
        gcloud = root / "bin" / "gcloud"
        gcloud.write_text(f"#!{sys.executable} -S\n{STANDIN.read_text()}")
        gcloud.chmod(0o755)
        self.environment = {
            **os.environ, "PATH": f"{root / 'bin'}:{os.environ['PATH']}",
            "GCLOUD_STANDIN": str(self.root), "CLOUDSDK_CONFIG": str(root / "none"),
            "POD_PAUSE": "0", "POD_MOST_CRASHES": "3",
        }  # fmt: skip

    def start(self, *arguments, **environment):
        command = [sys.executable, str(self.project / "scripts" / "pod.py"), *arguments[:2]]
        command += ["--poll=0.05", "--pause=0.01", *arguments[2:]]
        return subprocess.Popen(
            command, env=self.environment | environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def pod(self, *arguments, code=0, **environment):
        """What pod.py prints; its exit code is checked."""
        process = self.start(*arguments, **environment)
        output, errors = process.communicate(timeout=60)
        assert process.returncode == code, output + errors
        return output + errors

    def calls(self, *words):
        """The stand-in's calls that have these words."""
        file = self.root / "calls.jsonl"
        lines = file.read_text().splitlines() if file.exists() else []
        return [call for line in lines if all(w in (call := json.loads(line)) for w in words)]

    def fail(self, call, says, times=1):
        (self.root / "failures.json").write_text(
            json.dumps([{"call": call, "says": says, "times": times}])
        )

    def set_state(self, state):
        file = self.root / "resources.json"
        found = json.loads(file.read_text())
        found["big"]["state"] = state
        file.write_text(json.dumps(found))

    def hosts(self):
        return sorted((self.root / "machines").glob("*/*/clinical_t5x_pod"))

    def be_installed(self):
        """New machines have this commit already, as machines that were only restarted."""
        folder = self.root / "template" / "clinical_t5x_pod"
        (folder / "source").mkdir(parents=True)
        (folder / "venv" / "bin").mkdir(parents=True)
        (folder / "venv" / "bin" / "python").symlink_to(sys.executable)
        commit = subprocess.run(
            ["git", "-C", self.project, "rev-parse", "HEAD"], capture_output=True, text=True
        ).stdout.strip()
        (folder / "installed").write_text(f"{commit} tpu 3.11")

    def end_machines(self):
        """Take the machines away without a word."""
        for host in self.hosts():
            if (host / "pid").exists():
                end_group(int((host / "pid").read_text()))
        shutil.rmtree(self.root / "machines")


def end_group(process):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process, signal.SIGKILL)  # a supervisor leads a session of its own


@pytest.fixture
def cloud(tmp_path):
    made = Cloud(tmp_path)
    yield made
    if (made.root / "machines").exists():
        made.end_machines()


def wait_for(condition):
    while not condition():
        time.sleep(0.02)


def test_create_twice_asks_once_and_warns_of_the_cost(cloud):
    assert "costs money" in cloud.pod(*NEW, "--spot")
    assert "nothing to ask for" in cloud.pod("create", "big")
    (call,) = cloud.calls("create")
    assert "--spot" in call and "--zone=z" in call and "--node-id=big" in call
    assert "--runtime-version=v2-alpha-tpuv5-lite" in call


def test_other_settings_for_a_pod_that_exists_are_refused(cloud):
    cloud.pod(*NEW)
    errors = cloud.pod(*NEW, "--slices=2", code=2)
    assert "slices 1, not 2" in errors


def test_slices_of_several_generations(cloud):
    cloud.pod("create", "big", "--accelerator-type=v4-32", "--slices=3", "--wait")
    (call,) = cloud.calls("create")
    assert {"--node-count=3", "--node-prefix=big", "--runtime-version=tpu-ubuntu2204-base"} <= {
        *call
    }
    assert len(cloud.hosts()) == 0 and len(list(cloud.root.glob("machines/*/*"))) == 6


def test_busy_service_is_asked_again_and_quota_is_not(cloud):
    cloud.fail("queued-resources create", BUSY, times=2)
    assert cloud.pod(*NEW).count("Too many requests; again") == 2
    assert len(cloud.calls("create")) == 3
    cloud.pod("delete", "big")
    cloud.fail("queued-resources create", QUOTA)
    errors = cloud.pod(*NEW, code=2)
    assert "iam-admin/quotas" in errors and "Traceback" not in errors
    assert len(cloud.calls("create")) == 4


def test_call_that_got_through_although_it_failed(cloud):
    """The answer is lost, the second call finds the resource there."""
    cloud.pod(*NEW)
    cloud.fail("describe", "ERROR: NOT_FOUND")
    assert "asked for big" in cloud.pod("create", "big")


def test_dry_run_prints_commands_and_touches_nothing(cloud):
    for arguments in (
        [*NEW, "--dry-run"],
        ["install", "big", "--dry-run"],
        ["launch", "big", "--dry-run", "--secret-env=TOKEN", "--", *TRAIN],
        ["delete", "big", "--dry-run"],
    ):
        output = cloud.pod(*arguments, TOKEN="s3cret")
        lines = [line for line in output.splitlines() if not line.startswith("#")]
        assert lines and all(line.startswith("gcloud compute tpus ") for line in lines)
        assert "s3cret" not in output
    assert cloud.calls() == []
    assert not (cloud.project / "runs").exists()


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["python", "-m", "t5x.train"], "give --gin.MODEL_DIR=gs://"),
        ([*TRAIN[:3], "--gin.MODEL_DIR=/tmp/x"], "is lost; give gs://"),
        ([*TRAIN, "--tfds_data_dir=data"], "is lost; give gs://"),
        ([*TRAIN, "two\nlines"], "several lines"),
    ],
)
def test_places_that_would_be_lost_are_refused(cloud, command, message):
    assert message in cloud.pod("launch", "big", "--", *command, code=2)


COUNTING = """
import os, pathlib, signal, sys, time
log = pathlib.Path("{log}")
with log.open("a") as file:
    file.write(os.environ["CLINICAL_T5X_DATA"] + " " + os.environ["TOKEN"] + "\\n")
times = len(log.read_text().splitlines())
signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
sys.exit({code})
"""


def running(cloud, code, *options):
    """Install and launch a command on every host that ends as the expression `code` says."""
    cloud.be_installed()
    cloud.pod(*NEW, "--wait")
    cloud.pod("install", "big")
    program = COUNTING.format(log="../runs.log", code=code)
    (cloud.root / "program.py").write_text(program)
    return cloud.pod(
        "launch", "big", "--data-home=gs://b/it's data", "--secret-env=TOKEN", *options, "--",
        "python", str(cloud.root / "program.py"), "a word", TOKEN="s3 'cret",
    )  # fmt: skip


def test_command_runs_on_all_hosts_and_again_after_exit_code_75(cloud):
    output = running(cloud, "75 if times < 3 else 0")
    assert "s3" not in output
    shown = cloud.pod("watch", "big", TOKEN="s3 'cret")
    assert "2 done" in shown
    for host in cloud.hosts():
        assert (host / "runs.log").read_text() == "gs://b/it's data s3 'cret\n" * 3
        assert (host / "secrets").stat().st_mode & 0o077 == 0
    assert "s3" not in (cloud.root / "calls.jsonl").read_text()
    assert "s3" not in (cloud.project / "runs" / "pods" / "big.json").read_text()
    assert "Delete it" in shown


@pytest.mark.slow
def test_crash_is_tried_again_and_a_wrong_call_is_not(cloud):
    running(cloud, "2 if times == 2 else 9")
    assert "2 failed" in cloud.pod("watch", "big", TOKEN="x", code=1)
    for host in cloud.hosts():
        assert len((host / "runs.log").read_text().splitlines()) == 2
    cloud.pod("launch", "big", TOKEN="x")  # goes on; crashes until it is given up
    cloud.pod("watch", "big", TOKEN="x", code=1)
    assert "given up" in (cloud.hosts()[0] / "supervisor.log").read_text()


@pytest.mark.slow
def test_launch_twice_starts_once_and_stop_lets_it_save(cloud):
    running(cloud, "time.sleep(60)")
    assert cloud.pod("launch", "big", TOKEN="x").count("runs already") == 2
    assert cloud.pod("status", "big").count("running") == 2
    wait_for(lambda: all((host / "runs.log").exists() for host in cloud.hosts()))
    assert cloud.pod("stop", "big").count("stopped") == 2
    assert "exit code 75" in (cloud.hosts()[0] / "supervisor.log").read_text()
    cloud.pod("watch", "big", TOKEN="x", code=75)


def test_preempted_pod_is_made_again_and_goes_on(cloud):
    running(cloud, "time.sleep(60)")
    (cloud.root / "program.py").write_text("")  # what was started on the first machines stays
    watching = cloud.start("watch", "big", TOKEN="s3 'cret")
    cloud.set_state("SUSPENDED")
    cloud.end_machines()
    output, errors = watching.communicate(timeout=60)
    assert watching.returncode == 0, output + errors
    assert "SUSPENDED: it is removed and asked for again" in output
    assert "2 done" in output
    assert len(cloud.calls("create")) == 2


@pytest.mark.slow
def test_restarted_machine_goes_on(cloud):
    """The supervisor is gone, the disk is not: nobody asked for a stop."""
    running(cloud, "time.sleep(60)")
    for host in cloud.hosts():
        end_group(int((host / "pid").read_text()))
    (cloud.root / "program.py").write_text("")
    assert "interrupted" in cloud.pod("watch", "big", TOKEN="x")


def test_missing_secret_is_named_before_anything_is_copied(cloud):
    cloud.pod(*NEW)
    errors = cloud.pod("launch", "big", "--secret-env=NO_SUCH", "--", *TRAIN, code=2)
    assert "NO_SUCH: the variable is not set here" in errors
    assert cloud.calls("scp") == []


@pytest.mark.slow
def test_host_that_fails_is_not_overlooked(cloud):
    """gcloud itself ends well when a command fails on one of several workers."""
    cloud.be_installed()
    cloud.pod(*NEW, "--wait")
    cloud.pod("install", "big")
    (cloud.hosts()[1] / "installed").unlink()
    errors = cloud.pod("launch", "big", "--", *TRAIN, code=2)
    assert "1 of 2 hosts of big did not do it" in errors


def test_delete_twice(cloud):
    cloud.pod(*NEW)
    assert "is deleted" in cloud.pod("delete", "big")
    assert "there is no big" in cloud.pod("delete", "big")
    assert not (cloud.project / "runs" / "pods" / "big.json").exists()
