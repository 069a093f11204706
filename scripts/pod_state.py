"""One pod: its queued resource, its machines, and what is remembered about them."""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import pathlib
from typing import Any

from gcloud_tpu import Absent, Failure, Gcloud

# The pod's folder on every host, in the home directory; scripts/host.sh says what is in it.
FOLDER = "clinical_t5x_pod"

# What a dry run shows of steps whose steps before were dry runs, too.
_DEFAULTS: dict[str, dict[str, Any]] = {
    "create": {"slices": 1, "accelerator_type": "v5litepod-16", "internal_ips": False},
    "launch": {"command": [], "environment": {}, "secrets": []},
}


class Pod:
    """A queued resource, its machines, and what is remembered about them."""

    def __init__(self, options: argparse.Namespace):
        self.options, self.name = options, options.name
        self._file = pathlib.Path(options.state_dir) / f"{options.name}.json"
        self.known: dict[str, Any] = (
            json.loads(self._file.read_text()) if self._file.exists() else {}
        )
        created = self.known.get("create", {})
        self.gcloud = Gcloud(
            options.project or created.get("project"),
            options.zone or created.get("zone"),
            dry_run=options.dry_run,
            pause=options.pause,
        )

    def say(self, text: str) -> None:
        """Tell the person; what a dry run prints can be read by a shell."""
        print(f"# {text}" if self.options.dry_run else text, flush=True)

    def remember(self, part: str, value: Any) -> None:
        """Keep what was asked for, for later verbs."""
        self.known[part] = value
        if self.options.dry_run:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        partial = self._file.with_suffix(".partial")
        partial.write_text(json.dumps(self.known, indent=2) + "\n")
        partial.replace(self._file)

    def forget(self) -> None:
        """Remember nothing of it any more."""
        if not self.options.dry_run:
            self._file.unlink(missing_ok=True)

    def asked(self, part: str) -> dict[str, Any]:
        """What was asked for earlier; in a dry run, what would have been by default.

        Raises:
          Failure: nothing was.
        """
        if part not in self.known and self.options.dry_run and part in _DEFAULTS:
            return _DEFAULTS[part]
        if part not in self.known:
            raise Failure(f"nothing is known of {self.name}: say pod.py {part} {self.name} first")
        return self.known[part]

    def state(self) -> str:
        """The queued resource's state; ABSENT when there is none."""
        try:
            found = self.gcloud.ask("queued-resources", "describe", self.name)
        except Absent:
            return "ABSENT"
        return found.get("state", {}).get("state", "STATE_UNSPECIFIED")

    @property
    def nodes(self) -> list[str]:
        """Names of the slices' nodes."""
        slices = self.asked("create")["slices"]
        return [self.name] if slices == 1 else [f"{self.name}-{i}" for i in range(slices)]

    def on_hosts(self, verb: str, workers: str = "all") -> dict[str, list[str]]:
        """Run `host.sh VERB` on all hosts; the lines that each node's hosts printed.

        Raises:
          Failure: a host did not do it; the message has what the hosts said.
        """
        command = f"sh {FOLDER}/host.sh {verb} && echo pod-ok"
        with concurrent.futures.ThreadPoolExecutor(len(self.nodes)) as pool:
            said = pool.map(lambda node: self._on_node(node, command, workers), self.nodes)
            return dict(zip(self.nodes, said, strict=True))

    def _on_node(self, node: str, command: str, workers: str) -> list[str]:
        text = self.gcloud.do(
            "tpu-vm", "ssh", node, f"--worker={workers}", f"--command={command}", *self.ssh_flags()
        )
        lines = text.splitlines()
        done = lines.count("pod-ok")
        # gcloud goes on with the other hosts when one fails, and may end well all the same
        expected = self._hosts_of(node) if workers == "all" else 1
        if not self.options.dry_run and done < expected:
            said = "\n".join(f"  {line}" for line in lines if line != "pod-ok")
            raise Failure(f"{expected - done} of {expected} hosts of {node} did not do it:\n{said}")
        return [line for line in lines if line != "pod-ok"]

    def _hosts_of(self, node: str) -> int:
        if self.options.dry_run:
            return 1
        return len(self.gcloud.ask("tpu-vm", "describe", node).get("networkEndpoints", [])) or 1

    def copy(self, *files: pathlib.Path) -> None:
        """Copy files into the pod's folder on every host."""
        for node in self.nodes:
            self.gcloud.do(
                "tpu-vm", "ssh", node, "--worker=all",
                f"--command=mkdir -p {FOLDER} && chmod 700 {FOLDER}", *self.ssh_flags(),
            )  # fmt: skip
            self.gcloud.do(
                "tpu-vm", "scp", *map(str, files), f"{node}:{FOLDER}/", "--worker=all",
                *self.ssh_flags(),
            )  # fmt: skip

    def ssh_flags(self) -> list[str]:
        """How the hosts are reached."""
        return ["--internal-ip"] if self.known.get("create", {}).get("internal_ips") else []
