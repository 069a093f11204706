"""Phrases of the shorter kinds of notes: ECG, echo, respiratory therapy, allied professions."""

from __future__ import annotations

RULES = {
    "ecg": """
        [sinus rhythm|sinus bradycardia|sinus tachycardia|atrial fibrillation|atrial flutter|paced rhythm|junctional rhythm|ectopic atrial rhythm|supraventricular rhythm|sinus arrhythmia|av sequential pacing|wandering atrial pacemaker|multifocal atrial tachycardia] [at|, rate|with a rate of] {#44-140} with {mild} [ectopy|rate variation|ventricular response|av delay|first degree block|aberrancy|baseline artifact|wander|conduction delay] [and|,] [{#1-4}|rare|frequent|isolated|occasional|paired|no|multiform|interpolated] [ventricular premature beats|atrial premature beats|junctional beats|pauses|fusion beats|escape beats|capture beats]
        [baseline artifact|the tracing is limited by tremor|technically limited study|lead reversal suspected|standard leads recorded {time}|recorded {near} {event}], [probable|definite|likely|apparent|presumed] [sinus rhythm|atrial fibrillation|sinus tachycardia|atrial flutter|pacing|sinus bradycardia|ectopic rhythm] with {mild} [ectopy|rate variation|block|irregularity|response]
        """,
    "leads": "II, III and aVF|V one through V three|V four to V six|I and aVL|V two to V five|the precordium|the lateral leads|the inferior leads|the anterior leads|the septal leads|the limb leads|III and aVF|V six|the mid precordium|aVL|the right sided leads|most leads",
    "wave": "st depression|st elevation|t wave inversion|t wave flattening|st-t change|q waves|poor r wave progression|repolarization change|increased voltage|low voltage|u waves|notched p waves|peaked t waves|biphasic t waves|j point elevation|qrs widening|delayed r wave transition",
    "ecg2": """
        [left|right|indeterminate|leftward|borderline left|extreme right|rightward|vertical|superior] axis [deviation|shift|] with {mild} {wave} in {leads} and {mild} {wave} in {leads}, {likely} {cause_ecg}
        [right bundle branch block|left bundle branch block|left anterior fascicular block|intraventricular conduction delay|incomplete right bundle branch block|left atrial abnormality|prolonged qt interval|short pr interval|bifascicular block|left posterior fascicular block] [with|and] {mild} {wave} in {leads}, {likely} {cause_ecg} [although|but|and|yet] [clinical correlation is suggested|lead placement may contribute|{cause_ecg} cannot be excluded|the change is {mild}|serial tracings may help|{problem} may contribute|{presenting} should prompt a repeat]
        {mild} {wave} in {leads}, {mild} {wave} in {leads} [as well|too|also|with {wave}], {likely} {cause_ecg} [rather than|or|versus|with] {cause_ecg}
        """,
    "cause_ecg": "ischemia|old inferior infarction|old anterior infarction|left ventricular hypertrophy|drug effect|electrolyte disturbance|metabolic change|pericarditis|normal variant|lung disease|right ventricular strain|age-indeterminate infarction|conduction disease|digitalis effect|rate-related change|hypothermia|intracranial event",
    "ecg3": """
        compared [to|with] the [previous|prior|earlier|admission|outside] tracing [of|from|dated] {~date} [the rate is {better}|the rate has {slowly} changed|{mild} {wave} is seen in {leads}|the {wave} in {leads} is {better}|ectopy is {better}|the axis has {slowly} shifted|the intervals are {better}|the t waves in {leads} are {better}]
        [no|absent] [previous|earlier|outside] tracing [available|on file|located|retrieved] [for comparison|to compare|from {~hospital}], {mild} {wave} in {leads} {likely} {cause_ecg}
        since {~date} the [st segments|t waves|qrs complexes|intervals|p waves] in {leads} are {better} and {cause_ecg} is {very} [apparent|likely|evident|suspected|doubtful]
        {wave} in {leads} [is|appears] {better} [since|compared with|relative to] the [earlier|last|prior|baseline] tracing [of|from] {~date}, {likely} {cause_ecg}
        """,
    "wall": "inferior wall|apex|septum|lateral wall|anterior wall|free wall|basal segments|mid cavity|inferolateral wall|apical cap|anteroseptum|posterior wall|distal third",
    "motion": "hypokinesis|akinesis|dyskinesis|thinning|scarring|tethering|paradoxical motion|delayed activation|hyperkinesis",
    "echo": """
        the [left ventricle|right ventricle|interventricular septum] is {mildly} [dilated|thickened|enlarged|hypertrophied|remodeled|trabeculated] with {mild} {motion} of the {wall} and {mild} {motion} of the {wall}, {likely} {cause_echo}
        the [left atrium|right atrium|aortic root|ascending aorta|inferior vena cava|coronary sinus|atrial septum|left atrial appendage] is {mildly} [dilated|enlarged|aneurysmal|plethoric|elongated] [with|and] {mild} [spontaneous contrast|calcification|bowing|color flow disturbance|atheroma], {likely} {cause_echo}
        the [mitral|aortic|tricuspid|pulmonic] valve [leaflets|cusps|annulus|apparatus|prosthesis] [appear|are judged|look] {mildly} [thickened|calcified|restricted|myxomatous|prolapsing|flail] {cause_sep}{mild} [regurgitation|stenosis|gradient|turbulence] [directed|seen|present|measured] [posteriorly|anteriorly|centrally|eccentrically|{near} {event}|toward the {wall}]
        [overall|global|regional|left ventricular|right ventricular] [systolic|diastolic] function is {mildly} [depressed|impaired|hyperdynamic|abnormal] [with|and] an ejection fraction [of|about|near] {#15-75}% {cause_sep}{mild} {motion} of the {wall}, {likely} {cause_echo}
        {mild} [pericardial|pleural] effusion [seen|present|noted|layering] [posteriorly|circumferentially|anteriorly|at the apex|by the right atrium|near the {wall}] [with|without|and {mild}] [respiratory variation|chamber collapse|fibrinous strands|tamponade physiology|septal bounce], {likely} {cause_echo}
        [pulmonary artery|pa|estimated right sided|pulmonary] pressure is {mildly} [elevated|increased|raised|above normal], {likely} {cause_echo} [versus|or|and] {cause_echo} [given|in view of|considering] {problem}
        [suboptimal|limited|technically difficult|adequate] [windows|image quality|study|acoustic views] [due to|from] [body habitus|ventilation|patient position|dressings|lung disease|tachycardia|{symptom}], {mild} [abnormality|{motion}|dysfunction] of the {wall} may be [missed|underestimated|overestimated]
        [compared with|relative to|since] the [prior|previous|last|outside|bedside] [study|echo|tte|tee] of {~date} [recorded|read] [by {doctor}|{near} {event}|{time}|at {~hospital}], the [wall motion|gradient|effusion|regurgitation|pa pressure|ejection fraction|rv size] is {better} {cause_sep}the {wall} [is|looks|moves] {better}
        """,
    "cause_sep": "and |with |while |, and |; |, but ",
    "cause_echo": "{problem}|{acute}|coronary disease|hypertensive heart disease|volume overload|tamponade|infiltrative disease|prior infarction|pulmonary embolism|sepsis|rheumatic disease|endocarditis|stress cardiomyopathy|tachycardia|toxic exposure|myocarditis|chronic lung disease",
    "rt": """
        [pt|patient] [remains|received|continues] [intubated|trached|on bipap|on psv|on ac|on simv|on cpap] [with|, ] [tv|vt] {#320-650} rr {#8-28} peep {#5-14} fio2 .{#30-90} {near} {event}, [bs|lung sounds] [coarse|clear|diminished|wheezy] at {lung_site}, sxn for {thick} {color} [secretions|sputum]
        [weaned|rested|placed|switched] {time} [on|to|from] [psv|ac|trach collar|t-piece|cpap] {because} {symptom}, [abg|gas|vbg] 7.{#22-50}/{#30-66}/{#60-170}, {doctor} [aware|ordered {drug}|adjusted peep|at bedside]
        [mdi|albuterol neb|atrovent|mucomyst|inhaled treatment] given q {#2-6} {effect}, {lung_site} {better}, [cuff pressure|plateau|compliance|rsbi|minute ventilation] {#18-110}
        [ett|trach|tube] [secured|rotated|retaped|advanced] at {#20-26} cm {near} {event} by {anyone}, {mild} [leak|cuff leak|bleeding|lip breakdown|biting] [noted|resolved|continues]
        [plan|will] [to|continue to] [wean|rest overnight|sbt|extubate|hold weaning|trach] {near} {event} [if|once|when] {symptom} {better}, {plan_verb} {lung_site}
        """,
    "nutrition": """
        {pt} with {acute} and {problem}, [tube feeding|po intake|tpn|diet] [meeting|providing|supplying] {#900-2400} kcal and {#40-140} g protein, {mild} [weight loss|wasting|edema|malnutrition|refeeding risk] {because} {symptom} {span}
        [recommend|suggest|rec] [advance|change|start|hold|cycle] [replete|nutren renal|fibersource|promote|tpn|oral supplements|calorie counts] [to|at] {#10-85} ml/hr {near} {event}, [check|monitor|replete|follow] [residuals|prealbumin|lytes|phos|sugars|weights|triglycerides] {because} {symptom}
        [intake|appetite|tolerance] {very} [poor|adequate|limited|variable|improved] [per|according to] {anyone}, [takes|prefers|refuses|avoids] [soft foods|dairy|meat|sweets|fluids|breakfast|supplements] {because} {qualified_symptom}
        """,
    "rehab": """
        {pt} is a {age} {yo} {man} [referred|seen|consulted] for [mobility|functional decline|swallowing|splinting|gait training|cognition] [after|with|following] {acute}, {complains} {qualified_symptom}, [prior level|baseline|before admission] [independent|used a walker|needed help] [with|for] {exertion}, {living}
        [transfers|bed mobility|gait|balance|stairs|feeding|dressing] with [min|mod|max|contact guard|close] assist [of|from] {anyone} {because} {mild} {limb} [weakness|pain|stiffness|swelling|ataxia], [tolerated|limited by|stopped for] {symptom} {near} {event}
        [strength|range|coordination|sensation|tone] {mildly} [reduced|impaired] in {limb} and {limb}, {better} since {event}, {pt} {slowly} [improving|participating|fatiguing|learning]
        [recommend|d/c rec|plan] [rehab|home with services|daily therapy|a splint|modified diet|walker|further testing] [when|once|until|if] {symptom} {better}, [goals|education] reviewed with {his} {kin1} and {anyone}
        """,
    "social": """
        [sw|social worker|this writer|licsw] [met|spoke|sat|phoned] with {his} {kin1} and {anyone} {time} [re|regarding|about|to discuss] [coping|placement|finances|the proxy|transport|grief|insurance|substance use|guardianship], {kin1} {very} [anxious|realistic|overwhelmed|guarded|grateful|tearful]
        {pt} is a {occupation} who {living}, [enjoys|misses|used to enjoy|speaks fondly of] {hobby}, [history of|struggles with|worried about] {problem} [and|,] {symptom} {span}
        [supports|resources|strengths] include {his} {kin}, {anyone} and [a church group|the veterans office|neighbors|elder services|a day program|AA|close friends|union benefits], [limited by|strained by] [distance|illness|conflict|finances|{kin1}'s health]
        [plan|sw will|will] [follow|provide|arrange|contact|refer] [support|counseling|lodging|parking vouchers|elder services|the {staff}] {near} {event}, [page|pager] {~pager}
        """,
    "case": """
        [cm|case manager|rn case manager] [reviewed|screened|opened] [chart|record] {time}, {pt} {living}, [insurer|payor|coverage] {~company}, [pcp|primary] {pcp}, [home services|vna|dme|rehab] [arranged|pending|declined|referred] by {anyone} {because} {acute} and {problem}
        [anticipated|expected|likely] [dispo|discharge] [to|is] {place} {near} {event}, [bed|authorization|transport|oxygen|home infusion] [requested|offered|approved|awaited] [through|from|at] {~company}, {kin1} [agrees|undecided|visiting facilities|given list], [call|phone] {~phone}
        """,
    "pharmacy": """
        [pharmacy|clinical pharmacist] [consulted|asked|contacted] [for|about] {drug} [dosing|levels|interactions|desensitization|conversion] {because} {mild} [renal impairment|hepatic dysfunction|{symptom}|qt prolongation|obesity], [trough|level|random] {#2-28} {near} {event}
        [recommend|suggest|advise] [reduce|extend|hold|increase|change] {drug} [to|by|until] [half dose|q{#8-48}h|level below {#10-20}|{event}|{drug}], {plan_verb} {symptom}, discussed with {doctor}
        """,
    "consult": """
        [asked|consulted|requested] by {doctor} to [see|evaluate|advise on] this {age} {yo} {man} with {problem} and {acute} for {mild} {symptom} {span}, {complains} {qualified_symptom} and {denies} {symptom}
        [impression|imp|assessment]: {mild} {symptom} {likely} [due to|from] {second} [versus|or|and] {problem}, [recommend|suggest|rec] {drug}, [hold|avoid|stop] {drug}, [check|send|repeat] {culture_site} [culture|studies|cytology] {near} {event}
        """,
    "general": """
        [event note|brief note|procedure note|icu transfer note|addendum]: {doctor} [called|asked|paged] {time} for {qualified_symptom}, [found|seen|examined] {very} [drowsy|distressed|comfortable|hypoxic|hypotensive], {drug} {ordered} {effect}
        {line} [placed|removed|exchanged|attempted] {time} [under ultrasound|in sterile fashion|after consent from {kin1}|with lidocaine] by {doctor} {because} {symptom}, [complications|blood loss] [none|minimal|{mild} bleeding|hematoma at the {limb}], [film|cxr] [pending|confirms position|reviewed]
        [discussed|spoke|met] with {anyone} [re|about|regarding] [prognosis|{acute}|code status|consent|transfer], [wishes|agreed|prefers] to [continue|pursue|defer|decline] {drug} and [dialysis|intubation|surgery|transfusion|feeding tube] [for now|unless {symptom} {better}|until {event}]
        """,
}
