"""`clinical-t5x VERB`: every command under one name."""

import ast
import sys

import pytest

from clinical_t5x import __version__, cli
from clinical_t5x.launch import facade


def call(monkeypatch, capsys, *arguments):
    monkeypatch.setattr("sys.argv", ["clinical-t5x", *arguments])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    output = capsys.readouterr()
    return caught.value.code, output.out, output.err


def test_help_lists_each_verb_with_one_line(monkeypatch, capsys):
    code, out, _ = call(monkeypatch, capsys, "--help")
    assert code == 0
    for verb in ("train", "eval", "infer", "prepare"):
        assert f"  {verb} " in out
    assert max(map(len, out.splitlines())) <= 100


def test_version(monkeypatch, capsys):
    assert call(monkeypatch, capsys, "--version")[:2] == (0, f"clinical_t5x {__version__}\n")


def test_without_a_verb_it_helps_and_fails(monkeypatch, capsys):
    code, out, _ = call(monkeypatch, capsys)
    assert code == 2
    assert out.startswith("usage:")


def test_unknown_verb_names_the_nearest(monkeypatch, capsys):
    code, _, err = call(monkeypatch, capsys, "trian")
    assert code == 2
    assert err == "error: no command 'trian'; did you mean train?\n"


def test_verb_gets_its_arguments(monkeypatch, capsys):
    code, _, err = call(monkeypatch, capsys, "train", "--gin_file=nothing.gin")
    assert code == 2
    assert "no gin file 'nothing.gin'" in err


def test_every_command_module_is_a_verb():
    """A module that runs a command when it is executed must be listed."""
    folder = facade.CHECKOUT / "clinical_t5x"
    commands = set()
    for path in folder.glob("*.py"):
        guards = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.If)]
        if any("__main__" in ast.unparse(guard.test) for guard in guards):
            commands.add(path.stem)
    verbs = {cli.module_of(verb).removeprefix("clinical_t5x.") for verb in cli.VERBS}
    assert commands - {"cli"} <= verbs


def test_a_verb_may_be_a_module_of_another_name(monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "clinical_t5x.model_list", raising=False)
    code, out, _ = call(monkeypatch, capsys, "models", "--group", "today")
    assert code == 0
    assert "t5gemma" in out and "t5_base" not in out
