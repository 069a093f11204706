"""What physicians write in daily notes: events, exam, assessment."""

from __future__ import annotations

RULES = {
    "event24": """
        [{hospital_drug}|{line}|{device}|diet|sedation|fio2] {ordered} {time} {because} {qualified_symptom}
        {qualified_symptom} {time}, [seen|evaluated|examined] by {doctor}, {hospital_drug} {ordered}
        {culture_site} [culture|cx] [grew|growing|speciated as|finalized with] {organism}, {bug_drug} {ordered}
        [family|{kin1}|{anyone}] [met with|spoke to|updated by] {doctor} {time}, [no change|code status changed|goals discussed|rehab planned]
        [spiked|t max|temp] {#99-103}.{#1-9} {near} {event}, [cultured|{culture_site} sent|{line} removed|CXR done]
        [ct|mri|echo|us|kub] [of|showed|done for] {acute} {near} {event}: [pending|unchanged|improved|see below|{mild} findings]
        """,
    "unit": "MICU|SICU|floor|CCU|medicine service|step-down unit|TSICU|neuro ICU|hospitalist service|"
    "surgical service|telemetry floor|observation unit|oncology ward|transplant service|CVICU|{service_clinic} service",
    "hpi_intro": """
        {pt} is a {age} {yo} {man} [with a {hx} of|with|known to have|followed for|carrying a diagnosis of] {problem} and {problem} who {complains} {home_symptom} {span}
        {age} {yo} {man}, a {occupation}, with {problem}, {complains} {home_symptom} and {presenting} {span} [while {exertion}|after {home_event}|, {slowly} worse]
        this {age} {yo} {man} [from|sent by|brought from|referred by] [{place}|{pcp}|{his} {kin1}|{~hospital}] {complains} {home_symptom} [{span}|while {exertion}|after {exertion}], on top of {problem} [and {problem}|]
        """,
    "hpi_story": """
        [the symptoms|it|this|the {presenting}] [began|started|came on|recurred] {slowly} {span} while {exertion}, [with|accompanied by|followed by|preceded by] {mild} {symptom} and {presenting}
        {he} {denies} {symptom}, {symptom} or {symptom}, but {complains} {home_symptom} [at night|after meals|on most days|of late|recently|at rest|when {exertion}]
        [{his} {kin1}|{his} {kin}|EMS|a neighbor|the visiting nurse] [found|noticed|saw] {him} {very} [confused|pale|short of breath|unsteady|sleepy|weak|diaphoretic|jaundiced|tremulous|flushed] [before|after|at|around] {home_event}, and called [911|{pcp}|the on-call service|an ambulance|the clinic|{his} {kin}]
        [of note|notably|per {his} {kin1}|per report|per {pcp}], {he} [recently|had recently|had just|{span}] [finished a course of|stopped taking|run out of|started|doubled {his}|been switched to] {home_name} {because} {symptom} {span}
        [at baseline|before this|until {span}|last month] {he} [could manage|enjoyed|had no trouble with|needed help with|had given up] {exertion} and {hobby}, [though|but|and] {chronic_symptom} [had|has] [worsened|been stable|come and gone|limited {him}|improved] [on {home_name}|{span}|since {home_event}]
        [{his}|the] {problem} [has been|was|is] [managed|treated|followed] [with {home_name}|by {pcp}|in {clinic} clinic] {span}, [with|despite|without] {mild} {chronic_symptom} [while {exertion}|at rest|after {home_event}|]
        """,
    "hpi_ed": """
        in the [ED|emergency department|ER|emergency room], [initial vitals|vs|vitals|triage vitals] were {#96-103} {#58-130} {#82-190}/{#40-100} {#12-32} {#86-100}% [RA|2L|NRB|nc], [exam|labs|imaging|ekg] [notable|remarkable|significant] for {mild} {presenting} and {symptom}, {treatment} and {hospital_drug} were given {effect}
        [at {~hospital}|at the outside hospital|at the referring hospital|en route|in the ambulance], {he} [was given|received|was found to need|got] {hospital_drug} {because} {home_symptom}, {symptom} {better} [by|before|after|during] [transfer|arrival|departure|transport]
        """,
    "hpi_admit": """
        {he} was [admitted|transferred|brought|taken] to the {unit} {time} [for|in need of|to allow] [management|monitoring|further care|workup|treatment|stabilization] of {acute} [and|with concern for|complicated by] {mild} {symptom} [after|following|despite] {treatment}
        [review of systems|ros|on review|otherwise] [positive for|+|notable for|remarkable for] {symptom} and {home_symptom}; {denies} {symptom}, {symptom}, {symptom}
        """,
    "assess_acute": """
        {acute}: {likely} [related to|from|triggered by|worsened by] {second} [and|,|vs] {problem}, {mild} {presenting} {better} [on|with|since|after] {treatment}
        {acute} with {mild} {presenting}: [continue|started|day {#1-14} of|narrow to|broaden from|appreciate {doctor} input on] {treatment}, {symptom} {better} {time}
        """,
    "assess_problem": """
        {problem_drug} [held|continued|resumed|restarted at half dose|increased|changed to iv] {because} {symptom}, {plan_verb} {symptom}
        {problem_drug} [on hold|restarted|to resume|to be dosed by level] {near} {event} [given|if|once|as] {mild} {chronic_symptom} {better}
        """,
    "assess": """
        [will|plan to|would|to] [continue|start|stop|taper|hold|resume|dose] {hospital_drug} [given|because of|for|until] {qualified_symptom}, [trend|check|repeat|follow|send] [lactate|hct|lytes|cr|lfts|coags|wbc|{culture_site} culture] [q {#4-12}h|in am|{near} {event}|daily|tonight]
        [appreciate|await|f/u|obtain|per] {doctor} [recs|input|recommendations], [consider|defer|would favor|low threshold for] [echo|ct|mri|bronch|egd|lp|paracentesis|thoracentesis|line change|tte|us] if {symptom} {better}
        [ddx|differential|possibilities|etiologies] [include|included|considered] {second}, {problem} [and|or|versus] [drug effect from {hospital_drug}|{organism}|ischemia|volume overload|hypovolemia|infection of the {line}|malnutrition|deconditioning], {symptom} [argues against|supports|raises concern for] [this|it|the former|the latter]
        [goal|target|aim] [is|:] [even|negative {#1-3} l|map over {#60-70}|sats over {#88-94}|hct over {#21-30}|uop {#20-50} cc/hr] {near} {event}, {hospital_drug} {ordered} [prn|if needed|{because} {symptom}]
        [id|infection|fever]: {culture_site} [with|growing|negative for] {organism}, {bug_drug} {ordered} day {#1-14}, [line tip|{culture_site}|cxr|wbc] [pending|followed|to repeat] {near} {event}
        [fen|nutrition|ppx|access|dispo]: [npo|tube feeds|regular diet|replete lytes|ppi and boots|{line}|{device}|floor in am|call out|screen for rehab] [until|if|after|as] {symptom} {better}, {kin1} [updated|aware|at bedside|to call]
        """,
    "exam_line": """
        [gen|general|appearance]: {very} [ill appearing|comfortable|cachectic|anxious|pale|obese|frail|jaundiced|diaphoretic|tired], [lying|sitting|dozing|slumped] in [bed|chair|the recliner|stretcher] with {his} {kin1}
        [heent|eyes|head]: [mmm|op clear|anicteric|dry mucosa|thrush|poor dentition|pinpoint pupils|ett in place|conjunctival pallor|ptosis on the {side}|{device}], {mild} [scleral icterus|facial edema|erythema|bruising over the {side} cheek|sinus tenderness]
        [neck|jvp]: [supple|{line} clean|jvp at {#5-14} cm|no bruit|goiter|stiff|trach midline], {mild} [tenderness|adenopathy|crepitus|swelling] on the {side}
        [cv|cor|heart]: [rrr|irregular|tachy|distant|regular], [{#1-4}/6 [systolic|diastolic|holosystolic|ejection] murmur [at the|over the|near the] [apex|lsb|rusb|axilla|base]|no m/r/g|s3|rub|paced]
        [lungs|chest|resp|pulm]: [crackles|rales|wheezes|rhonchi|dullness|decreased sounds|egophony] [at|over|in] {lung_site}, {mild} [use of accessory muscles|tachypnea|splinting|cough] [when|while] {exertion}
        [abd|abdomen|gi]: [soft|distended|obese|tense|benign], {mild} [tenderness|guarding|fullness|discomfort] in the {quadrant}, [bs|bowel sounds] [present|quiet|absent|high-pitched], [no|palpable|questionable] [hsm|masses|rebound|liver edge|hernia]
        [ext|extremities|limbs]: {mild} [edema|cyanosis|clubbing|warmth|cords|erythema] of the {limb}, [pulses|dp] [intact|weak|absent|dopplerable] on the {side}
        [neuro|ns|mental status]: {very} [alert|drowsy|confused|oriented|sedated|inattentive], [strength|tone|reflexes|sensation|drift] {mildly} [reduced|increased|asymmetric|impaired] in the {limb}
        [skin|derm]: {mild} [rash|ecchymosis|ulcer|jaundice|breakdown|petechiae|cellulitis] over {skin_site}
        """,
}
