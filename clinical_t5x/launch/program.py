"""One configured call of a program: from a command, the demo, a test, a notebook."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import inspect
import logging
import os
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from clinical_t5x.console import Stopped, UserError
from clinical_t5x.data.quiet_import import import_tensorflow
from clinical_t5x.launch import absent_tasks, environment, facade, preflight, static_check
from clinical_t5x.launch.flags import binding_from_text
from clinical_t5x.launch.gin_reading import COMMAND_LINE, Binding, read_configuration
from clinical_t5x.launch.gin_summary import summarize_gin_config
from clinical_t5x.launch.programs import (
    Program,
    entry_function,
    names_on_main,
    program_named,
)
from clinical_t5x.launch.search_path import SearchPath
from clinical_t5x.launch.static_check import Configuration
from clinical_t5x.training import startup

# What T5X's files bind to 'bfloat16' that means compute, and is float32 on a CPU.
_COMPUTE_DTYPES = (
    ("clinical_t5x.models.config:T5Config", "dtype"),
    ("clinical_t5x.training.config:RestoreCheckpointConfig", "dtype"),
)

# Packages of gin files' modules that do not bring TensorFlow. Any other may: then it is imported
# before, without its start-up lines.
_WITHOUT_TENSORFLOW = {"__main__", "clinical_t5x", "flax", "jax", "numpy", "optax", "t5x"}

_EXAMPLE_FILES = {
    "train": "gin/clinical_large.gin",
    "eval": "gin/models/clinical_base.gin --gin_file=gin/eval_mednli.gin",
    "infer": "gin/models/clinical_base.gin --gin_file=gin/infer_mednli.gin",
    "export": "gin/models/clinical_base.gin --gin_file=t5x/configs/runs/export.gin",
    "precompile": "gin/clinical_large.gin",
}

# Packages of gin files' modules that are imported before gin does so, to know what that takes.
_SLOW_TO_IMPORT = {"clinical_t5x", "seqio", "t5x"}

# Where a program looks for gin files when --gin_search_paths says nothing, besides the usual.
_DEFAULT_SEARCH_PATHS = {"export": ("t5x/configs",)}


def run_program(
    verb: str,
    *,
    gin_files: Sequence[str],
    bindings: Sequence[str] = (),
    search_paths: Sequence[str] = (),
    data_dir: str | os.PathLike | None = None,
    tfds_data_dir: str | os.PathLike | None = None,
    seqio_cache_dirs: Sequence[str] = (),
    announce: Callable[[str], None] | None = None,
) -> Any:
    """Configure with gin and run the program once; may be called again and again in a process.

    Args:
      verb: "train", "eval", "infer", "export" or "precompile".
      gin_files: applied in order; looked up in `search_paths`, the working directory, the clone.
      bindings: gin statements such as "TRAIN_STEPS = 2", applied after the files. As on the
        command line, a value that is not gin is taken as a string.
      search_paths: further directories for gin files and their includes.
      data_dir: the data home of this run.
      tfds_data_dir: as T5X's flag: a data home, or a directory of TFDS data sets.
      seqio_cache_dirs: further directories of cached SeqIO tasks.
      announce: receives notices, one line each.

    Returns:
      What the program's function returns.

    Raises:
      UserError: a mistake in the configuration, or missing data.
      Stopped: the run was asked to stop and can be resumed.
    """
    asked = _Asked(
        verb, tuple(gin_files), tuple(map(binding_from_text, bindings)), tuple(search_paths)
    )
    if startup.begun() is None:
        startup.begin()
    try:
        with _configured(asked, data_dir, tfds_data_dir, seqio_cache_dirs, announce) as found:
            return _call(*found)
    finally:
        startup.end()


@contextlib.contextmanager
def built_arguments(
    verb: str,
    *,
    gin_files: Sequence[str],
    bindings: Sequence[str] = (),
    search_paths: Sequence[str] = (),
    data_dir: str | os.PathLike | None = None,
    announce: Callable[[str], None] | None = None,
    platform: str | None = None,
) -> Iterator[dict[str, Any]]:
    """The arguments that `run_program` would call the program's function with, built by gin.

    Models, optimizers, schedules and configurations are real; no data is opened and no checkpoint
    looked for. gin stays configured inside the block. The parameters are those of `run_program`,
    and:

    Args:
      platform: "cpu", "gpu" or "tpu" where the program is not for this machine.

    Raises:
      UserError: a mistake in the configuration.
    """
    asked = _Asked(
        verb, tuple(gin_files), tuple(map(binding_from_text, bindings)), tuple(search_paths), False
    )
    with _configured(asked, data_dir, None, (), announce, platform) as (program, _):
        import gin

        with _plain_errors(entry_function(program)):
            arguments = gin.get_bindings(entry_function(program))
        yield dict(arguments)


@dataclasses.dataclass(frozen=True)
class _Asked:
    """A program and what configures it; `statements` are bindings that gin can read."""

    verb: str
    gin_files: tuple[str, ...]
    statements: tuple[str, ...]
    search_paths: tuple[str, ...]
    needs_inputs: bool = True

    @property
    def search_path(self) -> SearchPath:
        return SearchPath(self.search_paths, _DEFAULT_SEARCH_PATHS.get(self.verb, ()))


@contextlib.contextmanager
def _configured(
    asked: _Asked,
    data_dir: str | os.PathLike | None,
    tfds_data_dir: str | os.PathLike | None,
    seqio_cache_dirs: Sequence[str],
    announce: Callable[[str], None] | None,
    platform: str | None = None,
) -> Iterator[tuple[Program, Configuration]]:
    """A checked configuration in force inside the block."""
    announce = announce or (lambda line: None)
    with environment.data_home_of(data_dir, tfds_data_dir) as tfds_apart:
        program, configuration = _check(asked, tfds_apart)
        for notice in configuration.notices:
            announce(f"note: {notice}")
        if not {name.partition(".")[0] for name in configuration.modules} <= _WITHOUT_TENSORFLOW:
            import_tensorflow()
        startup.mark("imports")
        statements = [*asked.statements, *_float32_on_cpu(configuration, announce, platform)]
        with (
            environment.seqio_directories(tfds_apart, seqio_cache_dirs),
            names_on_main(),
            absent_tasks.stand_ins(configuration.modules),
        ):
            _import_slow_ones(configuration.modules)
            startup.mark("imports")
            with _gin_configured(asked.gin_files, statements, asked.search_path):
                startup.mark("gin")
                yield program, configuration


def _import_slow_ones(modules: Iterable[str]) -> None:
    """Import those of the gin files' modules that take time and whose order means nothing."""
    for name in sorted(modules):
        if name.partition(".")[0] in _SLOW_TO_IMPORT:
            with contextlib.suppress(ImportError):  # gin says which file asks for it
                importlib.import_module(name)


def check_program(
    verb: str,
    *,
    gin_files: Sequence[str],
    bindings: Sequence[str] = (),
    search_paths: Sequence[str] = (),
    data_dir: str | os.PathLike | None = None,
    tfds_data_dir: str | os.PathLike | None = None,
    needs_inputs: bool = True,
) -> Configuration:
    """Check what `run_program` would check first, in a fraction of a second; run nothing.

    The parameters are those of `run_program`, and:

    Args:
      needs_inputs: whether data, vocabularies and checkpoints must be there too.

    Raises:
      UserError: a mistake in the configuration, or missing data.
    """
    statements = tuple(map(binding_from_text, bindings))
    asked = _Asked(verb, tuple(gin_files), statements, tuple(search_paths), needs_inputs)
    with environment.data_home_of(data_dir, tfds_data_dir) as apart:
        return _check(asked, apart)[1]


def _check(asked: _Asked, tfds_data_dir: str | None) -> tuple[Program, Configuration]:
    program = program_named(asked.verb)
    if not asked.gin_files:
        example = _EXAMPLE_FILES[asked.verb]
        raise UserError(f"no gin file; name one, such as --gin_file={example}")
    facade.provide()
    startup.mark("imports")
    reading = read_configuration(asked.gin_files, asked.statements, asked.search_path)
    program = static_check.program_meant(reading, program)
    configuration = static_check.check(reading, program)
    if asked.needs_inputs:
        preflight.check_inputs(configuration, tfds_data_dir)
    startup.mark("gin")
    return program, configuration


def _float32_on_cpu(
    configuration: Configuration, announce: Callable[[str], None], platform: str | None
) -> list[str]:
    """Bindings that turn the gin files' bfloat16 into float32 on a CPU, where it only costs.

    A dtype on the command line is a wish and stays.
    """
    wanted = [
        binding
        for identity, parameter in _COMPUTE_DTYPES
        if identity in configuration.reached
        for binding in configuration.bound(identity, parameter)
        if binding.place.file != COMMAND_LINE and configuration.value(binding.value) == "bfloat16"
    ]
    if not wanted:
        return []
    if platform is None:
        import jax

        platform = jax.default_backend()
    if platform != "cpu":
        return []
    names = [_full_name(binding) for binding in wanted]
    announce(
        f"note: computing in float32 on this CPU, not in the gin files' bfloat16 "
        f"(--gin.{names[0]}=bfloat16 keeps it)"
    )
    return [f"{name} = 'float32'" for name in names]


def _full_name(binding: Binding) -> str:
    selector = f"{binding.scope}/{binding.selector}" if binding.scope else binding.selector
    return f"{selector}.{binding.parameter}"


@contextlib.contextmanager
def _gin_configured(
    gin_files: Sequence[str], statements: Sequence[str], search_path: SearchPath
) -> Iterator[None]:
    """A finalized gin configuration inside the block, and none after it."""
    import gin

    gin.clear_config()
    # gin has no way to take a search path back, and always looks in the working directory first.
    prefixes = gin.config._LOCATION_PREFIXES
    before = list(prefixes)
    prefixes[:] = search_path.directories
    try:
        _parse(gin_files, statements)
        yield
    finally:
        prefixes[:] = before
        gin.clear_config()


def _parse(gin_files: Sequence[str], statements: Sequence[str]) -> None:
    import gin

    try:
        with _without_search_messages():
            gin.parse_config_files_and_bindings(
                [os.path.expanduser(name) for name in gin_files], list(statements)
            )
    except UserError as error:
        raise UserError(_without_gin(error)) from error
    except (OSError, SyntaxError, ImportError, AttributeError, ValueError, RuntimeError) as error:
        raise UserError(f"the gin configuration cannot be used: {_brief(error)}") from error


@contextlib.contextmanager
def _without_search_messages() -> Iterator[None]:
    """gin calls every directory that does not have a file an error, in the process's log."""

    def is_other(record: logging.LogRecord) -> bool:
        return not str(record.msg).startswith("Path not found")

    logging.getLogger().addFilter(is_other)
    try:
        yield
    finally:
        logging.getLogger().removeFilter(is_other)


def _brief(error: Exception) -> str:
    """gin's message without the configuration that it prints: its first line and the place."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    places = [line for line in lines if line.startswith("In file")]
    first = lines[0] if lines else type(error).__name__
    return f"{first} ({places[-1]})" if places else first


def _call(program: Program, configuration: Configuration) -> Any:
    """Run the configured function."""
    import gin

    function = entry_function(program)
    with _plain_errors(function):
        configured = gin.get_configurable(function)
        return configured(**_defaults(program, function, configuration))


@contextlib.contextmanager
def _plain_errors(function: Callable) -> Iterator[None]:
    """Take off what gin adds to our messages; a wrong value in the configuration is a UserError."""
    try:
        yield
    except UserError as error:
        raise UserError(_without_gin(error)) from error
    except Stopped as stopped:
        raise Stopped(_without_gin(stopped)) from stopped
    except (TypeError, ValueError) as error:
        if isinstance(error, ValueError) and _raised_in_models(error.__traceback__):
            # the models import nothing of ours, so that a bad setting is a ValueError there
            raise UserError(_without_gin(error)) from error
        if _went_through(function, error.__traceback__):
            raise
        # gin was still making the function's arguments: a value in the configuration is wrong.
        raise UserError(f"the configuration cannot be used: {_without_gin(error)}") from error


def _defaults(program: Program, function: Callable, configuration: Configuration) -> dict[str, Any]:
    """The program's own arguments, and T5X's default of writing config.gin."""
    identity = f"{function.__module__}:{function.__name__}"
    name = "summarize_config_fn"
    is_open = name in inspect.signature(function).parameters
    if not is_open or configuration.bound(identity, name):
        return program.arguments
    return {name: summarize_gin_config, **program.arguments}


def _raised_in_models(traceback: types.TracebackType | None) -> bool:
    last = ""
    while traceback is not None:
        last = traceback.tb_frame.f_globals.get("__name__", "")
        traceback = traceback.tb_next
    return last.startswith("clinical_t5x.models.")


def _went_through(function: Callable, traceback: types.TracebackType | None) -> bool:
    while traceback is not None:
        if traceback.tb_frame.f_code is function.__code__:
            return True
        traceback = traceback.tb_next
    return False


def _without_gin(error: Exception) -> str:
    return str(error).split("\n  In call to configurable")[0].split("\n  In file")[0]
