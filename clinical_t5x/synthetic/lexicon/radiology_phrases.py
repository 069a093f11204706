"""How radiologists phrase findings: frames around the topics of imaging.py.

Marks in a frame say what answers a question about its topic: `<...>` the finding itself, `^...^`
where it is, `` `...` `` how it has changed. They are taken out before a report is written down.
"""

from __future__ import annotations

RULES = {
    "study": "film|study|examination|radiograph|scan|exam|images|series|views|imaging|evaluation|survey",
    "earlier": "prior|previous|preceding|earlier|most recent|outside|last available|baseline|admission|"
    "pre-operative|post-operative|remote|overnight|immediate prior|comparison|referral",
    "prior": """
        [the|the|an] {earlier} {study} [of|from|dated|on] {~date}
        {~date}|the {daypart} {study} of {~date}|[yesterday|{~weekday_tag}|the day before|two days ago|this {daypart}]
        the {study} [performed|obtained|done|acquired|read|sent] [earlier today|{#2-9} hours earlier|the day before|at {~hospital}|on admission|{near} {event}|last {weekday}|{time}|during the last stay]
        [several|multiple|two|three|numerous] {earlier} [films|studies|scans|exams|radiographs|examinations] [going|dating] back to {~date}
        """,
    "factor": """
        patient rotation|motion|patient motion|low lung volumes|portable technique|patient habitus
        overlying wires|overlying leads|overlying tubing|bulky dressings|spinal hardware|jewelry
        differences in technique|differences in positioning|changes in projection|shallow inspiration
        underpenetration|streak artifact|limited cooperation|a poor acoustic window|beam hardening
        respiratory motion|incomplete distention|dental amalgam|arms at the side|lordotic projection
        patient agitation|contrast timing|slice thickness|kyphosis|scoliosis|an uncooperative patient
        early phase imaging|overlying bowel gas|a full stomach|retained contrast|skin folds|clothing
        monitoring devices|the backboard|a cervical collar|coil position|image noise|partial voluming
        inability to hold still|hip prostheses|surgical clips|chronic change|magnification|tremor
        """,
    "limited": """
        [allowing for|given|despite|accounting for|within the limits of|notwithstanding|taking account of|considering|in spite of|with due regard for|bearing in mind] [|||some|mild|marked|slight|considerable|unavoidable|moderate|the expected|extensive] {factor}
        [allowing for|given|despite|accounting for|in spite of] {factor} and {factor}
        [the {study} is|technically] [limited|compromised|degraded|hampered|made difficult] by {factor}
        """,
    "slices": "contiguous|helical|multidetector|thin-section|axial|five-millimeter|spiral|overlapping|volumetric|low-dose|sequential",
    "planes": "coronal|sagittal|oblique|curved planar|maximum intensity|thick-slab|three-dimensional|multiplanar|bone-window|soft-tissue",
    "recon": "reformations|reconstructions|reformatted images|projections|renderings|series|displays",
    "dye": "without contrast|with intravenous contrast|before and after intravenous contrast|with oral contrast|"
    "after oral and intravenous contrast|with rectal contrast|after {#60-150} cc of Optiray|after gadolinium|"
    "without intravenous contrast because of {problem}|with delayed imaging|in the portal venous phase|in two phases|"
    "with contrast held because of {symptom}|after premedication for allergy",
    "tech_ct": """
        {slices} [images|sections|acquisitions|imaging] [of|through] the {region} {dye}, [with|including|and] {planes} [and {planes}|] {recon} {how}
        {slices} [images|sections] {dye}, {planes} {recon} [of|through] the {region} {how}
        [the {region} was|we] [scanned|imaged|examined] {dye} [using|with] {slices} technique and {planes} {recon} {how}
        """,
    "view": "frontal|lateral|portable|AP|PA|upright|supine|oblique|decubitus|semi-erect|cross-table|single|repeat|paired|coned-down",
    "tech_film": """
        {view} [and {view}|] [view|radiograph|film|image|projection|exposure] [of|over] the {region} {how}
        [a|one|two] {view} [view|radiograph|film|exposure] [taken|obtained|acquired|made] {near} {event} {how}
        {view} [radiography|filming|imaging] of the {region}, {view} [view|attempt|film] [added|repeated|omitted] {time}
        """,
    "sequence": "T1 weighted|T2 weighted|FLAIR|gradient echo|diffusion|susceptibility|STIR|proton density|MPRAGE|time-of-flight|perfusion|fat-suppressed",
    "tech_mri": """
        {planes} {sequence} and {planes} {sequence} [images|sequences|imaging] of the {region} {dye} {how}
        [sagittal|axial|coronal] {sequence}, {sequence} and {sequence} [images|sequences] [through|of] the {region}, {dye} {how}
        """,
    "sound": "grayscale|color Doppler|spectral Doppler|duplex|real-time|power Doppler|compression|harmonic|transabdominal|high-frequency|bedside|linear-probe",
    "tech_us": """
        {sound} and {sound} [imaging|sonography|evaluation|scanning|interrogation] of the {region} {how}
        {sound} [imaging|sonography|scanning] of the {region} [by the sonographer|by {doctor}|in two planes|with cine clips|with waveform analysis], {how}
        """,
    "region": "{own_region}|{own_region}|area of interest|{own_region} and adjacent structures|requested levels",
    "how": """
        [in the|at the] [intensive care unit|bedside|emergency department|recovery room|radiology suite|angiography suite|dialysis unit] [{time}|{near} {event}|by the {staff}|without incident|with the patient {position}]
        [with the patient|patient] {position} [and|,] {limited}
        {limited}[, {near} {event}|, {time}|]
        [and|,] [reviewed|compared|read|correlated] with {prior}
        [with|using] [a reduced dose|standard|departmental|the usual|a modified|an abbreviated|a trauma|a stroke|an oncology|a pediatric weight-adjusted] protocol [{near} {event}|{time}|as requested by {doctor}|and {limited}]
        """,
    "position": "supine|upright|semi-erect|in the left decubitus position|prone|seated|reclining at forty-five degrees|"
    "on a stretcher|intubated|sedated|restrained|under general anesthesia|in a halo|in traction|partly rotated",
    "measuring": """
        measuring [about|up to|roughly|approximately|nearly|some|at most|at least] {#2-9} [mm|cm|x {#2-9} mm|by {#2-9} cm] [in greatest dimension|in transverse dimension|in anteroposterior diameter|on series {#2-9} image {#11-99}|({#2-9}:{#11-99})|at its widest|in maximal thickness|in short axis|craniocaudally|on the coronal images|{change}|where {it_was} {#1-9} on {prior}]
        [extending|tracking|reaching] [toward|into|as far as] {site2}
        [with|showing|containing] [{mild}|scattered|central|peripheral|eccentric] [calcification|gas|septation|enhancement|stranding|low density|fat|nodularity|layering|fluid]
        """,
    "it_was": "it was|it measured|the measurement was|it had been|the value was",
    "site2": "the midline|the adjacent fat|the deep tissues|the opposite side|neighboring structures|the periphery|the hilum|the subcutaneous tissues|an adjacent level|the dependent portion",
    "hedge": """
        [which|and this|this] [likely|probably|may|could|might|would|most likely|presumably] [represent|reflect|be due to|be related to|be from|be explained by|indicate|signify] {cause}
        [likely|probably|presumably|possibly|perhaps|conceivably|most consistent with being] [due to|secondary to|related to|a sequela of|on the basis of] {cause}
        [and raising|raising|which suggests|with] the [possibility|question|likelihood|concern] of {cause} [given|in view of|in a patient with|considering] [{problem}|{presenting}|{acute}|recent {event}]
        [to be|best|perhaps] [correlated with|interpreted in light of|explained by|reconciled with] [{symptom}|{presenting}|{problem}|clinical findings|{culture_site} cultures|tenderness over the {pain_site}]
        for which {cause} [is|remains] [favored|suspected|the leading consideration|to be considered|not excluded]
        [concerning|suspicious|worrisome|compatible|in keeping] [for|with] {cause} [in the appropriate setting|given the history|clinically|in light of {problem}|if {presenting} persists|given {problem}]
        [{cause} is|{cause} and {cause2} are] [in the differential|considered|possible|among the considerations|difficult to exclude|not ruled out]
        """,
    "qualifier": """
        [, {hedge}|, {limited}|, {measuring}|, {measuring}, {hedge}|, {limited}, {hedge}|; {hedge}|]
        [ with [adjacent|associated|accompanying|surrounding|neighboring|overlying] [stranding|haziness|edema|scarring|volume loss|thickening|calcification|blurring|crowding|distortion|tethering|sclerosis|tenderness on exam|reactive change]|, {hedge}|, {limited}]
        """,
    "seen": """
        seen|noted|present|identified|visualized|demonstrated|evident|observed|apparent|detected
        appreciated|redemonstrated|again seen|again noted|shown|visible|depicted|suspected|found
        """,
    "at": "at the|in the|involving the|within the|centered in the|near the|along the|over the|about the",
    "present": """
        there is <{degree} {noun}> ^{at} {site}^[, `{change}`|]{qualifier}
        <{degree} {noun}> is {seen} ^{at} {site}^[, `{change}`|]{qualifier}
        ^{at} {site}^ there is <{degree} {noun}>[, `{change}`|]{qualifier}
        `{change}` <{degree} {noun}> is {seen} ^{at} {site}^{qualifier}
        <{noun}, {degree}>, is {seen} ^{at} {site}^[, `{change}`|]{qualifier}
        [again|once more|as before|interval|now], <{degree} {noun}> ^{at} {site}^[, `{change}`|]{qualifier}
        [note is made of|attention is drawn to|the study shows|images show|one sees|review shows|the dominant finding is|of note is|incidental note is made of] <{degree} {noun}> ^{at} {site}^[, `{change}`|]{qualifier}
        [the appearance suggests|the findings indicate|there appears to be|there may be|one suspects] <{degree} {noun}> ^{at} {site}^[, `{change}`|]{qualifier}
        {limited}, <{degree} {noun}> is {seen} ^{at} {site}^[, `{change}`|]
        the ^{site}^ [shows|demonstrates|contains|is notable for|reveals|harbors|exhibits] <{degree} {noun}>[, `{change}`|]{qualifier}
        """,
    "also": "specifically|otherwise|in particular|importantly|additionally|also|incidentally|furthermore|of note|as well|notably|again",
    "no": """
        no|no evidence of|no sign of|no definite|no convincing|no appreciable|no obvious|no discrete
        no gross|no significant|no new|no suspicious|no focal|no detectable|no radiographic sign of
        no clear|no unequivocal|no large|no evidence to suggest|nothing to suggest|no indication of
        """,
    "where_not": """
        on [this|the present|the current|the available|today's|the submitted|the {daypart}] [{study}|view|projection|acquisition]
        [within|to] the limits of [this {study}|the technique|resolution|this modality|a bedside {study}|{factor}]
        [in the|of the|over the] [imaged|visualized|included|scanned|displayed] [portions|field|anatomy|region|structures|levels]
        {limited}|[at|as of] this time|by [imaging|this technique|these criteria]|elsewhere|
        [to account for|to explain|to go with|as a cause of] [{presenting}|{symptom}|the {mild} {symptom}|{acute}|the {pain_site} pain]
        [to suggest|that would suggest|in support of] [{acute}|{second}|{problem}]
        [compared with|since|unlike|as against] {prior}
        """,
    "absent": """
        <{no} {noun} is {seen}> {where_not}
        <there is {no} {noun}> {where_not}
        <{noun} is not {seen}> {where_not}
        {limited}, <{no} {noun} is {seen}>
        {also}, <{no} {noun} is {seen}> {where_not}
        [as to|regarding|with regard to|concerning] [the question of|the clinical question of|the query about] {noun}, <none is {seen}> {where_not}
        [previously|formerly] [described|reported|suspected|noted|questioned] <{noun} [has resolved|is no longer {seen}|has cleared|is not reproduced]> [compared with|since|as against] {prior}
        """,
    "absent_two": """
        <neither {noun} nor {noun2} is {seen}> {where_not}
        <{no} {noun} or {noun2} is {seen}> {where_not}
        <there is {no} {noun} and {no} {noun2}> {where_not}
        """,
    "extra": """
        , as [before|seen previously|on {prior}|expected for age|in {prior}], {limited}
        , {limited}|, `{change}`|, `{change}`, {limited}|, [best seen|better appreciated|most apparent|unlike] on {prior}
        , [which|this] [is|was] `{change}` [and|but] [of doubtful|of no|of some|of uncertain] [significance|clinical relevance|import] [given {problem}|in view of {presenting}|{near} {event}]
        , [likely|probably|presumably|possibly] [related to|reflecting|a consequence of|from] [{problem}|{acute}|age|{second}|prior surgery|body habitus|positioning|chronic change]
        [ without| with] [other|further|additional|associated|superimposed] [abnormality|finding|change|complication] {where_not}
        , [to be|can be|may be] [followed|reassessed|correlated|compared] [{near} {event}|clinically|with {symptom}|on later {study}|once {presenting} [resolves|settles]]
        |, {hedge_organ}
        """,
    "hedge_organ": """
        [raising|without raising|which may raise] [concern|the question|suspicion] [for|of] [{acute}|{second}|{problem}] [given|with|despite] {qualified_symptom}
        [a finding|an appearance|something] [also noted|described|reported] on {prior}
        """,
    "organ_frame": """
        <the {noun} {is} {state}>{extra}
        <the {noun} [{appear}|again {appear}|{remain}] {state}>{extra}
        <{state} {noun}>{extra}
        [evaluation|assessment|inspection|examination|review|survey] of the {noun} [shows {it}|reveals {it}|finds {it}|demonstrates {it}] to be <{state}>{extra}
        {limited}, <the {noun} {is} {state}>{extra}
        [as for|turning to|as to|regarding] the {noun}, [the appearance is|{it} [is|are] judged|the impression is] <{state}>{extra}
        """,
    "device_frame": """
        <the {noun} {is} {state}>{extra}
        [a|an indwelling|the patient's|the] <{noun} is {seen} {state}>{extra}
        [interval placement of|again seen is|there is|new since {prior} is] [a|an indwelling] <{noun}, {state}>{extra}
        [compared with|since|relative to] {prior}, <the {noun} [is now|remains|is again|lies] {state}>{extra}
        {limited}, <the {noun} [lies|projects|ends|is] {state}>{extra}
        the {noun}, [placed|repositioned|exchanged|advanced|withdrawn] [{near} {event}|by {doctor}|{time}|since {prior}], {is} <{state}>{extra}
        """,
    "change": "{change_word} [since|compared with|relative to|when compared to|as compared with|versus|from] {prior}"
    "|{change_word}",
    "new": "new|newly apparent|not seen before|newly developed|having developed in the interval",
    "larger": "increased|larger|slightly larger|worse|more extensive|progressed|more conspicuous|"
    "enlarging|somewhat increased|denser|minimally worse|considerably larger",
    "smaller": "decreased|smaller|improved|resolving|less conspicuous|partly cleared|slightly better|"
    "regressing|less extensive|nearly resolved|diminished|receding",
    "same": "unchanged|stable|similar|not significantly changed|essentially unchanged|persistent|"
    "without interval change|much as before|little changed|grossly stable",
    "altered": "changed|altered|different in appearance|newly so|worse|somewhat improved|more pronounced|"
    "less pronounced|slightly different|better demonstrated than before",
    "moved": "repositioned|slightly advanced|slightly withdrawn|newly placed|exchanged|rotated|adjusted",
    "impression_present": """
        <{degree} {noun}> ^{at} {site}^[, `{change}`|]{qualifier}
        `{change}` <{degree} {noun}> ^{at} {site}^{qualifier}
        <{degree} {noun}>[, `{change}`|] [as described|as above|as detailed above|], ^{at} {site}^{qualifier}
        findings [most|] [consistent with|compatible with|suggestive of|in keeping with|worrisome for] <{degree} {noun}> ^{at} {site}^[, `{change}`|]{qualifier}
        [probable|possible|suspected|likely|apparent|definite] <{degree} {noun}> ^{at} {site}^[, `{change}`|]{qualifier}
        """,
    "impression_absent": """
        <{no} {noun}> {where_not}
        [study is|examination is|images are] <negative for {noun}> {where_not}
        <{noun} not {seen}> {where_not}
        <[resolution|clearing] of [the|previously seen|formerly noted] {noun}> since {prior}
        """,
    "impression_state": """
        <{state} {noun}>{extra}
        <{noun}: {state}>{extra}
        <the {noun} [now|again|still|once more] {state}>{extra}
        """,
    "reason": """
        [please|pls|] [evaluate|eval|assess|look|r/o|rule out|check|evaluation] [for|] {asked_for}
        [?|question of|any|concern for|suspect] {asked_for}[, {presenting}| with {presenting}| in setting of {problem}| after {event}|, {problem}|]
        [interval change|progression|follow up|f/u|resolution|status] [of|after|regarding] {asked_for}
        {presenting} and {qualified_symptom}[, {asked_for}?|]
        [s/p|after|following] [fall|line placement|intubation|transfer|{event}|bronch|tube change|surgery|MVC], [eval|check|r/o] {asked_for}
        """,
    "wet_read": """
        [discussed|reviewed|findings discussed|results conveyed|communicated] [with|to] {doctor} [by phone|in person|via page|by telephone] [at|around] {#1-12}:{#10-59} [am|pm] on {~date}
        [preliminary|wet] read by {~first_name} {~last_name}: [no change|see below|as final|limited study|pending attending review]
        [a page was sent|the dashboard was used to notify|entered in the critical results system for] {doctor} {time}
        """,
    "recommend": """
        [recommend|suggest|would recommend|consider|advise|would suggest] [repeat|follow-up|dedicated|correlative|short-interval] [imaging|radiographs|CT|MRI|ultrasound|upright film|oblique views|lateral view|study with contrast] [if|when|once|should] {presenting} [persists|resolves|recurs|worsens|continues]
        [correlate|correlation] with [physical findings|exam|laboratory data|point tenderness|{symptom}|prior outside films|operative history|amylase|cultures|D-dimer|biopsy] [is recommended|is advised|would help|suggested|if not already done]
        [attention on follow-up|continued surveillance|comparison with outside films] [is suggested|advised|would be useful|recommended] [given {problem}|because of {problem}|in view of {presenting}|as {presenting} evolves]
        """,
}
