# ruff: noqa: E501 - a table: one entry a line
"""What is to be done after discharge, and what looks like it: the language of CLIP's labels.

Whether a sentence carries a label depends on whether the thing is still ahead or already behind,
which the `open_*` and `settled_*` rules say with the same words in another order, negated or not.
"""

from __future__ import annotations

RULES = {
    "adv": "||| as of today| by now| at this point| in our view| in the end| for {his} part| all told| as it stands| on balance|, as discussed with {anyone},|, as {doctor} put it,|, as far as we know,|, per {doctor},|, in agreement with {anyone},",
    "when": """
        [in|within] [one|two|three|four|six|eight|ten|twelve] [days|weeks|months]
        [on|by|before|after] {~date}|next {weekday}|[the week|the month] of {~date}|at the next visit
        [early|late|sometime] next [week|month|year]|[every|each] [week|month|{weekday}]
        """,
    "before": """
        {time}|on hospital day [two|three|four|five|six|seven|nine]|on {~date}|at {~hospital}|in the {place_hosp}
        {ago}|last [week|month|{weekday}]|[before|during|early in] the [transfer|stay|last admission]
        """,
    "place_hosp": "emergency room|unit|clinic|recovery room|step-down unit|dialysis suite|floor",
    "reason_f": """
        {because} {problem}|{because} {acute}|for {symptom}|given {qualified_symptom}|because {presenting} {better_now}
        {because} {second}|after {event}|for {mild} {symptom}|in view of {lab_word} of {#2-90}
        """,
    "better_now": "persisted|improved|came back|resolved|was mild|was new|was worse at night|went away",
    "lab_word": "hematocrit|creatinine|potassium|INR|sodium|white count|bilirubin|platelets|glucose",
    "imaging": """
        [a|another|a repeat|a dedicated] [CT|MRI|ultrasound|x-ray|scan] of the [chest|abdomen|head|spine|pelvis|neck|{limb}|sinuses|kidneys|liver|aorta|brain]
        [a|another|a repeat] [renal ultrasound|carotid ultrasound|chest film|echocardiogram|bone scan|mammogram|PET scan|HIDA scan|barium swallow|venous duplex|CT angiogram|MR angiogram|stress MRI|bone density scan|thyroid ultrasound]
        """,
    "procedure": """
        [a|another|a repeat|an elective] [colonoscopy|upper endoscopy|bronchoscopy|cystoscopy|cardiac catheterization|liver biopsy|thoracentesis|paracentesis|ERCP|lumbar puncture|bone marrow biopsy|stent exchange|cardioversion|skin graft|hernia repair|cholecystectomy|joint aspiration|sigmoidoscopy|ablation|nerve block]
        [removal|exchange|revision] of the [{device}|{line}|sutures|staples|ureteral stent|IVC filter|cast|pins]
        """,
    "lab": """
        [a|another|a repeat|a fasting] [CBC|INR|potassium level|creatinine|metabolic panel|hematocrit|TSH|lipid panel|A1c|vancomycin trough|tacrolimus level|dilantin level|sodium level|liver panel|digoxin level|PSA|ferritin|B12 level|viral load|stool antigen|urinalysis|CK level|lactate|ESR]
        [blood work|labs|surveillance cultures|coagulation studies|weekly labs|safety labs] for {drug}
        """,
    "appointment": """
        [a|the|an early|another] [visit|appointment|consultation|follow-up] [with|to] [the|] {clinic_f} [clinic|team|office]
        [a|the|another] [visit|appointment|consultation|follow-up] with [{pcp}|{doctor}|the wound nurse|the {service_clinic} team|the device clinic|the surgeon|the anticoagulation clinic]
        """,
    "clinic_f": "{service_clinic}|{clinic}|{clinic}|podiatry|travel|pain|nutrition|sleep|dental|allergy|pre-admission|transplant|vascular|genetics",
    "medication": """
        the [course|taper|infusion|trial|loading doses|suppressive course|new dose|reduced dose|increased dose|short course] of {drug}
        [the switch|the change|the bridge] from {drug} to {drug}|the hold on {drug}
        """,
    "instruction": """
        the [limit on|ban on|restriction on] [lifting|driving|stairs|alcohol|bathing|swimming|fluids|salt|potassium-rich foods|sexual activity|air travel|weight bearing on the {limb}|grapefruit|contact sports|raw fish]
        the [low-salt|renal|soft|diabetic|low-residue|clear liquid|lactose-free|gluten-free|pureed|vitamin K stable] diet|the daily weights
        the use of [the brace|the collar|the sling|compression stockings|the incentive spirometer|crutches|the walker|the boot|the patch|the splint]|wound care to the {skin_site}|dressing changes to the {skin_site}|elevation of the {limb}
        """,
    "other": """
        the [final|official|outside|send-out|preliminary] [{culture_site} culture|biopsy|pathology|cytology|serology|genetic|electrophoresis|viral] [result|report|reading]
        the [decision|discussion|question] [about|of] [code status|hospice|anticoagulation|guardianship|surgery|the {device}|chemotherapy|dialysis|long-term feeding]
        """,
    # --- one thing, still ahead -----------------------------------------------------------------
    "open": """
        [is|remains]{adv} still [to be done|needed|to come|outstanding|due|ahead] [{when}|after discharge|{reason_f}]
        was not{adv} [done|finished|settled|complete] {before} and [is|remains] [needed|due|outstanding] [after discharge|{when}|{reason_f}]
        [has|had] yet to be{adv} [done|finished|settled|dealt with] and [is|falls] due [{when}|after discharge]
        [should|has to|is to|must]{adv} [go ahead|be done|be seen to|go on|take place] after discharge{adv}, [not having been|never having been|rather than being] [done|finished|settled] {before}
        could not{adv} be [done|finished|settled] {before}, so it [is|remains] [needed|due|outstanding] {when}
        was [put off|postponed|left open]{adv} {before} and not [cancelled|dropped|given up], [still due|still needed|outstanding] {when}
        [is|was] by no means{adv} [done|over|finished|settled] and [needs|has] to [go on|be seen to|take place] after discharge
        """,
    # --- one thing, behind ----------------------------------------------------------------------
    "settled": """
        [is|remains]{adv} no longer [to be done|needed|to come|outstanding|due|ahead] [after discharge|{reason_f}]
        was{adv} [done|finished|settled|complete] {before} and [is|remains] not [needed|due|outstanding] [after discharge|{reason_f}]
        [has|had]{adv} been [done|finished|settled|dealt with] {before} and [is|falls] not due [again|after discharge]
        [should not|does not have to|is not to|need not]{adv} [go ahead|be done|be seen to|go on|take place] after discharge{adv}, having been [done|finished|settled] {before}
        could{adv} be [done|finished|settled] {before}, so it [is|remains] not [needed|due|outstanding]
        was [cancelled|dropped|given up]{adv} {before} and not [put off|postponed|left open], no longer [due|needed|outstanding]
        [is|was]{adv} [done|over|finished|settled] and by no means needs to [go on|be seen to|take place] after discharge
        """,
    # --- two things, of which the first, the second, both or none are ahead ------------------------
    "first_open": """
        {a}{adv} [rather than|and not|as opposed to|instead of]{adv} {b} is what [remains|is left|is outstanding|is still due] [after discharge|{when}|{reason_f}]
        [while|whereas|although] {b}{adv} [was|is|has been] [done|finished|settled|over]{adv}, {a}{adv} [was|is|has] not {done_word}
        {a}{adv} [was|is|has been] [left|kept] [open|for later|outstanding]{adv}, [while|whereas|but] {b}{adv} [was|is|has been] [done|finished|settled|over]
        [unlike|in contrast to|other than] {b}, which is [over|done|settled|behind {him}], {a}{adv} [is|lies] [still due|ahead|outstanding] [{when}|after discharge]
        of {a} and {b}, only the former [is|remains] [due|outstanding|needed|ahead] {when}{adv}
        of {b} and {a}, only the former [was|has been] [done|finished|settled] {before}{adv}
        """,
    "done_word": "yet|so far|been seen to|been taken care of|been dealt with|come about",
    "both_open": """
        {a}{adv} and {b}{adv} [are|remain] [both|] [still due|outstanding|ahead|needed] [{when}|after discharge|{reason_f}]
        neither {a} nor {b}{adv} [was|has been] [done|finished|settled] {before}, [both are|each is] [due|needed|outstanding] {when}
        """,
    "both_settled": """
        {a}{adv} and {b}{adv} [are|were] [both|] [done|finished|settled|over] {before}
        neither {a} nor {b}{adv} [is|remains] [due|needed|outstanding|ahead] after discharge, [both|each] [done|finished|settled] {before}
        """,
    # --- plain wording ----------------------------------------------------------------------------
    "plain_imaging": """
        please [arrange|obtain|schedule|have] {imaging} {when} {reason_f}
        [recommend|we recommend|radiology recommends|would suggest] {imaging} {when} to [follow|reassess|document resolution of|further characterize] [the nodule|the cyst|the {mild} {symptom}|the collection|the clot]
        """,
    "plain_procedure": """
        you [will need|are scheduled for|should undergo] {procedure} {when} {reason_f}
        [plan|the plan is] for {procedure} {when} with {doctor}, {reason_f}
        """,
    "plain_lab": """
        please [check|draw|have drawn|send|follow] {lab} {when} and [fax|call|report|send] [results|it|values] to {pcp}
        {lab} [should be checked|to be drawn|needs checking] {when} [by VNA|at rehab|at your doctor's office|{reason_f}]
        """,
    "plain_appointment": """
        please [call|see|follow up with|keep your appointment with|schedule a visit with] [{doctor}|{pcp}|the {clinic_f} clinic] {when} {reason_f}
        you [have|will have] an appointment with {doctor} in {clinic_f} clinic {when}, [phone|call] {~phone}
        {doctor} [at|from] the {clinic_f} clinic {when}, [phone|tel]: {~phone}
        """,
    "plain_medication": """
        [continue|please take|keep taking|start taking] {drug} [until|for|through] {when} {reason_f}
        [stop taking|do not take|hold] {drug} until [seen by {doctor}|{when}|told otherwise by {pcp}] {reason_f}
        your {drug} [was increased|was changed|dose is new], [please take|take] it [twice a day|with food|at bedtime|every morning] {when}
        """,
    "plain_instruction": """
        [please|you should] [call|return to the ER|notify {pcp}] [if you have|for any|with] {qualified_symptom}, {symptom} or {symptom}
        do not [drive|lift more than {#5-20} pounds|drink alcohol|bathe|swim|bear weight on your {limb}|smoke|operate machinery] [until|for|before] {when}
        [weigh yourself|keep the {skin_site} dry|elevate your {limb}|wear the brace|check your sugars|measure your blood pressure] [daily|every morning|twice a day|at all times] and [write it down|call for any {symptom}|tell {doctor}]
        """,
    "plain_other": """
        [pending at discharge|still pending|to be followed]: {culture_site} [culture|pathology|serology|cytology] sent {before} {reason_f}
        [dry weight|baseline creatinine|baseline hematocrit|baseline mental status|code status] [at|on] discharge: [{#2-95}|as above|{mild} {symptom}|discussed with {kin1}], [for the information of|please note,] {pcp}
        """,
    # --- what was done in hospital, in the same words ------------------------------------------------
    "past_imaging": "{imaging} [was obtained|was done|showed|had shown|followed] {before} {reason_f}, [read as|with] {mild} [change|{symptom}|finding] {better}",
    "past_procedure": "{he} [underwent|had|tolerated] {procedure} {before} with {doctor} {reason_f}, [course|recovery|result] {better}",
    "past_lab": "{lab} [was checked|was drawn|came back|was sent] {before} {reason_f} and was {better}",
    "past_appointment": "{he} [was seen by|had been followed by|kept an appointment with|was visited by] [{doctor}|{pcp}|the {clinic_f} clinic] {before} {reason_f}",
    "past_medication": "{he} [was started on|received|was given|took|was treated with] {drug} {before} {reason_f} {effect}",
    "past_instruction": "{he} [had been told|was told|was advised|had agreed] {before} to [limit salt|stop driving|avoid alcohol|rest the {limb}|keep the {skin_site} dry|weigh daily], {reason_f}",
    "past_other": "[{culture_site} culture|pathology|serology|cytology] [pending|sent] {before} [returned|came back|was final] [negative|with {organism}|unrevealing|normal] {reason_f}",
}
