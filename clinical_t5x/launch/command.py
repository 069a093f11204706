"""`python -m t5x.{train,eval,infer,export,precompile,main}`: flags in, a run, what to do next."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Callable, Sequence
from typing import Any

from clinical_t5x import console
from clinical_t5x.launch import environment
from clinical_t5x.launch.flags import RUN_MODES, Flags, parse_flags
from clinical_t5x.launch.gin_reading import Reference
from clinical_t5x.launch.program import check_program, run_program
from clinical_t5x.launch.programs import entry_function, program_named
from clinical_t5x.launch.static_check import Configuration
from clinical_t5x.training import startup

_BENCHMARKS = ("mednli", "radqa", "clip")  # those with a recipe gin/eval_NAME.gin


def main_of(verb: str) -> None:
    """Run program `verb` with this process's command line, and exit with the agreed code."""
    console.run_command(lambda argv: run_command_line(verb, argv))


def serve_entry(verb: str) -> Callable[[str], Any]:
    """A module-level `__getattr__` that offers the program's function without importing it yet."""
    program = program_named(verb)

    def get(name: str) -> Any:
        if name == program.entry:
            return entry_function(program)
        raise AttributeError(f"module t5x.{verb} has no attribute {name!r}")

    return get


def run_command_line(verb: str, argv: Sequence[str]) -> int:
    """Run program `verb` with the command line `argv`; the exit code."""
    flags = parse_flags(verb, argv)
    if verb == "main":
        verb = _mode(flags)
    asked = {
        "gin_files": flags.gin_files,
        "bindings": flags.gin_bindings,
        "search_paths": flags.gin_search_paths,
        "data_dir": flags.data_dir,
        "tfds_data_dir": flags.tfds_data_dir,
    }
    group = environment.find_group(flags)
    configuration = check_program(verb, **asked)
    output = configuration.macro(program_named(verb).output)
    files = ", ".join(flags.gin_files)
    console.say(f"{verb}: {files}{f' -> {output}' if output else ''}")
    if flags.dry_run:
        console.say("the configuration is complete, and so is the data home; nothing was run")
        return console.EXIT_DONE
    environment.set_jax_options(flags.jax_options)
    environment.join_processes(group, flags.initialization_timeout)
    startup.begin(with_process=True)
    startup.mark("imports")
    started = time.monotonic()
    run_program(
        verb,
        **asked,
        seqio_cache_dirs=flags.seqio_additional_cache_dirs,
        announce=console.say,
    )
    seconds = time.monotonic() - started
    console.say(f"next: {_next_command(verb, flags, configuration)}")
    if flags.json:
        console.say_json({"program": verb, "output": output, "seconds": round(seconds, 1)})
    return console.EXIT_DONE


def _mode(flags: Flags) -> str:
    """What --run_mode of t5x.main asks for."""
    if flags.run_mode is None:
        raise console.UserError(f"--run_mode is missing; give one of {', '.join(RUN_MODES)}")
    return flags.run_mode


def _next_command(verb: str, flags: Flags, configuration: Configuration) -> str:
    """What a person would type after this run, as far as this project's recipes go."""
    output = shlex.quote(str(configuration.macro(program_named(verb).output)))
    if verb == "infer":
        return f"ls {output}"
    if verb == "export":
        return f"python {output}/load_example.py --check"
    if verb == "precompile":
        return "the same command with t5x.train, which finds what was compiled"
    if verb == "eval":
        return f"python -m clinical_t5x.report --runs {output}"
    task = configuration.macro("MIXTURE_OR_TASK_NAME")
    registers = isinstance(task, Reference)  # "@mednli.register()": a task of the module mednli
    benchmark = re.split(r"[._]", task.name if registers else str(task))[0]
    model = next((name for name in flags.gin_files if "finetune" not in name), "MODEL.gin")
    if "INITIAL_CHECKPOINT_PATH" in configuration.macros and benchmark in _BENCHMARKS:
        more = "  (and this run's MIXTURE_OR_TASK_NAME, with its gin file)" if registers else ""
        return (
            f"python -m t5x.eval --gin_file={model} --gin_file=gin/eval_{benchmark}.gin "
            f"--gin.CHECKPOINT_PATH={output}{more}"
        )
    return (
        "python -m t5x.train --gin_file=MODEL.gin --gin_file=gin/finetune_mednli.gin "
        f"--gin.INITIAL_CHECKPOINT_PATH={output}  (MODEL.gin: the model's file in gin/models)"
    )
