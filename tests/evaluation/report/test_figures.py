"""The figures of the published numbers: right places, the paper's shapes, no name on another."""

import itertools
import math
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from clinical_t5x.evaluation.report import effort, effort_chart, learning_curve_chart, low_resource
from clinical_t5x.evaluation.report.collect import collect
from clinical_t5x.evaluation.report.label_places import Box, place_labels
from clinical_t5x.evaluation.report.learning_curve_styles import Styles
from clinical_t5x.evaluation.report.main_table import PUBLISHED, main_table
from clinical_t5x.webpage import Chart
from tests.evaluation.report.measured import REAL_UNITS, write_system


@pytest.fixture(scope="module")
def panels():
    return effort.effort_panels(main_table([], "all"))


@pytest.fixture(scope="module")
def curve():
    return low_resource.published_curve()


def points_of(panels, task):
    (panel,) = [panel for panel in panels if panel.column.family == task]
    return {point.key: point for point in panel.points}


def texts(svg):
    root = ElementTree.fromstring(svg)
    return ["".join(node.itertext()).strip() for node in root.iter() if node.tag.endswith("text")]


def test_flops_are_the_corrected_ones_from_which_the_paper_drew_its_figure(panels):
    points = points_of(panels, "mednli")
    # The figure's axis is the natural logarithm: T5-XL stands at 47.9, which is not Table 3's 1e20.
    assert math.log(points["t5_xl"].flops) == pytest.approx(47.9, abs=0.05)
    assert points["clinical_t5_base"].flops == pytest.approx(5.3e19, rel=0.01)
    assert points["clinical_t5_large"].flops == pytest.approx(1.8e20, rel=0.03)
    assert points["gatortron"].flops == pytest.approx(8.3e19 + 1.9e20 + 3.25e21, rel=0.01)


@pytest.mark.parametrize("task", ["mednli", "radqa", "clip"])
def test_the_shape_is_the_papers(panels, task):
    """A clinical T5 beats the general one of its size, and the small one the general large one."""
    points = {key: point.entry.value for key, point in points_of(panels, task).items()}
    assert points["clinical_t5_base"] > points["t5_large"] > points["t5_base"]
    assert points["clinical_t5_large"] > points["t5_large"]
    assert points["bioclinroberta"] > points["roberta_large"]
    best = max(points, key=points.get)
    assert best in (("pubmedgpt",) if task == "clip" else ("bioclinroberta", "gatortron"))


def test_who_cannot_be_placed_is_named(panels):
    by_task = {panel.column.family: panel for panel in panels}
    assert by_task["mednli"].left_out == ("GPT-3 (tokens of pre-training not known)",)
    assert by_task["clip"].left_out[0] == "Flan-T5-XXL (scored on 25 % of the test split)"
    assert "Not in CLIP: Flan-T5-XXL" in effort_chart.caption(panels)


def test_kinds_of_text(panels):
    kinds = {key: point.text for key, point in points_of(panels, "mednli").items()}
    assert kinds["t5_base"] == kinds["roberta_large"] == "general"  # 1.5 % biomedical by chance
    assert kinds["scifive"] == kinds["pubmedgpt"] == "biomedical"
    assert kinds["clinical_t5_base_ckpt"] == kinds["gatortron"] == "clinical"


def test_names_cover_neither_each_other_nor_a_point(panels):
    picture = effort_chart.picture(panels)
    with Chart("names", height=picture.height) as chart:
        picture.draw(chart)
        for axes, panel in zip(chart.figure.axes, panels, strict=False):
            names = [text for text in axes.texts if text.get_text()]
            assert len(names) == len({point.name for point in panel.points})
            boxes = [text.get_window_extent() for text in names]
            for first, second in itertools.combinations(boxes, 2):
                assert not first.overlaps(second)
            for point in panel.points:
                x, y = axes.transData.transform((point.flops, 100 * point.entry.value))
                assert not any(box.contains(x, y) for box in boxes)
            frame = axes.get_window_extent()
            assert all(frame.contains(*box.min) and frame.contains(*box.max) for box in boxes)


def test_names_of_random_points_do_not_overlap():
    chance = np.random.default_rng(3)
    for _ in range(8):
        points = [tuple(place) for place in chance.uniform(20, 280, size=(10, 2))]
        boxes = place_labels(points, [(60.0, 9.0)] * 10, Box(0, 0, 300, 300))
        for first, second in itertools.combinations(boxes, 2):
            assert first.overlap(second) == 0
        for box in boxes:
            assert box.left >= 0 and box.right <= 300 and box.bottom >= 0 and box.top <= 300


def test_the_learning_curves_are_the_tables_with_their_rows_put_right(curve):
    columns = {panel.column.metric: panel for panel in (*curve.panels, *curve.others)}
    assert len(curve.panels) == 3 and len(columns) == 5
    lines = {line.initialisation: line for line in columns["macro_f1"].lines}
    # Table 15 prints these two rows in each other's place; Table 10 says whose 0.690 is.
    assert [p.value for p in lines["gatortron"].points] == [0.388, 0.404, 0.520, 0.658, 0.690]
    assert [p.value for p in lines["roberta_large"].points] == [0.296, 0.317, 0.407, 0.588, 0.677]
    pubmedgpt = {line.initialisation: line for line in columns["f1"].lines}["pubmedgpt"]
    assert pubmedgpt.points[-1].value == 0.698 and "0.729" in pubmedgpt.points[-1].note
    first = lines["gatortron"].points[0]
    assert (first.low, first.high) == pytest.approx((0.388 - 0.014, 0.388 + 0.014))
    assert columns["accuracy"].examples == {0.01: 112, 0.05: 561, 0.1: 1123, 0.25: 2808, 1.0: 11232}


def test_prompted_models_are_lines_only_where_the_whole_split_was_scored(curve):
    references = {p.column.family: [r.name for r in p.references] for p in curve.panels}
    assert references == {
        "mednli": ["Flan-T5-XXL", "GPT-3"], "radqa": ["Flan-T5-XXL", "GPT-3"], "clip": [],
    }  # fmt: skip


def test_the_papers_reading_of_its_low_resource_figure_holds(curve):
    mednli, radqa, _ = curve.panels
    for panel, fraction in ((mednli, 0.01), (radqa, 0.05)):
        best = max(line.points[[0.01, 0.05].index(fraction)].value for line in panel.lines)
        assert best >= max(reference.value for reference in panel.references)
    prompted = min(reference.value for reference in radqa.references)
    assert all(line.points[0].value < prompted for line in radqa.lines)


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    for key, seed in itertools.product(("gatortron", "own_model"), (1, 2)):
        for fraction, skill in ((0.01, 0.4), (0.1, 0.6), (1.0, 0.8)):
            units = REAL_UNITS["mednli"]
            write_system(root, "mednli", key, skill, seed=seed, fraction=fraction, units=units)
    write_system(root, "mednli", "gpt3", 0.7, units=REAL_UNITS["mednli"], model="local model")
    return collect([root], published="main")


def test_measured_and_published_lines_share_panels_and_are_told_apart(both):
    assert list(both.learning) == ["curve"]
    curve = both.learning["curve"]
    panel = curve.panels[0]
    lines = {(line.initialisation, line.published): line for line in panel.lines}
    assert len(lines) == 7 and len(curve.panels) == 3
    styles = Styles.of(curve)
    measured, published = (styles.of_line(lines["gatortron", side]) for side in (False, True))
    assert (measured.colour, measured.mark) == (published.colour, published.mark)
    assert (measured.style, published.style) == ("-", "--")
    assert (measured.filling, published.filling) == (measured.colour, "white")
    shown = texts(learning_curve_chart.picture_files(curve)["svg"])
    assert {"measured", "published (Lehman et al. 2023)", "GPT-3, measured"} <= set(shown)
    assert {"GPT-3, published", "own_model", "GatorTron"} <= set(shown)


def test_fractions_stand_in_the_curve_and_not_in_the_table(both):
    measured = [line for line in both.table.lines if line.origin != PUBLISHED]
    assert [line.name for line in measured] == ["GatorTron", "GPT-3", "own_model"]
    assert {row.fraction for row in both.rows} == {0.01, 0.1, 1.0}


@pytest.mark.parametrize(("synthetic", "units"), [(True, REAL_UNITS["mednli"]), (False, 30)])
def test_what_does_not_compare_has_a_figure_of_its_own(tmp_path, synthetic, units):
    for fraction, skill in ((0.1, 0.5), (1.0, 0.7)):
        write_system(
            tmp_path, "mednli", "gatortron", skill, fraction=fraction, synthetic=synthetic,
            units=units,
        )  # fmt: skip
    found = collect([tmp_path], published="main")
    assert list(found.learning) == ["curve", "curve_paper"]
    assert [line.published for line in found.learning["curve"].panels[0].lines] == [False]
    assert len(found.learning["curve"].panels) == 1


def test_one_model_alone_has_a_readable_axis(tmp_path):
    write_system(tmp_path, "mednli", "roberta_large", 0.7, synthetic=True)
    panels = effort.effort_panels(collect([tmp_path]).table)
    picture = effort_chart.picture(panels)
    shown = texts(picture.files()["svg"])
    assert {"10²¹", "10²²", "RoBERTa-Large"} <= set(shown)
    assert not any("$" in text for text in shown)
    assert "tiny stand-in" in picture.caption
