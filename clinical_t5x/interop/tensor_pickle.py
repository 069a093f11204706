"""The pickles inside PyTorch's files, read without running anything.

A pickle is a program: it may call whatever can be imported. This reader knows the few instructions
and names that tensors need, as a table, and stops at the first thing that is not in it. Nothing is
imported and nothing is called on the file's behalf; what comes out are the records below.
"""

from __future__ import annotations

import dataclasses
import pickletools
from typing import Any, BinaryIO

from clinical_t5x.interop.source import CheckpointError

_LONGEST_STRING = 1 << 24  # bytes; names are far shorter
_MOST_INSTRUCTIONS = 20_000_000

# PyTorch's classes of storage and the dtype of each.
STORAGE_DTYPES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}
_ORDERED_DICT = ("collections", "OrderedDict")
_REBUILD_TENSOR = ("torch._utils", "_rebuild_tensor_v2")
_REBUILD_OLD_TENSOR = ("torch._utils", "_rebuild_tensor")
_REBUILD_PARAMETER = ("torch._utils", "_rebuild_parameter")
_CALLABLE = {_ORDERED_DICT, _REBUILD_TENSOR, _REBUILD_OLD_TENSOR, _REBUILD_PARAMETER}
_ADMITTED = _CALLABLE | {("torch", name) for name in STORAGE_DTYPES}

_CONSTANTS = {
    "NONE": None,
    "NEWTRUE": True,
    "NEWFALSE": False,
}
_ARGUMENTS = {
    "BININT", "BININT1", "BININT2", "INT", "LONG", "LONG1", "LONG4", "BINFLOAT", "FLOAT",
    "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "UNICODE", "BINSTRING", "SHORT_BINSTRING",
}  # fmt: skip
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


@dataclasses.dataclass(frozen=True)
class StorageRecord:
    """A run of numbers that tensors are cut from.

    Attributes:
      key: the file's name for it.
      dtype: of its entries.
      size: number of entries.
    """

    key: str
    dtype: str
    size: int


@dataclasses.dataclass(frozen=True)
class TensorRecord:
    """How a tensor lies in its storage.

    Attributes:
      storage: where its numbers are.
      offset: of its first entry, in entries.
      shape: of the tensor.
      strides: in entries.
    """

    storage: StorageRecord
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class _Name:
    """A name that the pickle would import."""

    module: str
    name: str


class _Mark:
    """Where the arguments of an instruction begin on the stack."""


class _Bounded:
    """A file from which no single read takes more than a limit: lengths in the file may lie."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self.tell = file.tell

    def read(self, count: int) -> bytes:
        if count > _LONGEST_STRING:
            raise ValueError("a string is longer than any name")
        return self._file.read(count)

    def readline(self) -> bytes:
        return self._file.readline(_LONGEST_STRING)


def read_pickle(file: BinaryIO, path: object) -> Any:
    """What one pickle holds, with records for tensors; the file stands behind it afterwards.

    Args:
      file: positioned at the pickle's first byte.
      path: for messages.

    Raises:
      CheckpointError: the pickle is damaged, or asks for anything but tensors in dicts.
    """
    machine = _Machine(path)
    try:
        for count, (instruction, argument, _) in enumerate(pickletools.genops(_Bounded(file))):
            if count > _MOST_INSTRUCTIONS:
                raise ValueError("too long")
            if instruction.name == "STOP":
                return machine.result()
            machine.step(instruction.name, argument)
    except CheckpointError:
        raise
    except Exception as error:  # whatever the file makes pickletools or the machine stumble over
        raise CheckpointError(f"{path} has a damaged table of tensors ({error})") from None
    raise CheckpointError(f"{path} is truncated: its table of tensors does not end")


class _Machine:
    """The stack of a pickle and the meaning of the instructions that are known."""

    def __init__(self, path: object):
        self._path = path
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def result(self) -> Any:
        if len(self._stack) != 1:
            raise ValueError("it ends too early")
        return self._stack[0]

    def step(self, name: str, argument: Any) -> None:
        """Carry out one instruction."""
        if name in _CONSTANTS:
            self._stack.append(_CONSTANTS[name])
        elif name in _ARGUMENTS:
            self._stack.append(argument)
        elif name in _TUPLES:
            self._stack.append(tuple(self._pop(_TUPLES[name])))
        elif name in ("PROTO", "FRAME"):
            pass
        else:
            handler = getattr(self, f"_on_{name.lower()}", None)
            if handler is None:
                self._refuse(f"the instruction {name}")
            handler(argument)

    def _refuse(self, what: str) -> None:
        raise CheckpointError(
            f"{self._path} holds more than tensors ({what}); it was not read further and nothing "
            "in it was run. Save the weights alone (a state dict, or safetensors)"
        )

    def _pop(self, count: int) -> list[Any]:
        if count > len(self._stack):
            raise ValueError("its stack is empty")
        taken = self._stack[len(self._stack) - count :]
        del self._stack[len(self._stack) - count :]
        return taken

    def _pop_to_mark(self) -> list[Any]:
        for i in range(len(self._stack) - 1, -1, -1):
            if isinstance(self._stack[i], _Mark):
                taken = self._stack[i + 1 :]
                del self._stack[i:]
                return taken
        raise ValueError("a mark is missing")

    def _on_mark(self, _: Any) -> None:
        self._stack.append(_Mark())

    def _on_tuple(self, _: Any) -> None:
        self._stack.append(tuple(self._pop_to_mark()))

    def _on_empty_list(self, _: Any) -> None:
        self._stack.append([])

    def _on_empty_dict(self, _: Any) -> None:
        self._stack.append({})

    def _on_list(self, _: Any) -> None:
        self._stack.append(self._pop_to_mark())

    def _on_dict(self, _: Any) -> None:
        items = self._pop_to_mark()
        self._stack.append({})
        self._set(items)

    def _on_append(self, _: Any) -> None:
        self._extend(self._pop(1))

    def _on_appends(self, _: Any) -> None:
        self._extend(self._pop_to_mark())

    def _extend(self, items: list[Any]) -> None:
        if not isinstance(self._stack[-1], list):
            self._refuse("a list of a kind of its own")
        self._stack[-1].extend(items)

    def _on_setitem(self, _: Any) -> None:
        self._set(self._pop(2))

    def _on_setitems(self, _: Any) -> None:
        self._set(self._pop_to_mark())

    def _set(self, items: list[Any]) -> None:
        if not isinstance(self._stack[-1], dict):
            self._refuse("a dict of a kind of its own")
        self._stack[-1].update(zip(items[::2], items[1::2], strict=True))

    def _on_binput(self, place: int) -> None:
        self._memo[place] = self._stack[-1]

    _on_long_binput = _on_put = _on_binput

    def _on_memoize(self, _: Any) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def _on_binget(self, place: int) -> None:
        self._stack.append(self._memo[place])

    _on_long_binget = _on_get = _on_binget

    def _on_global(self, argument: str) -> None:
        self._name(*argument.split(" ", 1))

    def _on_stack_global(self, _: Any) -> None:
        self._name(*self._pop(2))

    def _name(self, module: Any, name: Any) -> None:
        # Python 2 called the module of OrderedDict the same; other old names are not needed.
        if (module, name) not in _ADMITTED:
            self._refuse(f"it asks for {module}.{name}")
        self._stack.append(_Name(module, name))

    def _on_binpersid(self, _: Any) -> None:
        (identity,) = self._pop(1)
        kind, storage, key, _, size, *view = identity
        if kind != "storage" or not isinstance(storage, _Name) or any(view):
            self._refuse(f"a reference of kind {kind!r}")
        self._stack.append(StorageRecord(str(key), STORAGE_DTYPES[storage.name], _natural(size)))

    def _on_build(self, _: Any) -> None:
        # The attributes that PyTorch gives to a state dict (`_metadata`) say nothing of numbers.
        self._pop(1)
        if not isinstance(self._stack[-1], dict):
            self._refuse("an object with a state")

    def _on_reduce(self, _: Any) -> None:
        called, arguments = self._pop(2)
        if not isinstance(called, _Name) or (called.module, called.name) not in _CALLABLE:
            self._refuse("a call")
        self._stack.append(_rebuilt((called.module, called.name), arguments))


def _rebuilt(called: tuple[str, str], arguments: tuple[Any, ...]) -> Any:
    """The dict or record that PyTorch's function would make."""
    if called == _ORDERED_DICT:
        return dict(*arguments)
    if called == _REBUILD_PARAMETER:
        tensor = arguments[0]
        if not isinstance(tensor, TensorRecord):
            raise ValueError("a parameter that is no tensor")
        return tensor
    storage, offset, shape, strides = arguments[:4]
    if not isinstance(storage, StorageRecord) or len(shape) != len(strides):
        raise ValueError("a tensor without storage")
    return TensorRecord(
        storage, _natural(offset), tuple(map(_natural, shape)), tuple(map(_natural, strides))
    )


def _natural(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} where a size is expected")
    return value
