"""Doses, routes, frequencies and brand names of the drugs that the notes mention.

`name: brand: doses (mg unless a unit is given): route: frequencies`. What a drug is for stands in
problems.py; drugs of general use (`GENERAL`) are for nobody's disease in particular.
"""

from __future__ import annotations

from typing import NamedTuple


class Drug(NamedTuple):
    """A drug as an order names it; `doses` carry their units."""

    name: str
    brand: str
    doses: tuple[str, ...]
    route: str
    frequencies: tuple[str, ...]


_TABLE = """
lisinopril: Zestril: 2.5 5 10 20 40: PO: daily
amlodipine: Norvasc: 2.5 5 10: PO: daily
hydrochlorothiazide: HCTZ: 12.5 25: PO: daily
losartan: Cozaar: 25 50 100: PO: daily
atenolol: Tenormin: 25 50 100: PO: daily
valsartan: Diovan: 40 80 160: PO: daily/BID
metformin: Glucophage: 500 850 1000: PO: BID/daily
glipizide: Glucotrol: 2.5 5 10: PO: daily/BID
insulin glargine: Lantus: 10-units 18-units 24-units 36-units: SC: QHS
glyburide: Diabeta: 2.5 5: PO: BID
sitagliptin: Januvia: 50 100: PO: daily
insulin lispro: Humalog: sliding-scale: SC: QACHS
insulin aspart: Novolog: sliding-scale: SC: TID with meals
warfarin: Coumadin: 1 2 2.5 3 5 7.5: PO: QPM/daily
apixaban: Eliquis: 2.5 5: PO: BID
diltiazem: Cardizem: 30 60 120 240: PO: QID/daily
amiodarone: Pacerone: 200 400: PO: daily/BID
furosemide: Lasix: 20 40 80: PO: daily/BID
carvedilol: Coreg: 3.125 6.25 12.5 25: PO: BID
spironolactone: Aldactone: 12.5 25 50: PO: daily
torsemide: Demadex: 10 20 40: PO: daily
nitroglycerin: Nitrostat: 0.3 0.4: SL: PRN chest pain
isosorbide mononitrate: Imdur: 30 60 120: PO: daily
clopidogrel: Plavix: 75: PO: daily
ranolazine: Ranexa: 500 1000: PO: BID
ticagrelor: Brilinta: 90: PO: BID
prasugrel: Effient: 10: PO: daily
metoprolol succinate: Toprol XL: 25 50 100: PO: daily
atorvastatin: Lipitor: 10 20 40 80: PO: QHS/daily
simvastatin: Zocor: 10 20 40: PO: QPM
rosuvastatin: Crestor: 5 10 20: PO: QHS
ezetimibe: Zetia: 10: PO: daily
cilostazol: Pletal: 50 100: PO: BID
pentoxifylline: Trental: 400: PO: TID
labetalol: Trandate: 100 200 300: PO: BID/TID
dipyridamole: Persantine: 75: PO: QID
aspirin-dipyridamole: Aggrenox: 1-capsule: PO: BID
ticlopidine: Ticlid: 250: PO: BID
levetiracetam: Keppra: 500 750 1000 1500: PO: BID
phenytoin: Dilantin: 100 200 300: PO: TID/QHS
lamotrigine: Lamictal: 25 100 150 200: PO: BID
lacosamide: Vimpat: 50 100 200: PO: BID
carbidopa-levodopa: Sinemet: 25-100-tab: PO: TID/QID
pramipexole: Mirapex: 0.25 0.5: PO: TID
ropinirole: Requip: 0.5 1 2: PO: TID/QHS
donepezil: Aricept: 5 10: PO: QHS
memantine: Namenda: 5 10: PO: BID
rivastigmine: Exelon: 4.6-mg-patch 9.5-mg-patch: TD: daily
sumatriptan: Imitrex: 25 50 100: PO: PRN headache
rizatriptan: Maxalt: 5 10: PO: PRN headache
topiramate: Topamax: 25 50 100: PO: BID
glatiramer: Copaxone: 20: SC: daily
dalfampridine: Ampyra: 10: PO: BID
interferon beta: Avonex: 30-mcg: IM: weekly
gabapentin: Neurontin: 100 300 400 600: PO: TID/QHS
pregabalin: Lyrica: 50 75 150: PO: BID
tiotropium: Spiriva: 18-mcg: INH: daily
fluticasone-salmeterol: Advair: 1-puff: INH: BID
ipratropium: Atrovent: 2-puffs 1-neb: INH: Q6H/QID
montelukast: Singulair: 10: PO: QPM
budesonide: Pulmicort: 2-puffs: INH: BID
zafirlukast: Accolate: 20: PO: BID
modafinil: Provigil: 100 200: PO: QAM
rivaroxaban: Xarelto: 15 20: PO: daily with supper
enoxaparin: Lovenox: 40 60 80: SC: Q12H/daily
pirfenidone: Esbriet: 267 801: PO: TID
nintedanib: Ofev: 150: PO: BID
sildenafil: Revatio: 20: PO: TID
bosentan: Tracleer: 62.5 125: PO: BID
ambrisentan: Letairis: 5 10: PO: daily
isoniazid: INH: 300: PO: daily
rifampin: Rifadin: 300 600: PO: daily
sevelamer: Renagel: 800 1600: PO: TID with meals
calcitriol: Rocaltrol: 0.25-mcg: PO: daily/QMOWEFR
cinacalcet: Sensipar: 30 60: PO: daily
lanthanum: Fosrenol: 500 1000: PO: TID with meals
potassium citrate: Urocit-K: 10-mEq 20-mEq: PO: TID
tamsulosin: Flomax: 0.4: PO: QHS
finasteride: Proscar: 5: PO: daily
terazosin: Hytrin: 1 2 5: PO: QHS
doxazosin: Cardura: 1 2 4: PO: QHS
lactulose: Kristalose: 15-mL 30-mL: PO: TID/QID
rifaximin: Xifaxan: 550: PO: BID
nadolol: Corgard: 20 40: PO: daily
ribavirin: Copegus: 400 600: PO: BID
sofosbuvir: Sovaldi: 400: PO: daily
omeprazole: Prilosec: 20 40: PO: daily/BID
ranitidine: Zantac: 150 300: PO: BID/QHS
famotidine: Pepcid: 20 40: PO: BID/QHS
esomeprazole: Nexium: 20 40: PO: daily
sucralfate: Carafate: 1-gram: PO: QID
misoprostol: Cytotec: 200-mcg: PO: QID
mesalamine: Asacol: 800 1200: PO: TID
infliximab: Remicade: 300 400: IV: every 8 weeks
adalimumab: Humira: 40: SC: every other week
psyllium: Metamucil: 1-packet: PO: daily/BID
pancrelipase: Creon: 2-caps 3-caps: PO: TID with meals
ursodiol: Actigall: 300 600: PO: BID
levothyroxine: Synthroid: 25-mcg 50-mcg 75-mcg 100-mcg 125-mcg: PO: daily
liothyronine: Cytomel: 5-mcg 25-mcg: PO: daily
methimazole: Tapazole: 5 10: PO: daily/TID
propylthiouracil: PTU: 50 100: PO: TID
alendronate: Fosamax: 35 70: PO: weekly
risedronate: Actonel: 35: PO: weekly
raloxifene: Evista: 60: PO: daily
allopurinol: Zyloprim: 100 200 300: PO: daily
colchicine: Colcrys: 0.6: PO: daily/BID
febuxostat: Uloric: 40 80: PO: daily
probenecid: Benemid: 500: PO: BID
methotrexate: Trexall: 7.5 10 15: PO: weekly
etanercept: Enbrel: 50: SC: weekly
leflunomide: Arava: 10 20: PO: daily
hydroxychloroquine: Plaquenil: 200 400: PO: daily/BID
celecoxib: Celebrex: 100 200: PO: daily/BID
meloxicam: Mobic: 7.5 15: PO: daily
diclofenac: Voltaren: 50 75: PO: BID
belimumab: Benlysta: 600: IV: monthly
mycophenolate: CellCept: 500 1000: PO: BID
baclofen: Lioresal: 5 10 20: PO: TID
cyclobenzaprine: Flexeril: 5 10: PO: TID/QHS
ferrous sulfate: FeSO4: 325: PO: daily/BID
iron sucrose: Venofer: 100 200: IV: weekly
cyanocobalamin: B12: 1000-mcg: IM: monthly
ibrutinib: Imbruvica: 420: PO: daily
chlorambucil: Leukeran: 2 4: PO: daily
bortezomib: Velcade: 1.3 2.1: SC: weekly
lenalidomide: Revlimid: 10 25: PO: daily
rituximab: Rituxan: 600 700: IV: every 3 weeks
tamoxifen: Nolvadex: 20: PO: daily
anastrozole: Arimidex: 1: PO: daily
letrozole: Femara: 2.5: PO: daily
erlotinib: Tarceva: 100 150: PO: daily
pemetrexed: Alimta: 800 900: IV: every 3 weeks
capecitabine: Xeloda: 1000 1500: PO: BID
leuprolide: Lupron: 22.5 30: IM: every 3 months
bicalutamide: Casodex: 50: PO: daily
ipilimumab: Yervoy: 200 240: IV: every 3 weeks
calcipotriene: Dovonex: 1-application: TOP: BID
acitretin: Soriatane: 25: PO: daily
sertraline: Zoloft: 25 50 100 150: PO: daily
citalopram: Celexa: 10 20 40: PO: daily
bupropion: Wellbutrin: 75 150 300: PO: daily/BID
mirtazapine: Remeron: 7.5 15 30: PO: QHS
fluoxetine: Prozac: 10 20 40: PO: daily
lorazepam: Ativan: 0.5 1 2: PO: Q6H PRN/TID/QHS PRN
clonazepam: Klonopin: 0.5 1: PO: BID/TID PRN
buspirone: Buspar: 5 10 15: PO: BID/TID
lithium: Lithobid: 300 450: PO: BID
lurasidone: Latuda: 40 80: PO: daily
olanzapine: Zyprexa: 2.5 5 10: PO: QHS/BID
risperidone: Risperdal: 0.5 1 2: PO: BID/QHS
haloperidol: Haldol: 0.5 1 2.5 5: IV: Q4H PRN/TID
clozapine: Clozaril: 100 200: PO: QHS
naltrexone: ReVia: 50: PO: daily
disulfiram: Antabuse: 250: PO: daily
acamprosate: Campral: 666: PO: TID
efavirenz: Sustiva: 600: PO: QHS
tenofovir-emtricitabine: Truvada: 1-tab: PO: daily
raltegravir: Isentress: 400: PO: BID
latanoprost: Xalatan: 1-drop: OU: QHS
timolol drops: Timoptic: 1-drop: OU: BID
brimonidine: Alphagan: 1-drop: OU: TID
ranibizumab: Lucentis: 0.5: intravitreal: monthly
ceftriaxone: Rocephin: 1-gram 2-gram: IV: Q24H
azithromycin: Zithromax: 250 500: PO: daily
levofloxacin: Levaquin: 500 750: PO: daily/Q48H
ampicillin-sulbactam: Unasyn: 1.5-gram 3-gram: IV: Q6H
clindamycin: Cleocin: 300 600: IV: Q8H
albuterol: Ventolin: 1-neb 2-puffs: INH: Q4H PRN/Q6H
methylprednisolone: Solu-Medrol: 40 60 125: IV: Q8H/Q6H
vancomycin: Vanco: 750 1000 1250: IV: Q12H/Q24H/Q48H
piperacillin-tazobactam: Zosyn: 2.25-gram 4.5-gram: IV: Q8H/Q6H
norepinephrine: Levophed: 0.03-mcg/kg/min 0.08-mcg/kg/min 0.15-mcg/kg/min: IV: drip
ciprofloxacin: Cipro: 250 400 500: PO: BID
nitrofurantoin: Macrobid: 100: PO: BID
cefazolin: Ancef: 1-gram 2-gram: IV: Q8H
cephalexin: Keflex: 250 500: PO: QID
pantoprazole: Protonix: 40 80: IV: BID/Q24H
octreotide: Sandostatin: 25-mcg/hr 50-mcg/hr: IV: drip
metoclopramide: Reglan: 5 10: IV: QID
metronidazole: Flagyl: 250 500: IV: Q8H
cefoxitin: Mefoxin: 1-gram: IV: Q6H
sodium bicarbonate: Bicarb: 650 1300: PO: TID
bumetanide: Bumex: 0.5 1 2: IV: BID
insulin regular: Humulin R: 2-units/hr 4-units/hr 6-units/hr: IV: drip
potassium chloride: KCl: 20-mEq 40-mEq: PO: daily/PRN
heparin: Heparin: 700-units/hr 950-units/hr 1200-units/hr: IV: drip
eptifibatide: Integrilin: 2-mcg/kg/min: IV: drip
bivalirudin: Angiomax: 0.15-mg/kg/hr: IV: drip
atropine: Atropine: 0.5 1: IV: PRN
isoproterenol: Isuprel: 2-mcg/min 4-mcg/min: IV: drip
indomethacin: Indocin: 25 50: PO: TID
nimodipine: Nimotop: 30 60: PO: Q4H/Q2H
fosphenytoin: Cerebyx: 100 150: IV: Q8H
quetiapine: Seroquel: 12.5 25 50: PO: QHS/BID
thiamine: Vitamin B1: 100: IV: daily
morphine: MSIR: 2 4 15: IV: Q4H PRN
oxycodone: Roxicodone: 5 10: PO: Q4H PRN/Q6H PRN
hydromorphone: Dilaudid: 0.5 1 2: IV: Q3H PRN
acetaminophen: Tylenol: 325 500 650 1000: PO: Q6H PRN/Q8H
acyclovir: Zovirax: 600 800: IV: Q8H
ampicillin: Ampicillin: 1-gram 2-gram: IV: Q4H
gentamicin: Gent: 60 80: IV: Q8H
nafcillin: Nallpen: 2-gram: IV: Q4H
oral vancomycin: Vancocin: 125 250: PO: QID
fidaxomicin: Dificid: 200: PO: BID
naloxone: Narcan: 0.4: IV: PRN
N-acetylcysteine: Mucomyst: 600 1200: PO: BID
tolvaptan: Samsca: 15 30: PO: daily
docusate: Colace: 100: PO: BID
senna: Senokot: 8.6 17.2: PO: BID PRN/QHS
aspirin: ASA: 81 325: PO: daily
multivitamin: MVI: 1-tab: PO: daily
folic acid: Folate: 1: PO: daily
bisacodyl: Dulcolax: 5 10: PR: daily PRN
trazodone: Desyrel: 25 50: PO: QHS PRN
ondansetron: Zofran: 4 8: IV: Q8H PRN
zolpidem: Ambien: 5 10: PO: QHS PRN
polyethylene glycol: Miralax: 17-grams: PO: daily PRN
calcium carbonate: Tums: 500: PO: TID
vitamin D: Cholecalciferol: 400-units 1000-units: PO: daily
magnesium oxide: Mag-Ox: 400: PO: daily/BID
guaifenesin: Robitussin: 5-mL 10-mL: PO: Q6H PRN
lidocaine patch: Lidoderm: 5%: TD: daily
nystatin: Mycostatin: 5-mL: PO: QID
miconazole powder: Micatin: 1-application: TOP: TID
prednisone: Deltasone: 5 10 20 40 60: PO: daily
metoprolol tartrate: Lopressor: 12.5 25 50: PO: BID/TID
digoxin: Lanoxin: 0.125 0.25: PO: daily
chlorhexidine: Peridex: 15-mL: oral rinse: BID
fentanyl: Sublimaze: 25-mcg 50-mcg: IV: Q1H PRN
propofol: Diprivan: 15-mcg/kg/min 30-mcg/kg/min: IV: drip
midazolam: Versed: 1 2: IV: PRN
"""

GENERAL_NAMES = [
    "docusate",
    "senna",
    "aspirin",
    "multivitamin",
    "bisacodyl",
    "trazodone",
    "ondansetron",
    "zolpidem",
    "guaifenesin",
    "nystatin",
    "prednisone",
    "digoxin",
] + [
    "folic acid",
    "polyethylene glycol",
    "calcium carbonate",
    "vitamin D",
    "magnesium oxide",
    "lidocaine patch",
    "miconazole powder",
    "metoprolol tartrate",
]


def _dose(text: str) -> str:
    return f"{text} mg" if text.replace(".", "").isdigit() else text.replace("-", " ")


def _parse(table: str) -> dict[str, Drug]:
    drugs = {}
    for line in table.strip().splitlines():
        name, brand, doses, route, frequencies = (field.strip() for field in line.split(": "))
        drugs[name] = Drug(
            name, brand, tuple(map(_dose, doses.split())), route, tuple(frequencies.split("/"))
        )
    return drugs


DRUGS = _parse(_TABLE)
GENERAL = tuple(DRUGS[name] for name in GENERAL_NAMES)
