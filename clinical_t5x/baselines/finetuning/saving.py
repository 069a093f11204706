"""What a trial has on disk: where it is, its best weights, and its result.

A trial's directory holds `checkpoint_STEP/` (position, trained weights, optimizer),
`best_STEP/` (trained weights of the best evaluation so far) and, when it is over, `trial.json`.
Each is whole or absent. Dropout and data order are functions of seed and step, so that nothing else
has to be kept. Tensors are read with `weights_only`: no code can come with them.
"""

from __future__ import annotations

import dataclasses
import os
from typing import Any

from etils import epath

from clinical_t5x.console import UserError
from clinical_t5x.storage import is_complete, read_json, stage_directory, write_json_atomically

_POSITION, _STATE, _WEIGHTS, _RESULT = "position.json", "state.pt", "weights.pt", "trial.json"


@dataclasses.dataclass
class Position:
    """How far a trial has come.

    Attributes:
      step: updates made.
      losses: sum of the losses of this epoch's updates, each the mean over its rows.
      history: for each evaluation epoch, step, train_loss, the metric's value, and thresholds.
      best: the entry of `history` with the highest value; None before the first.
    """

    step: int = 0
    losses: float = 0.0
    history: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    best: dict[str, Any] | None = None

    @property
    def epochs_since_best(self) -> int:
        """Evaluations after the best one."""
        return len(self.history) - self.history.index(self.best) - 1 if self.best else 0


class TrialFiles:
    """The files of one trial.

    Args:
      directory: of the trial.
    """

    def __init__(self, directory: str | os.PathLike):
        self.directory = epath.Path(directory)

    def result(self) -> Position | None:
        """Where the trial ended; None while it has not."""
        path = self.directory / _RESULT
        return Position(**read_json(path)) if path.exists() else None

    def finish(self, position: Position) -> None:
        """Say that the trial is over, and keep its best weights only."""
        write_json_atomically(self.directory / _RESULT, dataclasses.asdict(position))
        self._remove_others("checkpoint_", keep=None)
        self._remove_others("best_", keep=position.best["step"])

    def remove_weights(self) -> None:
        """Keep the trial's result only."""
        for kind in ("checkpoint_", "best_"):
            self._remove_others(kind, keep=None)

    def save_checkpoint(self, position: Position, model: Any, optimizer: Any) -> None:
        """Save where training is, in place of earlier checkpoints."""
        import torch

        with stage_directory(self._place("checkpoint_", position.step)) as partial:
            write_json_atomically(partial / _POSITION, dataclasses.asdict(position))
            with (partial / _STATE).open("wb") as file:
                state = {"weights": trained_weights(model), "optimizer": optimizer.state_dict()}
                torch.save(state, file)
        self._remove_others("checkpoint_", keep=position.step)
        self._remove_others("best_", keep=position.best and position.best["step"])

    def restore_checkpoint(self, model: Any, optimizer: Any) -> Position:
        """Go to the last checkpoint; the beginning where there is none."""
        steps = [
            k for k in self._steps("checkpoint_") if is_complete(self._place("checkpoint_", k))
        ]
        if not steps:
            return Position()
        place = self._place("checkpoint_", max(steps))
        state = _read_tensors(place / _STATE)
        load_trained_weights(model, state["weights"])
        optimizer.load_state_dict(state["optimizer"])
        return Position(**read_json(place / _POSITION))

    def save_best(self, step: int, model: Any) -> None:
        """Save the weights of an evaluation that is the best so far."""
        import torch

        place = self._place("best_", step)
        with stage_directory(place) as partial, (partial / _WEIGHTS).open("wb") as file:
            torch.save(trained_weights(model), file)

    def load_best(self, step: int, model: Any) -> None:
        """Put the weights of the best evaluation into a model."""
        place = self._place("best_", step)
        if not is_complete(place):
            raise UserError(f"{place} is missing; remove {self.directory} and run again")
        load_trained_weights(model, _read_tensors(place / _WEIGHTS))

    def _place(self, kind: str, step: int) -> epath.Path:
        return self.directory / f"{kind}{step}"

    def _steps(self, kind: str) -> list[int]:
        if not self.directory.exists():
            return []
        numbers = [
            path.name.removeprefix(kind)
            for path in self.directory.iterdir()
            if path.name.startswith(kind)
        ]
        return [int(number) for number in numbers if number.isdigit()]

    def _remove_others(self, kind: str, keep: int | None) -> None:
        for step in self._steps(kind):
            if step != keep:
                self._place(kind, step).rmtree()


def trained_weights(model: Any) -> dict[str, Any]:
    """The parameters that are trained, by name, on the CPU.

    Buffers are made by the model's configuration, and everything else comes from the pre-trained
    weights: with adapters this is small.
    """
    return {
        name: parameter.detach().cpu()
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }


def load_trained_weights(model: Any, weights: dict[str, Any]) -> None:
    """Put `trained_weights` back.

    Raises:
      UserError: they are of another model.
    """
    import torch

    places = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if places.keys() != weights.keys():
        raise UserError("the weights on disk are of another model; choose another --out")
    with torch.no_grad():
        for name, parameter in places.items():
            parameter.copy_(weights[name])


def _read_tensors(path: epath.Path) -> Any:
    import torch

    with path.open("rb") as file:
        return torch.load(file, map_location="cpu", weights_only=True)
