"""Full disks, files that cannot be read or written: one line, an exit code, nothing half done."""

import json
import os
import shutil
import subprocess

import pytest

from clinical_t5x import storage
from tests.corpus import faults
from tests.corpus.test_pipeline import NOTES

# A private mount, so that a real file system can be full without anybody else's noticing.
PRIVATE_MOUNTS = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c")
# Root may read what nobody may, unless it gives this up.
WITHOUT_ROOTS_RIGHTS = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")


def works(*command):
    if shutil.which(command[0]) is None:
        return False
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def one_line(done, code):
    """The only line that a failed command says to a person."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    (line,) = done.stderr.strip().splitlines()
    return line


FULL_AT = [
    ("clinical_t5x.corpus.writing:shard_path", 9),
    pytest.param("clinical_t5x.corpus.staged_parts:write", 3, marks=pytest.mark.slow),
    pytest.param("clinical_t5x.corpus.staging:_write_matches", 4, marks=pytest.mark.slow),
    pytest.param("clinical_t5x.corpus.duplicates.near:near_copies", 1, marks=pytest.mark.slow),
    pytest.param("clinical_t5x.corpus.accounts:write_dropped", 1, marks=pytest.mark.slow),
    pytest.param("clinical_t5x.corpus.report:write_page", 1, marks=pytest.mark.slow),
]


@pytest.mark.skipif(
    not works(*PRIVATE_MOUNTS, "mount -t tmpfs tmpfs /mnt"), reason="no private mounts here"
)
@pytest.mark.parametrize(("at", "call"), FULL_AT)
def test_a_full_disk_is_said_and_with_more_space_it_goes_on(
    physionet, undisturbed, tmp_path, at, call
):
    disk = tmp_path / "disk"
    disk.mkdir()
    prepare = faults.command("--physionet", physionet, "--data_dir", disk)
    script = f"""
        mount -t tmpfs -o size=20m tmpfs {disk} || exit 99
        "$@" > /dev/null; echo $? >&2; ls -A {disk}/corpus
        rm {disk}/ballast
        FAULTS={{}} "$@" > /dev/null; echo $? >&2; ls -A {disk}/corpus
        cp -r {disk}/corpus {tmp_path}
    """
    done = subprocess.run(
        [*PRIVATE_MOUNTS, script, "sh", *prepare],
        env=faults.environment(at=at, call=call, fill=str(disk / "ballast")),
        cwd=faults.ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    message, full, enough = done.stderr.strip().splitlines()
    assert (full, enough) == ("2", "0")
    assert message.startswith(f"error: the disk of {disk}/corpus is full; free some space")
    assert done.stdout.split() == [".clinical.staged", "clinical"]
    corpus = tmp_path / "corpus" / "clinical"
    assert storage.is_complete(corpus)
    assert json.loads((corpus / "manifest.json").read_text()) == undisturbed()


def test_a_file_that_may_not_grow_is_one_line_and_the_next_run_goes_on(physionet, tmp_path):
    arguments = ("--physionet", physionet, "--data_dir", tmp_path / "home")
    line = one_line(faults.run(*arguments, file_bytes=4000), 1)
    assert line.startswith("failed: OSError: [Errno 27] File too large")
    corpora = tmp_path / "home" / "corpus"
    assert [path.name for path in corpora.iterdir()] == [".clinical.staged"]
    assert faults.run(*arguments).returncode == 0
    assert [path.name for path in corpora.iterdir()] == ["clinical"]


@pytest.mark.skipif(
    os.getuid() == 0 and not works(*WITHOUT_ROOTS_RIGHTS, "true"), reason="root may read all files"
)
@pytest.mark.parametrize("name", [NOTES, "physionet.org/files/radqa/1.0.0/test.json"])
def test_an_input_that_may_not_be_read(physionet, tmp_path, name):
    (physionet / name).chmod(0)
    before = WITHOUT_ROOTS_RIGHTS if os.getuid() == 0 else ()
    arguments = ("--physionet", physionet, "--data_dir", tmp_path / "home")
    done = faults.run(*arguments, before=before)
    line = one_line(done, 2)
    assert "Permission denied" in line
    assert str(physionet / name) in line
    assert not (tmp_path / "home" / "corpus").exists()


def test_a_data_home_that_reads_as_a_pattern_is_refused(physionet, tmp_path):
    home = tmp_path / "home [1]"
    line = one_line(faults.run("--physionet", physionet, "--data_dir", home), 2)
    assert "choose one without *, ? and [ in its name" in line
    assert not home.exists()


@pytest.mark.parametrize(
    "share", [0.5, *(pytest.param(share, marks=pytest.mark.slow) for share in (0.05, 0.9, 0.999))]
)
def test_a_file_that_was_not_downloaded_whole(physionet, tmp_path, share):
    path = physionet / "physionet.org/files/mimic-iv-note/2.2/note/radiology.csv.gz"
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    arguments = ("--physionet", physionet, "--data_dir", tmp_path / "home")
    line = one_line(faults.run(*arguments), 2)
    assert line.startswith(f"error: {path} is truncated or damaged")
    corpora = tmp_path / "home" / "corpus"
    assert not corpora.exists() or list(corpora.iterdir()) == []
    path.write_bytes(data)
    done = faults.run(*arguments, "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout.splitlines()[-1])["splits"]["train"]["documents"] > 0
