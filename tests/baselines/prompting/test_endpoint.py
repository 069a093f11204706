"""The client against a server process, and its parts by themselves."""

import random

import pytest

from clinical_t5x.baselines.prompting.answering import Query, ask_once
from clinical_t5x.baselines.prompting.endpoint import wire
from clinical_t5x.baselines.prompting.endpoint.address import address_of, check_allowed
from clinical_t5x.baselines.prompting.endpoint.patience import RateLimit, asked_wait, wait_before
from clinical_t5x.baselines.prompting.endpoint.sending import check_reachable
from clinical_t5x.baselines.prompting.endpoint.server import Server
from clinical_t5x.baselines.prompting.endpoint.spending import Price, Purse
from clinical_t5x.baselines.prompting.rendering import Rendered
from clinical_t5x.baselines.prompting.replies import Reply, ReplyStore
from clinical_t5x.console import Stopped, UserError
from tests.baselines.prompting import servers

FAULTS = [
    "429", "429-after", "500", "503", "truncated", "hangup", "malformed", "no-choices",
    "two-choices", "no-text",
]  # fmt: skip


def query(number, **changes):
    rendered = Rendered("Answer.", (), f"Hypothesis: {number}\nAnswer:")
    return Query(rendered, tokens=10, max_tokens=8, stop=("\nHypothesis:",), **changes)


def client(server, *, api="completions", purse=None, azure=None, **options):
    address = address_of(server.url, api, "tiny", azure_api_version=azure)
    return Server(address, api, "tiny", purse=purse or Purse(Price()), **options)


def answers(asked, queries, directory):
    with ReplyStore(directory) as store:
        try:
            return dict(ask_once(asked, queries, store))
        finally:
            asked.close()


@pytest.mark.parametrize("api", ["completions", "chat"])
def test_all_are_answered_once_whatever_happens(tmp_path, api):
    queries = [query(number % 25) for number in range(30)]  # five of them twice
    with servers.running(tmp_path / "state", faults=FAULTS, every=3) as server:
        asked = client(server, api=api, concurrency=8)
        found = answers(asked, queries, tmp_path / "run")
        assert sorted(found) == list(range(30))
        assert all(reply.text.strip() and reply.failure is None for reply in found.values())
        assert len(server.billed) == 25 and set(server.billed.values()) == {1}
        failed = asked.attempts_that_failed
        assert failed.total() >= len(server.seen) - 25 >= 10  # some never reached the server
        assert failed["a reply that was cut off"] and failed["2 choices for one prompt"]
        unsure = {"truncated", "hangup", "malformed", "no-choices", "two-choices", "no-text"}
        times = sum(server.failed[name] for name in unsure)
        with ReplyStore(tmp_path / "run") as store:
            assert times <= store.perhaps_billed_twice <= failed.total() - server.failed["500"]
        seen = len(server.seen)
        again = answers(client(server, api=api), queries, tmp_path / "run")
        assert again == found
        assert len(server.seen) == seen  # nothing is asked again


def test_a_server_that_hangs_is_asked_again(tmp_path):
    plan = {"faults": ["timeout"], "every": 4, "timeout": 3.0}
    with servers.running(tmp_path / "state", **plan) as server:
        asked = client(server, timeout=0.5)
        assert len(answers(asked, [query(n) for n in range(6)], tmp_path / "run")) == 6
        assert set(server.billed.values()) == {1}
        assert asked.attempts_that_failed["no reply in time"] >= 1


def test_a_server_that_stays_away_stops_the_run_and_keeps_what_came(tmp_path):
    with servers.running(tmp_path / "state") as server:
        answers(client(server), [query(0)], tmp_path / "run")
    with servers.running(tmp_path / "other", always="503") as server:
        asked = client(server, attempts=2)
        with pytest.raises(Stopped, match="2 attempts"):
            answers(asked, [query(0), query(1)], tmp_path / "run")
    with ReplyStore(tmp_path / "run") as store:
        assert len(store.all()) == 1
        assert store.perhaps_billed_twice == 0  # a 503 is no work


@pytest.mark.parametrize(
    ("status", "advice"),
    [("401", "--api_key_variable"), ("404", "--endpoint_model"), ("400", "--request_fields"),
     ("redirect", "final address")],
)  # fmt: skip
def test_what_no_attempt_would_cure_ends_the_run(tmp_path, status, advice):
    with servers.running(tmp_path / "state", always=status) as server:
        asked = client(server, key="sk-secret", concurrency=1)
        with pytest.raises(UserError, match=advice) as caught:
            answers(asked, [query(n) for n in range(5)], tmp_path / "run")
        assert len(server.seen) <= 2
        assert "SECRET" not in str(caught.value) and "sk-secret" not in str(caught.value)


def test_a_filtered_prompt_is_an_unanswered_one(tmp_path):
    with servers.running(tmp_path / "state", faults=["filter"], every=2) as server:
        found = answers(client(server, concurrency=1), [query(n) for n in range(4)], tmp_path / "r")
        assert [found[n].failure for n in range(4)] == [None, "content_filter"] * 2
        assert len(server.seen) == 4


def test_azure(tmp_path):
    with servers.running(tmp_path / "state") as server:
        server.url = server.url.removesuffix("/v1")
        asked = client(server, azure="2024-06-01", api="chat", key="the-key")
        answers(asked, [query(0)], tmp_path / "run")
        (line,) = server.seen
    assert line["path"] == "/openai/deployments/tiny/chat/completions?api-version=2024-06-01"
    assert line["headers"]["api-key"] == "the-key"
    assert "Authorization" not in line["headers"]


def test_keys_go_into_the_header_and_nowhere_else(tmp_path):
    with servers.running(tmp_path / "state") as server:
        answers(client(server, key="sk-secret"), [query(0)], tmp_path / "run")
        assert server.seen[0]["headers"]["Authorization"] == "Bearer sk-secret"
        assert "Idempotency-Key" in server.seen[0]["headers"]
    for path in (tmp_path / "run").rglob("*"):
        assert path.is_dir() or "sk-secret" not in path.read_text()


def test_no_more_is_spent_than_allowed(tmp_path):
    price = Price(read=1e6, written=1e6)  # a token is 1
    with servers.running(tmp_path / "state") as server:
        purse = Purse(price, most=50.0)
        with pytest.raises(Stopped, match="--max_cost"):
            answers(client(server, purse=purse), [query(n) for n in range(40)], tmp_path / "run")
        billed = len(server.billed)
    with ReplyStore(tmp_path / "run") as store:
        spent = price.of_replies(store.all())
        assert len(store.all()) == billed >= 2
    assert 50 - 18 - 10 <= spent <= 50


def test_nobody_there(tmp_path):
    with pytest.raises(UserError, match="start the server"):
        check_reachable(address_of("http://127.0.0.1:9", "chat", "tiny"))


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://127.0.0.1:8000/v1", True),
        ("http://localhost", True),
        ("http://[::1]:8000", True),
        ("http://127.8.9.1", True),
        ("http://localhost.example.com", False),
        ("http://0.0.0.0:8000", False),
        ("http://10.0.0.7:8000", False),
        ("https://api.openai.com/v1", False),
        ("https://127.0.0.1.example.com", False),
    ],
)
def test_what_is_this_machine(url, local):
    assert address_of(url, "chat", "m").is_local is local


@pytest.mark.parametrize(
    "url",
    ["ftp://host", "api.openai.com", "https://", "https://u:p@host", "https://host/?key=1",
     "http://host:port"],
)  # fmt: skip
def test_other_urls_are_refused(url):
    with pytest.raises(UserError):
        address_of(url, "chat", "m")


def test_clinical_text_leaves_this_machine_only_by_statement():
    far = address_of("https://api.openai.com/v1", "chat", "m")
    with pytest.raises(UserError, match="PhysioNet") as caught:
        check_allowed(far, synthetic=False, agreement_allows=False)
    assert "--data_use_agreement_allows_endpoint" in str(caught.value)
    check_allowed(far, synthetic=True, agreement_allows=False)
    check_allowed(far, synthetic=False, agreement_allows=True)
    plain = address_of("http://node7:8000/v1", "chat", "m")
    with pytest.raises(UserError, match="unencrypted"):
        check_allowed(plain, synthetic=False, agreement_allows=True)
    near = address_of("http://127.0.0.1:8000", "chat", "m")
    check_allowed(near, synthetic=False, agreement_allows=False)


def test_waits_double_and_honour_the_server():
    rng = random.Random(0)
    waits = [wait_before(attempt, None, rng) for attempt in range(1, 12)]
    assert all(0.5 * 2**k <= w <= 0.75 * 2**k for k, w in enumerate(waits[:6]))
    assert max(waits) <= 90
    assert wait_before(1, 30.0, rng) == 30.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "2"}, 2.0),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after": "Thu, 01 Jan 1970 00:01:40 GMT"}, 60.0),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0.0),
        ({"retry-after": "-5"}, 0.0),
        ({"retry-after": "1e9"}, 3600.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({}, None),
    ],
)
def test_retry_after(headers, seconds):
    assert asked_wait(headers, now=40.0) == seconds


def test_rate_limits_space_requests_out():
    now = [0.0]

    def sleep(seconds):
        now[0] += seconds

    limit = RateLimit(60, 600, clock=lambda: now[0])
    starts = []
    for tokens in (1, 1, 50, 1):
        limit.wait(tokens, sleep)
        starts.append(now[0])
    assert starts == pytest.approx([0, 1, 2, 7])  # 50 tokens take five seconds
    limit.hold(10)
    limit.wait(1, sleep)
    assert now[0] == pytest.approx(17)


def test_bodies():
    chat = wire.body_of("chat", "m", query(0), {"max_tokens": None, "max_completion_tokens": 8})
    assert "max_tokens" not in chat and chat["max_completion_tokens"] == 8
    assert (chat["temperature"], chat["messages"][0]["role"]) == (0, "user")
    text = wire.body_of("completions", "m", query(0), {})
    assert text["stop"] == ["\nHypothesis:"] and text["prompt"].endswith("Answer:")


@pytest.mark.parametrize(
    ("data", "reply"),
    [
        (b'{"choices": [{"text": "a b", "finish_reason": "length"}]}', Reply("a b", 10, 3, True)),
        (
            b'{"choices": [{"text": "", "finish_reason": "content_filter"}],'
            b' "usage": {"prompt_tokens": 7, "completion_tokens": 0}}',
            Reply("", 7, 0, failure="content_filter"),
        ),
        (b'{"choices": [{"text": null, "finish_reason": "length"}]}', Reply("", 10, 0, True)),
    ],
)
def test_replies_of_a_server(data, reply):
    assert wire.reply_of("completions", data, query(0), lambda text: len(text)) == reply


def test_codes_are_told_and_words_are_not():
    data = b'{"error": {"message": "Mrs Smith", "code": "invalid_value", "type": "a b c"}}'
    assert wire.error_code(data) == "invalid_value"
    nested = b'{"error": {"code": "x", "innererror": {"code": "ResponsibleAIPolicyViolation"}}}'
    assert wire.failure_of(wire.error_code(nested), nested) == "content_filter"
    assert wire.failure_of("context_length_exceeded", b"") == "context_length"
    assert wire.failure_of("invalid_value", b"") is None
