"""The command `python -m clinical_t5x.tokenize`."""

import json

import pytest
from etils import epath

from clinical_t5x import tokenize
from clinical_t5x.console import UserError
from clinical_t5x.data.token_store import TokenStore
from tests.data import tiny


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tiny.make_home(epath.Path(tmp_path_factory.mktemp("tokenize")))


def tokenised(home, capsys, *arguments):
    assert tokenize.main([*arguments, "--data_dir", str(home), "--json"]) == 0
    return json.loads(capsys.readouterr().out.splitlines()[-1])["token_stores"]


def test_every_split_is_written_once(home, capsys):
    arguments = ("--task", "mimic_pretrain_v1", "--module", "tasks.pretrain")
    stores = tokenised(home, capsys, *arguments)
    assert stores.keys() == {"mimic_pretrain_v1 train", "mimic_pretrain_v1 validation"}
    assert all(TokenStore(epath.Path(place)).kind == "stream" for place in stores.values())
    marks = [epath.Path(place) / "_COMPLETE.json" for place in stores.values()]
    before = [mark.stat().mtime for mark in marks]
    assert tokenised(home, capsys, *arguments) == stores
    assert [mark.stat().mtime for mark in marks] == before


def test_one_split_can_be_named(home, capsys):
    arguments = ("--task", "mednli_v1", "--module", "tasks.mednli", "--split", "test")
    assert list(tokenised(home, capsys, *arguments)) == ["mednli_v1 test"]


def test_an_unknown_split_is_named(home):
    arguments = ["--task", "mednli_v1", "--module", "tasks.mednli", "--split", "dev"]
    with pytest.raises(UserError, match=r"no split 'dev'; it has"):
        tokenize.main([*arguments, "--data_dir", str(home)])
