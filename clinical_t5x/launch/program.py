"""One configured call of train, evaluate or infer: from a command, the demo, a test, a notebook."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from clinical_t5x import console
from clinical_t5x.console import Stopped, UserError
from clinical_t5x.launch import facade, preflight, static_check
from clinical_t5x.launch.flags import parse_flags
from clinical_t5x.launch.gin_reading import COMMAND_LINE, read_configuration
from clinical_t5x.launch.programs import (
    Program,
    entry_function,
    names_on_main,
    program_named,
)
from clinical_t5x.launch.search_path import SearchPath
from clinical_t5x.launch.static_check import Configuration

# What T5X's files bind to 'bfloat16' that means compute, and is float32 on a CPU.
_COMPUTE_DTYPES = (
    ("clinical_t5x.models.config:T5Config", "dtype"),
    ("clinical_t5x.training.config:RestoreCheckpointConfig", "dtype"),
)


def run_program(
    verb: str,
    *,
    gin_files: Sequence[str] = (),
    bindings: Sequence[str] = (),
    search_paths: Sequence[str] = (),
    data_dir: str | os.PathLike | None = None,
    announce: Callable[[str], None] | None = None,
) -> Any:
    """Configure with gin and run the program once; may be called again and again in a process.

    Args:
      verb: "train", "eval" or "infer".
      gin_files: applied in order; looked up in `search_paths`, the working directory, the clone.
      bindings: gin statements such as "TRAIN_STEPS = 2", applied after the files.
      search_paths: further directories for gin files and their includes.
      data_dir: the data home of this run.
      announce: receives notices, one line each.

    Returns:
      What the program's function returns.

    Raises:
      UserError: a mistake in the configuration, or missing data.
      Stopped: the run was asked to stop and can be resumed.
    """
    program = program_named(verb)
    announce = announce or (lambda line: None)
    search_path = SearchPath(search_paths)
    with _data_home(data_dir):
        configuration = _checked(program, gin_files, bindings, search_path)
        for notice in configuration.notices:
            announce(f"note: {notice}")
        rebindings = _float32_on_cpu(configuration, announce)
        with names_on_main(), _parsed(gin_files, [*bindings, *rebindings], search_path):
            return _call(program)


def _checked(
    program: Program, gin_files: Sequence[str], bindings: Sequence[str], search_path: SearchPath
) -> Configuration:
    if not gin_files:
        raise UserError(f"no gin file; name one, such as --gin_file={_EXAMPLE_FILES[program.verb]}")
    facade.provide()
    reading = read_configuration(gin_files, bindings, search_path)
    configuration = static_check.check(reading, program)
    preflight.check_inputs(configuration)
    return configuration


def _float32_on_cpu(configuration: Configuration, announce: Callable[[str], None]) -> list[str]:
    """Bindings that turn T5X's bfloat16 into float32 on a CPU, which computes it slowly.

    A dtype on the command line is a wish and stays.
    """
    wanted = []
    for identity, parameter in _COMPUTE_DTYPES:
        for binding in configuration.bound(identity, parameter):
            is_default = binding.place.file != COMMAND_LINE
            if is_default and configuration.value(binding.value) == "bfloat16":
                wanted.append(binding)
    if not wanted:
        return []
    import jax

    if jax.default_backend() != "cpu":
        return []
    targets = [f"{b.scope}/{b.selector}" if b.scope else b.selector for b in wanted]
    names = " and ".join(
        f"{target}.{b.parameter}" for target, b in zip(targets, wanted, strict=True)
    )
    announce(f"note: {names} = 'bfloat16' is float32 on this CPU (--gin.NAME=bfloat16 keeps it)")
    return [
        f"{target}.{binding.parameter} = 'float32'"
        for target, binding in zip(targets, wanted, strict=True)
    ]


@contextlib.contextmanager
def _parsed(
    gin_files: Sequence[str], bindings: Sequence[str], search_path: SearchPath
) -> Iterator[None]:
    """A finalized gin configuration inside the block, and none after it."""
    import gin

    gin.clear_config()
    # gin has no way to take a search path back, and always looks in the working directory first.
    prefixes = gin.config._LOCATION_PREFIXES
    before = list(prefixes)
    prefixes[:] = search_path.directories
    try:
        _parse(gin_files, bindings)
        yield
    finally:
        prefixes[:] = before
        gin.clear_config()


def _parse(gin_files: Sequence[str], bindings: Sequence[str]) -> None:
    import gin

    try:
        gin.parse_config_files_and_bindings(
            [os.path.expanduser(name) for name in gin_files], list(bindings)
        )
    except (OSError, SyntaxError, ImportError, AttributeError, ValueError, RuntimeError) as error:
        raise UserError(f"the gin configuration cannot be used: {_brief(error)}") from error


def _brief(error: Exception) -> str:
    """gin's message without the configuration that it prints: its first line and the place."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    places = [line for line in lines if line.startswith("In file")]
    first = lines[0] if lines else type(error).__name__
    return f"{first} ({places[-1]})" if places else first


def _call(program: Program) -> Any:
    """Run the configured function; gin's additions to messages are taken off again."""
    import gin

    configured = gin.get_configurable(entry_function(program))
    try:
        return configured()
    except UserError as error:
        raise UserError(_without_gin(error)) from error
    except Stopped as stopped:
        raise Stopped(_without_gin(stopped)) from stopped


def _without_gin(error: Exception) -> str:
    return str(error).split("\n  In call to configurable")[0]


@contextlib.contextmanager
def _data_home(directory: str | os.PathLike | None) -> Iterator[None]:
    """Make `directory` the data home inside the block, also for threads of the input pipeline."""
    if directory is None:
        yield
        return
    before = os.environ.get("CLINICAL_T5X_DATA")
    os.environ["CLINICAL_T5X_DATA"] = os.path.abspath(os.path.expanduser(os.fspath(directory)))
    try:
        yield
    finally:
        if before is None:
            del os.environ["CLINICAL_T5X_DATA"]
        else:
            os.environ["CLINICAL_T5X_DATA"] = before


def main_of(verb: str) -> None:
    """Run program `verb` with this process's command line, and exit with the agreed code."""
    console.run_command(lambda argv: _command(verb, argv))


def serve_entry(verb: str) -> Callable[[str], Any]:
    """A module-level `__getattr__` that offers the program's function without importing it yet."""
    entry = program_named(verb).entry

    def get(name: str) -> Any:
        if name == entry:
            return entry_function(program_named(verb))
        raise AttributeError(f"module t5x.{verb} has no attribute {name!r}")

    return get


def _command(verb: str, argv: Sequence[str]) -> int:
    flags = parse_flags(verb, argv)
    run_program(
        verb,
        gin_files=flags.gin_files,
        bindings=flags.gin_bindings,
        search_paths=flags.gin_search_paths,
        data_dir=flags.data_dir,
        announce=lambda line: print(line, file=sys.stderr, flush=True),
    )
    return console.EXIT_DONE


_EXAMPLE_FILES = {
    "train": "gin/clinical_large.gin",
    "eval": "gin/models/clinical_base.gin --gin_file=gin/eval_mednli.gin",
    "infer": "gin/models/clinical_base.gin --gin_file=gin/infer_mednli.gin",
}
