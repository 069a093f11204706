"""The notes of a MIMIC-III patient: rows of NOTEEVENTS, and the same reports in MIMIC-IV."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from clinical_t5x.synthetic import ids, mednli, radqa, rows, sizes, tags
from clinical_t5x.synthetic.clip import sentences_of
from clinical_t5x.synthetic.facts import facts_of, history_sentences
from clinical_t5x.synthetic.grammar import pick
from clinical_t5x.synthetic.iv import IvWriter
from clinical_t5x.synthetic.notes import (
    discharge,
    nursing,
    nursing_other,
    physician,
    radiology,
    short,
)
from clinical_t5x.synthetic.patient import Visit, make_patient, visit_context
from clinical_t5x.synthetic.plan import PatientPlan, Slot, iv_persons_before
from clinical_t5x.synthetic.reuse import earlier_save, passage, sentence_ends
from clinical_t5x.synthetic.style import Style, misspelled, style_of, wrapped

# Notes by category: how often the author copies from the last one, and the description of the row.
_COPY_SHARE = {
    "Nursing/other": 0.12, "Nursing": 0.25, "Physician ": 0.45, "Respiratory ": 0.15, "Nutrition": 0.3,
}  # fmt: skip
_DESCRIPTIONS = {
    "Nursing": ("Nursing Progress Note", "Nursing Transfer Note", "Nursing Progress Note"),
    "Physician ": (
        "Physician Resident Progress Note",
        "Physician Attending Progress Note",
        "Physician Resident Admission Note",
        "Intensivist Note",
    ),
}
_FREE = {"Radiology", "ECG", "Echo", "Discharge summary"}  # without author and storage time


@dataclass(frozen=True, slots=True)
class Place:
    """Where a patient stands among all.

    Attributes:
        seed: of the whole run.
        index: of the patient.
        sizes: of the benchmarks.
        rows, visits: how many stand before the patient's.
        visits_in_all: admissions of all patients.
    """

    seed: int
    index: int
    sizes: sizes.Plan
    rows: int
    visits: int
    visits_in_all: int


class PatientWriter:
    """Writes the notes of one MIMIC-III patient, and those of the same person in MIMIC-IV."""

    def __init__(self, place: Place, part: sizes.Part | None, plan: PatientPlan, sink: rows.Sink):
        random = ids.stream(place.seed, "patient", place.index)
        self.draw, self.part, self.plan, self.sink = random.random, part, plan, sink
        self.place, self.sizes, self.row = place, place.sizes, place.rows
        deceased = part is not None and part.benchmark == "mednli"
        self.patient = make_patient(self.draw, random.gauss, plan.visits, deceased=deceased)
        if part is not None and part.benchmark == "clip":
            self.patient.visits[0].died = False  # the dead need no follow-up
        patients = place.sizes.patients
        self.subject = ids.subject_id(place.index, patients)
        self.hadm = [
            ids.hadm_id(place.visits + visit, place.visits_in_all) for visit in range(plan.visits)
        ]
        # Time is shifted by decades, in each database by its own amount.
        self.day_zero = date(2101, 1, 1).toordinal() + int(self.draw() * 30_000)
        number = iv_persons_before(patients) + place.index
        self.iv = IvWriter(number, patients, self.draw, sink) if plan.in_iv else None
        self.team = [14_000 + int(self.draw() * 7_500) for _ in range(9)]
        self.facts = facts_of(self.patient, self.draw)
        self.last_text: dict[str, tuple[int, str]] = {}
        self.reports_given = 0
        self.showcase = tags.every_tag() if place.index == 0 else []

    def write(self) -> None:
        """Write all rows, visit by visit."""
        slots = self.plan.slots
        if self.iv is not None:
            self.sink.lines[rows.PERSONS].append(f"{self.subject},{self.iv.subject}\n")
        position = 0
        context, current = {}, -1
        while position < len(slots):
            slot = slots[position]
            if slot.visit != current:
                current = slot.visit
                self.last_text.clear()
                context = visit_context(self.patient, self.patient.visits[current], self.draw)
            final = position
            while slots[final].draft:
                final += 1
            self._write_note(slots[position : final + 1], context)
            position = final + 1

    def _write_note(self, slots: list[Slot], context: dict) -> None:
        """Write a note and, before it, the states in which it was saved on the way."""
        draw, slot = self.draw, slots[-1]
        visit = self.patient.visits[slot.visit]
        author = self.team[int(draw() * len(self.team))]
        style = style_of(author + (30_000 if slot.category in _FREE else 0))
        final_row = self.row + len(slots)
        description, text = self._text(slot, visit, context, style, final_row)
        minute = visit.start + int(draw() * visit.days * 1_440)
        saves = [text]
        for _ in slots[:-1]:
            saves.insert(0, earlier_save(saves[0], draw))
        stored = minute + 5 + int(draw() * 90)
        for place, (save, text_then) in enumerate(zip(slots, saves, strict=True)):
            self.row += 1
            if place < len(slots) - 1:
                self.sink.lines[rows.DRAFTS].append(f"{self.row},{final_row}\n")
            self._row(save, visit, minute, stored, author, description, text_then)
            stored += 3 + int(draw() * 45)
        if self._shared(slot):
            self._also_in_iv(slot, visit, minute, description, text, final_row)
        self.last_text[slot.category] = (final_row, text)

    def _row(
        self, slot: Slot, visit: Visit, minute: int, stored: int, author: int, description: str, text: str
    ) -> None:  # fmt: skip
        free = slot.category in _FREE
        timeless = free and slot.category != "Radiology"
        if timeless:
            minute = visit.start + (visit.days * 1_440 if slot.category.startswith("D") else 0)
        outpatient = free and not slot.category.startswith("D") and self.draw() < 0.1
        line = rows.noteevents(
            row_id=self.row,
            subject=self.subject,
            hadm=None if outpatient else self.hadm[slot.visit],
            day=self.day_zero + minute // 1_440,
            minute=None if timeless else minute % 1_440,
            stored=None if free else (self.day_zero * 1_440 + stored),
            category=slot.category,
            description=description,
            author=None if free else author,
            error=slot.error,
            text=text,
        )
        self.sink.notes += 1
        self.sink.lines[rows.NOTEEVENTS].append(line)
        if not self.plan.in_iv:
            self.sink.lines[rows.CAREVUE].append(line)

    # --- text ------------------------------------------------------------------------------------

    def _text(
        self, slot: Slot, visit: Visit, base: dict, style: Style, row: int
    ) -> tuple[str, str]:
        """Description and text of a note."""
        draw, category = self.draw, slot.category
        if category == "Discharge summary":
            description = "Addendum" if slot.addendum else "Report"
            return description, self._discharge(slot, visit, {**base, **style.words}, style, row)
        if category == "Radiology":
            return self._radiology(base, style, row)
        context = {**base, **style.words}
        if category == "Nursing/other":
            description, text = "Report", nursing_other.write(context, style, draw)
        elif category == "Nursing":
            description = pick(_DESCRIPTIONS[category], draw)
            text = nursing.write(context, style, draw)
        elif category == "Physician ":
            description = pick(_DESCRIPTIONS[category], draw)
            text = physician.write(context, style, draw)
        else:
            description, text = short.write(category, context, style, draw)
        text = misspelled(text, style, draw)
        if style.variant % 31 == 0:
            text = text.replace("\n", "\r\n")
        if category in self.last_text and draw() < _COPY_SHARE.get(category, 0.0):
            text = self._copy_into(text, category, row)
        if self.showcase:
            shown = [self.showcase.pop() for _ in range(min(4, len(self.showcase)))]
            text += f"Ref: {', '.join(shown)}\n"
        return description, text

    def _copy_into(self, text: str, category: str, row: int) -> str:
        """Paste a passage of the author's last note of this kind into the text."""
        source_row, source = self.last_text[category]
        pasted = passage(source, len(text), self.draw)
        ends = sentence_ends(text)
        if not pasted or not ends:
            return text
        start = pick(ends, self.draw)
        copies = self.sink.lines[rows.COPIES]
        copies.append(f"{row},{source_row},{start},{len(pasted)}\n")
        return text[:start] + pasted + "\n" + text[start:]

    def _radiology(self, base: dict, style: Style, row: int) -> tuple[str, str]:
        report = radiology.make_report(base, style, self.draw, later=self.plan.later)
        part = self.part
        if part is not None and part.benchmark == "radqa" and self.reports_given < part.count:
            number = part.first + self.reports_given
            self.reports_given += 1
            asked = sizes.questions_of_report(self.sizes, part.split, number)
            questions = radqa.questions_of(
                report, asked, several_answers=part.split != "train", draw=self.draw
            )
            record = (row, report.findings, report.impression, questions)
            self.sink.records.append(("radqa", part.split, number, record))
        return report.title, report.text

    def _discharge(self, slot: Slot, visit: Visit, context: dict, style: Style, row: int) -> str:
        draw, part = self.draw, self.part
        if slot.addendum:
            return wrapped(discharge.addendum(context, style, draw).text(), style.width)
        role = part.benchmark if part is not None and slot.visit == 0 else ""
        history = history_sentences(self.patient, self.facts, context, draw)
        if role == "mednli":
            self._premises(history, context, row)
        elif role == "bionlp19":
            self._shared_task_premises(history, row)
        document = discharge.write(context, visit, history, style, draw, full=role == "clip")
        if role == "clip":
            record = (row, sentences_of(document))
            self.sink.records.append(("clip", part.split, part.rank, record))
        return wrapped(document.text(), style.width)

    def _premises(self, history: list, context: dict, row: int) -> None:
        """Choose sentences of the history as premises; write more when too few are usable."""
        part, given = self.part, 0
        for _ in range(20):
            for text, facts in history:
                pairs = mednli.pairs_of(text, facts, self.draw) if given < part.count else []
                if pairs:
                    record = (row, text, pairs)
                    pair_id = mednli.premise_id(part.split, part.first + given)
                    premises = self.sink.lines[rows.PREMISES]
                    premises.append(f"{pair_id},{row},{part.split}\n")
                    self.sink.records.append(("mednli", part.split, part.first + given, record))
                    given += 1
            if given == part.count:
                return
            more = history_sentences(
                self.patient, facts_of(self.patient, self.draw), context, self.draw
            )
            history += more

    def _shared_task_premises(self, history: list, row: int) -> None:
        """Sentences of the history as premises, as far as they are usable; no note changes.

        The hypotheses have random numbers of their own, so that all other files stay what they are
        without this benchmark.
        """
        part, given = self.part, 0
        draw = ids.stream(self.place.seed, "benchmark", self.place.index).random
        for text, facts in history:
            pairs = mednli.pairs_of(text, facts, draw) if given < part.count else []
            if pairs:
                self.sink.records.append(
                    ("bionlp19", part.split, part.first + given, (row, text, pairs))
                )
                given += 1

    # --- the same person in MIMIC-IV -------------------------------------------------------------

    def _shared(self, slot: Slot) -> bool:
        if self.iv is None or slot.category not in ("Radiology", "Discharge summary"):
            return False
        return self.plan.later or slot.visit == self.plan.visits - 1

    def _also_in_iv(
        self, slot: Slot, visit: Visit, minute: int, description: str, text: str, row: int
    ) -> None:
        text = tags.blank(text)
        if slot.category == "Radiology":
            note_id = self.iv.radiology(slot.visit, minute, description, text)
        else:
            note_id = self.iv.discharge(slot.visit, visit.start + visit.days * 1_440, text)
        self.sink.lines[rows.SHARED].append(f"{row},{note_id}\n")
