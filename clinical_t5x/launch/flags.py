"""T5X's command-line flags, the same for all programs.

`--gin.NAME=VALUE` is rewritten to a binding; a value that gin cannot read is taken as a string, so
that `--gin.MODEL_DIR=/x/y` needs no quotes inside quotes.
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import re
import tokenize
from collections.abc import Sequence

from clinical_t5x.console import UserError
from clinical_t5x.training.profile_window import profile_window
from gin import config_parser

_NAME = re.compile(r"^[A-Za-z_][\w./]*$")
_OPENERS = "[({'\"@%"
_NOT_PYTHON = {"true": "True", "false": "False", "none": "None", "null": "None"}
# T5X's names for its programs in t5x.main, which are also the names of their modules.
RUN_MODES = ("train", "eval", "infer", "precompile", "export")

_IGNORED_ABSL = (
    "alsologtostderr",
    "noalsologtostderr",
    "logtostderr",
    "nologtostderr",
    "showprefixforinfo",
)
_IGNORED_ABSL_WITH_VALUE = ("verbosity", "stderrthreshold", "log_dir", "logger_levels")
_FIDDLE = ("fdl_config", "fdl_config_file", "fdl_set", "fdl_tag", "fdl_fiddler", "fiddler")


@dataclasses.dataclass(frozen=True)
class Flags:
    """What the command line asked for; gin bindings are complete `name = value` statements."""

    gin_files: tuple[str, ...] = ()
    gin_bindings: tuple[str, ...] = ()
    gin_search_paths: tuple[str, ...] = ()
    data_dir: str | None = None
    tfds_data_dir: str | None = None
    seqio_additional_cache_dirs: tuple[str, ...] = ()
    multiprocess_gpu: bool = False
    coordinator_address: str | None = None
    process_count: int | None = None
    process_index: int | None = None
    initialization_timeout: int | None = None
    dry_run: bool = False
    json: bool = False
    run_mode: str | None = None
    jax_options: tuple[tuple[str, str], ...] = ()


def parse_flags(verb: str, argv: Sequence[str]) -> Flags:
    """Parse the command line of program `verb`; "main" is the one that is told by --run_mode.

    Raises:
      UserError: an unknown flag, a malformed --gin flag, a flag of T5X's Fiddle interface.
      SystemExit: `--help` was given and has been answered.
    """
    plain, bindings = _split_gin_flags(argv)
    plain, jax_options = _split_jax_flags(plain)
    given = _parser(verb).parse_args(plain)
    if getattr(given, "seed", None) is not None:
        bindings.append(f"RANDOM_SEED = {given.seed}")
    if getattr(given, "profile", None) is not None:
        bindings.append(_profile_binding(given.profile, getattr(given, "run_mode", "train")))
    if getattr(given, "shard_id", None) is not None:
        bindings.append(f"infer_script.infer.shard_id = {given.shard_id}")
    if getattr(given, "with_text", False):
        bindings.append(_with_text_binding(getattr(given, "run_mode", None) or verb))
    if getattr(given, "with_scores", False):
        bindings.append(_with_scores_binding(getattr(given, "run_mode", None) or verb))
    paths = [path for entry in given.gin_search_paths or () for path in entry.split(",") if path]
    return Flags(
        gin_files=tuple(given.gin_file or ()),
        gin_bindings=(*map(binding_from_text, given.gin_bindings or ()), *bindings),
        gin_search_paths=tuple(paths),
        data_dir=given.data_dir,
        tfds_data_dir=given.tfds_data_dir,
        seqio_additional_cache_dirs=tuple(
            path for path in (given.seqio_additional_cache_dirs or "").split(",") if path
        ),
        multiprocess_gpu=given.multiprocess_gpu,
        coordinator_address=given.coordinator_address,
        process_count=given.process_count,
        process_index=given.process_index,
        initialization_timeout=given.initialization_timeout,
        dry_run=given.dry_run,
        json=given.json,
        run_mode=getattr(given, "run_mode", None),
        jax_options=tuple(jax_options),
    )


def _with_text_binding(mode: str) -> str:
    programs = {"eval": "eval_script.evaluate", "infer": "infer_script.infer"}
    if mode not in programs:
        raise UserError(f"--with_text is a flag of eval and infer; {mode} writes no predictions")
    return f"{programs[mode]}.with_text = True"


def _with_scores_binding(mode: str) -> str:
    programs = {"eval": "eval_script.evaluate", "train": "train_script.train"}
    if mode not in programs:
        raise UserError(f"--with_scores is a flag of eval and train; {mode} scores no answers")
    return f"{programs[mode]}.with_scores = True"


def _profile_binding(asked: str, mode: str) -> str:
    if mode != "train":
        raise UserError(f"--profile is a flag of training; --run_mode={mode} makes no profile")
    window = profile_window(asked)
    return f"train_script.train.profile = '{window.first}:{window.last}'"


def _split_gin_flags(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """Separate `--gin.NAME=VALUE` from the other arguments; refuse Fiddle's flags with a reason."""
    plain, bindings = [], []
    for argument in argv:
        name = argument.lstrip("-").partition("=")[0]
        if argument.startswith("-") and name.startswith("gin."):
            bindings.append(binding_from_flag(argument.lstrip("-")[len("gin.") :]))
        elif argument.startswith("-") and name in _FIDDLE:
            raise UserError(
                f"--{name}: Fiddle configurations are not supported; say the same in gin with "
                "--gin_file and --gin.NAME=VALUE"
            )
        elif re.match(r"-[a-z_]{2,}", argument):
            plain.append(f"-{argument}")  # absl takes -flag as --flag
        else:
            plain.append(argument)
    return plain, bindings


def _split_jax_flags(argv: Sequence[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """Separate JAX's own flags, `--jax_NAME=VALUE`, `--jax_NAME` and `--nojax_NAME`."""
    plain, options = [], []
    for argument in argv:
        name, equals, value = argument.removeprefix("--").partition("=")
        if argument.startswith("--jax_"):
            options.append((name, value if equals else "true"))
        elif argument.startswith("--nojax_"):
            options.append((name.removeprefix("no"), "false"))
        else:
            plain.append(argument)
    return plain, options


def binding_from_flag(text: str) -> str:
    """Turn `NAME=VALUE`, the rest of a `--gin.` flag, into a gin statement.

    Example: `MODEL_DIR=/tmp/x` becomes `MODEL_DIR = '/tmp/x'`.

    Raises:
      UserError: no `=`, an impossible name, or a value that starts like gin syntax and is not.
    """
    name, equals, value = text.partition("=")
    if not equals:
        raise UserError(f"--gin.{name} has no value; write it in one piece: --gin.{name}=VALUE")
    if not _NAME.match(name):
        raise UserError(f"--gin.{text}: {name!r} is no gin name")
    return f"{name} = {as_gin_value(value, name)}"


def binding_from_text(statement: str) -> str:
    """Quote the value of the gin statement `NAME = VALUE` when gin could not read it.

    Statements that are not of this form (imports, blocks) come back unchanged.
    """
    name, equals, value = statement.partition("=")
    if not equals or not _NAME.match(name.strip()):
        return statement
    return f"{name.strip()} = {as_gin_value(value.strip(), name.strip())}"


def as_gin_value(value: str, name: str) -> str:
    """`value` as gin can read it: unchanged when it parses, else quoted as a string."""
    if _parses(value):
        return value
    if value.lower() in _NOT_PYTHON:
        raise UserError(f"--gin.{name}={value}: write {_NOT_PYTHON[value.lower()]}")
    if value[:1] and value[0] in _OPENERS:
        raise UserError(
            f"--gin.{name}={value}: the value starts like gin syntax and cannot be read; "
            "check its brackets and quotes, and quote it for the shell"
        )
    return repr(value)


class _AnyReference(config_parser.ParserDelegate):
    def configurable_reference(self, scoped_configurable_name, evaluate):
        return scoped_configurable_name

    def macro(self, macro_name):
        return macro_name


def _parses(value: str) -> bool:
    try:
        parser = config_parser.ConfigParser(value, _AnyReference())
        parser.parse_value()
        return parser.current_token.type in (tokenize.NEWLINE, tokenize.ENDMARKER)
    except (SyntaxError, tokenize.TokenError):
        return False


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, with the nearest flag, instead of printing the usage."""

    def error(self, message: str):
        flags = [flag for flag in self._option_string_actions if flag.startswith("--")]
        wrong = message.rpartition(" ")[2].partition("=")[0]
        near = difflib.get_close_matches(wrong, flags, n=1) if "unrecognized" in message else []
        advice = f"did you mean {near[0]}?" if near else "--help lists the flags"
        raise UserError(f"{message}; {advice}")


def _parser(verb: str) -> argparse.ArgumentParser:
    parser = _Parser(
        prog=f"python -m t5x.{verb}",
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=f"Run {verb} as configured by gin files.",
        epilog=_EPILOG[verb],
    )
    add = parser.add_argument
    add("--gin_file", action="append", metavar="FILE", help="gin file; may be repeated")
    add("--gin_bindings", action="append", metavar="BINDING", help="gin statement; repeatable")
    add("--gin_search_paths", action="append", metavar="DIRS", help="where gin files lie (a,b)")
    add("--data_dir", metavar="DIR", help="data home (default $CLINICAL_T5X_DATA)")
    add("--tfds_data_dir", metavar="DIR", help="directory of TFDS data sets, or a data home")
    add("--seqio_additional_cache_dirs", metavar="DIRS", help="caches of SeqIO tasks (a,b)")
    add("--dry_run", action="store_true", help="check configuration and data, then stop")
    add("--json", action="store_true", help="end with a summary in JSON")
    if verb == "main":
        modes = sorted(RUN_MODES)
        add("--run_mode", choices=modes, metavar="MODE", help=f"one of {', '.join(modes)}")
    if verb in ("train", "main"):
        add("--seed", type=int, metavar="N", help="the same as --gin.RANDOM_SEED=N")
        add("--profile", metavar="A:B", help="profile the steps after A up to B")
    if verb in ("infer", "main"):
        add("--shard_id", type=int, metavar="N", help="which shard of the inputs to run")
    if verb in ("eval", "infer", "main"):
        add("--with_text", action="store_true", help="keep texts in predictions: note text")
    if verb in ("eval", "train", "main"):
        add("--with_scores", action="store_true", help="also score answers by likelihood")
    add("--multiprocess_gpu", action="store_true", help="insist on a group of processes")
    add("--coordinator_address", metavar="HOST:PORT", help="the group's first process")
    add("--process_count", type=int, metavar="N", help="processes in the group; 1 runs alone")
    add("--process_index", type=int, metavar="I", help="this process's number")
    add("--initialization_timeout", type=int, metavar="S", help="seconds to wait for the group")
    # absl's logging flags are accepted, because T5X's users type them; logs go to stderr anyway.
    for name in _IGNORED_ABSL:
        add(f"--{name}", action="store_true", help=argparse.SUPPRESS)
    add("-v", help=argparse.SUPPRESS)
    for name in _IGNORED_ABSL_WITH_VALUE:
        add(f"--{name}", help=argparse.SUPPRESS)
    return parser


_COMMON_EPILOG = """
--gin.NAME=VALUE sets a macro or a parameter, such as --gin.TRAIN_STEPS=2 or
--gin.MODEL_DIR=/path (quotes are added where gin needs them). --debug shows tracebacks.
"""
_EPILOG = {
    "train": "example: python -m t5x.train --gin_file=gin/clinical_large.gin\n" + _COMMON_EPILOG,
    "eval": "example: python -m t5x.eval --gin_file=gin/clinical_base.gin "
    "--gin_file=gin/eval_mednli.gin --gin.CHECKPOINT_PATH=runs/x\n" + _COMMON_EPILOG,
    "infer": "example: python -m t5x.infer --gin_file=gin/clinical_base.gin "
    "--gin_file=gin/infer_mednli.gin --gin.CHECKPOINT_PATH=runs/x\n" + _COMMON_EPILOG,
    "export": "example: python -m t5x.export --gin_file=gin/models/clinical_base.gin "
    "--gin_file=gin/export_mednli.gin --gin.CHECKPOINT_PATH=runs/x\n" + _COMMON_EPILOG,
    "precompile": "example: python -m t5x.precompile --gin_file=gin/clinical_large.gin\n"
    + _COMMON_EPILOG,
    "main": "example: python -m t5x.main --run_mode=train --gin_file=gin/clinical_large.gin\n"
    + _COMMON_EPILOG,
}
