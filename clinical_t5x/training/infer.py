"""`infer`: predictions or scores for every example of a split, in files that T5X's users know.

The output directory gets `TASK-predict.jsonl-00000-of-00001` (one line an example, in the order of
the examples) and, when that is whole, `...COMPLETED` beside it. Until then finished chunks lie in
`tmp-TASK-00000-of-00001/`; a stopped run goes on after the last of them.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from etils import epath

from clinical_t5x import console
from clinical_t5x.console import UserError
from clinical_t5x.storage import (
    fingerprint,
    read_json,
    write_json_atomically,
    write_text_atomically,
)
from clinical_t5x.training.config import DatasetConfig, RestoreCheckpointConfig
from clinical_t5x.training.sources import check_vocabularies, open_examples

if TYPE_CHECKING:
    from clinical_t5x.partitioning import PjitPartitioner

_MODES = ("predict", "predict_with_aux", "score")


def infer(
    *,
    mode: str,
    model: Any,
    dataset_cfg: DatasetConfig,
    restore_checkpoint_cfg: RestoreCheckpointConfig,
    partitioner: PjitPartitioner,
    output_dir: str,
    checkpoint_period: int,
    shard_id: int = 0,
    num_shards: int = 1,
    merge_chunked_results: bool = True,
    write_fn: Any = None,
    checkpoint_ds_iter: bool = True,
    train_state_initializer_cls: Any = None,
    fallback_init_rng: int | None = None,
    merge_fn: Any = None,
    summarize_config_fn: Callable[[str, Any, int], None] | None = None,
    verify_matching_vocabs_fn: Any = None,
    output_vocab_feature_name: str = "targets",
    file_extension: str = "jsonl",
    keep_aux_as_numpy: bool = False,
    use_orbax: bool = True,
    with_text: bool = False,
) -> epath.Path:
    """Predict or score every example of a split.

    The parameters are T5X's; those that steer parts of it which do not exist here are ignored.

    Args:
      mode: 'predict' (the decoded text), 'predict_with_aux' (also the decoder's scores) or 'score'
        (the log-likelihood of the given targets, nats).
      checkpoint_period: Batches in a chunk: so much is done again after a stop.
      shard_id: Which part of the examples, of `num_shards`; the parts can be run side by side.
      num_shards: Number of parts.
      merge_chunked_results: Join the chunks into one file at the end.
      with_text: Also write inputs and targets: note text. Without, a line names its example by id.

    Returns:
      The file of predictions (the directory of chunks where they are not joined).

    Raises:
      UserError: missing data or checkpoints, a checkpoint of another model, or an unknown mode.
    """
    if mode not in _MODES:
        raise UserError(f"infer.mode = {mode!r}: choose from {', '.join(_MODES)}")
    if not 0 <= shard_id < num_shards:
        raise UserError(f"infer.shard_id = {shard_id}: must be from 0 to {num_shards - 1}")
    task = dataset_cfg.mixture_or_task_name
    output = _Output(
        epath.Path(output_dir).expanduser(), task, mode, file_extension, shard_id, num_shards
    )
    with console.interrupt_on_sigterm():
        examples = open_examples(dataset_cfg)
        check_vocabularies(model, examples.vocabularies, task)
        job = _Job(mode, examples, range(shard_id, len(examples.inputs), num_shards), with_text)

        from clinical_t5x.evaluation.predictor import ModelPredictor
        from clinical_t5x.training import checkpoints, compiled_programs

        compiled_programs.keep_compiled_programs()
        (path,) = checkpoints.paths_to_restore(restore_checkpoint_cfg)[-1:]
        params, step, path = checkpoints.restore_params_and_path(
            path,
            model,
            partitioner,
            mode=restore_checkpoint_cfg.mode,
            dtype=restore_checkpoint_cfg.dtype,
        )
        identity = {"checkpoint": str(path), **job.identity()}
        if output.is_complete(identity):
            console.say(f"{output.file} is complete: nothing to do")
            return output.file
        output.begin(identity)
        if summarize_config_fn is not None:
            summarize_config_fn(str(output.directory), None, step)
        predictor = ModelPredictor(
            model, params, batch_size=dataset_cfg.batch_size, partitioner=partitioner
        )
        _write_chunks(job, predictor, output, checkpoint_period * dataset_cfg.batch_size)
        return output.merge() if merge_chunked_results else output.chunks


@dataclasses.dataclass(frozen=True)
class _Job:
    """What is to be inferred.

    Attributes:
      mode: One of `_MODES`.
      examples: All examples of the split.
      positions: Those of this shard.
      with_text: Whether lines hold inputs and targets.
    """

    mode: str
    examples: Any
    positions: range
    with_text: bool

    def identity(self) -> dict[str, Any]:
        """What must be equal for finished chunks to be used."""
        return {
            "mode": self.mode,
            "examples": self.examples.manifest_hash,
            "lengths": dict(self.examples.feature_lengths),
            "with_text": self.with_text,
        }

    def lines(self, predictor: Any, positions: Sequence[int]) -> Iterator[tuple[int, dict]]:
        """(position, JSON line) of some examples, in any order."""
        from clinical_t5x.evaluation.predictor import Request

        records = [self.examples.records[position] for position in positions]
        requests = [
            Request(str(record["id"]), "", self.examples.inputs[position])
            for record, position in zip(records, positions, strict=True)
        ]
        if self.mode == "score":
            targets = [self.examples.targets[position] for position in positions]
            for index, score in enumerate(predictor.score(requests, targets)):
                yield positions[index], {**self._inputs(records[index]), "score": float(score)}
            return
        limit = self.examples.feature_lengths["targets"]
        for index, made in predictor.generate(requests, max_target_tokens=limit):
            line = {**self._inputs(records[index]), "prediction": made.text}
            if self.mode == "predict_with_aux":
                line["aux"] = {"scores": made.score}
            yield positions[index], line

    def _inputs(self, record: dict[str, Any]) -> dict[str, Any]:
        names = ("inputs_pretokenized", "targets_pretokenized") if self.with_text else ()
        return {"inputs": {name: record[name] for name in ("id", *names) if name in record}}


class _Output:
    """The files of one shard."""

    def __init__(
        self, directory: epath.Path, task: str, mode: str, extension: str, shard: int, shards: int
    ):
        name = re.sub(r"[^\w.-]", "_", task)
        part = f"{shard:05}-of-{shards:05}"
        self.directory = directory
        self.file = directory / f"{name}-{mode}.{extension}-{part}"
        self.chunks = directory / f"tmp-{name}-{part}"
        self._mark = directory / f"{self.file.name}.COMPLETED"
        self._identity = self.chunks / "identity.json"

    def is_complete(self, identity: dict[str, Any]) -> bool:
        """Whether the file is whole and was made from this."""
        if not (self._mark.exists() and self.file.exists()):
            return False
        return self._mark.read_text().strip() == fingerprint(identity)

    def begin(self, identity: dict[str, Any]) -> None:
        """Make room; chunks of something else are removed."""
        self._mark.unlink(missing_ok=True)
        if self._identity.exists() and read_json(self._identity) != identity:
            self.chunks.rmtree()
        self.chunks.mkdir(parents=True, exist_ok=True)
        write_json_atomically(self._identity, identity)

    def has_chunk(self, number: int) -> bool:
        """Whether a chunk is finished."""
        return self._chunk(number).exists()

    def write_chunk(self, number: int, lines: Sequence[dict[str, Any]]) -> None:
        """Write a chunk, whole or not at all."""
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        write_text_atomically(self._chunk(number), text)

    def _chunk(self, number: int) -> epath.Path:
        return self.chunks / f"chunk-{number:06}"

    def merge(self) -> epath.Path:
        """Join the chunks, mark the file complete, remove the chunks."""
        identity = read_json(self._identity)
        parts = sorted(self.chunks.glob("chunk-*"))
        write_text_atomically(self.file, "".join(part.read_text() for part in parts))
        write_text_atomically(self._mark, fingerprint(identity) + "\n")
        self.chunks.rmtree()
        console.say(f"{self.file} is complete")
        return self.file


def _write_chunks(job: _Job, predictor: Any, output: _Output, chunk_size: int) -> None:
    """Do the chunks that are not there yet."""
    starts = range(0, len(job.positions), max(chunk_size, 1))
    with console.Progress(f"infer ({job.mode})", len(job.positions), unit="examples") as progress:
        for number, start in enumerate(starts):
            positions = job.positions[start : start + starts.step]
            if output.has_chunk(number):
                progress.advance(len(positions))
                continue
            lines: dict[int, dict] = {}
            for position, line in job.lines(predictor, positions):
                lines[position] = line
                progress.advance()
            output.write_chunk(number, [lines[position] for position in positions])
