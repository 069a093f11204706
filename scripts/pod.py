#!/usr/bin/env python3
"""Cloud TPU pods for this project: create, install, launch, watch, logs, stop, delete.

    python scripts/pod.py create big --accelerator-type=v5litepod-16 --zone=us-west4-a --spot
    python scripts/pod.py install big
    python scripts/pod.py launch big --data-home=gs://BUCKET/data -- \\
        python -m t5x.train --gin_file=gin/clinical_large.gin --gin.MODEL_DIR=gs://BUCKET/runs/large
    python scripts/pod.py watch big
    python scripts/pod.py delete big

docs/pods.md tells the whole story. Every verb may be given again at any time: it does what is not
done yet. `--dry-run` prints the gcloud commands instead. What was asked for is remembered in
runs/pods/NAME.json, so that later verbs need the name alone and `watch` can make a preempted pod
again. Needs gcloud, git and Python 3.9 or later; nothing else.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from typing import Any

from gcloud_tpu import Absent, Failure, Present
from pod_state import FOLDER, Pod

CHECKOUT = pathlib.Path(__file__).resolve().parent.parent
HOST_SCRIPT = pathlib.Path(__file__).resolve().parent / "host.sh"
EXIT_DONE, EXIT_FAILED, EXIT_USAGE, EXIT_RESUMABLE = 0, 1, 2, 75

# Google's table of software versions; the machines' own Python is not used.
_RUNTIMES = {"v5litepod": "v2-alpha-tpuv5-lite", "v5p": "v2-alpha-tpuv5", "v6e": "v2-alpha-tpuv6e"}
_OLDER_RUNTIME = "tpu-ubuntu2204-base"
_WAITING = ("CREATING", "ACCEPTED", "WAITING_FOR_RESOURCES", "PROVISIONING")
_GONE = ("FAILED", "SUSPENDED")
_GOING = ("DELETING", "SUSPENDING")
_COSTS = "it costs money from the moment it is ACTIVE, idle or not, until it is deleted"
_HOST_STATES = ("absent", "installed", "running", "interrupted", "done", "stopped", "failed")
# Flags and macros that name places: what lies on the hosts' own disks is lost with them.
_PLACES = re.compile(
    r"^--?(?:gin\.\w*(?:_DIR|_PATH)|data_dir|tfds_data_dir)=['\"]?(?P<place>[^'\"]*)"
)


def main(argv: Sequence[str]) -> int:
    """Run one verb; the exit code."""
    words = list(argv)
    end = words.index("--") if "--" in words else len(words)
    options = _parser().parse_args(words[:end])
    options.command = words[end + 1 :]
    if options.command and options.verb != "launch":
        _parser().error(f"{options.verb} takes no command")
    try:
        return _VERBS[options.verb](Pod(options))
    except Failure as failure:
        print(f"error: {failure}", file=sys.stderr, flush=True)
        return EXIT_USAGE
    except KeyboardInterrupt:
        print("stopped; the pod goes on. The same command goes on from here", file=sys.stderr)
        return EXIT_RESUMABLE


def create(pod: Pod) -> int:
    """Ask for the machines, unless that was done; with --wait, until they are there."""
    options = pod.options
    if not options.accelerator_type and "create" not in pod.known:
        raise Failure("give --accelerator-type, such as v5litepod-16 or v4-32, and --zone")
    if options.accelerator_type:
        wanted = {name: getattr(options, name) for name in _CREATION}
        wanted |= {"project": pod.gcloud.project, "zone": pod.gcloud.zone}
        if wanted != pod.known.get("create", wanted):
            _refuse_another(pod, wanted)
        pod.remember("create", wanted)
    _request(pod, pod.state())
    if options.wait:
        _wait_until_active(pod)
    else:
        pod.say(f"next: python scripts/pod.py install {pod.name}  (waits until the pod is ACTIVE)")
    return EXIT_DONE


def _refuse_another(pod: Pod, wanted: dict[str, Any]) -> None:
    known = pod.known["create"]
    if pod.state() == "ABSENT":
        return
    differing = [name for name in wanted if wanted[name] != known.get(name)]
    raise Failure(
        f"{pod.name} exists with other settings ("
        + ", ".join(f"{name} {known.get(name)!r}, not {wanted[name]!r}" for name in differing)
        + f"): choose another name, or say pod.py delete {pod.name} first"
    )


def _request(pod: Pod, state: str) -> None:
    """Make the queued resource unless it is there; one that is over is removed first."""
    if state in _WAITING or state == "ACTIVE":
        pod.say(f"{pod.name} is {state}: nothing to ask for")
        return
    if state in _GONE + _GOING:
        pod.say(f"{pod.name} is {state}: it is removed and asked for again")
        _remove(pod)
    settings = pod.asked("create")
    kind = settings["accelerator_type"]
    runtime = settings["runtime_version"] or _RUNTIMES.get(kind.split("-")[0], _OLDER_RUNTIME)
    slices = settings["slices"]
    flags = [f"--accelerator-type={kind}", f"--runtime-version={runtime}"]
    if slices == 1:
        flags.append(f"--node-id={pod.name}")
    else:
        flags += [f"--node-count={slices}", f"--node-prefix={pod.name}"]
    for flag in ("spot", "reserved", "internal_ips"):
        if settings[flag]:
            flags.append(f"--{flag.replace('_', '-')}")
    for flag in ("service_account", "network", "subnetwork", "valid_until_duration"):
        if settings[flag]:
            flags.append(f"--{flag.replace('_', '-')}={settings[flag]}")
    with contextlib.suppress(Present):  # an earlier call got through after all
        pod.gcloud.do("queued-resources", "create", pod.name, *flags)
    pod.say(
        f"asked for {pod.name} ({slices} x {kind}{', spot' if settings['spot'] else ''}); {_COSTS}"
    )


def _wait_until_active(pod: Pod) -> None:
    shown = None
    while not pod.options.dry_run:
        state = pod.state()
        if state == "ACTIVE":
            return
        if state in (*_GONE, *_GOING, "ABSENT"):
            raise Failure(
                f"{pod.name} is {state}: look at gcloud compute tpus queued-resources describe "
                f"{pod.name}; pod.py create {pod.name} asks again"
            )
        if state != shown:
            pod.say(f"{pod.name} is {state}; waiting")
            shown = state
        time.sleep(pod.options.poll)


def install(pod: Pod) -> int:
    """Bring this project at a commit, and a Python for it, to every host."""
    options = pod.options
    if options.commit or "install" not in pod.known:
        commit = _git("rev-parse", "--verify", f"{options.commit or 'HEAD'}^{{commit}}")
        pod.remember(
            "install", {"commit": commit, "extras": options.extras, "python": options.python}
        )
        if _git("status", "--porcelain", "--untracked-files=no"):
            pod.say(
                f"note: changes that are not committed do not travel; the pod gets {commit[:12]}"
            )
    _wait_until_active(pod)
    _install(pod)
    pod.say(f"next: python scripts/pod.py launch {pod.name} -- python -m t5x.train --gin_file=...")
    return EXIT_DONE


def _install(pod: Pod) -> None:
    asked = pod.asked("install")
    commit, ref = asked["commit"], f"refs/pods/{pod.name}"
    with tempfile.TemporaryDirectory() as folder:
        bundle, settings = pathlib.Path(folder, "source.bundle"), pathlib.Path(folder, "settings")
        # a bundle, so that hosts need no access to a repository and results know their commit
        _git("update-ref", ref, commit)
        try:
            _git("bundle", "create", "--quiet", str(bundle), ref)
        finally:
            _git("update-ref", "-d", ref)
        settings.write_text(
            f"SOURCE_REF={ref}\nCOMMIT={commit}\nEXTRAS={shlex.quote(asked['extras'])}\n"
            f"POD_PYTHON={shlex.quote(asked['python'] or '')}\n"
        )
        pod.copy(HOST_SCRIPT, bundle, settings)
    pod.say(f"installing {commit[:12]} on {' '.join(pod.nodes)} (minutes, the first time)")
    for line in _lines(pod.on_hosts("install")):
        pod.say(f"  {line}")


def launch(pod: Pod) -> int:
    """Start the same command on all hosts, under a supervisor, unless it runs."""
    options = pod.options
    if options.command:
        _check_command(options.command, options.data_home)
        pod.remember(
            "launch",
            {
                "command": options.command,
                "environment": _variables(options),
                "secrets": options.secret_env,
            },
        )
    _secrets(pod)
    _wait_until_active(pod)
    _launch(pod)
    pod.say(f"next: python scripts/pod.py watch {pod.name}  (or: logs {pod.name} --follow)")
    return EXIT_DONE


def _launch(pod: Pod) -> None:
    asked = pod.asked("launch")
    with tempfile.TemporaryDirectory() as folder:
        files = {
            "command": asked["command"],
            "environment": [f"{name}={value}" for name, value in asked["environment"].items()],
            "secrets": [f"{name}={value}" for name, value in _secrets(pod).items()],
        }
        for name, lines in files.items():
            path = pathlib.Path(folder, name)
            path.touch(mode=0o600)
            path.write_text("".join(f"{line}\n" for line in lines))
        pod.copy(*(pathlib.Path(folder, name) for name in files))
    for line in _lines(pod.on_hosts("start")):
        pod.say(f"  {line}")


def _variables(options: argparse.Namespace) -> dict[str, str]:
    variables = {}
    for text in options.env:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier() or "\n" in value:
            raise Failure(f"--env={name}: give NAME=VALUE in one line")
        variables[name] = value
    if options.data_home:
        variables["CLINICAL_T5X_DATA"] = options.data_home
    return variables


def _secrets(pod: Pod) -> dict[str, str]:
    """Values of the secret variables, from this machine's environment; they are kept nowhere."""
    found = {}
    for name in pod.known.get("launch", {}).get("secrets", []):
        if not name.isidentifier():
            raise Failure("--secret-env takes the name of a variable that is set here, no value")
        if name not in os.environ:
            raise Failure(f"--secret-env={name}: the variable is not set here; export it first")
        if "\n" in os.environ[name]:
            raise Failure(f"--secret-env={name}: values of several lines cannot travel")
        found[name] = os.environ[name]
    return found


def _check_command(command: Sequence[str], data_home: str | None) -> None:
    """Refuse places that are lost with the machines.

    Raises:
      Failure: a place outside of a bucket, or no place at all for what training writes.
    """
    if any("\n" in word for word in command):
        raise Failure("the command has a word of several lines; give one line each")
    places = [found for word in command if (found := _PLACES.match(word))]
    for found in places:
        if not found["place"].startswith("gs://"):
            raise Failure(f"{found[0]}: every host has its own disk, which is lost; give gs://...")
    if data_home is not None and not data_home.startswith("gs://"):
        raise Failure(f"--data-home={data_home}: the hosts read it from a bucket; give gs://...")
    trains = any(word.split(".")[-1] == "train" for word in command)
    if trains and not any("MODEL_DIR" in found[0] for found in places):
        raise Failure("give --gin.MODEL_DIR=gs://BUCKET/...: checkpoints must outlive the pod")


def watch(pod: Pod) -> int:
    """Stay until the command has ended; make preempted machines again and go on there."""
    _secrets(pod)
    pod.asked("launch")
    pod.asked("install")
    shown = None
    while True:
        state = pod.state()
        if state == "ACTIVE":
            ended, summary = _look(pod)
            if ended is not None:
                return ended
        else:
            summary = f"{pod.name} is {state}"
            if state not in _WAITING:
                _request(pod, state)
        if summary != shown:
            pod.say(f"{time.strftime('%H:%M:%S')} {summary}")
            shown = summary
        if pod.options.dry_run:
            return EXIT_DONE
        time.sleep(pod.options.poll)


def _look(pod: Pod) -> tuple[int | None, str]:
    """The exit code when all is over, and the hosts' states in words."""
    try:
        states = [line for line in _lines(pod.on_hosts("status")) if line in _HOST_STATES]
    except Failure:
        states = ["absent"]  # new machines have not even the script
    counts = {state: states.count(state) for state in dict.fromkeys(states)}
    summary = f"{pod.name}: " + ", ".join(f"{n} {state}" for state, n in counts.items())
    if counts.keys() & {"absent", "installed", "interrupted"}:
        pod.say(f"{summary}; installing what is missing and starting")
        with _later(pod):
            _install(pod)
            _launch(pod)
        return None, summary
    if "failed" in counts:
        pod.say(f"{summary}. The end of a log:")
        logs(pod)
        return EXIT_FAILED, summary
    if counts.keys() == {"done"}:
        pod.say(f"{summary}. Delete it when you need it no longer: {_COSTS}")
        if pod.options.delete_when_done:
            return delete(pod), summary
        return EXIT_DONE, summary
    if "stopped" in counts:
        pod.say(f"{summary}; pod.py launch {pod.name} goes on")
        return EXIT_RESUMABLE, summary
    return None, summary


@contextlib.contextmanager
def _later(pod: Pod) -> Iterator[None]:
    """What fails because the machines went away meanwhile is tried again at the next look."""
    try:
        yield
    except Failure as failure:
        if pod.state() == "ACTIVE":
            raise
        pod.say(f"the machines went away: {failure}")


def status(pod: Pod) -> int:
    """The queued resource's state, and what each host is doing."""
    state = pod.state()
    pod.say(f"{pod.name}: {state}" + (f"; {_COSTS}" if state == "ACTIVE" else ""))
    if state == "ACTIVE":
        for node, lines in pod.on_hosts("status").items():
            pod.say(f"  {node}: {', '.join(lines)}")
    return EXIT_DONE


def logs(pod: Pod) -> int:
    """The end of the first host's log, or of all hosts'."""
    options = pod.options
    lines, follow = getattr(options, "lines", 40), getattr(options, "follow", False)
    workers = "all" if getattr(options, "all", False) else "0"
    nodes = pod.nodes if workers == "all" else pod.nodes[:1]
    verb = "follow" if follow else "log"
    codes = [
        pod.gcloud.follow(
            "tpu-vm", "ssh", node, f"--worker={workers}",
            f"--command=sh {FOLDER}/host.sh {verb} {lines}", *pod.ssh_flags(),
        )
        for node in nodes
    ]  # fmt: skip
    return max(codes)


def stop(pod: Pod) -> int:
    """Let the command save and end on all hosts; the machines stay, and cost."""
    for line in _lines(pod.on_hosts("stop")):
        pod.say(f"  {line}")
    pod.say(f"{pod.name} is still there: {_COSTS}")
    return EXIT_DONE


def delete(pod: Pod) -> int:
    """Remove the machines. What is in buckets stays."""
    if pod.state() == "ABSENT" and not pod.options.dry_run:
        pod.say(f"there is no {pod.name}")
    else:
        _remove(pod)
        pod.say(f"{pod.name} is deleted; it costs nothing any more")
    pod.forget()
    return EXIT_DONE


def _remove(pod: Pod) -> None:
    with contextlib.suppress(Absent):
        pod.gcloud.do("queued-resources", "delete", pod.name, "--force")


_VERBS = {
    "create": create,
    "install": install,
    "launch": launch,
    "watch": watch,
    "status": status,
    "logs": logs,
    "stop": stop,
    "delete": delete,
}
_CREATION = (
    "accelerator_type", "runtime_version", "slices", "spot", "reserved", "internal_ips",
    "service_account", "network", "subnetwork", "valid_until_duration",
)  # fmt: skip


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pod.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    parsers = {}
    for verb, function in _VERBS.items():
        parsers[verb] = verbs.add_parser(verb, help=function.__doc__, description=function.__doc__)
        _add_common(parsers[verb])
    _add_creation(parsers["create"])
    parsers["install"].add_argument("--commit", help="what to install; default HEAD")
    parsers["install"].add_argument("--extras", default="tpu", help="of setup.py; default tpu")
    parsers["install"].add_argument("--python", help="a Python of the hosts' image to use instead")
    add = parsers["launch"].add_argument
    add("--data-home", metavar="gs://...", help="CLINICAL_T5X_DATA on the hosts")
    add("--env", action="append", default=[], metavar="NAME=VALUE", help="repeatable")
    add("--secret-env", action="append", default=[], metavar="NAME",
        help="a variable set here, such as WANDB_API_KEY; never shown or kept")  # fmt: skip
    parsers["launch"].usage = "pod.py launch [options] NAME -- COMMAND  (default: the last one)"
    parsers["watch"].add_argument("--delete-when-done", action="store_true")
    add = parsers["logs"].add_argument
    add("--all", action="store_true", help="of all hosts, not the first alone")
    add("--follow", action="store_true", help="go on as lines come")
    add("--lines", type=int, default=40)
    return parser


def _add_common(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("name", type=_pod_name, help="of the pod")
    add("--project", help="default: gcloud's own")
    add("--zone", help="default: gcloud's own")
    add("--dry-run", action="store_true", help="print the gcloud commands, run none")
    add("--poll", type=float, default=30.0, metavar="SECONDS", help="between two looks")
    add("--pause", type=float, default=5.0, metavar="SECONDS", help="before a repetition")
    add("--state-dir", default=str(CHECKOUT / "runs" / "pods"), help="where pods are remembered")


def _add_creation(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--accelerator-type", metavar="TYPE", help="v5litepod-16, v5p-32, v6e-16, v4-32, v3-8, ...")
    add("--slices", type=int, default=1, help="how many of them work together")
    add("--spot", action="store_true", help="cheaper, and taken away at any time")
    add("--reserved", action="store_true", help="from a reservation")
    add("--runtime-version", help="default by type")
    add("--internal-ips", action="store_true", help="no external addresses")
    add("--service-account", help="whose rights the hosts have, such as to the bucket")
    add("--network")
    add("--subnetwork")
    add("--valid-until-duration", metavar="6h", help="give up when there are none so long")
    add("--wait", action="store_true", help="until the machines are there")


def _pod_name(text: str) -> str:
    if not re.fullmatch(r"[a-z]([a-z0-9-]{0,40}[a-z0-9])?", text):
        raise argparse.ArgumentTypeError("lower-case letters, digits and dashes, a letter first")
    return text


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(CHECKOUT), *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise Failure(f"git {arguments[0]}: {ended.stderr.strip()}")
    return ended.stdout.strip()


def _lines(said: dict[str, list[str]]) -> list[str]:
    return [line for lines in said.values() for line in lines]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
