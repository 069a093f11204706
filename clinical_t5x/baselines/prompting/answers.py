"""Readers of what models write: from free text to a task's own answer form, and never by guessing.

A reply that says no answer is counted as unparsed and scored as wrong; it is not mapped to a likely
label. (The paper's scripts took every unclear reply to MedNLI for "neutral".)
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence

UNPARSED, UNANSWERED = "(unparsed)", "(unanswered)"


@dataclasses.dataclass(frozen=True)
class Answer:
    """An answer in the task's own form, and whether the reply could be read."""

    text: str
    parsed: bool = True


NOT_READ = Answer(UNPARSED, parsed=False)

_THINKING = re.compile(r"<think(?:ing)?>.*?</think(?:ing)?>|^.*?</think(?:ing)?>", re.DOTALL)
_UNFINISHED_THINKING = re.compile(r"<think(?:ing)?>.*", re.DOTALL)
_CUE = re.compile(
    r"(?:the\s+)?(?:final\s+)?(?:correct\s+)?(?:answer|labels?)(?:\s+is|\s*:)\s*", re.I
)
_NEGATION = re.compile(r"(?:\bnot|\bno|n't|\bneither|\bnor|\bwithout)\s+(?:\w+\s+){0,2}$", re.I)
_SHORT_WORD = 3  # letters: such words stand in sentences that say something else
_MARKS = "*_`#> \t\r\n"
_QUOTES = (('"', '"'), ("'", "'"), ("“", "”"), ("‘", "’"), ("«", "»"), ("``", "''"))


def said(reply: str) -> str:
    """A reply without the thoughts that some models write first, and without marks of emphasis."""
    text = _UNFINISHED_THINKING.sub("", _THINKING.sub("", reply))
    return text.replace("**", "").replace("__", "").strip(_MARKS)


def _paragraph(text: str) -> str:
    return re.split(r"\n\s*\n", text.strip(), maxsplit=1)[0].strip()


def _without_cue(text: str) -> str:
    found = _CUE.match(text)
    return text[found.end() :] if found else text


def one_of(reply: str, words: Mapping[str, str]) -> Answer:
    """The one label that a reply names.

    Args:
      reply: what was written.
      words: label by the word that stands for it, in any case; "entail*" is any word that begins
        so.

    A reply that begins with a word says it. Otherwise it must name one label only, or only one
    after "answer:"; a word that is denied ("not neutral") names none, and short words (yes, no)
    count at the beginning only.
    """
    text = said(reply)
    first = _named_first(_without_cue(text).lstrip("\"'“‘(-•. "), words)
    if first is not None:
        return Answer(first)
    longer = {word: label for word, label in words.items() if len(word) > _SHORT_WORD}
    cues = list(_CUE.finditer(text))
    after_cue = text[cues[-1].end() :] if cues else ""
    first = _named_first(after_cue, words)
    if first is not None:
        return Answer(first)
    for part in (after_cue, _paragraph(text), text):
        found = _named(part, longer)
        if len(found) == 1:
            return Answer(found.pop())
    return NOT_READ


def _named_first(text: str, words: Mapping[str, str]) -> str | None:
    """The label whose word a text begins with."""
    return next((label for word, label in words.items() if _pattern(word).match(text)), None)


def _named(text: str, words: Mapping[str, str]) -> set[str]:
    """All labels whose words stand in a text and are not denied."""
    return {
        label
        for word, label in words.items()
        for found in _pattern(word).finditer(text)
        if not _NEGATION.search(text[: found.start()])
    }


def _pattern(word: str) -> re.Pattern[str]:
    end = r"\w*" if word.endswith("*") else r"\b"
    return re.compile(rf"\b{re.escape(word.rstrip('*'))}{end}", re.I)


def letter_of(reply: str, letters: Mapping[str, str]) -> Answer:
    """The label whose letter a reply gives, as in "B", "(B)", "B. neutral" or "Answer: B".

    "A patient with ..." begins with an article, not with a letter; names of labels count as well.
    """
    text = _without_cue(said(reply))
    allowed = "".join(letters)
    found = re.match(rf"(?:option\s+)?\(?([{allowed}])(?=[).:,]|\s*$|\s*\n)", text, re.I)
    if found and (found[1].isupper() or text.strip("(). ") == found[1]):
        return Answer(letters[found[1].upper()])
    return one_of(text, {name: name for name in letters.values()})


def yes_or_no(reply: str) -> bool | None:
    """Whether a reply says yes; None when it says neither."""
    text = said(reply)
    cues = list(_CUE.finditer(text))
    for part in (text, text[cues[-1].end() :] if cues else ""):
        found = re.match(r"\W*(yes|no|true|false)\b", part, re.I)
        if found:
            return found[1].casefold() in ("yes", "true")
    return None


_NOTHING = re.compile(
    r"(?:none(?:\s+(?:of\s+(?:the(?:se)?|them)(?:\s+(?:above|labels?|categories))?|applies|apply))?"
    r"|no\s+(?:label|category|follow-?up)s?(?:\s+appl(?:y|ies))?|n\s*/\s*a|nothing|\[\s*\])\W*",
    re.I,
)


def labels_in(reply: str, names: Mapping[str, str]) -> Answer:
    """All labels that a reply lists, joined by commas; nothing for "none".

    Args:
      reply: a list with commas, semicolons or line breaks, with or without dashes, numbers, quotes
        and brackets.
      names: label by name, as the prompt gives it. Names of two words or more are also found within
        a sentence; a single word ("Other") only as an item of its own.
    """
    text = _without_cue(said(reply))
    if _NOTHING.fullmatch(text) or _NOTHING.fullmatch(_paragraph(text)):
        return Answer("")
    known = {_letters(name): label for name, label in names.items()}
    found: set[str] = set()
    for item in re.split(r"[,;\n|]|\band\b(?=\s+[A-Z])", text):
        item = re.sub(r"^[\s\-–—•*\[\]('\"“\d.)]+", "", item)
        bare = re.sub(r"^I-", "", item).strip("\"'”]). ")
        if _letters(bare) in known:
            found.add(known[_letters(bare)])
            continue
        for name, label in names.items():
            words = re.findall(r"\w+", name)
            within = re.search(r"\W*".join(map(_any_number, words)), item, re.I)
            if len(words) > 1 and within and not _NEGATION.search(item[: within.start()]):
                found.add(label)
    return Answer(", ".join(sorted(found))) if found else NOT_READ


def _letters(text: str) -> str:
    return re.sub(r"[^a-z]", "", text.casefold()).rstrip("s")


def _any_number(word: str) -> str:
    """A pattern of a word in singular and plural, "follow-up" being "followup"."""
    stem = re.escape(word.rstrip("s")).replace("followup", r"follow\W?up")
    return rf"{stem}s?"


_NO_ANSWER = re.compile(
    r"(?:n\s*/\s*a|n\.\s*a\.|na|none|unanswerable|unknown|no\s+answer(?:\s+\w+){0,4}"
    r"|(?:(?:the|this)\s+(?:question|information|answer)\s+)?(?:is\s+|it\s+is\s+)?"
    r"(?:not|cannot\s+be)\s+(?:mentioned|stated|given|provided|specified|available|answerable|answered|found|reported"
    r"|documented|applicable)(?:\s+\w+){0,6}"
    r"|there\s+is\s+no\s+(?:answer|information|mention)(?:\s+\w+){0,8}"
    r"|no\s+information(?:\s+\w+){0,6}"
    r"|the\s+(?:context|report|text)\s+does\s+not\s+\w+(?:\s+\w+){0,10})",
    re.I,
)
_NOT_APPLICABLE = re.compile(r"(?:n/a|unanswerable)\b", re.I)


def quoted(reply: str) -> Answer:
    """A free-text answer without quotation marks; empty where it says that there is none.

    "N/A" with an explanation after it is no answer too; "Na 140" is one.
    """
    text = _without_cue(_paragraph(_without_cue(said(reply))))
    text = _unquoted(text)
    if not text:
        return NOT_READ
    if _NO_ANSWER.fullmatch(text.strip(" .!\"'()[]")) or _NOT_APPLICABLE.match(text.lstrip("([ ")):
        return Answer("")
    return Answer(" ".join(text.split()))


def _unquoted(text: str) -> str:
    text = text.strip()
    for opening, closing in _QUOTES:
        if text.startswith(opening) and len(text) > len(opening):
            inner = text.removeprefix(opening)
            body = inner.rstrip(".") if not inner.endswith(closing) else inner
            if body.endswith(closing) and opening not in body.removesuffix(closing):
                return body.removesuffix(closing).strip()
    return text


def merged_labels(said_of: Sequence[tuple[str, bool | None]]) -> Answer:
    """One answer of several yes-or-no replies: (label, what was said of it) each.

    A reply that says neither is named in the answer, so that the set of labels is never right.
    """
    labels = sorted(label for label, yes in said_of if yes)
    unclear = any(yes is None for _, yes in said_of)
    return Answer(", ".join([*labels, *([UNPARSED] if unclear else [])]), parsed=not unclear)
