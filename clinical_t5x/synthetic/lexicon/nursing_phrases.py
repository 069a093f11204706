"""What nurses write about each organ system, in both charting systems."""

from __future__ import annotations

RULES = {
    "summary": """
        [received|assumed care of|took over care of|accepted] {pt} {time}, [{problem}|{acute}|{second}] [with|and] {qualified_symptom}, {he} [was|remained|appeared] [comfortable|restless|drowsy|in good spirits|weepy|stable|tired] {and_then} [settled|needed {drug}|slept|asked for {anyone}|had {qualified_symptom}]
        {pt} is a {age} {yo} {man} [admitted|transferred in|here] [with|for] {acute}, [course|stay|hospitalization] [complicated by|notable for|marked by] {second}, {problem} [and|,] {qualified_symptom}
        [events|significant events|shift events]: {event} {time}, {drug} {ordered} {because} {symptom}, {aware}
        """,
    "mental": """
        alert|lethargic|oriented times three|oriented to self only|confused|drowsy|restless|agitated
        sedated|pleasant|weepy|arousable to voice|unresponsive to voice|cooperative|withdrawn|calm
        forgetful|anxious|combative|somnolent|impulsive|following commands|inattentive|sundowning
        """,
    "neuro": """
        {pt} {very} {mental} {time}, {and_then} {mental} [after|with|despite|following] {calm_drug} {ordered} {because} {symptom}
        {mental} [but|and|although] {very} {mental}, [moves|moving|lifts|withdraws] {limb} [on command|to pain|spontaneously|against gravity|weakly|purposefully], {limb} {mild} [weakness|drift|edema|spasm] {better} [per {doctor}|since {event}|from {time}|compared with yesterday]
        [pupils|perl, pupils|pupils equal,] [{#2-6} mm|brisk|sluggish|pinpoint|reactive], [grasps|hand grips|strength|gag|cough reflex|corneals] [equal|weak|impaired|intact|diminished] [on the {side}|bilaterally|throughout|{near} {event}], {pt} {very} {mental}
        [sedation|{calm_drug}|gtt of {calm_drug}] {ordered} {time} [for|{because}] [{mental} behavior|{symptom}|vent dyssynchrony|{pain_site} pain], {pt} [now|then|currently|presently] {very} {mental}
        [{qualified_symptom} reported|complained of {qualified_symptom}|{symptom} noted|c/o {qualified_symptom}] {time}, {doctor} [examined|evaluated|assessed|looked in on] {him}, {calm_drug} {ordered} {effect}
        [able|unable|slow|willing|too sleepy] to [state|name|recall|follow|repeat|write down] [the year|{his} address|{his} {kin}|simple commands|the president|why {he} is here|the {staff}|the month], {very} {mental} {time}
        [reoriented|redirected|comforted|distracted|reassured] [often|with ease|by {anyone}|with the help of {anyone}|with photographs|with music|at intervals], {pt} [picking at|pulling at|reaching for|asking about|forgetful about] the {device} {time}
        """,
    "cv": """
        [hr|heart rate|rhythm|monitor shows|tele] {#52-128} [nsr|sinus|sr|afib|st|sb|paced|a flutter] with [rare|occasional|frequent|no|short runs of|isolated] [pvcs|pacs|ectopy|couplets|pauses|aberrant beats] {time}, {bp_drug} {ordered} {because} {symptom}
        [bp|sbp|nbp|abp|blood pressure|map] {#84-178}/{#42-96} [labile|stable|soft|elevated|low] {time}, {bp_drug} {ordered} {effect}, {aware}
        [extremities|feet|hands|{limb}] [warm|cool|mottled|dusky|pink|clammy] [and dry|and pale|with {mild} edema|with weak pulses|to touch], [pulses|dps|pts|radial pulses] [palpable|by doppler|weak|absent|bounding] on the {side}, {limb} {better} since {event}
        {line} [transduced|flushed|dampened|positional|rezeroed|with good waveform], cvp {#2-20}, {bp_drug} {ordered} [to keep|for goal] [map|sbp] [over|under|above] {#55-160} {because} {symptom}
        {pt} [complained of|denied|reported|had] {qualified_symptom} {time}, [ekg|enzymes|stat labs|an echo|chest film] [obtained|sent|done|ordered|reviewed] by {doctor}, {better} {near} {event}
        [given|received|transfused|bolused with] [one unit prbcs|500 cc ns|two units ffp|250 cc|lr|albumin|platelets|a liter of saline] {because} [hct {#19-29}|{symptom}|low filling pressures|borderline uop|{second}] {effect}, [no|{mild}] [reaction|edema|rales|{symptom}] {near} {event}
        [epicardial|temporary] wires [sense|capture|attached|taped], [ct|mediastinal] drainage {thick} {color} {time}, {his} {pain_site} {better}
        """,
    "breath": "clear|coarse|diminished|rhonchorous|wheezy|with crackles|bronchial|distant|tight|"
    "with fine rales|with pops|decreased|moist|clearer",
    "resp": """
        [ls|lungs|breath sounds|bs|lung sounds] {breath} [at|in|over] {lung_site} and {breath} [at|in|over] {lung_site}, {thick} {color} [secretions|sputum|sxn returns] {time}
        [remains|continues|maintained|stable] on [{#2-6} l nc|{#35-70}% face tent|cpap|psv {#5-18}|ac|simv|room air|nonrebreather|bipap|trach mask] [with|and] [sats|o2 sats|spo2] {#88-100}%, {lung_drug} {ordered} {effect} {near} {event}
        [sxn'd|suctioned|lavaged|coughed] [q {#1-4} hrs|often|twice|times {#2-5}] for {thick} amts of {thick} {color} [sputum|secretions|plugs], {pt} {very} {mental} [with|during|after] [it|suctioning|the treatments]
        [weaned|changed|switched|extubated|advanced] [from|to] [psv|trach collar|nc|face mask|t-piece|ac|bipap] {time}, {pt} [became|grew|was|looked] {very} {mental} with [rr|sats] {#14-40}, {doctor} {ordered} {lung_drug}
        [abg|gas|vbg] 7.{#20-52}/{#28-70}/{#55-180} {near} {event}, {ordered} [fio2|rate|peep|ps|tidal volume] {because} [{symptom}|acidosis|low sats|{second}|tachypnea|fatigue|{problem}], {better} {time}
        [cough|gag|respiratory effort|work of breathing|is use] [strong|weak|poor|fair|effective|improved] {because} {pain_site} [pain|guarding|splinting|discomfort], [encouraged|reminded|coached|assisted] by {anyone} {time}
        [chest pt|nebs|mdi|incentive spirometry|albuterol] [given|done|tolerated|refused] {time} {effect}, {lung_site} {breath}, {his} {symptom} {better}
        """,
    "food": "ice chips|clear liquids|thickened liquids|tube feeds|pureed diet|house diet|applesauce|"
    "jello|broth|crackers|sips|toast|custard|cardiac diet|renal diet|sherbet|ensure|tea|soup|"
    "scrambled eggs|pudding|ginger ale",
    "gi": """
        abd [soft|firm|distended|obese|flat|tender|round|nontender|tense] [with|and] [hypoactive|positive|absent|faint|hyperactive] [bs|bowel sounds], [tender|guarding|pain|discomfort] over the {quadrant} {near} {event}, {aware}
        [tolerating|taking|refusing|drooling with|requesting|nibbling on|swallowing] {food} and {food} [well|poorly|slowly|in small amounts|without choking|with encouragement from {anyone}|with some {symptom}] {time}
        [ngt|ogt|g-tube|dobhoff|j-tube] [clamped|to lws|to gravity|patent|repositioned|flushed] [with|for] {thick} {color} [drainage|output|residuals|aspirate], tf [at goal|held|advanced|restarted|started] at {#10-80} cc {near} {event}
        {thick} {color} [stool|bm|liquid stool|ostomy output] times {#1-5} {time}, [guaiac positive|guaiac negative|sent for c diff|heme negative|melenic], {gi_drug} {ordered} {because} {symptom}
        [nausea|vomiting|hiccups|belching|dry heaves|cramping|reflux|early fullness] {time} [relieved|eased|unrelieved|helped|made worse] by {gi_drug} and [{food}|sitting up|a cool cloth|rest|positioning|quiet], {better} {near} {event}
        [npo|diet held|remains npo|kept npo] {because} [{acute}|the procedure|a failed swallow|{symptom}|{second}|possible OR], [mouth care|ice chips|ivf|tpn|swabs] [given|offered|started|continued] by {anyone}
        """,
    "gu": """
        [foley|urine|uop|u/o|voids|condom cath] {thick} {color} [urine|output|amts] {#15-220} cc [per hour|qh|over the shift] {time}, {water_drug} {ordered} {effect}, [cr|bun|k] {#1-6} {better}
        [diuresed|responded|brisk diuresis|minimal response|autodiuresing] {near} {event} to {water_drug}, [negative|positive|even|net] {#100-2600} cc [since midnight|for los|so far|by {event}], {his} {limb} edema {better}
        [foley|catheter|{device}] [changed|removed|irrigated|inserted|leaking|secured] by {anyone} {time} for {color} [sediment|clots|drainage|urine], {pt} [voided|due to void|bladder scanned|incontinent|retaining] {near} {event}
        [cvvh|hd|dialysis|ultrafiltration] [run|started|clotted|stopped|tolerated|on hold] {time} with [{symptom}|hypotension|no problems|cramps|good clearance], {water_drug} {ordered} after discussion with {doctor}
        """,
    "skin": """
        {skin_site} [with|has] {mild} [redness|breakdown|abrasion|ecchymosis|rash|skin tear|excoriation|blister|maceration|ulcer|stage two] [measuring|about] {#1-9} cm, [duoderm|barrier cream|wet to dry|aloe|xeroform|allevyn|adaptic|gauze] [applied|changed|intact] {time}, {better}
        [incision|dsg|dressing|wound|staple line|sutures|drain site] [on|at|over] {skin_site} {thick} {color} drainage {near} {event}, [edges|margins] [approximated|pink|open|macerated|dusky], {aware}
        [turned|repositioned|turned side to side|floated heels|on kinair bed|lotioned] {time} with help from {anyone}, {skin_site} [pink|red|intact|blanching|mottled|bruised] and {skin_site} {better}
        {mild} [edema|bruising|weeping|petechiae|oozing|erythema|mottling] [noted|persists|increasing|resolving] at {skin_site} and {skin_site}, {doctor} [shown|notified|to examine|aware|asked to look] {near} {event}
        """,
    "id": """
        [tmax|temp|t max|low grade temp] {#97-103}.{#1-9} {time}, [pan cultured|blood cultures sent|{culture_site} culture pending|{culture_site} growing {organism}|{culture_site} cx sent], {bug_drug} {ordered} by {doctor}
        [afebrile|febrile|hypothermic|temp spike] {time} on {bug_drug} day {#1-14} for {bug} in [the|] {culture_site}, [wbc {#4-28}|white count {better}|lactate {#1-6}], {his} {symptom} {better}
        [precautions|isolation|contact precautions|swabs] for [mrsa|vre|c diff|{organism}|flu|resistant organisms] [maintained|lifted|started|continued] {near} {event}, {kin1} [taught|instructed|gowned|reminded] by {anyone}
        {line} site [red|clean|tender|oozing|benign|indurated], [tip cultured|changed over a wire|pulled|resited|redressed] {time} {because} [fever|{organism} in {culture_site}|{symptom}|phlebitis], {bug_drug} {ordered}
        """,
    "endo": """
        [fs|bs|fingersticks|glucose|blood sugars] {#62-380} {time}, [covered|treated|chased] with {#2-14} units [regular|humalog|per sliding scale|sc], {ordered} [insulin gtt|nph|glargine|{food}] {because} [steroids|tube feeds|{food} at {event}|poor intake|tpn]
        [insulin|insulin drip|lantus|sliding scale] {ordered} {near} {event} {because} {symptom} and [sugars|glucose] of {#58-420}, {pt} {very} {mental}
        """,
    "pain": """
        [c/o|reports|grimacing with|rates|describes] {mild} {pain_site} pain {#2-10}/10 {time}, {pain_drug} {ordered} {effect}, [now|later] {#0-5}/10 {near} {event}
        [pca|epidural|{pain_drug}|percocet|ice|heat] [used|given|effective|continued|offered] {time} for {pain_site} [pain|spasm|soreness|cramping|ache] [worse|better] with {exertion}, {pt} {very} {mental}
        [comfortable|resting|dozing|moaning|guarding|restless] {near} {event}, {pain_site} discomfort {better} [since|after|with|despite] {pain_drug}, [massage|repositioning|distraction|a fan|music] [offered|helpful|refused|tried] by {anyone}
        """,
    "access": """
        {line} [and|, also] {line} [patent|intact|flushed|working|sluggish|infiltrated], {line} [dc'd|placed|changed|removed|rewired] {time} by {doctor} {because} {symptom}
        {line} [oozing|clean|dressing changed|with good return|positional|cracked] {near} {event}, {device} [secured|draining {color} fluid|discontinued|checked|leaking] {time}
        """,
    "activity": """
        [oob|up|pivoted|hoyered|stood|walked] to [chair|commode|the door|the hallway|bedside|stretcher chair] {time} with [one assist|two assist|{anyone}|pt|walker|gait belt], [tolerated|became {symptom}|hr {#90-130}|tired|steady|unsteady] {near} {event}
        [range of motion|turning|bedrest|dangling|exercises] [done|maintained|encouraged|limited|tolerated] {because} {limb} {mild} [weakness|swelling|pain|fracture|stiffness], {anyone} [helping|present|assisting|teaching] {time}
        """,
    "social": """
        {pt} [states|said|told {anyone}|repeats|whispered] "[I|i] [feel|am|was] [awful|so tired|better today|scared|hungry|freezing|like a burden|ready to go home|not myself|fed up]" {time}, {very} {mental}, [support given|{kin1} called|{doctor} spoke with {him}|redirected|tv on]
        {kin1} and {anyone} [in to visit|called|at bedside|updated|phoned|stayed] {time}, [asking|worried|upset|hopeful|realistic|tearful] about [{acute}|the plan|code status|rehab|{symptom}|prognosis|the {device}|surgery], {doctor} [spoke|met|sat|talked] with them {near} {event}
        [family meeting|code status discussion|goals of care talk|update] with {doctor}, {anyone} and {his} {kin1} {time}, [remains full code|made dnr|undecided|wishes to continue|hospice discussed|will readdress {near} {event}|leaning toward comfort]
        {pt} [misses|talks about|asks for|worries about|spoke of] {hobby}, {his} {kin1} and {his} [home|pets|job|church|garden|apartment], [support|reassurance|time|listening] given by {anyone} {time}
        {kin1} [brought|took home|asked for] {his} [glasses|dentures|rings|hearing aids|slippers|rosary|cell phone|cards], [sw|chaplain|case management] [consulted|following|to see|involved] {because} [{living}|coping|transport|finances|placement|{problem}]
        """,
    "plan": """
        {plan_verb} [{symptom}|hct|uop|lytes|mental status|{pain_site} pain|{lung_site}|the {device}|{skin_site}|sats|sugars|coags], {ordered} {drug} [as needed|per {doctor}|if {symptom}|after {event}|for {symptom}|until {event}]
        [wean|titrate|advance|taper|attempt to wean] [o2|{drug}|pressors|vent|diet|sedation|the drip|activity] [as tolerated|slowly|to off|{near} {event}|if {better}|once {symptom} {better}], [await|check|follow up] {culture_site} [cultures|results|cx]
        [transfer|call out|discharge|screen|move] to [the floor|rehab|step-down|micu|snf|the or|tele] [when|if|once] [bed available|{symptom} {better}|cleared by {doctor}|stable|{event} done|ready|family agrees]
        [support|update|keep informed|reassure|involve] {kin1} and {anyone}, {plan_verb} {symptom} and {pain_site} pain
        [replete|recheck|send|draw|repeat] [k|mg|lytes|hct|coags|abg|ca|{culture_site} culture|levels of {drug}] {near} {event}, {ordered} {drug} {because} {symptom}
        """,
    "response": """
        {pt} {very} {mental} {near} {event}, {symptom} {better} and {pain_site} [pain|tenderness|spasm] {better}
        [good|fair|little|partial|no|some|positive] [response|effect|change|improvement] {time}, {his} [vitals|sats|bp|color|uop|work of breathing] {better}, {aware}
        {symptom} {better} {time}, {pt} [stated|nodded|felt|believed|told {anyone}] {he} was [more|less|no more|somewhat] [comfortable|anxious|tired|hungry|short of breath|cold|settled]
        {skin_site} and {limb} {better} {near} {event}, {anyone} [pleased|concerned|informed|present|reassured]
        """,
}
