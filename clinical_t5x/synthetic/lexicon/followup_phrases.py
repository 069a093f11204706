"""What is to be done after discharge, and what looks like it: the language of CLIP's labels.

Whether a sentence carries a label depends on whether the thing is still ahead or already behind,
which the `open_*` and `settled_*` rules say with the same words in another order, negated or not.
"""

from __future__ import annotations

RULES = {
    "when": """
        [in|within] [one|two|three|four|six|eight|ten|twelve] [days|weeks|months]
        [on|by|before|after] {~date}|next {weekday}|[the week|the month] of {~date}|at the next visit
        [early|late|sometime] next [week|month|year]|[every|each] [week|month|{weekday}]
        """,
    "before": """
        {time}|on hospital day [two|three|four|five|six|seven|nine]|on {~date}|at {~hospital}|in the {place_hosp}
        [two|three|four|five|six|eight] [weeks|months|years] [ago|earlier|back]|last [week|month|{weekday}]|[before|during|early in] the [transfer|stay|last admission]
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
    # --- one thing: whether it is needed decides, whatever is said of what was done ----------------
    "aside": """
        ||| in the end| as it happens| of course| so far| by now| at this point| for {his} part| on balance
        , in our view,|, per {doctor},|, as far as {his} {kin1} knows,|, whatever the {presenting},
        , {because} {symptom},|, despite {problem},|, as discussed with {anyone},|, as of {~date},
        , after {event},|, as noted by the {staff},|, with {acute} in mind,|, {mild} {symptom} notwithstanding,
        """,
    "done_verb": "done|completed|carried out|seen to|dealt with|attended to|gone through with|begun|gone into",
    "due_word": "needed|due|wanted|called for|required|to be done|to be seen to|outstanding|awaited|in order",
    "was_done": "was{aside} {done_verb} {before}",
    "not_done": "was{aside} [not|never|not really] {done_verb} {before}",
    "is_due": "[is|remains|stays]{aside} {due_word} {when}",
    "not_due": "[is|remains|stays]{aside} [not|no longer|not really] {due_word} {when}",
    "link": " and | but |, and |, but |, yet it |; it | although it |, so it |, while it ",
    "open": """
        {not_done}{link}{is_due}|{was_done}{link}{is_due}|{is_due}{link}{not_done}|{is_due}{link}{was_done}
        {not_done}{link}{is_due}{aside}|{was_done}{link}{is_due}{aside}|{is_due}{link}{not_done}
        [could|might]{aside} not be {done_verb} {before}{link}{is_due}
        was [put off|postponed|left open]{aside} {before}, not [cancelled|dropped|given up], and {is_due}
        """,
    "settled": """
        {was_done}{link}{not_due}|{not_done}{link}{not_due}|{not_due}{link}{was_done}|{not_due}{link}{not_done}
        {was_done}{link}{not_due}{aside}|{not_done}{link}{not_due}{aside}|{not_due}{link}{was_done}
        [could|might]{aside} be {done_verb} {before}{link}{not_due}
        was [cancelled|dropped|given up]{aside} {before}, not [put off|postponed|left open], and {not_due}
        """,
    # --- two things, of which the first, both or none are ahead: order decides ----------------------
    "both_on": "[were|had been]{aside} [both|] [planned|discussed|on the list|proposed|considered|asked for] {before}",
    "ahead": "[is|remains|stays] [still|] {due_word}[ {when}|{aside}|]",
    "behind": "[was|has been] {done_verb}[ {before}|{aside}|]",
    "first_open": """
        of {a}{aside} and {b}, [only|just] the former {ahead}
        of {b}{aside} and {a}, [only|just] the latter {ahead}
        of {b}{aside} and {a}, [only|just] the former {behind}
        of {a}{aside} and {b}, [only|just] the latter {behind}
        {a} and {b} {both_on}; the [first|former] {ahead}, the [second|latter] {behind}
        {b} and {a} {both_on}; the [first|former] {behind}, the [second|latter] {ahead}
        {a} and {b} {both_on}; the [second|latter] {behind}, the [first|former] {ahead}
        {b} and {a} {both_on}; the [second|latter] {ahead}, the [first|former] {behind}
        {a}{aside} {ahead}, [while|whereas|but|though] {b}{aside} {behind}
        {b}{aside} {behind}, [while|whereas|but|though] {a}{aside} {ahead}
        [while|whereas|although] {b}{aside} {behind}, {a}{aside} {ahead}
        [while|whereas|although] {a}{aside} {ahead}, {b}{aside} {behind}
        """,
    "both_open": """
        {a} and {b} {both_on}; [both|each] {ahead}
        neither {a}{aside} nor {b}{aside} {behind}, [and both|each] {ahead}
        """,
    "both_settled": """
        {a} and {b} {both_on}; [both|each] {behind}
        neither {a}{aside} nor {b}{aside} {ahead}, [as both|each] {behind}
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
