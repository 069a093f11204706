"""When the model that must be pre-trained first is the cheaper one."""

import pytest

from clinical_t5x.evaluation.cost import Side, break_even, side_of_model


def of_paper(**general):
    clinical = side_of_model("clinical_t5_large", pays_pretraining=True)
    return break_even(clinical, side_of_model("t5_xl", pays_pretraining=False, **general))


def test_the_papers_example():
    found = of_paper()
    assert found.kind == "from"
    assert found.tokens == pytest.approx(33.9e9, rel=0.002)
    assert found.years(15e9) == pytest.approx(2.26, abs=0.01)
    assert found.sentence() == (
        "Clinical-T5-Large costs less than T5-XL from 33.89B tokens of inference on"
    )
    assert of_paper(weight=1.0).tokens == pytest.approx(39.4e9, rel=0.002)


def test_the_papers_formula_with_fine_tuning():
    """3 [w_c P_c (T_pt + T_ft) - w_g P_g T_ft] / (w_g P_g - w_c P_c), written out."""
    p_c, p_g, w_c, w_g, pretraining, fine_tuning = 0.7e9, 2.5e9, 1.05, 1.2, 40e9, 3e9
    expected = (
        3
        * (w_c * p_c * (pretraining + fine_tuning) - w_g * p_g * fine_tuning)
        / (w_g * p_g - w_c * p_c)
    )
    first = Side.of_parameters(
        "a", p_c, weight=w_c, pretraining_tokens=pretraining, fine_tuning_tokens=fine_tuning
    )
    second = Side.of_parameters("b", p_g, weight=w_g, fine_tuning_tokens=fine_tuning)
    assert break_even(first, second).tokens == pytest.approx(expected)


@pytest.mark.parametrize(
    ("sizes", "pretraining", "kind"),
    [
        ((1e9, 3e9), (10e9, 0), "from"),  # dear start, cheap tokens
        ((3e9, 1e9), (0, 10e9), "until"),  # cheap start, dear tokens
        ((1e9, 3e9), (0, 0), "always"),
        ((1e9, 3e9), (1e9, 5e9), "always"),
        ((3e9, 1e9), (0, 0), "never"),
        ((3e9, 1e9), (10e9, 0), "never"),
        ((1e9, 1e9), (10e9, 0), "never"),  # the same a token, and a start to pay for
        ((1e9, 1e9), (0, 10e9), "always"),
        ((1e9, 1e9), (0, 0), "equal"),
    ],
)
def test_every_case_is_what_the_costs_say(sizes, pretraining, kind):
    first, second = (
        Side.of_parameters(name, size, pretraining_tokens=tokens)
        for name, size, tokens in zip(("one", "two"), sizes, pretraining, strict=True)
    )
    found = break_even(first, second)
    assert found.kind == kind

    def is_cheaper(tokens):
        return first.flops(tokens) < second.flops(tokens)

    few, many = is_cheaper(1e6), is_cheaper(1e15)
    assert (few, many) == {
        "from": (False, True),
        "until": (True, False),
        "always": (True, True),
        "never": (False, False),
        "equal": (False, False),
    }[kind]
    if found.tokens is not None:
        assert first.flops(found.tokens) == pytest.approx(second.flops(found.tokens))
        assert f"{found.tokens / 1e9:.4g}B" in found.sentence()
    else:
        assert found.years(1e9) is None
        assert "one" in found.sentence() and "two" in found.sentence()
