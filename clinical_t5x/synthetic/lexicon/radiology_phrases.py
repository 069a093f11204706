# ruff: noqa: E501 - a table: one entry a line
"""How radiologists phrase findings: frames around the topics of imaging.py.

Marks in a frame say what answers a question about its topic: `<...>` the finding itself, `^...^`
where it is, `` `...` `` how it has changed. They are taken out before a report is written down.
"""

from __future__ import annotations

RULES = {
    "prior": """
        [the|] [prior|previous|preceding|earlier|most recent|outside|last available|baseline] [film|study|examination|radiograph|scan|exam|images|series] [of|from|dated|on] {~date}
        {~date}|the {daypart} [study|exam|film|images] of {~date}|[yesterday|{~weekday_tag}]
        the [study|exam|examination|images] [performed|obtained|done|acquired] [earlier today|{#2-9} hours earlier|the day before|at {~hospital}|on admission|{near} {event}|last {weekday}]
        """,
    "limited": """
        [allowing for|given|despite|accounting for|within the limits of|notwithstanding] [patient rotation|motion|patient motion|low volumes|portable technique|the patient's habitus|overlying [wires|leads|tubing|dressings|hardware|jewelry]|differences in [technique|positioning|projection|inspiration|penetration|slice selection]|suboptimal [positioning|contrast|inspiration|penetration]|artifact|streak artifact|limited cooperation|a limited acoustic window|beam hardening|respiratory motion|incomplete distention]
        """,
    "measuring": """
        measuring [about|up to|roughly|approximately|nearly|some] {#2-9} [mm|cm] [in greatest dimension|in transverse dimension|in anteroposterior diameter|on series {#2-9} image {#11-99}|({#2-9}:{#11-99})|at its widest|in maximal thickness|in short axis|craniocaudally|on the coronal images]
        """,
    "hedge": """
        [which|and this|this] [likely|probably|may|could|might|would|most likely|presumably] [represent|reflect|be due to|be related to|be from|be explained by|indicate|signify] {cause}
        [likely|probably|presumably|possibly|perhaps|conceivably|most consistent with being] [due to|secondary to|related to|a sequela of|on the basis of] {cause}
        [with|raising|suggesting] the [possibility|question|likelihood] of {cause}
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
        [again|once more|as before|interval|now], <{degree} {noun}> {at} ^{site}^[, `{change}`|]{qualifier}
        [note is made of|attention is drawn to|the study shows|images show|one sees|review shows|the dominant finding is|of note is|incidental note is made of] <{degree} {noun}> ^{at} {site}^[, `{change}`|]{qualifier}
        [the appearance suggests|the findings indicate|there appears to be|there may be|one suspects] <{degree} {noun}> ^{at} {site}^[, `{change}`|]{qualifier}
        {limited}, <{degree} {noun}> is {seen} ^{at} {site}^[, `{change}`|]
        the ^{site}^ [shows|demonstrates|contains|is notable for|reveals|harbors|exhibits] <{degree} {noun}>[, `{change}`|]{qualifier}
        """,
    "no": """
        no|no evidence of|no sign of|no definite|no convincing|no appreciable|no obvious|no discrete
        no gross|no significant|no new|no suspicious|no focal|no detectable|no radiographic sign of
        no clear|no unequivocal|no large|no evidence to suggest|nothing to suggest|no indication of
        """,
    "where_not": """
        on [this|the present|the current|the available|today's|the submitted] [study|examination|exam|view|images|projection|series|film|evaluation]
        [within|to] the limits of [this study|the technique|resolution|this modality|the exam|a bedside study]
        [in the|of the|over the] [imaged|visualized|included|scanned|displayed] [portions|field|anatomy|region|structures|levels]
        {limited}|[at|as of] this time|by [imaging|this technique|these criteria]|elsewhere|
        """,
    "absent": """
        <{no} {noun}> is {seen} {where_not}
        there is <{no} {noun}> {where_not}
        <{noun} is not {seen}> {where_not}
        {limited}, <{no} {noun}> is {seen}
        [specifically|otherwise|in particular|importantly|additionally|also], <{no} {noun}> [is {seen}|] {where_not}
        [as to|regarding|with regard to|concerning] [the question of|the clinical question of|the query about] {noun}, <none is {seen}> {where_not}
        [previously|formerly] [described|reported|suspected|noted|questioned] {noun} <[has resolved|is no longer {seen}|has cleared|is not reproduced]> [compared with|since|as against] {prior}
        """,
    "absent_two": """
        <neither {noun} nor {noun2} is {seen}> {where_not}
        <{no} {noun} or {noun2}> is {seen} {where_not}
        there is <{no} {noun} and {no} {noun2}> {where_not}
        """,
    "extra": """
        [, as [before|seen previously|on {prior}|expected for age|would be expected]|, {limited}|, `{change}`|, `{change}`|, [best seen|better appreciated|most apparent|unlike] on {prior}|]
        """,
    "organ_frame": """
        the {noun} {is} <{state}>{extra}
        the {noun} [{appear}|again {appear}|{remain}] <{state}>{extra}
        <{state}> {noun}{extra}
        [evaluation|assessment|inspection|examination|review|survey] of the {noun} [shows {it}|reveals {it}|finds {it}|demonstrates {it}] to be <{state}>{extra}
        {limited}, the {noun} {is} <{state}>
        [as for|turning to|as to|regarding] the {noun}, [the appearance is|{it} [is|are] judged|the impression is] <{state}>{extra}
        """,
    "device_frame": """
        the {noun} {is} <{state}>{extra}
        [a|an indwelling|the patient's|the] {noun} is {seen} <{state}>{extra}
        [interval placement of|again seen is|there is|new since {prior} is] [a|an indwelling] {noun}, <{state}>{extra}
        [compared with|since|relative to] {prior}, the {noun} [is now|remains|is again|lies] <{state}>
        {limited}, the {noun} [lies|projects|ends|is] <{state}>
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
    "impression_present": """
        <{degree} {noun}> ^{at} {site}^[, `{change}`|]{qualifier}
        `{change}` <{degree} {noun}> ^{at} {site}^{qualifier}
        <{degree} {noun}>[, `{change}`|] [as described|as above|as detailed above|], ^{at} {site}^{qualifier}
        findings [most|] [consistent with|compatible with|suggestive of|in keeping with|worrisome for] <{degree} {noun}> ^{at} {site}^[, `{change}`|]{qualifier}
        [probable|possible|suspected|likely|apparent|definite] <{degree} {noun}> ^{at} {site}^[, `{change}`|]{qualifier}
        """,
    "impression_absent": """
        <{no} {noun}> {where_not}
        [the study is|examination|images are] negative for <{noun}> {where_not}
        <{noun} not {seen}> {where_not}
        <[resolution|clearing] of [the|previously seen|formerly noted] {noun}> since {prior}
        """,
    "impression_state": """
        <{state}> {noun}{extra}
        {noun}: <{state}>{extra}
        the {noun} [remain|remains|now|again] <{state}>{extra}
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
