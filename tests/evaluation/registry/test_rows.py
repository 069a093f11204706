"""The rows of the registry: all of the paper's, whole, and found by key or id."""

import importlib
import re
import shlex
from pathlib import Path

import pytest

from clinical_t5x.console import UserError
from clinical_t5x.evaluation.registry import MODELS, TokenCounts, model_row, row_of_source
from clinical_t5x.evaluation.registry.row import ARCHITECTURES, GROUPS, USES

ROOT = Path(__file__).parents[3]

# Size and tokens seen in billions (general, biomedical, clinical), typed from the paper again.
PAPER = {
    "T5-Base": (220e6, 34, 0.5, 0),
    "Clinical-T5-Base-Ckpt": (220e6, 34, 0.5, 13),
    "Clinical-T5-Base": (220e6, 0, 0, 40),
    "RoBERTa-Large": (345e6, 2200, 0, 0),
    "BioClinRoBERTa": (345e6, 0, 2037, 65),
    "GatorTron": (345e6, 40, 92, 1570),
    "T5-Large": (770e6, 34, 0.5, 0),
    "Clinical-T5-Large": (770e6, 0, 0, 38),
    "PubMedGPT": (2.7e9, 0, 300, 0),
    "T5-XL": (3e9, 34, 0.5, 0),
    "Flan-T5-XXL": (11e9, 34, 0.5, 0),
    "GPT-3": (175e9, None, None, None),
}
APPENDIX = {
    "ClinicalBERT": (110e6, 137, 46, 0.6),
    "Clinical-Longformer": (150e6, 2200, 0, 15),
    "SciFive": (220e6, 34, 27, 0),
    "SciFive-Large": (770e6, 34, 14, 0),
}


@pytest.mark.parametrize(("group", "expected"), [("paper", PAPER), ("appendix", APPENDIX)])
def test_the_papers_models_are_all_there(group, expected):
    found = {
        row.name: (row.parameters, *(in_billions(count) for count in counts(row.tokens)))
        for row in MODELS.values()
        if row.group == group
    }
    assert list(found) == list(expected)
    for name, facts in expected.items():
        assert found[name] == pytest.approx(facts), name


def counts(tokens: TokenCounts):
    return tokens.general, tokens.biomedical, tokens.clinical


def in_billions(count):
    return None if count is None else count / 1e9


def test_unique_tokens_are_those_of_table_5():
    unique = {key: counts(row.unique_tokens) for key, row in MODELS.items()}
    assert unique["gatortron"] == (4e9, 9e9, 157e9)
    assert unique["bioclinroberta"] == (0, 32e9, 0.8e9)
    assert unique["clinical_t5_base_ckpt"] == (34e9, 0.5e9, 2.3e9)
    assert unique["clinical_t5_large"] == (0, 0, 2e9)
    assert unique["roberta_large"] == (55e9, 0, 0)


def test_nobody_saw_fewer_tokens_than_different_ones():
    for row in MODELS.values():
        for seen, different in zip(counts(row.tokens), counts(row.unique_tokens), strict=True):
            assert seen is None or different is None or seen >= different, row.key


def test_every_row_is_whole():
    for key, row in MODELS.items():
        assert row.key == key
        assert row.group in GROUPS and row.architecture in ARCHITECTURES and row.use in USES
        assert all([row.name, row.family, row.tokenizer, row.source, row.licence, row.command])
        assert row.parameters > 1e8
        assert (row.preset is None) == (row.use == "in-context")
    assert len({row.name for row in MODELS.values()}) == len(MODELS)


def test_one_of_each_architecture_is_of_today():
    today = {row.architecture for row in MODELS.values() if row.group == "today"}
    assert today == set(ARCHITECTURES)


# The parser of each command that rows name.
PARSERS = {
    "clinical_t5x.vocabulary extend": ("clinical_t5x.vocabulary", "_extension_parser"),
    "clinical_t5x.convert": ("clinical_t5x.convert.__main__", "_parser"),
    "clinical_t5x.grid": ("clinical_t5x.grid.__main__", "_parser"),
    "clinical_t5x.finetune": ("clinical_t5x.finetune", "_parser"),
    "clinical_t5x.prompt": ("clinical_t5x.prompt", "_parser"),
}


@pytest.mark.parametrize("command", PARSERS)
def test_commands_can_be_typed(command):
    """Every line of every row is understood by the command that it names."""
    module, parser = PARSERS[command]
    parser = getattr(importlib.import_module(module), parser)()
    lines = [line for row in MODELS.values() for line in row.command.splitlines()]
    arguments = [
        line.removeprefix(f"python -m {command} ") for line in lines if f" {command} " in line
    ]
    assert arguments
    for line in arguments:
        assert parser.parse_args(shlex.split(line))


def test_no_line_names_another_command():
    for row in MODELS.values():
        for line in row.command.splitlines():
            known = [f"python -m {command} " for command in PARSERS]
            assert line.startswith((*known, "python -m t5x.train --gin_file=gin/")), line


def test_gin_files_of_commands_are_there():
    named = {name for row in MODELS.values() for name in re.findall(r"gin/\S+", row.command)}
    assert named
    assert all((ROOT / name).exists() for name in named)


def test_a_run_of_a_row_is_called_by_its_key():
    """So that reports can put measured and published numbers of one model side by side."""
    for key, row in MODELS.items():
        assert f"--registry_row {key} " in row.command or f"--model {key}=" in row.command


def test_a_retired_model_says_so():
    row = model_row("gpt3")
    assert "retired" in row.source
    assert row.family == "endpoint" and row.hub_id is None
    assert row.tokens.total is None


def test_misspelt_keys_are_answered_with_near_ones():
    with pytest.raises(UserError, match="did you mean t5_large"):
        model_row("T5-Larg")
    with pytest.raises(UserError, match="there are t5_base, clinical_t5_base_ckpt"):
        model_row("zzz")


def test_rows_are_found_by_hugging_face_id():
    assert row_of_source("UFNLP/gatortron-base").key == "gatortron"
    assert row_of_source("ufnlp/GatorTron-base").key == "gatortron"
    assert row_of_source("t5-3b").key == "t5_xl"
    assert row_of_source("stanford-crfm/pubmedgpt").key == "pubmedgpt"
    assert row_of_source("somebody/else") is None
    # several rows have no id: none of them is found by what stands in its place
    assert row_of_source(model_row("gpt3").source) is None
