"""What discharge summaries say between the facts: history, course, condition."""

from __future__ import annotations

RULES = {
    "course_open": """
        {acute}: {pt} [was|remained] [treated|managed|supported] with {treatment} and {hospital_drug} {because} {mild} {presenting}, [and|after which|while] {symptom} {better} {time}
        [on admission|at first|initially], {presenting} [was|proved] {mild_word} and {treatment} was [started|begun|given] {time} for {acute} [by|on the advice of|together with] {doctor} {effect}
        """,
    "mild_word": "mild|marked|hard to control|impressive|worse than at home|easily relieved|out of proportion to the exam|intermittent",
    "course": """
        {he} [required|needed|was given|tolerated] {hospital_drug} {time} {because} {symptom}, [later|then|subsequently] {ordered} {near} {event} {effect}
        {culture_site} cultures [grew|were positive for|yielded|speciated to] {organism}, [so|and] {bug_drug} was {ordered} [on the advice of|together with|after speaking to] {doctor}
        [the course|the stay|recovery|this period] was [complicated by|notable for|marked by] {second} [with|and] {mild} {symptom}, [for which|whereupon] {doctor} [recommended|added|started] {hospital_drug} {effect}
        {problem_drug} was {ordered} {near} {event} {because} {symptom} and {he} [remained|was|became] {mild_state} {span_in}
        [on|by] hospital day [two|three|four|five|six|seven] {he} [was|had become] {mild_state}, [{line} was removed|{device} was discontinued|diet was advanced|oxygen was weaned|{he} walked with {anyone}|{hospital_drug} was stopped] {near} {event}
        [imaging|ct|ultrasound|mri|plain films] of the [{limb}|{quadrant}|chest|head|neck] [showed|demonstrated|revealed] {mild} [change|abnormality|swelling|collection|thickening], {likely} [{second}|{acute}|{problem}], {hospital_drug} {ordered} {time}
        [physical therapy|speech therapy|nutrition|social work|{doctor}] [evaluated|saw|worked with|followed] {him} {time} and [found|noted|documented] {mild} [weakness of the {limb}|dysphagia|malnutrition|deconditioning|{symptom}], [{better} by discharge|{better} {near} {event}|for which {device} was kept]
        [pain|{symptom}|{mild} {symptom}] was [treated|eased|controlled] with {pain_drug} and {calm_drug} {time}, [not|hardly|only|well] [tolerated|needed|effective] after {event}
        family [meeting|discussion] with {his} {kin1} and {doctor} {time} [addressed|concerned|centered on] [code status|prognosis|placement|goals of care|the {device}], [with agreement|without decision|to be continued] {because} {problem}
        [blood pressure|heart rate|urine output|oxygen saturation|the {lab_name}] [fell|rose|drifted|improved|was labile] {time} [and|so] {bp_drug} [and {water_drug}|] was {ordered} [with|by|per] {doctor} {effect}
        """,
    "lab_name": "hematocrit|creatinine|sodium|white count|platelet count|bilirubin|glucose|lactate|INR",
    "course_close": """
        {he} was [transferred|called out|moved] to the [floor|ward|step-down unit|{service_clinic} service] {time} [once|when|after] {symptom} [was|had become] {better} and {hospital_drug} {ordered}
        [by the day of discharge|at discharge|before leaving|in the last days] {he} was {mild_state} and {mild_state}, {symptom} {better}, [eager|willing|able|reluctant] to [go home|return to {hobby}|leave with {his} {kin1}|go on to rehab]
        """,
    "mild_state": "afebrile|ambulatory|hemodynamically stable|more alert|off pressors|comfortable on room air|"
    "tolerating a diet|euvolemic|less confused|free of pain|weaker than before|still requiring oxygen|"
    "back to baseline|eager to leave|slow to progress|at risk for falls|deconditioned|in good spirits",
    "span_in": "for [two|three|four|several] days|throughout|by discharge|until transfer|overnight|over the weekend|"
    "for the remainder of the stay|in the unit|on the floor|after {event}",
    "social": """
        {he} is a {occupation} who {living}, [enjoys|likes|used to enjoy] {hobby}, [tobacco|smoking]: [never|quit {ago}|{#5-80} pack years|half a pack daily|pipe only], [alcohol|etoh]: [none|rare|{#1-6} drinks {near} {event}|socially|sober {span}]
        {occupation} by trade, {living}, [close to|visited by|supported by|estranged from] {his} {kin1} and {relative}, [smokes|quit smoking {ago}|never smoked|chews tobacco], [drinks|alcohol] [socially|rarely|heavily until {ago}|wine with supper|not at all]
        """,
    "family_line": """
        [{relative}|mother|father|brother|sister|uncle|aunt|grandfather] [died|passed away] [of|from] [{fam_illness}] [at age {#40-90}|young|{ago}|in old age|while {exertion}|last winter], [{relative}|another relative] [has|with] {fam_illness}
        [no {hx} of|noncontributory for|negative for|uncertain as to] {fam_illness}, {relative} [has|with|had] {fam_illness}
        """,
    "fam_illness": "old age|premature heart disease|an unknown cancer|a stroke in sleep|kidney trouble|"
    "an accident|sugar disease|a ruptured vessel|liver failure|gastric cancer|leukemia|emphysema|"
    "tuberculosis|a brain tumor|dementia|suicide|ovarian cancer|a blood disorder|valve trouble",
    "condition": """
        [mental status|condition]: {condition_word} [and|,] {mild_state}, [activity|ambulation]: [independent|with {device}|with help of {anyone}|bedbound|out of bed with assistance]
        {condition_word}, {mild_state}, {symptom} {better}, [eating|walking|transferring] [with|without] [help|supervision|difficulty]
        """,
    "foods": "applesauce|water|milk|juice|yogurt|pudding|a full glass|breakfast|supper|a snack",
    "reaction": "| (rash)| (hives)| (nausea)| (unknown reaction)| (throat swelling)| (itching)| - {mild} rash {ago}|"
    ", per {kin1}|, tolerated {drug}| (anaphylaxis {ago})|, also {drug}| / {drug}|",
    "condition_word": "good|fair|stable|improved|guarded|satisfactory|fairly good|much improved|serious but stable",
    "greeting": """
        [you were|dear {sex_title}, you were] [admitted|hospitalized|brought in|cared for|seen] {near_g} [with|for|because of] {presenting} [and|,] {qualified_symptom} and [found to have|treated for] {acute_lay}
        [it was a pleasure|thank you for|it has been a privilege|we enjoyed] [caring for you|looking after you|having you] {span_in}, [and|where|when] {drug} helped your {presenting} and {symptom}
        [dear {sex_title}, your|your] {presenting} {span} [turned out to be|was due to|came from|proved to be] {acute_lay}, [and|so] [you received|you were given|we used] {drug} {effect}
        your {kin1} [brought you in|called us|was worried] {span} because of {presenting} and {symptom}, and we [found|treated|looked for] {acute_lay} [and|as well as] {symptom}
        """,
    "near_g": "after {exertion}|from {place}|by {anyone}|{span}|through the emergency room|from clinic|after {event}|overnight",
    "sex_title": "{mr} {last_name}|{first_name}|{mr} {last_name}",
    "procedure_done": """
        [placement|insertion|removal|exchange] of [a|an] {line}|[placement|removal|revision] of [a|an] {device}
        [intubation|bronchoscopy|cardiac catheterization|EGD|colonoscopy|laparotomy|debridement of the {limb}|thoracentesis|paracentesis|lumbar puncture|evacuation of hematoma|open reduction of the {limb}|dialysis|pericardiocentesis|craniotomy|ERCP|CABG|pacemaker placement]
        none|incision and drainage of the {skin_site}|bedside debridement of {skin_site}
        """,
    "med_tail": """
        [sig|take]: [one|two|half a|1-2] [tablet|capsule|dose|tab] [twice a day|once daily|three times daily|at bedtime|every morning|every other day|with breakfast|before meals] for {symptom}
        as needed for {qualified_symptom}|for {problem}, [per|started by|refilled by] {doctor}
        [hold for|stop if|call for] {symptom} or {symptom}|in the {daypart} [with food|for {symptom}|by {his} {kin1}]
        [disp|quantity]: {#10-90}, refills: {#1-5}[, for {symptom}|, per {doctor}|, {slowly} taper]
        [until|through] [finished|{~date}|seen by {doctor}|the {service_clinic} visit|{symptom} {better}]
        [dose|frequency] [unchanged|increased|decreased|changed] {because} {symptom}
        [restart|resume|begin] [after|before] {home_event}|[given|supervised|set out] by {his} {kin1} [after|before] {home_event}
        [last dose|first dose|next dose] [after|before] {home_event} {~date}|[crushed|dissolved|split|swallowed whole] with {foods}
        """,
}
