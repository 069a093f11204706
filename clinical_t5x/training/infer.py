"""`infer`: predictions or scores for every example of a split, in files that T5X's users know.

The output directory gets `TASK-predict.jsonl-00000-of-00001` (one line an example, in the order of
the examples) and, when that is whole, `...COMPLETED` beside it. Until then finished chunks lie in
`tmp-TASK-predict.jsonl-00000-of-00001-REQUEST/`, where REQUEST stands for the weights, the decoding
and the examples; a stopped run of the same goes on after the last of them, also in other batches.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from etils import epath

from clinical_t5x import console
from clinical_t5x.console import UserError
from clinical_t5x.storage import fingerprint, write_text_atomically
from clinical_t5x.training.alone import alone_with
from clinical_t5x.training.config import DatasetConfig, RestoreCheckpointConfig
from clinical_t5x.training.settings import check_count
from clinical_t5x.training.sources import open_examples
from clinical_t5x.training.vocabularies import check_vocabularies

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
      UserError: missing data or checkpoints, a checkpoint of another model, an unknown mode, an
        impossible number, or another process that writes the same file.
    """
    if mode not in _MODES:
        raise UserError(f"infer.mode = {mode!r}: choose from {', '.join(_MODES)}")
    check_count("BATCH_SIZE", dataset_cfg.batch_size, optional=False)
    check_count("infer.checkpoint_period", checkpoint_period, optional=False)
    check_count("infer.num_shards", num_shards, optional=False)
    check_count("infer.shard_id", shard_id, least=0, optional=False)
    if not shard_id < num_shards:
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
        predictor = ModelPredictor(
            model, params, batch_size=dataset_cfg.batch_size, partitioner=partitioner
        )
        identity = {
            "checkpoint": str(path),
            "predictor": predictor.identity(),
            "model": repr(model.config),
            **job.identity(),
        }
        with output.alone(identity):
            if output.is_complete():
                console.say(f"{output.file} is complete: nothing to do")
                return output.file
            output.begin()
            if summarize_config_fn is not None:
                summarize_config_fn(str(output.directory), None, step)
            _write_chunks(job, predictor, output, checkpoint_period * dataset_cfg.batch_size)
            return output.merge(len(job.positions)) if merge_chunked_results else output.chunks


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
        self._mark = directory / f"{self.file.name}.COMPLETED"
        self._request = ""

    @property
    def chunks(self) -> epath.Path:
        """Where the chunks of this request lie; another request's lie elsewhere."""
        return self.directory / f"tmp-{self.file.name}-{self._request[:12]}"

    @contextlib.contextmanager
    def alone(self, identity: dict[str, Any]) -> Iterator[None]:
        """Write for one request, while no other process does.

        Raises:
          UserError: one does, or the directory cannot be made.
        """
        self._request = fingerprint(identity)
        lock = self.directory / f".{self.file.name}.lock"
        with alone_with(lock, "INFER_OUTPUT_DIR", f"writing {self.file}"):
            yield

    def is_complete(self) -> bool:
        """Whether the file is whole and was made from this."""
        if not (self._mark.exists() and self.file.exists()):
            return False
        return self._mark.read_text().strip() == self._request

    def begin(self) -> None:
        """Make room; chunks of other requests are removed."""
        self._mark.unlink(missing_ok=True)
        for other in self.directory.glob(f"tmp-{self.file.name}-*"):
            if other.name != self.chunks.name:
                other.rmtree()
        self.chunks.mkdir(parents=True, exist_ok=True)

    def write_chunk(self, start: int, lines: Sequence[dict[str, Any]]) -> None:
        """Write the lines from number `start` on, whole or not at all."""
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        write_text_atomically(self.chunks / f"chunk-{start:09}", text)

    def finished(self) -> str:
        """The text of the chunks that follow each other from the first example on."""
        text, lines = [], 0
        for chunk in sorted(self.chunks.glob("chunk-*")):
            if int(chunk.name.removeprefix("chunk-")) != lines:
                break
            text.append(chunk.read_text())
            lines += text[-1].count("\n")
        return "".join(text)

    def merge(self, count: int) -> epath.Path:
        """Join the chunks, which hold `count` lines, mark the file complete, remove the chunks."""
        text = self.finished()
        if text.count("\n") != count:
            raise UserError(f"chunks were taken out of {self.chunks}; give the same command again")
        write_text_atomically(self.file, text)
        write_text_atomically(self._mark, self._request + "\n")
        self.chunks.rmtree()
        console.say(f"{self.file} is complete")
        return self.file


def _write_chunks(job: _Job, predictor: Any, output: _Output, chunk_size: int) -> None:
    """Do what is not there yet."""
    done = output.finished().count("\n")
    with console.Progress(f"infer ({job.mode})", len(job.positions), unit="examples") as progress:
        progress.advance(done)
        for start in range(done, len(job.positions), chunk_size):
            positions = job.positions[start : start + chunk_size]
            lines: dict[int, dict] = {}
            for position, line in job.lines(predictor, positions):
                lines[position] = line
                progress.advance()
            output.write_chunk(start, [lines[position] for position in positions])
