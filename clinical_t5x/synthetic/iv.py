"""Notes of MIMIC-IV: discharge summaries and radiology reports with their detail rows."""

from __future__ import annotations

from datetime import date

from clinical_t5x.synthetic import ids, rows, tags
from clinical_t5x.synthetic.facts import facts_of, history_sentences
from clinical_t5x.synthetic.grammar import Draw
from clinical_t5x.synthetic.notes import discharge, radiology
from clinical_t5x.synthetic.patient import make_patient, visit_context
from clinical_t5x.synthetic.plan import iv_persons_before, plan_iv_person
from clinical_t5x.synthetic.style import style_of, wrapped

_VISITS_A_PERSON = 32  # room for admissions in the numbering, more than any person has
_MINUTES_A_DAY = 1_440


class IvWriter:
    """Writes rows of one MIMIC-IV person.

    Args:
        number: of the person among all of MIMIC-IV.
        patients: MIMIC-III patients of the run.
        draw: uniform numbers.
        sink: where rows go.
    """

    def __init__(self, number: int, patients: int, draw: Draw, sink: rows.Sink):
        persons = iv_persons_before(patients) + patients
        self._number, self._admissions = number, persons * _VISITS_A_PERSON
        self._draw, self._sink = draw, sink
        self.subject = ids.iv_subject_id(number, persons)
        # Time is shifted by decades, in each database by its own amount.
        self._day_zero = date(2110, 1, 1).toordinal() + int(draw() * 30_000)
        self._sequence = {"DS": 1 + int(draw() * 2), "RR": 1 + int(draw() * 3)}

    def discharge(self, visit: int, minute: int, text: str) -> str:
        """Add a discharge summary; returns its note_id."""
        day = (minute // _MINUTES_A_DAY) * _MINUTES_A_DAY  # a date without a time of day
        stored = day + _MINUTES_A_DAY + int(self._draw() * 2_000)
        note_id = self._note(rows.DISCHARGE, "DS", visit, day, stored, text)
        self._detail(rows.DISCHARGE_DETAIL, note_id, "author", "___", 1)
        return note_id

    def radiology(self, visit: int, minute: int, exam: str, text: str) -> str:
        """Add a radiology report; returns its note_id."""
        stored = minute + 30 + int(self._draw() * 700)
        note_id = self._note(rows.RADIOLOGY, "RR", visit, minute, stored, text)
        code = f"{exam[0]}{10 + sum(map(ord, exam)) % 890}"
        self._detail(rows.RADIOLOGY_DETAIL, note_id, "exam_code", code, 1)
        self._detail(rows.RADIOLOGY_DETAIL, note_id, "exam_name", exam, 1)
        if self._draw() < 0.4:
            cpt = 70_000 + sum(map(ord, exam)) % 6_999
            self._detail(rows.RADIOLOGY_DETAIL, note_id, "cpt_code", str(cpt), 1)
        return note_id

    def _note(self, file: str, kind: str, visit: int, charted: int, stored: int, text: str) -> str:
        sequence = self._sequence[kind]
        self._sequence[kind] += 1 + (self._draw() < 0.1)
        note_id = f"{self.subject}-{kind}-{sequence}"
        admission = self._number * _VISITS_A_PERSON + visit
        hadm: int | str = ids.iv_hadm_id(admission, self._admissions)
        if kind == "RR" and self._draw() < 0.4:
            hadm = ""  # most outpatient studies belong to no admission
        zero = self._day_zero * _MINUTES_A_DAY
        self._sink.lines[file].append(
            f"{note_id},{self.subject},{hadm},{kind},{sequence},{rows.moment(zero + charted)},"
            f"{rows.moment(zero + stored)},{rows.quoted(text)}\n"
        )
        self._sink.notes += 1
        return note_id

    def _detail(self, file: str, note_id: str, name: str, value: str, ordinal: int) -> None:
        field = rows.quoted(value) if "," in value or '"' in value else value
        self._sink.lines[file].append(f"{note_id},{self.subject},{name},{field},{ordinal}\n")


def write_person(seed: int, index: int, patients: int, sink: rows.Sink) -> None:
    """Write all notes of MIMIC-IV-only person `index`."""
    plan = plan_iv_person(seed, index)
    random = ids.stream(seed, "iv", -index - 1)
    draw = random.random
    patient = make_patient(draw, random.gauss, len(plan.radiology), deceased=False)
    facts = facts_of(patient, draw)
    writer = IvWriter(index, patients, draw, sink)
    for number, (visit, reports) in enumerate(zip(patient.visits, plan.radiology, strict=True)):
        context = visit_context(patient, visit, draw)
        for _ in range(reports):
            style = style_of(44_000 + int(draw() * 900))
            report = radiology.make_report(context, style, draw, later=True)
            minute = visit.start + int(draw() * visit.days * _MINUTES_A_DAY)
            writer.radiology(number, minute, report.title, tags.blank(report.text))
        if number < plan.discharges:
            style = style_of(14_000 + int(draw() * 7_500))
            words = {**context, **style.words}
            history = history_sentences(patient, facts, words, draw)
            document = discharge.write(words, visit, history, style, draw)
            text = tags.blank(wrapped(document.text(), style.width))
            writer.discharge(number, visit.start + visit.days * _MINUTES_A_DAY, text)
