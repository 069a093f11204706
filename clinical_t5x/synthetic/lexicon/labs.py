"""Laboratory tests: names, normal ranges, and how diseases move them."""

from __future__ import annotations

from typing import NamedTuple


class Test(NamedTuple):
    """A laboratory test.

    Attributes:
        names: as flowsheets and prose call it.
        low: lower end of normal.
        high: upper end of normal.
        digits: decimals printed.
        too_high: what a high value is called.
        too_low: what a low value is called.
    """

    names: tuple[str, ...]
    low: float
    high: float
    digits: int
    too_high: str
    too_low: str


def _test(names: str, low: float, high: float, digits: int, too_high: str, too_low: str) -> Test:
    return Test(tuple(names.split("|")), low, high, digits, too_high, too_low)


TESTS: dict[str, Test] = {
    "wbc": _test("WBC|white count|white cell count", 4, 11, 1, "leukocytosis", "leukopenia"),
    "hct": _test("Hct|hematocrit|crit", 36, 46, 1, "hemoconcentration", "anemia"),
    "hgb": _test("Hgb|hemoglobin", 12, 15.5, 1, "polycythemia", "a low hemoglobin"),
    "plt": _test("Plt|platelets|platelet count", 150, 400, 0, "thrombocytosis", "thrombocytopenia"),
    "na": _test("Na|sodium|serum sodium", 135, 145, 0, "hypernatremia", "hyponatremia"),
    "k": _test("K|potassium|K+", 3.5, 5.0, 1, "hyperkalemia", "hypokalemia"),
    "cl": _test("Cl|chloride", 98, 107, 0, "hyperchloremia", "hypochloremia"),
    "co2": _test("HCO3|bicarb|bicarbonate", 22, 29, 0, "alkalosis", "acidosis"),
    "bun": _test("BUN|urea nitrogen|urea", 8, 22, 0, "azotemia", "a low urea"),
    "cr": _test("Cr|creatinine|creat", 0.6, 1.2, 1, "renal dysfunction", "a low creatinine"),
    "glu": _test("glucose|blood sugar|FSBG", 70, 125, 0, "hyperglycemia", "hypoglycemia"),
    "ca": _test("Ca|calcium", 8.4, 10.2, 1, "hypercalcemia", "hypocalcemia"),
    "mg": _test("Mg|magnesium", 1.7, 2.5, 1, "hypermagnesemia", "hypomagnesemia"),
    "phos": _test("Phos|phosphate|PO4", 2.6, 4.5, 1, "hyperphosphatemia", "hypophosphatemia"),
    "inr": _test("INR|PT/INR|prothrombin ratio", 0.9, 1.2, 1, "coagulopathy", "a low INR"),
    "ptt": _test("PTT|aPTT", 24, 35, 0, "a prolonged PTT", "a short PTT"),
    "alt": _test("ALT|SGPT", 8, 40, 0, "transaminitis", "a low ALT"),
    "ast": _test("AST|SGOT", 10, 38, 0, "raised transaminases", "a low AST"),
    "alk": _test("AlkPhos|alkaline phosphatase", 40, 120, 0, "cholestasis", "a low alk phos"),
    "tbili": _test("TBili|total bilirubin|bilirubin", 0.2, 1.2, 1, "jaundice", "a low bilirubin"),
    "alb": _test("albumin|Alb", 3.5, 5.0, 1, "a high albumin", "hypoalbuminemia"),
    "lipase": _test("lipase", 10, 60, 0, "a raised lipase", "a low lipase"),
    "lactate": _test("lactate|lactic acid", 0.5, 2.0, 1, "lactic acidosis", "a low lactate"),
    "trop": _test("troponin|TropT", 0.0, 0.01, 2, "myocardial injury", "a normal troponin"),
    "bnp": _test("proBNP|BNP", 20, 300, 0, "an elevated BNP", "a low BNP"),
    "tsh": _test("TSH", 0.4, 4.2, 1, "a high TSH", "a suppressed TSH"),
    "a1c": _test(
        "HbA1c|A1c|glycated hemoglobin", 4.5, 5.8, 1, "poor glycemic control", "a low A1c"
    ),
    "ck": _test("CK|creatine kinase", 30, 200, 0, "rhabdomyolysis", "a low CK"),
    "ldh": _test("LDH", 100, 230, 0, "a raised LDH", "a low LDH"),
    "esr": _test("ESR|sed rate", 2, 20, 0, "a raised sed rate", "a low sed rate"),
    "crp": _test("CRP|C-reactive protein", 0, 5, 0, "a raised CRP", "a low CRP"),
    "ferritin": _test("ferritin", 20, 250, 0, "a raised ferritin", "iron depletion"),
}

# problem -> {test: typical value}; what is not named is drawn inside the normal range.
ABNORMAL: dict[str, dict[str, float]] = {
    "ckd": {"cr": 2.1, "bun": 41, "phos": 4.9, "hct": 32.0},
    "esrd": {"cr": 6.3, "bun": 58, "k": 5.4, "phos": 5.9, "hct": 31.0},
    "aki": {"cr": 3.2, "bun": 62, "k": 5.5, "co2": 18},
    "anemia": {"hct": 27.5, "hgb": 8.9, "ferritin": 9},
    "gi_bleed": {"hct": 24.5, "hgb": 7.9, "bun": 38},
    "cirrhosis": {"inr": 1.7, "plt": 78, "tbili": 3.4, "alb": 2.6, "na": 131},
    "hepc": {"alt": 88, "ast": 97},
    "sepsis": {"wbc": 18.4, "lactate": 4.1, "cr": 1.8, "plt": 118},
    "pneumonia": {"wbc": 15.2, "crp": 96},
    "aspiration": {"wbc": 13.8},
    "uti": {"wbc": 13.1},
    "cellulitis": {"wbc": 12.9, "crp": 74},
    "cdiff": {"wbc": 21.0, "alb": 2.8},
    "meningitis": {"wbc": 16.7},
    "endocarditis": {"wbc": 14.6, "esr": 72, "hct": 30.0},
    "cholecystitis": {"wbc": 14.9, "tbili": 3.9, "alk": 286, "alt": 143},
    "dka": {"glu": 512, "co2": 9, "k": 5.6, "na": 130},
    "diabetes": {"glu": 214, "a1c": 8.2},
    "type1": {"glu": 247, "a1c": 8.9},
    "stemi": {"trop": 2.41, "ck": 980},
    "mi": {"trop": 0.12},
    "chf": {"bnp": 4_820, "na": 133},
    "hyponatremia": {"na": 119, "cl": 88},
    "pancreatitis": {"lipase": 412, "ca": 7.9},
    "hypothyroid": {"tsh": 8.6},
    "hyperthyroid": {"tsh": 0.1},
    "overdose": {"ast": 166, "alt": 171, "co2": 17},
    "resp_failure": {"co2": 33, "wbc": 12.4},
    "copd": {"co2": 31},
    "trauma": {"hct": 29.0, "ck": 2_310, "lactate": 2.9},
    "hip_fracture": {"hct": 28.9},
    "sbo": {"wbc": 13.0, "cl": 95, "lactate": 2.3},
    "afib": {"inr": 2.3},
    "gout": {"crp": 31},
    "ra": {"esr": 51, "crp": 24},
    "lupus": {"esr": 60, "plt": 132},
    "cll": {"wbc": 46.0},
    "myeloma": {"ca": 11.1, "cr": 1.7, "hct": 29.5},
    "lymphoma": {"ldh": 410},
    "alcohol": {"ast": 112, "mg": 1.4, "plt": 121},
    "lung_ca": {"ca": 10.9, "alb": 2.9},
}
