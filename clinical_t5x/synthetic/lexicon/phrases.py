"""Phrase banks that all kinds of notes draw on: times, people, degrees, doubts, comparisons.

Notation: grammar.py. The banks are wide on purpose: what two patients' notes have in common should
be how clinicians write, not whole runs of words.
"""

from __future__ import annotations

RULES = {
    # --- time ---------------------------------------------------------------------------------
    "daypart": "morning|afternoon|evening|night|early morning|late evening|dawn|noon hour|midday",
    "event": """
        midnight|shift change|morning rounds|breakfast|lunch|supper|the bedside report|turning
        the dressing change|line placement|return from radiology|the family meeting|suctioning
        the dialysis run|bathing|the first dose|the second dose|extubation|the transfusion|report
        physical therapy|the afternoon gases|arrival to the floor|the blood draw|the procedure
        transfer out of bed|the evening medications|the lasix dose|the echo|repositioning|the CT
        the nap|the swallow evaluation|the pre-op visit|the team's visit|linen change|mouth care
        visiting hours|the fluid bolus|weaning trial|the noon labs|the daughter's visit|handoff
        sheath removal|chest PT|the antibiotic infusion|the overnight admission|the fever spike
        """,
    "near": "shortly before|just before|right after|soon after|an hour after|well before|during|around"
    "|in the wake of|at the time of|a little after|two hours after|immediately following|until|"
    "not long before|some time after",
    "time": """
        {near} {event}
        {near} {event}
        {near} {event}
        [early|late|mid] [in the|this] [morning|afternoon|evening|shift]
        [overnight|at change of shift|toward dawn|by midday|through the night|by suppertime]
        [in the|over the] [first|second|last|early|latter] [part|half|hours] of the [shift|night|day|evening]
        at {#0-12}{#10-59}
        about {#1-12} [am|pm]
        """,
    "span": """
        [for|over] [the past|the last|nearly|about|at least] [two|three|four|five|several|ten|six] [days|weeks|months]
        since [last|this past] [week|month|winter|summer|spring|fall|Monday|Sunday|holiday|weekend]
        [on and off|intermittently|steadily|gradually|off and on] [since|after] [the fall|her last visit|a cold|a long drive|a recent trip|gardening|moving house|the flu|a dental visit|a family gathering|a steak dinner|missing doses|a medication change|the last admission|stopping diuretics]
        [a few|several|two|three|four] [hours|days|nights|weeks] [before|prior to] [arrival|admission|presentation|calling EMS|coming in|seeing the PCP]
        """,
    "ago": """
        [two|three|four|five|six|eight|ten|twelve|fifteen|twenty] [years|months|weeks] [ago|back|earlier|before this]
        [several|many|a few|some] [years|months|weeks] [ago|back|earlier|prior]
        in [her|his|the patient's] [twenties|thirties|forties|fifties|sixties|youth|childhood|middle age]
        """,
    "weekday": "Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday",
    # --- people -------------------------------------------------------------------------------
    "relative": """
        daughter|son|wife|husband|sister|brother|mother|niece|nephew|granddaughter|grandson|cousin
        partner|fiance|neighbor|friend|roommate|daughter-in-law|son-in-law|sister-in-law|aunt|uncle
        stepson|stepdaughter|godson|health care proxy|guardian|landlady|pastor|home aide|caretaker
        """,
    "doctor": """
        [covering|on-call|night|senior|junior|primary|admitting|cross-cover|moonlighting|day|float] [resident|intern|hospitalist|fellow|attending|team|NP|PA]
        [cardiology|renal|surgical|neuro|pulmonary|ID|GI|trauma|vascular|oncology|ortho|transplant] [fellow|team|resident|consult|attending|service]
        Dr. {~last_name}|Dr {~name}|MD|HO|{~first_name} {~last_name} NP
        """,
    "staff": """
        [bedside|charge|night|day|float|oncoming|off-going|resource|wound|IV] nurse
        respiratory therapist|physical therapist|occupational therapist|speech therapist|dietitian
        social worker|case manager|pharmacist|chaplain|interpreter|nursing student|sitter|orderly
        patient care technician|phlebotomist|x-ray technician|discharge planner|code team|student
        """,
    "anyone": "the {staff}|{his} {relative}|{doctor}|{his} {relative}|the {staff}",
    # --- manner and degree --------------------------------------------------------------------
    "slowly": """
        slowly|gradually|steadily|rapidly|abruptly|briefly|transiently|intermittently|repeatedly
        only partially|readily|promptly|somewhat|markedly|modestly|slightly|clearly|noticeably
        progressively|insidiously|unexpectedly|spontaneously|without fuss|little by little|at times
        """,
    "very": "quite|rather|very|fairly|a bit|mildly|moderately|markedly|increasingly|less|more|still|"
    "occasionally|minimally|slightly|persistently|somewhat|notably|at times|predominantly|"
    "unusually|only mildly|intermittently|visibly|definitely",
    "mild": "mild|moderate|severe|minimal|slight|marked|trace|moderately severe|borderline|subtle|"
    "considerable|pronounced|scant|modest|intermittent|persistent|transient|new|longstanding|"
    "worsening|improving|residual|recurrent|diffuse|focal|vague|mild to moderate|low-grade",
    "mildly": """
        mildly|moderately|severely|minimally|slightly|markedly|borderline|focally|diffusely|newly
        considerably|persistently|noticeably|symmetrically|asymmetrically|somewhat|only just|grossly
        subtly|definitely|possibly|visibly|rather|increasingly|less|more
        """,
    "better": """
        improved|improving|better|worse|worsening|unchanged|stable|much the same|resolving|resolved
        waxing and waning|slightly better|no better|slightly worse|fluctuating|settling|easing
        persistent|less prominent|more prominent|about the same|evolving|subsiding|controlled
        """,
    "effect": """
        with [good|fair|some|little|excellent|minimal|prompt|only partial|modest|brief|no|questionable|delayed|adequate] [effect|relief|response|improvement|result|benefit]
        """,
    # --- doubt and cause ----------------------------------------------------------------------
    "likely": """
        likely|probably|presumably|possibly|most likely|perhaps|thought to be|felt to be|suspected
        suggestive of|concerning for|compatible with|in keeping with|consistent with|may reflect
        suspicious for|worrisome for|cannot exclude|favoring|raising the question of|attributed to
        """,
    "because": "due to|because of|secondary to|from|in the setting of|on account of|related to|"
    "given|in view of|as a result of|presumably from|likely from|owing to|attributed to|"
    "in the context of|felt to be from",
    "and_then": "and|then|but|and later|and subsequently|yet|after which {he}|while {he}|and soon|though|"
    "before long|and again|whereupon {he}",
    # --- doing --------------------------------------------------------------------------------
    "ordered": "ordered|started|given|added|increased|held|resumed|decreased|continued|changed|"
    "requested|recommended|restarted|titrated|weaned|adjusted|redosed|stopped|spaced out|"
    "switched|tapered|initiated|trialed",
    "aware": """
        {doctor} [aware|notified|informed|paged|called|at bedside|in to see|updated|made aware|in to evaluate]
        """,
    "plan_verb": """
        [continue|cont|plan|will|would] to [follow|monitor|watch|assess|check|track|reassess|observe|trend|recheck]
        [follow|monitor|watch|assess|check|trend|observe|recheck|keep an eye on|reassess] [closely|frequently|q shift|every four hours|with each void|overnight|this evening|as ordered|in the am|hourly|per protocol|with vitals|regularly]
        """,
    # --- body ---------------------------------------------------------------------------------
    "side": "right|left",
    "limb": """
        right hand|left hand|right foot|left foot|right forearm|left forearm|right shin|left shin
        left ankle|right ankle|right hip|left hip|left shoulder|right shoulder|right knee|left knee
        right wrist|left wrist|left elbow|right elbow|left calf|right calf|right thigh|left thigh
        """,
    "skin_site": """
        coccyx|sacrum|left heel|right heel|lower back|upper back|left buttock|right buttock|neck|chin
        perineum|left groin|right groin|abdominal fold|under the left breast|under the right breast
        right flank|left flank|scalp|bridge of the nose|left ear|chest wall|{limb}|{limb}|{limb}
        """,
    "quadrant": "right upper quadrant|left upper quadrant|right lower quadrant|left lower quadrant|"
    "epigastrium|suprapubic area|periumbilical region|right flank|left flank",
    "pain_site": "{quadrant}|{limb}|low back|incision|neck|head|chest tube site|throat|jaw|abdomen|"
    "{limb}|line site|tailbone|ribs|shoulder blades|{quadrant}|mid chest|sternum",
    "lung_site": """
        [right|left] [base|upper lobe|lower lobe|apex|mid lung|lung|hemithorax|posterior field|lateral field|anterior field]
        [both bases|bilateral bases|upper zones|all fields|lower zones|the dependent portions]
        """,
    "color": "clear|yellow|amber|tan|bloody|blood-tinged|serous|serosanguinous|green|brown|bilious|"
    "rust-colored|cloudy|pink-tinged|straw-colored|dark|white|old bloody|coffee-ground|rusty",
    "thick": "thick|thin|copious|scant|moderate|small|large|frothy|tenacious|minimal|foul|loose|"
    "watery|sticky|pasty|scant to moderate|moderate to large",
    # --- answers ------------------------------------------------------------------------------
    "denies": "denies|denied|has not had|reports no|did not have|never had|has had no|specifically denied|"
    "did not report|was free of|had no|could recall no|denied any|has noticed no|did not mention",
    "complains": "complains of|reports|endorses|noted|describes|admits to|mentions|developed|presented with|"
    "has been having|is bothered by|was troubled by|experienced|awoke with|called for help with|"
    "told the triage nurse about|came in with|sought care for|was sent in for|could not sleep for",
    "symptom": """
        nausea|vomiting|fevers|chills|night sweats|weight loss|headache|dizziness|lightheadedness
        chest pain|palpitations|shortness of breath|cough|wheezing|abdominal pain|diarrhea|fatigue
        constipation|melena|hematochezia|dysuria|hematuria|frequency|leg swelling|rash|itching
        back pain|joint pain|weakness|numbness|blurred vision|sore throat|runny nose|poor appetite
        trouble sleeping|falls|confusion|tremor|hoarseness|earache|bruising|nosebleeds|hiccups
        sputum|orthopnea|difficulty swallowing|heartburn|jaundice|incontinence|calf pain|malaise
        """,
    "qualified_symptom": """
        {mild} {symptom}|{symptom}|[sudden|gradual] onset of {symptom}|{mild} {symptom} {near} {event}
        {symptom} [worse|better] with [movement|meals|exertion|deep breaths|lying flat|standing|coughing|rest]
        {pain_site} [pain|discomfort|soreness|tightness|pressure|aching]
        """,
    "home_event": """
        breakfast|lunch|supper|bedtime|church|the mail came|the evening news|a dialysis session|work
        a bowel movement|a hot shower|the visiting nurse came|taking the morning pills|the ball game
        a nap|school|the grandchildren left|dawn|dusk|a flight of stairs|getting home|the bus ride
        """,
    "home_symptom": """
        {mild} {symptom}|{symptom}|[sudden|gradual] onset of {symptom}|{mild} {symptom} [just before|soon after|during|around] {home_event}
        {symptom} [worse|better] with [movement|meals|exertion|deep breaths|lying flat|standing|coughing|rest|{exertion}]
        {body_pain} [pain|discomfort|soreness|tightness|pressure|aching] [when|while] {exertion}
        """,
    "body_pain": "{quadrant}|{limb}|low back|neck|head|throat|jaw|abdomen|{limb}|tailbone|rib|shoulder blade|mid chest|flank|groin",
    "organism": """
        E. coli|Klebsiella pneumoniae|MRSA|MSSA|Pseudomonas aeruginosa|Enterococcus faecalis|VRE
        Candida albicans|coagulase-negative staphylococcus|Proteus mirabilis|Enterobacter cloacae
        Streptococcus pneumoniae|Haemophilus influenzae|Serratia marcescens|group B streptococcus
        Acinetobacter|Stenotrophomonas|Citrobacter freundii|viridans streptococci|yeast|Bacteroides
        """,
    "culture_site": "blood|urine|sputum|wound|stool|CSF|bronchial|pleural fluid|catheter tip|bile|"
    "peritoneal fluid|nasal swab|sinus aspirate|joint fluid",
    "line": """
        right IJ central line|left subclavian line|PICC|midline|peripheral IV|arterial line|port
        radial art line|right femoral line|dialysis catheter|tunneled line|quad lumen|cordis
        left IJ|right subclavian|eighteen gauge peripheral|left femoral sheath|introducer
        """,
    "device": """
        Foley catheter|nasogastric tube|G-tube|J-tube|chest tube|JP drain|PEG|Dobhoff|rectal tube
        wound vac|cervical collar|pneumoboots|knee immobilizer|pigtail drain|ventriculostomy|T-tube
        nephrostomy tube|ostomy appliance|hemovac|condom catheter|telemetry box|air mattress
        """,
    "place": """
        home|rehab|the nursing home|assisted living|an outside hospital|the emergency room|the unit
        her own apartment|the shelter|dialysis|clinic|the operating room|the cath lab|a group home
        the step-down unit|the intermediate care floor|the senior center|church|the grocery store
        """,
    "exertion": """
        walking to the mailbox|climbing stairs|getting out of the shower|watching television|eating
        shoveling snow|gardening|carrying groceries|sitting in church|making the bed|doing laundry
        playing cards|driving|cooking supper|reading the paper|walking the dog|using the commode
        getting dressed|tying shoes|cleaning the garage|raking leaves|riding the bus|bowling|resting
        """,
    # --- drugs by what they are given for, as nurses and residents call them ------------------------
    "pain_drug": "morphine|dilaudid|fentanyl|percocet|tylenol|toradol|oxycodone|a lidoderm patch|ultram|"
    "ms contin|neurontin|motrin|demerol|methadone|an ice pack|vicodin|pca dilaudid|flexeril",
    "bp_drug": "lopressor|hydralazine|labetalol|neo|levophed|a nitro gtt|captopril|metoprolol|diltiazem|"
    "amiodarone|esmolol|vasopressin|dopamine|nipride|norvasc|lisinopril|clonidine|midodrine|digoxin",
    "calm_drug": "ativan|haldol|propofol|versed|precedex|zyprexa|seroquel|trazodone|ambien|valium|benadryl|"
    "risperdal|librium|phenobarb|a fentanyl gtt|remeron",
    "gi_drug": "zofran|reglan|compazine|protonix|colace|senna|dulcolax|lactulose|miralax|phenergan|carafate|"
    "pepcid|imodium|kayexalate|simethicone|a tap water enema|maalox|mag citrate",
    "lung_drug": "albuterol|atrovent|mucomyst|combivent|solumedrol|guaifenesin|racemic epi|pulmicort|advair|"
    "xopenex|singulair|prednisone|spiriva|lasix|heliox",
    "water_drug": "lasix|bumex|diuril|a lasix gtt|albumin|zaroxolyn|a fluid bolus|mannitol|diamox|aldactone|"
    "renal dopamine|maintenance fluids|half normal saline|natrecor",
    "bug_drug": "vanco|zosyn|levaquin|flagyl|ceftriaxone|cefepime|meropenem|ancef|gent|fluconazole|linezolid|"
    "cipro|ampicillin|azithro|bactrim|acyclovir|unasyn|nafcillin|micafungin|aztreonam|tobra|po vanco",
}
