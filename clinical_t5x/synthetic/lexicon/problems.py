"""What patients suffer from: the chronic and acute problems, their names, drugs and symptoms.

One line a problem: key; organ system; clinic; clinical names; names a lay person or another
specialty would use; drugs; symptoms. The names in one field mean the same thing; the benchmarks'
rules rest on that (see mednli.py). Written for this generator from general medical knowledge.
"""

from __future__ import annotations

from typing import NamedTuple


class Problem(NamedTuple):
    """A disease as notes speak of it."""

    key: str
    system: str
    clinic: str
    names: tuple[str, ...]
    lay: tuple[str, ...]
    drugs: tuple[str, ...]
    symptoms: tuple[str, ...]


_CHRONIC = """
hypertension; cardiac; primary care; hypertension, HTN, essential hypertension, arterial hypertension; high blood pressure, elevated blood pressure; lisinopril, amlodipine, hydrochlorothiazide, losartan, atenolol, valsartan; morning headaches, blurred vision
diabetes; endocrine; endocrinology; type 2 diabetes, DM2, diabetes mellitus type II, T2DM, NIDDM; high blood sugar, sugar diabetes; metformin, glipizide, insulin glargine, glyburide, sitagliptin; polyuria, thirst, tingling in the feet
type1; endocrine; endocrinology; type 1 diabetes, IDDM, DM1, juvenile-onset diabetes; childhood diabetes, lifelong insulin dependence; insulin lispro, insulin aspart; polyuria, labile sugars
afib; cardiac; electrophysiology; atrial fibrillation, AF, afib, paroxysmal atrial fibrillation; an irregular heartbeat, an irregular heart rhythm; warfarin, apixaban, diltiazem, amiodarone; palpitations, a racing heart
chf; cardiac; heart failure; congestive heart failure, CHF, systolic heart failure, chronic heart failure; a weak heart muscle, poor pump function of the heart; furosemide, carvedilol, spironolactone, torsemide; orthopnea, leg swelling, dyspnea on exertion
cad; cardiac; cardiology; coronary artery disease, CAD, coronary disease, ischemic heart disease; blocked heart arteries, narrowed heart vessels; nitroglycerin, isosorbide mononitrate, clopidogrel, ranolazine; exertional chest pressure, angina
mi; cardiac; cardiology; myocardial infarction, MI, NSTEMI, prior infarct of the heart; a heart attack; ticagrelor, prasugrel; crushing chest pain, diaphoresis
aortic_stenosis; cardiac; valve; aortic stenosis, AS, calcific aortic stenosis, aortic valve stenosis; a tight aortic valve, a narrowed heart valve; metoprolol succinate; exertional syncope, lightheadedness
hyperlipidemia; cardiac; primary care; hyperlipidemia, HLD, hypercholesterolemia, dyslipidemia; high cholesterol, elevated blood fats; atorvastatin, simvastatin, rosuvastatin, ezetimibe; yellow eyelid plaques, tendon nodules
pvd; vascular; vascular surgery; peripheral vascular disease, PVD, peripheral arterial disease, PAD; poor circulation in the legs, narrowed leg arteries; cilostazol, pentoxifylline; calf pain with walking, cold toes
aaa; vascular; vascular surgery; abdominal aortic aneurysm, AAA, infrarenal aortic aneurysm; a ballooned aorta, a widened abdominal aorta; labetalol; deep back discomfort
carotid; vascular; vascular surgery; carotid stenosis, carotid artery disease, ICA stenosis; narrowing of a neck artery, a blocked neck artery; dipyridamole; transient visual loss
stroke; neuro; stroke; stroke, CVA, cerebrovascular accident, ischemic infarct of the brain; a brain attack, damage from lost blood flow to the brain; aspirin-dipyridamole; slurred speech, facial droop
tia; neuro; stroke; transient ischemic attack, TIA; a mini-stroke, a brief stroke-like spell; ticlopidine; fleeting arm numbness
seizure; neuro; epilepsy; seizure disorder, epilepsy, recurrent seizures; convulsions, fits; levetiracetam, phenytoin, lamotrigine, lacosamide; staring spells, postictal confusion
parkinson; neuro; movement disorders; Parkinson's disease, parkinsonism, PD; a shaking palsy, a tremor disease with stiffness; carbidopa-levodopa, pramipexole, ropinirole; shuffling steps, resting tremor
dementia; neuro; memory; dementia, Alzheimer's disease, major neurocognitive disorder; memory loss of old age, failing memory; donepezil, memantine, rivastigmine; forgetfulness, getting lost
migraine; neuro; headache; migraine, migraine headaches, migraine with aura; sick headaches; sumatriptan, rizatriptan, topiramate; throbbing headache, photophobia
ms; neuro; neurology; multiple sclerosis, MS, relapsing-remitting MS; a demyelinating disease, plaques of the brain and cord; glatiramer, dalfampridine, interferon beta; leg stiffness, double vision
neuropathy; neuro; neurology; peripheral neuropathy, polyneuropathy, distal sensory neuropathy; nerve damage in the feet, numb feet; gabapentin, pregabalin; burning soles, numb toes
copd; pulmonary; pulmonary; COPD, chronic obstructive pulmonary disease, emphysema; smoker's lung, chronic obstructive lung disease; tiotropium, fluticasone-salmeterol, ipratropium; wheeze, chronic cough
asthma; pulmonary; pulmonary; asthma, reactive airway disease, bronchial asthma; twitchy airways; montelukast, budesonide, zafirlukast; nocturnal wheeze, chest tightness
osa; pulmonary; sleep; obstructive sleep apnea, OSA, sleep-disordered breathing; pauses in breathing at night, heavy snoring with apneas; modafinil; daytime sleepiness, loud snoring
pe; pulmonary; pulmonary; pulmonary embolism, PE, pulmonary emboli, pulmonary thromboembolism; a blood clot in the lung, lung clots; rivaroxaban; pleuritic pain, sudden breathlessness
dvt; vascular; vascular medicine; deep vein thrombosis, DVT, lower extremity venous thrombosis; a blood clot in the leg, a leg clot; enoxaparin; calf swelling, calf tenderness
ild; pulmonary; pulmonary; interstitial lung disease, ILD, pulmonary fibrosis; scarring of the lungs, stiff scarred lungs; pirfenidone, nintedanib; dry cough, exertional breathlessness
ph; pulmonary; pulmonary hypertension; pulmonary hypertension, PAH, pulmonary arterial hypertension; high pressure in the lung vessels; sildenafil, bosentan, ambrisentan; exertional near-syncope
tb; infectious; infectious disease; latent tuberculosis, LTBI, positive PPD, tuberculosis infection; a TB exposure; isoniazid, rifampin; night sweats
ckd; renal; nephrology; chronic kidney disease, CKD, chronic renal insufficiency, CRI; weak kidneys, poor kidney function; sevelamer, calcitriol; fatigue, itching
esrd; renal; dialysis; end-stage renal disease, ESRD, dialysis-dependent renal failure; kidney failure on dialysis; cinacalcet, lanthanum; fluid overload between sessions, cramps on dialysis
kidney_stones; renal; urology; nephrolithiasis, renal calculi, recurrent renal stones; kidney stones; potassium citrate; colicky flank pain, gross hematuria
bph; renal; urology; benign prostatic hyperplasia, BPH, benign prostatic hypertrophy; an enlarged prostate; tamsulosin, finasteride, terazosin, doxazosin; weak stream, nocturia
cirrhosis; hepatic; liver; cirrhosis, hepatic cirrhosis, end-stage liver disease, ESLD; a scarred liver; lactulose, rifaximin, nadolol; abdominal distention, easy bruising
hepc; hepatic; liver; hepatitis C, HCV, chronic hepatitis C infection; a viral liver infection; ribavirin, sofosbuvir; fatigue, dark urine
gerd; gi; gastroenterology; GERD, gastroesophageal reflux disease, reflux esophagitis; acid reflux, chronic heartburn; omeprazole, ranitidine, famotidine, esomeprazole; regurgitation, burning behind the sternum
ulcer; gi; gastroenterology; peptic ulcer disease, PUD, duodenal ulcer, gastric ulcer; stomach ulcers; sucralfate, misoprostol; gnawing epigastric pain, melena
ibd; gi; gastroenterology; Crohn's disease, regional enteritis, ileocolonic Crohn's; inflammatory bowel disease; mesalamine, infliximab, adalimumab; cramps with diarrhea, urgency
diverticulosis; gi; gastroenterology; diverticulosis, diverticular disease, colonic diverticula; outpouchings of the colon; psyllium; left-sided abdominal cramping, painless hematochezia
pancreatitis; gi; gastroenterology; chronic pancreatitis, recurrent pancreatitis, pancreatic insufficiency; an inflamed pancreas; pancrelipase; epigastric pain boring to the back, greasy stools
gallstones; gi; general surgery; cholelithiasis, gallstones, biliary stones; stones in the gallbladder; ursodiol; postprandial right upper quadrant pain
hypothyroid; endocrine; endocrinology; hypothyroidism, Hashimoto's thyroiditis, low thyroid function; an underactive thyroid, a sluggish thyroid; levothyroxine, liothyronine; cold intolerance, dry skin
hyperthyroid; endocrine; endocrinology; hyperthyroidism, Graves' disease, thyrotoxicosis; an overactive thyroid; methimazole, propylthiouracil; heat intolerance, weight loss
osteoporosis; musculoskeletal; bone health; osteoporosis, low bone density, osteopenia; thin bones, brittle bones; alendronate, risedronate, raloxifene; height loss, thoracic kyphosis
gout; musculoskeletal; rheumatology; gout, gouty arthritis, podagra; uric acid crystals in the joints; allopurinol, colchicine, febuxostat, probenecid; a hot swollen great toe
ra; musculoskeletal; rheumatology; rheumatoid arthritis, RA, seropositive rheumatoid disease; inflammatory joint disease; methotrexate, etanercept, leflunomide, hydroxychloroquine; stiff fingers on waking
oa; musculoskeletal; orthopedics; osteoarthritis, DJD, degenerative joint disease; wear-and-tear arthritis, worn-out joints; celecoxib, meloxicam, diclofenac; knee pain on stairs
lupus; musculoskeletal; rheumatology; systemic lupus erythematosus, SLE, lupus; an autoimmune disease of skin and joints; belimumab, mycophenolate; malar rash, aching joints
spinal_stenosis; musculoskeletal; spine; lumbar spinal stenosis, lumbar stenosis, degenerative spine disease; a narrowed spinal canal; baclofen, cyclobenzaprine; leg heaviness with standing
anemia; heme; hematology; iron deficiency anemia, chronic anemia, microcytic anemia; low blood counts, low iron; ferrous sulfate, iron sucrose; pallor, fatigue
b12; heme; hematology; vitamin B12 deficiency, pernicious anemia, cobalamin deficiency; low B12; cyanocobalamin; sore tongue, unsteady gait
cll; heme; oncology; chronic lymphocytic leukemia, CLL; a slow leukemia, a cancer of the white cells; ibrutinib, chlorambucil; swollen neck nodes
myeloma; heme; oncology; multiple myeloma, plasma cell myeloma; a bone marrow cancer; bortezomib, lenalidomide; bone pain
lymphoma; heme; oncology; non-Hodgkin's lymphoma, NHL, diffuse large B-cell lymphoma; a cancer of the lymph glands; rituximab; drenching sweats, lost weight
breast_ca; oncology; oncology; breast cancer, breast carcinoma, invasive ductal carcinoma; a breast malignancy; tamoxifen, anastrozole, letrozole; a breast lump
lung_ca; oncology; thoracic oncology; lung cancer, non-small cell lung cancer, NSCLC, lung adenocarcinoma; a malignancy of the lung; erlotinib, pemetrexed; blood-streaked sputum
colon_ca; oncology; oncology; colon cancer, colon adenocarcinoma, colorectal cancer; a malignancy of the large bowel; capecitabine; narrowed stools
prostate_ca; oncology; urology; prostate cancer, prostate adenocarcinoma; a malignancy of the prostate; leuprolide, bicalutamide; hip pain at night
melanoma; skin; dermatology; melanoma, malignant melanoma, cutaneous melanoma; a dangerous skin cancer; ipilimumab; a changing mole
psoriasis; skin; dermatology; psoriasis, plaque psoriasis, psoriatic skin disease; scaly skin plaques; calcipotriene, acitretin; itchy scaling plaques
depression; psych; psychiatry; depression, major depressive disorder, MDD; chronic low mood; sertraline, citalopram, bupropion, mirtazapine, fluoxetine; poor sleep, low energy
anxiety; psych; psychiatry; anxiety, generalized anxiety disorder, GAD; excessive worrying, bad nerves; lorazepam, clonazepam, buspirone; restlessness, panic at night
bipolar; psych; psychiatry; bipolar disorder, manic-depressive illness, bipolar affective disorder; extreme mood swings; lithium, lurasidone; pressured speech
schizophrenia; psych; psychiatry; schizophrenia, schizoaffective disorder, chronic psychosis; a long-standing psychotic illness; olanzapine, risperidone, haloperidol, clozapine; hearing voices
alcohol; psych; addiction medicine; alcohol abuse, alcoholism, EtOH dependence, alcohol use disorder; heavy drinking, a drinking problem; naltrexone, disulfiram, acamprosate; tremulousness, blackouts
hiv; infectious; infectious disease; HIV, HIV infection, human immunodeficiency virus; the AIDS virus; efavirenz, tenofovir-emtricitabine, raltegravir; thrush, lost weight
glaucoma; eye; ophthalmology; glaucoma, open-angle glaucoma, raised intraocular pressure; high pressure in the eyes; latanoprost, timolol drops, brimonidine; loss of side vision
macular; eye; retina; macular degeneration, AMD, age-related macular degeneration; loss of central vision from aging; ranibizumab; blurred central vision
"""

_ACUTE = """
pneumonia; pulmonary; pulmonary; pneumonia, CAP, lobar pneumonia, community-acquired pneumonia; a lung infection; ceftriaxone, azithromycin, levofloxacin; fever, productive cough, chills
aspiration; pulmonary; pulmonary; aspiration pneumonia, aspiration pneumonitis, aspiration event; food or fluid in the lungs; ampicillin-sulbactam, clindamycin; coughing with meals, low-grade fever
resp_failure; pulmonary; pulmonary; hypoxic respiratory failure, acute respiratory failure, respiratory distress; failing breathing; albuterol, methylprednisolone; severe breathlessness, low oxygen
sepsis; infectious; infectious disease; sepsis, septic shock, urosepsis; an overwhelming infection; vancomycin, piperacillin-tazobactam, norepinephrine; rigors, lethargy
uti; renal; primary care; urinary tract infection, UTI, pyelonephritis; a bladder infection; ciprofloxacin, nitrofurantoin; burning urination, urinary frequency
cellulitis; skin; infectious disease; cellulitis, soft tissue infection, leg cellulitis; an infection of the skin; cefazolin, cephalexin; a red warm leg
gi_bleed; gi; gastroenterology; GI bleed, upper GI bleed, gastrointestinal hemorrhage; bleeding from the gut; pantoprazole, octreotide; black stools, coffee-ground emesis
sbo; gi; general surgery; small bowel obstruction, SBO, partial small bowel obstruction; a blocked intestine; metoclopramide; vomiting, obstipation
cholecystitis; gi; general surgery; acute cholecystitis, cholangitis, biliary sepsis; an infected gallbladder; metronidazole, cefoxitin; right upper quadrant pain, nausea
aki; renal; nephrology; acute kidney injury, acute renal failure, ARF, AKI; sudden loss of kidney function; sodium bicarbonate, bumetanide; poor urine output, malaise
dka; endocrine; endocrinology; diabetic ketoacidosis, DKA; dangerously high sugars with acid in the blood; insulin regular, potassium chloride; vomiting, deep breathing
stemi; cardiac; cardiology; STEMI, acute coronary syndrome, ST-elevation infarction; an acute heart attack; heparin, eptifibatide, bivalirudin; chest pressure, left arm pain
heart_block; cardiac; electrophysiology; complete heart block, high-grade AV block, symptomatic bradycardia; a very slow pulse; atropine, isoproterenol; syncope, lightheadedness
tamponade; cardiac; cardiology; pericardial effusion, tamponade, pericarditis; fluid around the heart; indomethacin; pain relieved by leaning forward
sah; neuro; neurosurgery; subarachnoid hemorrhage, SAH, ruptured aneurysm; bleeding around the brain; nimodipine; thunderclap headache, neck stiffness
sdh; neuro; neurosurgery; subdural hematoma, SDH, subdural hemorrhage; blood pressing on the brain; fosphenytoin; headache after a fall, confusion
encephalopathy; neuro; neurology; encephalopathy, delirium, toxic-metabolic encephalopathy; acute confusion; quetiapine, thiamine; agitation, disorientation
hip_fracture; musculoskeletal; orthopedics; hip fracture, femoral neck fracture, intertrochanteric fracture; a broken hip; morphine, oxycodone; groin pain, inability to bear weight
trauma; musculoskeletal; trauma; multiple trauma, polytrauma, motor vehicle crash; injuries from an accident; hydromorphone, acetaminophen; rib pain, abrasions
meningitis; neuro; infectious disease; meningitis, bacterial meningitis; an infection of the lining of the brain; acyclovir, ampicillin; stiff neck, photophobia
endocarditis; cardiac; infectious disease; endocarditis, mitral valve vegetation, bacteremia with vegetation; an infected heart valve; gentamicin, nafcillin; fevers, splinter hemorrhages
cdiff; gi; infectious disease; C. difficile colitis, C diff infection, pseudomembranous colitis; an infected colon; oral vancomycin, fidaxomicin; watery diarrhea, cramps
overdose; psych; toxicology; overdose, toxic ingestion, polysubstance ingestion; taking too many pills; naloxone, N-acetylcysteine; obtundation, vomiting
hyponatremia; renal; nephrology; hyponatremia, SIADH, low serum sodium; low salt in the blood; tolvaptan; confusion, unsteadiness
"""


def _parse(table: str) -> tuple[Problem, ...]:
    rows = []
    for line in table.strip().splitlines():
        key, system, clinic, *lists = (field.strip() for field in line.split(";"))
        names, lay, drugs, symptoms = (
            tuple(item.strip() for item in field.split(",")) for field in lists
        )
        rows.append(Problem(key, system, clinic, names, lay, drugs, symptoms))
    return tuple(rows)


CHRONIC = _parse(_CHRONIC)
ACUTE = _parse(_ACUTE)
BY_KEY = {problem.key: problem for problem in CHRONIC + ACUTE}
