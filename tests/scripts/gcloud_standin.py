"""What stands in for gcloud in tests of scripts/: machines are folders, ssh is sh in such a folder.

The folder $GCLOUD_STANDIN holds calls.jsonl (every call's arguments), resources.json (queued
resources and their states), failures.json (what is to fail, how often and with which words),
template/ (what is on a new machine's disk) and machines/NODE/WORKER (their home directories).
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(os.environ["GCLOUD_STANDIN"])
NEXT_STATE = {"CREATING": "WAITING_FOR_RESOURCES", "WAITING_FOR_RESOURCES": "ACTIVE",
              "SUSPENDING": "SUSPENDED"}  # fmt: skip
WORKERS = 2


def main(arguments):
    with (ROOT / "calls.jsonl").open("a") as file:
        file.write(json.dumps(arguments) + "\n")
    fail_if_told(" ".join(arguments))
    assert arguments[:2] == ["compute", "tpus"] and "--quiet" in arguments, arguments
    flags = dict(part[2:].partition("=")[::2] for part in arguments if part.startswith("--"))
    words = [part for part in arguments[2:] if not part.startswith("--")]
    kind, verb, *names = words
    if kind == "queued-resources":
        return {"create": create, "describe": describe, "delete": delete}[verb](names[0], flags)
    return {"describe": node, "ssh": ssh, "scp": scp}[verb](names, flags)


def fail_if_told(call):
    file = ROOT / "failures.json"
    failures = json.loads(file.read_text()) if file.exists() else []
    for failure in failures:
        if failure["times"] and failure["call"] in call:
            failure["times"] -= 1
            file.write_text(json.dumps(failures))
            sys.exit(failure["says"])


def resources():
    file = ROOT / "resources.json"
    return json.loads(file.read_text()) if file.exists() else {}


def write(found):
    (ROOT / "resources.json").write_text(json.dumps(found))


def create(name, flags):
    found = resources()
    if name in found:
        sys.exit(f"ERROR: (gcloud) ALREADY_EXISTS: Resource '{name}' already exists")
    count = int(flags.get("node-count", 1))
    nodes = [flags["node-id"]] if count == 1 else [f"{name}-{i}" for i in range(count)]
    write({**found, name: {"state": "CREATING", "nodes": nodes}})


def known(name):
    found = resources()
    if name not in found:
        sys.exit(f"ERROR: (gcloud) NOT_FOUND: Resource '{name}' was not found")
    return found


def describe(name, flags):
    found = known(name)
    entry = found[name]
    print(json.dumps({"name": name, "state": {"state": entry["state"]}}))
    entry["state"] = NEXT_STATE.get(entry["state"], entry["state"])
    if entry["state"] == "ACTIVE":
        for machine in (ROOT / "machines" / n / str(w) for n in entry["nodes"] for w in (0, 1)):
            if not machine.exists():
                template = ROOT / "template"
                template.mkdir(exist_ok=True)
                shutil.copytree(template, machine)
    write(found)


def delete(name, flags):
    assert "force" in flags
    found = known(name)
    for name_of_node in found.pop(name)["nodes"]:
        shutil.rmtree(ROOT / "machines" / name_of_node, ignore_errors=True)
    write(found)


def machines(name, worker):
    folder = ROOT / "machines" / name
    if not folder.exists():
        sys.exit(f"ERROR: (gcloud) NOT_FOUND: node {name} was not found")
    return sorted(folder.iterdir()) if worker == "all" else [folder / worker]


def node(names, flags):
    endpoints = [{"ipAddress": str(i)} for i, _ in enumerate(machines(names[0], "all"))]
    print(json.dumps({"networkEndpoints": endpoints}))


def ssh(names, flags):
    for machine in machines(names[0], flags["worker"]):
        environment = {**os.environ, "HOME": str(machine)}
        ended = subprocess.run(
            ["sh", "-c", flags["command"]], cwd=machine, env=environment, stdin=subprocess.DEVNULL
        )
        if ended.returncode:  # as gcloud: says so, and goes on with the other machines
            print(f"##### Command execution on worker {machine.name} failed", file=sys.stderr)


def scp(names, flags):
    *files, place = names
    name, _, folder = place.partition(":")
    for machine in machines(name, flags["worker"]):
        for file in files:
            shutil.copy(file, machine / folder)


if __name__ == "__main__":
    main(sys.argv[1:])
