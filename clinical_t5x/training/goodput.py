"""How much of a run's time became training, over all the processes that it took.

Goodput is the seconds that went to steps which the run still stands on, divided by the seconds
since its first process began. Steps count whose effect is in the parameters of now: those that were
repeated, because a process was killed before it saved them, count once, in the time of their last
computing. All other time counts as lost: starting, compiling, waiting for input or for a save,
evaluating, and the time in which no process ran.

metrics.jsonl remembers, in lines of split 'run': when each process began ('started'), and at each
save the seconds that the kept steps took up to there ('saved').
"""

from __future__ import annotations

import time

from clinical_t5x.training.measuring import TimeAccount
from clinical_t5x.training.metric_log import MetricLog


class Goodput:
    """Goodput of a run, in one of its processes.

    Args:
      log: The run's log, without lines about steps that are made again.
      account: This process's time.
      step: The step that this process begins at.
    """

    def __init__(self, log: MetricLog, account: TimeAccount, step: int):
        lines = log.run_lines()
        self._log, self._account = log, account
        starts = [line["time"] for line in lines if "time" in line]
        self._first_started = min([*starts, account.started])
        self._kept_at = {
            line["step"]: line["step_seconds"] for line in lines if "step_seconds" in line
        }
        self._kept_before = self._seconds_kept_at(step)
        log.write_run_line(step, event="started", time=round(account.started, 3))

    def saved(self, step: int) -> None:
        """Remember what was kept up to a step that is being saved."""
        self._kept_at[step] = self._kept()
        self._log.write_run_line(step, event="saved", step_seconds=round(self._kept(), 3))

    def rolled_back(self, step: int) -> None:
        """Count what was done after a saved step as lost."""
        self._kept_at = {s: kept for s, kept in self._kept_at.items() if s <= step}
        self._kept_before = self._seconds_kept_at(step) - self._account.step_seconds()

    def share(self) -> float:
        """Goodput up to now, between 0 and 1."""
        elapsed = max(time.time() - self._first_started, 1e-9)
        return min(max(self._kept() / elapsed, 0.0), 1.0)

    def _kept(self) -> float:
        return self._kept_before + self._account.step_seconds()

    def _seconds_kept_at(self, step: int) -> float:
        """Of the last save up to a step."""
        saved = [s for s in self._kept_at if s <= step]
        return self._kept_at[max(saved)] if saved else 0.0
