"""What was answered stays, whatever happens to the process."""

import json
import os
import stat

import pytest

from clinical_t5x.baselines.prompting.replies import Reply, ReplyStore
from clinical_t5x.console import UserError


def filled(directory):
    with ReplyStore(directory) as store:
        for key in "ab":
            store.note_asked(key)
            store.add(key, Reply(f"reply {key}", 3, 1))
        store.note_asked("c")
    return store.path


def test_replies_are_there_again(tmp_path):
    filled(tmp_path)
    with ReplyStore(tmp_path) as store:
        assert store["a"] == Reply("reply a", 3, 1)
        assert "c" not in store and store.unfinished == 1
        assert len(store.all()) == 2


def test_what_may_have_been_billed_is_known(tmp_path):
    filled(tmp_path)  # "c" was asked when the process ended
    with ReplyStore(tmp_path) as store:
        assert store.perhaps_billed_twice == 1
        store.note_asked("c")
        store.note_refused("c")
        store.note_asked("c")
        store.add("c", Reply("c"))
    with ReplyStore(tmp_path) as store:
        assert (store.unfinished, store.perhaps_billed_twice) == (0, 1)


def test_the_first_reply_stays(tmp_path):
    filled(tmp_path)
    with ReplyStore(tmp_path) as store:
        store.add("a", Reply("another"))
        assert store["a"].text == "reply a"
    assert filled(tmp_path).read_text().count('"request": "a"') == 1


@pytest.mark.parametrize("cut", range(1, 40, 3))
def test_half_a_line_is_dropped_and_written_anew(tmp_path, cut):
    path = filled(tmp_path)
    whole = path.read_bytes()
    line = whole.splitlines(keepends=True)[1]
    path.write_bytes(whole + line[:cut])
    with ReplyStore(tmp_path) as store:
        assert len(store.all()) == 2
        store.add("d", Reply("é"))
    with ReplyStore(tmp_path) as store:
        assert store["d"].text == "é"


def test_damage_elsewhere_is_said_without_its_text(tmp_path):
    path = filled(tmp_path)
    path.write_text("secret note\n" + path.read_text())
    with pytest.raises(UserError, match="line 1 is no reply") as caught, ReplyStore(tmp_path):
        pass
    assert "secret" not in str(caught.value)


def test_only_its_owner_reads_it(tmp_path):
    path = filled(tmp_path)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(path.parent).st_mode) == 0o700
    assert "notes" in (path.parent / "CONFIDENTIAL.txt").read_text()


def test_prompts_are_not_in_it(tmp_path):
    for line in filled(tmp_path).read_text().splitlines():
        assert set(json.loads(line)) <= {
            "asked", "refused", "request", "text", "prompt_tokens", "completion_tokens",
            "at_limit", "failure",
        }  # fmt: skip


def test_one_process_at_a_time(tmp_path):
    with (
        ReplyStore(tmp_path),
        pytest.raises(UserError, match="another process"),
        ReplyStore(tmp_path),
    ):
        pass
