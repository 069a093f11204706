"""Ask a model or a server, with worked examples in the prompt (in-context learning), and score it.

python -m clinical_t5x.prompt --model google/flan-t5-xxl --task mednli --out runs/flan_mednli
python -m clinical_t5x.prompt --endpoint http://127.0.0.1:8000/v1 --endpoint_model NAME ...

Prompts are tried on validation examples; the best one is put to the test split, once.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
from collections.abc import Sequence
from typing import Any

from clinical_t5x import console
from clinical_t5x.baselines.prompting.endpoint.address import (
    AGREEMENT_FLAG,
    APIS,
    CHAT,
    Address,
    address_of,
    check_allowed,
)
from clinical_t5x.baselines.prompting.endpoint.spending import Estimate, Price, Purse
from clinical_t5x.baselines.prompting.prompts import PROMPTS, Prompt, prompts_named

_DEFAULT_SHOTS = (0, 1, 3)
_MOST_SHOTS = 64


def main(argv: Sequence[str]) -> int:
    """Choose a prompt, score it, say what it took."""
    options = _parser().parse_args(argv)
    prompts = _checked(options)
    address = _address(options)
    from clinical_t5x.baselines.finetuning import reading
    from clinical_t5x.baselines.prompting import run as runs
    from clinical_t5x.baselines.prompting.endpoint.sending import check_reachable
    from clinical_t5x.baselines.prompting.replies import ReplyStore
    from clinical_t5x.data.subsets import Subset

    if address is not None and address.is_local and not options.estimate_only:
        check_reachable(address)
    name = options.endpoint_model or options.causal_model or options.model
    initialisation = runs.initialisation_of(name, options.registry_row)
    with contextlib.ExitStack() as stack:
        subset = Subset(options.fraction, options.subset_seed)
        benchmark = reading.read_benchmark(options.task, subset=subset, data_dir=options.data_dir)
        if address is not None:
            check_allowed(
                address,
                synthetic=benchmark.synthetic,
                agreement_allows=options.data_use_agreement_allows_endpoint,
            )
        store = stack.enter_context(ReplyStore(options.out))
        price = Price(*(options.price_per_million or (0.0, 0.0)))
        purse = Purse(price, options.max_cost, spent=price.of_replies(store.all()))
        answerer = stack.enter_context(contextlib.closing(_answerer(options, address, purse)))
        run = _run(options, prompts, benchmark, answerer, initialisation, price)
        runs.check_run_directory(run)
        if not _announce(options, run, store, address):
            return console.EXIT_DONE
        chosen = runs.select(run, store)
        console.say(f"Chosen: {chosen.name}")
        evaluation = runs.evaluate(run, chosen, store)
    return _finish(options, chosen.name, evaluation, answerer)


def _checked(options: argparse.Namespace) -> tuple[Prompt, ...]:
    """The prompts to choose among; whatever is wrong with the call alone is found here."""
    chosen = [name for name in ("model", "causal_model", "endpoint") if getattr(options, name)]
    if len(chosen) != 1:
        raise console.UserError(
            "name one of --model (T5, by this project's own decoding), --causal_model (by Hugging"
            " Face) and --endpoint (a server)"
        )
    if bool(options.endpoint) != bool(options.endpoint_model):
        raise console.UserError("--endpoint and --endpoint_model belong together")
    if "://" in str(options.out):
        raise console.UserError("--out must be on a local disk: replies are written one by one")
    if any(not 0 <= shots <= _MOST_SHOTS for shots in options.shots):
        raise console.UserError(f"--shots must be from 0 to {_MOST_SHOTS}")
    for name in ("validation_examples", "test_units", "concurrency", "attempts"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise console.UserError(f"--{name} must be at least 1")
    if options.max_cost is not None and not options.price_per_million:
        raise console.UserError("--max_cost needs --price_per_million READ WRITTEN")
    return prompts_named(options.task, options.prompts)


def _address(options: argparse.Namespace) -> Address | None:
    if not options.endpoint:
        return None
    return address_of(
        options.endpoint,
        options.api,
        options.endpoint_model,
        azure_api_version=options.azure_api_version,
    )


def _answerer(options: argparse.Namespace, address: Address | None, purse: Purse) -> Any:
    if address is not None:
        return _server(options, address, purse)
    if options.model:
        from clinical_t5x.baselines.prompting.own_t5 import OwnT5

        return OwnT5(
            options.model,
            context_tokens=options.context_tokens,
            batch_size=options.batch_size,
            num_partitions=options.num_partitions,
            dtype=options.precision,
        )
    from clinical_t5x.baselines.prompting.causal_model import CausalModel

    return CausalModel(
        options.causal_model,
        context_tokens=options.context_tokens,
        batch_size=options.batch_size,
        device=options.device,
        precision=options.precision,
        chat=options.chat,
    )


def _server(options: argparse.Namespace, address: Address, purse: Purse) -> Any:
    from clinical_t5x.baselines.prompting.endpoint.patience import RateLimit
    from clinical_t5x.baselines.prompting.endpoint.sending import check_reachable
    from clinical_t5x.baselines.prompting.endpoint.server import Server, counter_of

    variable = options.api_key_variable
    variable = variable or ("AZURE_OPENAI_API_KEY" if address.azure else "OPENAI_API_KEY")
    if not address.is_local and not options.estimate_only:  # a local one was asked at the start
        check_reachable(address)
    return Server(
        address,
        options.api,
        options.endpoint_model,
        key=os.environ.get(variable),
        request_fields=_fields(options.request_fields),
        context_tokens=options.context_tokens,
        tokenizer=counter_of(options.tokenizer) if options.tokenizer else None,
        concurrency=options.concurrency,
        rate_limit=RateLimit(options.requests_per_minute, options.tokens_per_minute),
        purse=purse,
        timeout=options.timeout,
        attempts=options.attempts,
    )


def _fields(text: str | None) -> dict[str, Any]:
    try:
        value = json.loads(text) if text else {}
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise console.UserError("--request_fields must be a JSON object, as '{\"seed\": 1}'")
    return value


def _run(
    options: argparse.Namespace,
    prompts: tuple[Prompt, ...],
    benchmark: Any,
    answerer: Any,
    initialisation: str,
    price: Price,
) -> Any:
    from etils import epath

    from clinical_t5x.baselines.prompting.run import Run

    return Run(
        benchmark=benchmark,
        answerer=answerer,
        out=epath.Path(options.out),
        prompts=prompts,
        shots=tuple(options.shots),
        seed=options.seed,
        validation_examples=options.validation_examples,
        split=options.split,
        test_units=options.test_units,
        test_seed=options.test_seed,
        initialisation=initialisation,
        checkpoint=str(options.model or options.causal_model or ""),
        price=price,
        max_new_tokens=options.max_new_tokens,
        with_text=options.with_text,
    )


def _announce(options: argparse.Namespace, run: Any, store: Any, address: Address | None) -> bool:
    """Say what will be done and what it may cost; whether it is to be done."""
    from clinical_t5x.baselines.prompting.run import estimate, shown_candidates

    candidates = run.candidates
    console.say(
        f"Ask {run.answerer.name}"
        + (f" at {address.shown}" if address else "")
        + f" about {run.benchmark.task_name}: {len(candidates)} candidates"
        f" ({shown_candidates(candidates)}) on {len(run.validation.records):,} validation examples,"
        f" the best one on {len(run.scored.records):,} of {run.split}. Into {run.out}"
    )
    selection, final = estimate(run, store)
    how = "counted" if run.answerer.counts_exactly else "estimated"
    for what, one in (("choosing", selection), (run.split, final)):
        console.say(f"  {what}: {_shown(one, run.price)} ({how})")
    if store.unfinished:
        console.say(
            f"  {store.unfinished} requests were under way when an earlier run ended: a server"
            " may have billed them; they are asked again"
        )
    if options.estimate_only:
        return False
    if address is None or (address.is_local and not run.price):
        return True
    most = (selection + final).most(run.price)
    if options.max_cost is None and not options.yes:
        raise console.UserError(
            "this may cost money: add --yes, or --max_cost with --price_per_million, to go on"
        )
    if options.max_cost is not None and most > options.max_cost and not options.yes:
        raise console.UserError(
            f"this may cost up to {most:,.2f}, more than --max_cost {options.max_cost:g}; take"
            " fewer prompts, --shots or --test_units, or add --yes to stop only when it is spent"
        )
    return True


def _shown(one: Estimate, price: Price) -> str:
    text = (
        f"{one.requests:,.0f} requests, {one.prompt_tokens:,.0f} tokens of prompts, at most"
        f" {one.most_completion_tokens:,.0f} of replies"
    )
    return text + (f", at most {one.most(price):,.2f} to pay" if price else "")


def _finish(options: argparse.Namespace, chosen: str, evaluation: Any, answerer: Any) -> int:
    counts, first = evaluation.counts, evaluation.results[0]
    shown = "  ".join(f"{name} {value:.4f}" for name, value in evaluation.headline().items())
    console.say(f"{first.task} {first.split}: {shown}")
    console.say(
        f"All {counts['examples']:,} examples were answered exactly once, in"
        f" {counts['requests']:,} different requests: {counts['prompt_tokens']:,} tokens read,"
        f" {counts['completion_tokens']:,} written. Unparsed {counts['unparsed']:,}, unanswered"
        f" {counts['unanswered']:,}, at the limit {counts['replies_at_limit']:,}, records cut"
        f" {counts['queried_records_cut']:,}, demonstrations left out"
        f" {counts['demonstrations_dropped']:,}"
    )
    for reason, times in sorted(getattr(answerer, "attempts_that_failed", {}).items()):
        console.say(f"  repeated {times:,} times: {reason}")
    spent = counts.get("price_with_selection_in_millionths")
    if spent is not None:
        console.say(f"Price: {counts['price_in_millionths'] / 1e6:,.4f}, with choosing"
                    f" {spent / 1e6:,.4f}")  # fmt: skip
    console.say(
        f"Results: {options.out}/results. Replies, as confidential as the notes:"
        f" {options.out}/replies. Next: python -m clinical_t5x.report --runs {options.out}"
    )
    if options.json:
        metrics = {result.metric: result.value for result in evaluation.results}
        console.say_json({"chosen": chosen, "metrics": metrics, "counts": dict(counts)})
    return console.EXIT_DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m clinical_t5x.prompt",
        description="Ask a model or a server with worked examples in the prompt; score it.",
    )
    parser.add_argument("--task", required=True, choices=tuple(PROMPTS))
    parser.add_argument("--out", required=True, help="run directory, on a local disk")
    parser.add_argument("--data_dir", help="data home; default $CLINICAL_T5X_DATA")
    parser.add_argument("--registry_row", help="its key in clinical-t5x models, for results")
    parser.add_argument("--estimate_only", action="store_true", help="ask nothing")
    parser.add_argument(
        "--with_text", action="store_true", help="keep texts with the predictions: note text"
    )
    parser.add_argument("--json", action="store_true", help="end with a summary in JSON")
    _add_models(parser.add_argument_group("who is asked: one of"))
    _add_choice(parser.add_argument_group("prompts and examples"))
    _add_computing(parser.add_argument_group("models on this machine"))
    _add_server(parser.add_argument_group("servers"))
    return parser


def _add_models(group: Any) -> None:
    group.add_argument("--model", help="T5 or Flan-T5: a directory, or a hub id")
    group.add_argument("--causal_model", help="any causal model: a directory, or a hub id")
    group.add_argument("--endpoint", metavar="URL", help="a server, as http://127.0.0.1:8000/v1")
    group.add_argument("--endpoint_model", metavar="NAME", help="the server's name of the model")


def _add_choice(group: Any) -> None:
    group.add_argument("--prompts", nargs="+", help="names to choose among (all of the task's)")
    group.add_argument(
        "--shots", type=int, nargs="+", default=list(_DEFAULT_SHOTS), help="(%(default)s)"
    )
    group.add_argument(
        "--seed", type=int, default=1, help="of demonstrations and validation (%(default)s)"
    )
    group.add_argument("--validation_examples", type=int, default=200, help="(%(default)s)")
    group.add_argument("--split", default="test", choices=("validation", "test"))
    group.add_argument("--test_units", type=int, help="score so many whole units, at random")
    group.add_argument("--test_seed", type=int, default=42, help="of these units (%(default)s)")
    group.add_argument(
        "--fraction", type=float, default=1.0, help="of training to draw from (%(default)s)"
    )
    group.add_argument("--subset_seed", type=int, default=0, help="which one (%(default)s)")
    group.add_argument("--context_tokens", type=int, help="of prompt and reply; T5: of the prompt")
    group.add_argument("--max_new_tokens", type=int, help="of a reply (what the answers take)")


def _add_computing(group: Any) -> None:
    group.add_argument("--batch_size", type=int, default=8, help="(%(default)s)")
    group.add_argument("--precision", choices=("float32", "bfloat16"), help="default by device")
    group.add_argument("--num_partitions", type=int, default=1, help="T5: devices a model takes")
    group.add_argument("--device", default="auto", help="causal: auto, cpu or cuda (%(default)s)")
    group.add_argument(
        "--chat", action=argparse.BooleanOptionalAction, help="causal: use its chat template"
    )


def _add_server(group: Any) -> None:
    group.add_argument("--api", choices=APIS, default=CHAT, help="(%(default)s)")
    group.add_argument(
        "--azure_api_version", help="Azure: the URL is the resource, NAME the deployment"
    )
    group.add_argument(
        "--api_key_variable", metavar="NAME", help="of the environment (OPENAI_API_KEY or Azure's)"
    )
    group.add_argument(
        AGREEMENT_FLAG,
        action="store_true",
        help="your data-use agreement allows to send this text to this server",
    )
    group.add_argument(
        "--request_fields", metavar="JSON", help="fields to add; null takes one away"
    )
    group.add_argument("--tokenizer", help="to count tokens; else they are estimated")
    group.add_argument(
        "--concurrency", type=int, default=8, help="requests at a time (%(default)s)"
    )
    group.add_argument("--requests_per_minute", type=float)
    group.add_argument("--tokens_per_minute", type=float)
    group.add_argument("--timeout", type=float, default=120.0, help="seconds (%(default)s)")
    group.add_argument("--attempts", type=int, default=8, help="at a request (%(default)s)")
    group.add_argument(
        "--price_per_million", type=float, nargs=2, metavar=("READ", "WRITTEN"), help="tokens"
    )
    group.add_argument("--max_cost", type=float, help="stop before more than this is spent")
    group.add_argument("--yes", action="store_true", help="go on whatever the estimate says")


if __name__ == "__main__":
    console.run_command(main)
