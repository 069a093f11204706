"""The whole training command as two processes, from a data home without token stores.

`pytest tests/launch/test_two_homes.py -m slow`, a few minutes. Does not show: several machines.
"""

import json
import shutil

import pytest
from etils import epath

from clinical_t5x.training.metric_log import read_metrics
from tests.data import tiny
from tests.launch.test_hosts import ends, start
from tests.launch.test_roll_call import free_port

pytestmark = pytest.mark.slow

RUN = ["--gin_file=gin/demo.gin", "--gin.TRAIN_STEPS=2", "--gin.BATCH_SIZE=4", "--gin.EVAL_STEPS=1"]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tiny.make_home(epath.Path(tmp_path_factory.mktemp("whole")))


def train(homes, model_dir, alone=False):
    """Exit codes and outputs of one process for each data home."""
    port = free_port()
    group = []
    for index, place in enumerate(homes):
        where = [f"--coordinator_address=127.0.0.1:{port}", f"--process_index={index}"]
        flags = [] if alone else [*where, f"--process_count={len(homes)}"]
        environment = {"CLINICAL_T5X_DATA": str(place), "NPROC": "64"}
        arguments = [*RUN, f"--gin.MODEL_DIR={model_dir}", *flags]
        group.append(start(arguments, environment, module="t5x.train"))
    return group


def losses(model_dir):
    return {
        (point["step"], point["split"]): point["loss"]
        for point in read_metrics(epath.Path(model_dir))
        if "loss" in point
    }


def copy_of(home, place):
    shutil.copytree(home, place)
    return place


@pytest.fixture(scope="module")
def alone(home, tmp_path_factory):
    place = tmp_path_factory.mktemp("alone")
    ((code, _, errors),) = ends(
        train([copy_of(home, place / "home")], place / "run", alone=True), timeout=900
    )
    assert code == 0, errors
    return losses(place / "run")


def stores(place):
    return sorted(path.name for path in (place / "token_store").glob("*/*"))


@pytest.mark.parametrize("shared", [True, False], ids=["shared", "own disks"])
def test_one_token_store_for_each_home(home, alone, tmp_path, shared):
    homes = [copy_of(home, tmp_path / "home0")]
    homes.append(homes[0] if shared else copy_of(home, tmp_path / "home1"))
    for code, _, errors in ends(train(homes, tmp_path / "run"), timeout=900):
        assert code == 0, errors
    assert losses(tmp_path / "run") == pytest.approx(alone, rel=1e-5)
    for place in homes:
        assert len(stores(place)) == 2  # train and validation, nothing hidden beside them
    assert all("lease" not in name for place in homes for name in stores(place))


def test_killed_writer_takes_its_group_down_and_leaves_nothing_half(home, alone, tmp_path):
    place = copy_of(home, tmp_path / "home")
    group = train([place, place], tmp_path / "run")
    held = None
    while held is None:
        assert all(process.poll() is None for process in group)
        for path in place.glob("token_store/*/.*.lease-*"):
            try:
                held = json.loads(path.read_text())
            except (OSError, ValueError):
                continue
    number = int(held["process"].rpartition("-")[2])
    next(process for process in group if process.pid == number).kill()
    for process in group:
        process.kill()
        process.communicate()
    assert all(name.startswith(".") for name in stores(place))
    for code, _, errors in ends(train([place, place], tmp_path / "run"), timeout=900):
        assert code == 0, errors
    assert losses(tmp_path / "run") == pytest.approx(alone, rel=1e-5)
    assert len(stores(place)) == 2
