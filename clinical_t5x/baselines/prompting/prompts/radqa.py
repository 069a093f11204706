"""Prompts for RadQA: question before or after the report, two words for "no answer"."""

from __future__ import annotations

from clinical_t5x.baselines.prompting.answers import quoted
from clinical_t5x.baselines.prompting.prompts.prompt import (
    Prompt,
    Record,
    first_words,
    reading_one,
)

_ANSWERED, _NOT_ANSWERED = "answered", "not answered"


def _prompt(name: str, instruction: str, layout: str, *, nothing: str = "N/A") -> Prompt:
    def laid_out(record: Record, aspect: str) -> str:
        return layout.format(
            question=" ".join(record["question"].split()), context=record["context"].strip()
        )

    def gold(record: Record, aspect: str) -> str:
        return " ".join(record["answers"][0].split()) if record["answers"] else nothing

    return Prompt(
        name=name,
        task="radqa",
        instruction=instruction,
        layout=laid_out,
        gold=gold,
        kinds=lambda record, aspect: (_ANSWERED if record["answers"] else _NOT_ANSWERED,),
        read=reading_one(quoted),
        stop=("\n" + layout.split("{")[0].strip(),),
        shorten=lambda record, share: {
            **record,
            "context": first_words(record["context"], share),
        },
    )


RADQA_PROMPTS = (
    _prompt(
        "quote_v1",
        "Answer the question with a quote from the context. Answer N/A if the context does not"
        " hold the answer.",
        "Context: {context}\nQuestion: {question}\nAnswer:",
    ),
    _prompt(
        "question_first_v1",
        "Find the answer to the question in the radiology report and copy it word for word. If the"
        " report does not answer the question, write N/A.",
        "Question: {question}\nReport: {context}\nAnswer:",
    ),
    # In the order of the prompt that the paper chose: all that is asked for comes after the report.
    _prompt(
        "ask_after_v1",
        "Read the report.",
        "Report: {context}\n{question} Give a quote from the report, or N/A if there is no answer"
        " in it:",
    ),
    _prompt(
        "unanswerable_v1",
        "Each report comes with a question. Copy the part of the report that answers it, complete"
        " but no longer than needed. Some questions have no answer in the report: write"
        " unanswerable for these.",
        "Report: {context}\nQuestion: {question}\nAnswer:",
        nothing="unanswerable",
    ),
)
