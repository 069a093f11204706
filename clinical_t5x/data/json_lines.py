"""Records of a task in JSON lines: a SeqIO source for data that are no PhysioNet benchmark.

One file a split, one object a line, each with an `id` that no other record has.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import seqio
import tensorflow as tf
from etils import epath

from clinical_t5x.console import UserError
from clinical_t5x.storage import absolute

_TENSORS = {
    str: tf.TensorSpec([], tf.string),
    int: tf.TensorSpec([], tf.int64),
    float: tf.TensorSpec([], tf.float32),
    bool: tf.TensorSpec([], tf.bool),
    list: tf.TensorSpec([None], tf.string),
}
_ACCEPTED = {str: str, int: int, float: (int, float), bool: bool, list: list}


class JsonLinesSource(seqio.FunctionDataSource):
    """Records of JSON lines files, checked when they are read.

    Token stores follow the files: a changed file is tokenised anew.

    Args:
      files: split -> path; `~` and buckets as elsewhere.
      fields: field -> its type: str, int, float, bool, or list (of strings). A field `id` of type
        str is always there; fields of the file that are not named here are left out. A step of the
        task may name one of them `unit`, which is what intervals resample (a patient, say).

    Raises:
      UserError: a type that records cannot have.
    """

    def __init__(self, files: Mapping[str, str | os.PathLike], fields: Mapping[str, type]):
        self.fields = {"id": str, **fields}
        for name, kind in self.fields.items():
            if kind not in _TENSORS or (name == "id" and kind is not str):
                known = ", ".join(known.__name__ for known in _TENSORS)
                raise UserError(
                    f"the field {name!r} is to be {kind!r}; fields are {known}, and id is str"
                )
        self._files = {split: absolute(path) for split, path in files.items()}
        super().__init__(self._dataset, splits=list(self._files))

    def files_of(self, split: str) -> list[epath.Path]:
        """The files that decide a split's records."""
        return [self._files[split]]

    def check(self) -> None:
        """Read every file once, and refuse what is not as it must be.

        Raises:
          UserError: a file is missing or empty, a line is not JSON, a field is missing or has
            another type, or an id stands twice, in one split or in two.
        """
        seen: dict[str, str] = {}
        for split, path in self._files.items():
            before = len(seen)
            for record, place in self._records(split):
                if record["id"] in seen:
                    raise UserError(
                        f"{place}: the id {record['id']!r} stands twice, first in"
                        f" {seen[record['id']]}; every record needs an id of its own, and belongs"
                        " to one split"
                    )
                seen[record["id"]] = place
            if len(seen) == before:
                raise UserError(f"{path} has no records; write one JSON object a line")

    def num_input_examples(self, split: str) -> int:
        """Number of records of a split."""
        return sum(1 for _ in self._records(split))

    def _dataset(self, split: str, shuffle_files: bool, seed: int | None = None) -> tf.data.Dataset:
        del shuffle_files, seed  # one file
        self.check()
        signature = {name: _TENSORS[kind] for name, kind in self.fields.items()}

        def tensors() -> Iterator[dict[str, Any]]:
            for record, _ in self._records(split):
                yield {name: _tensor(value) for name, value in record.items()}

        return tf.data.Dataset.from_generator(tensors, output_signature=signature)

    def _records(self, split: str) -> Iterator[tuple[dict[str, Any], str]]:
        """The named fields of every record, and where it stands."""
        path = self._files[split]
        if not path.exists():
            raise UserError(
                f"there is no file {path} for the split {split!r}; write it there, or name another"
                " where the task is registered"
            )
        # Lines end at \n alone; str.splitlines would also cut at U+2028 inside a text.
        for number, line in enumerate(path.read_text().split("\n"), start=1):
            place = f"{path}, line {number}"
            if line.strip():
                yield self._record(line, place), place

    def _record(self, line: str, place: str) -> dict[str, Any]:
        try:
            item = json.loads(line)
        except json.JSONDecodeError as error:
            raise UserError(f"{place}: not JSON ({error.msg}); one object a line") from error
        if not isinstance(item, dict):
            raise UserError(f"{place}: not an object with fields but a {type(item).__name__}")
        return {name: _field(item, name, kind, place) for name, kind in self.fields.items()}

    def __repr__(self) -> str:
        fields = {name: kind.__name__ for name, kind in self.fields.items()}
        return f"JsonLinesSource({ {s: str(p) for s, p in self._files.items()} }, {fields})"


def _field(item: Mapping[str, Any], name: str, kind: type, place: str) -> Any:
    if name not in item:
        found = ", ".join(map(repr, item)) or "nothing"
        raise UserError(f"{place}: there is no field {name!r} (found: {found})")
    value = item[name]
    fits = isinstance(value, _ACCEPTED[kind]) and (kind is bool or not isinstance(value, bool))
    if kind is list and fits:
        fits = all(isinstance(part, str) for part in value)
    if not fits:
        wanted = "list of strings" if kind is list else kind.__name__
        raise UserError(f"{place}: the field {name!r} is a {type(value).__name__}, not a {wanted}")
    return value


def _tensor(value: Any) -> Any:
    return np.array(value, object) if isinstance(value, list) else value
