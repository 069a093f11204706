"""Where another `t5x` is installed, `python -m t5x.train` in the clone runs that one."""

import os
import subprocess
import sys

import pytest

from clinical_t5x.launch import facade

SETUP = "from setuptools import setup; setup(name='t5x', version='0', packages=['t5x'])"
INIT = 'WHO = "the installed one"\nfrom t5x.inner import VALUE\n'
TRAIN = (
    "import t5x, t5x.inner\n"
    "print(t5x.WHO, t5x.VALUE, t5x.__file__ == t5x.inner.__file__.replace('inner', '__init__'))\n"
    "print(__name__, t5x.__spec__.origin == t5x.__file__)\n"
)


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory):
    """The source of a small package named t5x, with a train module."""
    folder = tmp_path_factory.mktemp("stand_in")
    package = folder / "t5x"
    package.mkdir()
    (folder / "setup.py").write_text(SETUP)
    (package / "__init__.py").write_text(INIT)
    (package / "inner.py").write_text("VALUE = 42\n")
    (package / "train.py").write_text(TRAIN)
    (package / "eval.py").write_text("import t5x\nprint('eval of', t5x.WHO)\n")
    return folder


def _install(stand_in, prefix, *options):
    """Install by pip below `prefix`; the folder that Python must take as a site directory."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    command += ["--no-build-isolation", "--disable-pip-version-check", "--ignore-installed"]
    subprocess.run([*command, "--prefix", prefix, *options, stand_in], check=True, timeout=120)
    (site,) = prefix.rglob("site-packages")
    return site


def _run_train(site, tmp_path, program="train"):
    """`python -m t5x.PROGRAM` in the clone, with `site` as one more site-packages folder."""
    customize = tmp_path / "customize"
    customize.mkdir()
    # .pth files, which editable installs use, only work in site directories.
    (customize / "sitecustomize.py").write_text(f"import site; site.addsitedir({str(site)!r})")
    return subprocess.run(
        [sys.executable, "-m", f"t5x.{program}"],
        cwd=facade.CHECKOUT,
        env={**os.environ, "PYTHONPATH": str(customize)},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--editable",),
        ("--config-settings", "editable_mode=strict", "--editable"),
        ("--config-settings", "editable_mode=compat", "--editable"),
    ],
    ids=["plain", "editable", "editable strict", "editable compat"],
)
def test_installed_package_runs_instead(stand_in, tmp_path, options):
    site = _install(stand_in, tmp_path / "prefix", *options)
    result = _run_train(site, tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == ["the installed one 42 True", "__main__ True"]


@pytest.mark.parametrize("program", ["train", "eval"])
def test_source_named_in_a_pth_file_runs_instead(stand_in, tmp_path, program):
    """As older editable installs, and people by hand, put a checkout on the path."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "google.pth").write_text(f"{stand_in}\n")
    result = _run_train(site, tmp_path, program)
    assert result.returncode == 0, result.stderr
    assert "the installed one" in result.stdout


def test_source_on_pythonpath_runs_instead(stand_in):
    result = subprocess.run(
        [sys.executable, "-m", "t5x.train"],
        cwd=facade.CHECKOUT,
        env={**os.environ, "PYTHONPATH": str(stand_in)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.stdout.splitlines() == ["the installed one 42 True", "__main__ True"]


def test_program_that_only_ours_has_is_missing_there(stand_in, tmp_path):
    """Nothing is mixed: with the other one installed, its programs are all there are."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "google.pth").write_text(f"{stand_in}\n")
    result = _run_train(site, tmp_path, "precompile")
    assert result.returncode == 1
    assert "No module named t5x.precompile" in result.stderr


@pytest.mark.parametrize("program", ["train", "eval", "infer", "export", "precompile"])
def test_without_another_ours_runs(tmp_path, program):
    empty = tmp_path / "empty"
    empty.mkdir()
    result = _run_train(empty, tmp_path, program)
    assert result.returncode == 2
    assert "no gin file" in result.stderr


def test_remains_of_an_uninstalled_one_do_not_count(stand_in, tmp_path):
    """A folder without `__init__` is no package: pip leaves such when it finds other files."""
    site = tmp_path / "site"
    (site / "t5x" / "notes").mkdir(parents=True)
    (site / "t5x" / "train.py").write_text("raise SystemExit('the remains ran')\n")
    result = _run_train(site, tmp_path)
    assert result.returncode == 2
    assert "no gin file" in result.stderr


def test_commands_of_clinical_t5x_stay_ours(stand_in, tmp_path):
    """`clinical-t5x train` means this project, whatever else is installed."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from clinical_t5x.launch import facade\n"
        "facade.provide(); import t5x.utils; print(t5x.utils.DatasetConfig.__module__)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(stand_in)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(facade.CHECKOUT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.stdout.strip() == "clinical_t5x.training.config", result.stderr
