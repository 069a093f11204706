"""What imaging can show: examinations, their topics, and how each topic is named.

A topic is something that a report may speak of: a finding (present or absent), an organ (normal or
not) or a device (well placed or not). One line a topic:

    findings   key; names; words for its extent; sites; causes it may have; words of a questioner
    organs     key; names; normal; abnormal; words of a questioner
    devices    key; names; good position; bad position; words of a questioner

Names in one field mean the same; a questioner's words often differ from the report's, as a
physician's from a radiologist's.
"""

from __future__ import annotations

from typing import NamedTuple


class Topic(NamedTuple):
    """Something that a report may speak of.

    Attributes:
        key: unique name.
        kind: "finding", "organ" or "device".
        names: how reports name it.
        asked: how a questioner names it.
        degrees: extent of a finding; empty otherwise.
        sites: where a finding may be; normal states of an organ; good positions of a device.
        others: causes of a finding; abnormal states of an organ; bad positions of a device.
    """

    key: str
    kind: str
    names: tuple[str, ...]
    asked: tuple[str, ...]
    degrees: tuple[str, ...]
    sites: tuple[str, ...]
    others: tuple[str, ...]


class Exam(NamedTuple):
    """An imaging examination: titles, the rule for its technique, what it images, its topics."""

    key: str
    titles: tuple[str, ...]
    technique: str
    regions: tuple[str, ...]
    topics: tuple[Topic, ...]
    code: str


_FINDINGS = """
effusion; pleural effusion, pleural fluid, layering effusion; small, trace, moderate, large, tiny, sizable, loculated, free-flowing; right hemithorax, left hemithorax, both pleural spaces, right costophrenic angle, left costophrenic angle; heart failure, parapneumonic process, recent surgery, hypoalbuminemia, malignancy; fluid around the lungs, pleural effusion
pneumothorax; pneumothorax, pleural air, apical air collection; small, tiny, moderate, large, basilar, trace, hydro-component; right apex, left apex, right base, left lateral chest, anterior right chest; line placement, rib fracture, barotrauma, recent biopsy; collapsed lung, air leak into the chest, pneumothorax
consolidation; consolidation, airspace opacity, parenchymal opacity, air bronchogram-containing opacity; patchy, confluent, dense, ill-defined, multifocal, hazy, retrocardiac, peripheral; right lower lobe, left lower lobe, right middle lobe, lingula, right upper lobe, left upper lobe, both lower lobes; pneumonia, aspiration, hemorrhage, contusion, infarct; pneumonia, infiltrate, infection in the lungs
edema; pulmonary edema, vascular congestion, interstitial edema, perihilar haziness; mild, moderate, severe, asymmetric, worsening, early, residual; perihilar regions, both lungs, lung bases, upper zones; volume overload, cardiac decompensation, capillary leak, transfusion reaction; fluid overload, wet lungs, heart failure
atelectasis; atelectasis, volume loss, linear opacity, platelike opacity; subsegmental, mild, bibasilar, segmental, lobar, discoid, rounded; left base, right base, lingula, right middle lobe, left lower lobe; mucus plugging, splinting, low lung volumes, compression by effusion; collapse of lung tissue, poor aeration, atelectasis
nodule; pulmonary nodule, nodular opacity, rounded density, lung nodule; spiculated, calcified, ground-glass, noncalcified, solid, part-solid, cavitary; right upper lobe, left upper lobe, right lower lobe, superior segment of the left lower lobe, right apex; granuloma, primary neoplasm, metastasis, old infection; lung mass, suspicious spot, tumor
rib_fracture; rib fracture, cortical step-off of a rib, displaced rib fragment; acute, healing, old, minimally displaced, comminuted, nondisplaced; right sixth rib, left seventh rib, right ninth rib, left fourth rib, posterior left tenth rib; trauma, chest compressions, a remote fall; broken ribs, chest wall injury
free_air; free intraperitoneal air, pneumoperitoneum, free air; small, moderate, large, scant, unexpected; right subdiaphragmatic space, left subdiaphragmatic space, anterior abdomen, lesser sac, perihepatic region; recent laparotomy, perforated viscus, peritoneal dialysis; perforation, air outside the bowel
hilar_nodes; hilar lymphadenopathy, mediastinal adenopathy, enlarged nodes; bulky, borderline, calcified, mild, necrotic; right hilum, left hilum, subcarinal station, paratracheal region, aortopulmonary window; sarcoidosis, lymphoma, metastatic disease, reactive change; swollen lymph glands, adenopathy
clot; filling defect, pulmonary embolus, intraluminal thrombus; segmental, subsegmental, saddle, eccentric, occlusive, nonocclusive, web-like; right main pulmonary artery, left lower lobe artery, lingular branches, right upper lobe artery, right interlobar artery; venous thromboembolism, chronic clot, tumor thrombus; blood clot in the lungs, PE
pericardial; pericardial effusion, pericardial fluid, fluid in the pericardium; small, moderate, large, circumferential, physiologic; posterior recess, right atrial groove, anterior space, apical pericardium; uremia, recent cardiac surgery, inflammation; fluid around the heart
hemorrhage; intracranial hemorrhage, hyperdense blood, acute bleed, parenchymal hematoma; small, large, punctate, acute, subacute, lobar, expanding; right frontal lobe, left temporal lobe, left basal ganglia, right thalamus, left cerebellum, right parietal lobe; hypertension, amyloid angiopathy, trauma, anticoagulation; brain bleed, bleeding in the head
subdural; subdural collection, extra-axial collection, subdural hematoma; thin, mixed-density, crescentic, chronic, acute-on-chronic, hypodense; left convexity, right convexity, right frontoparietal convexity, left tentorium, interhemispheric fissure; a fall, bridging vein injury, prior drainage; collection outside the brain, subdural
infarct; infarct, territorial hypodensity, restricted diffusion, loss of gray-white differentiation; acute, chronic, lacunar, evolving, embolic-appearing, wedge-shaped, old; left MCA territory, right MCA territory, left occipital lobe, pons, right corona radiata, left internal capsule, right cerebellum; embolus, small vessel disease, hypoperfusion, vasospasm; stroke, ischemia of the brain
shift; midline shift, mass effect, subfalcine herniation; mild, moderate, marked, slight, leftward, rightward; septum pellucidum, third ventricle, right lateral ventricle, left lateral ventricle, left uncus; edema, hematoma, a mass; pressure on the brain, displacement of the brain
mass_brain; enhancing mass, intra-axial lesion, ring-enhancing lesion; solitary, multiple, lobulated, cystic, hemorrhagic, heterogeneous; right frontal lobe, left parietal lobe, left cerebellar hemisphere, corpus callosum, right temporal pole; metastasis, glioma, abscess, lymphoma; brain tumor, growth in the brain
skull_fracture; skull fracture, calvarial fracture, linear lucency of the calvarium; nondisplaced, depressed, linear, comminuted; right temporal bone, left parietal bone, occipital bone, left orbital roof; assault, a fall, a collision; break in the skull, fracture of the head
small_vessel; white matter hypodensity, periventricular signal change, leukoaraiosis, small vessel ischemic change; mild, moderate, extensive, confluent, age-appropriate; periventricular white matter, subcortical white matter, centrum semiovale; chronic microvascular disease, demyelination, prior insult; chronic white matter disease
aneurysm; aneurysm, saccular outpouching, aneurysmal dilatation; small, lobulated, wide-necked, fusiform, stable-appearing; anterior communicating artery, left ICA terminus, basilar tip, right MCA bifurcation, infrarenal aorta; atherosclerosis, connective tissue disease, infection; bulge of an artery, dilated artery
ascites; ascites, free fluid, intraperitoneal fluid; small, large, moderate, simple, loculated, scant; perihepatic space, pelvis, paracolic gutters, Morison's pouch, perisplenic space; portal hypertension, carcinomatosis, recent surgery, pancreatitis; fluid in the belly
obstruction; dilated small bowel loops, bowel obstruction, transition point, air-fluid levels; partial, high-grade, early, low-grade, closed-loop; mid ileum, right lower quadrant, distal jejunum, left lower quadrant, a ventral hernia; adhesions, hernia, ileus, stricture; blockage of the intestine, dilated bowel
gallstones_i; cholelithiasis, gallstones, echogenic shadowing foci, layering calculi; multiple, single, small, impacted, mobile; gallbladder neck, gallbladder fundus, cystic duct, dependent gallbladder; hemolysis, prolonged TPN, stasis; stones in the gallbladder
gb_wall; gallbladder wall thickening, pericholecystic fluid, gallbladder edema; mild, marked, diffuse, focal, equivocal; gallbladder fossa, gallbladder body, anterior gallbladder wall; cholecystitis, hepatitis, third spacing; inflammation of the gallbladder, cholecystitis
duct; biliary ductal dilatation, dilated common duct, intrahepatic ductal prominence; mild, marked, moderate, borderline, segmental; left hepatic lobe, common bile duct, pancreatic head, right hepatic lobe; a distal stone, stricture, prior cholecystectomy, a pancreatic head mass; blocked bile duct, biliary obstruction
liver_lesion; hepatic lesion, hypodense liver focus, echogenic liver mass; cystic, solid, subcentimeter, enhancing, indeterminate, multiple; segment II, segment VI, segment VIII, caudate lobe, hepatic dome, left lobe; hemangioma, metastasis, hepatocellular carcinoma, simple cyst; liver mass, spot on the liver
stone; renal calculus, nephrolithiasis, obstructing stone, ureteral calculus; nonobstructing, tiny, staghorn, punctate, large; right lower pole, left upper pole, left ureterovesical junction, right proximal ureter, left renal pelvis; hypercalciuria, chronic infection, dehydration; kidney stone
hydro; hydronephrosis, pelvicaliectasis, collecting system dilatation, hydroureter; mild, moderate, severe, chronic-appearing, new; right kidney, left kidney, both kidneys, transplant kidney; bladder outlet obstruction, a ureteral stone, reflux; blocked kidney, urinary obstruction
renal_cyst; renal cyst, exophytic renal lesion, cortical hypodensity; simple, complex, septated, hyperdense, subcentimeter; right upper pole, left lower pole, left interpolar region, right lower pole; polycystic disease, aging, dialysis; kidney mass, kidney cyst
abscess; rim-enhancing collection, abscess, organized fluid collection; small, multiloculated, large, air-containing, maturing; pelvis, left psoas muscle, right paracolic gutter, hepatic segment VII, presacral space; perforated diverticulitis, anastomotic leak, appendicitis; pocket of pus, infected collection
bowel_wall; bowel wall thickening, colonic wall edema, mural thickening; circumferential, segmental, pancolonic, mild, asymmetric; sigmoid colon, ascending colon, terminal ileum, rectum, splenic flexure; colitis, ischemia, inflammatory disease; inflamed bowel, colitis
diverticula; diverticula, diverticulosis, colonic outpouchings; scattered, numerous, few, uncomplicated; sigmoid colon, descending colon, cecum; age, low-fiber diet, wall weakness; pouches of the colon
panc_inflammation; peripancreatic stranding, pancreatic edema, peripancreatic fluid; mild, extensive, focal, resolving; pancreatic tail, pancreatic head, lesser sac, left anterior pararenal space; alcohol, gallstones, hypertriglyceridemia; inflamed pancreas, pancreatitis
dvt_i; noncompressible vein, echogenic thrombus, deep venous thrombosis, absent venous flow; occlusive, nonocclusive, acute-appearing, chronic, partial; right common femoral vein, left popliteal vein, left posterior tibial veins, right superficial femoral vein, left internal jugular vein; immobility, an indwelling catheter, malignancy; clot in the leg, venous clot
baker; popliteal cyst, Baker's cyst, fluid collection behind the knee; ruptured, small, large, complex; right popliteal fossa, left popliteal fossa; osteoarthritis, internal derangement; swelling behind the knee
soft_swelling; soft tissue swelling, subcutaneous edema, skin thickening; mild, diffuse, marked, focal; right calf, left calf, left ankle, right forefoot, left thigh; cellulitis, trauma, venous stasis; swelling under the skin
fracture; fracture, cortical disruption, fracture line; displaced, nondisplaced, comminuted, impacted, oblique, spiral, healing; left femoral neck, right distal radius, left lateral malleolus, right humeral head, left pubic ramus, right tibial plateau; a fall, osteoporosis, metastatic disease; broken bone
dislocation; dislocation, subluxation, joint malalignment; anterior, posterior, inferior, partial; right shoulder, left hip prosthesis, left elbow, right patella; trauma, laxity, component failure; joint out of place
arthritis; joint space narrowing, degenerative change, osteophyte formation; mild, severe, moderate, tricompartmental, bone-on-bone; right knee, left hip, first carpometacarpal joint, right shoulder, left knee; wear, prior injury, crystal disease; arthritis, worn joint
joint_effusion; joint effusion, lipohemarthrosis, distended suprapatellar recess; small, large, moderate; right knee, left elbow, left ankle; occult fracture, infection, gout; fluid in the joint
foreign_body; radiopaque foreign body, metallic density, retained fragment; linear, tiny, rounded; plantar soft tissues, thenar eminence, left forearm; glass, a needle, shrapnel; foreign object
stenosis_c; plaque, heterogeneous atheroma, luminal narrowing; mild, calcified, severe, ulcerated, moderate; right carotid bulb, left carotid bulb, left proximal ICA, right ECA origin; atherosclerosis, radiation, dissection; narrowing of the neck artery, carotid blockage
disc; disc bulge, disc herniation, disc protrusion; broad-based, central, left paracentral, right foraminal, extruded; L4-L5 level, L5-S1 level, C5-C6 level, C6-C7 level, L3-L4 level; degeneration, lifting injury; slipped disc
canal; canal stenosis, thecal sac compression, foraminal narrowing; mild, severe, moderate, multifactorial; L3-L4 level, L4-L5 level, C4-C5 level, C5-C6 level, T11-T12 level; ligamentous thickening, facet hypertrophy, disc disease; narrowed spinal canal, pinched nerve
cord; cord signal abnormality, cord edema, intramedullary lesion; focal, longitudinally extensive, subtle, expansile; upper cervical cord, conus, mid thoracic cord, lower cervical cord; demyelination, contusion, ischemia; spinal cord damage
compression; compression deformity, vertebral body height loss, wedge fracture; mild, acute, chronic, severe, biconcave; T12 vertebra, L1 vertebra, T8 vertebra, L3 vertebra, T10 vertebra; osteoporosis, myeloma, a fall; collapsed vertebra
stool; fecal loading, retained stool, stool burden; moderate, large, extensive, mild; ascending colon, rectal vault, whole colon, sigmoid, cecum; opioids, immobility, poor intake; constipation
"""

_ORGANS = """
heart; cardiac silhouette, heart, cardiomediastinal contour; normal in size, within normal limits, not enlarged, top normal in size; moderately enlarged, globular, borderline enlarged, shifted to the left, markedly enlarged; heart size, cardiomegaly
aorta; aorta, thoracic aorta, aortic contour; normal in caliber, unremarkable in course, not dilated; tortuous, calcified, unfolded, ectatic, dilated to four centimeters; aorta
mediastinum; mediastinum, mediastinal contour, superior mediastinum; unremarkable, midline, of normal width; widened, shifted toward the right, prominent on this portable view; mediastinal widening
diaphragm; right hemidiaphragm, left hemidiaphragm, diaphragmatic contour; smooth, well defined, in normal position; elevated, obscured, flattened, eventrated; diaphragm
bones_chest; visualized osseous structures, bony thorax, imaged skeleton; intact, grossly unremarkable, without acute abnormality; demineralized, degenerative, kyphotic, scoliotic; bones
ventricles; ventricles, ventricular system, lateral ventricles; normal in size, symmetric, age-appropriate in caliber; dilated, effaced on the right, asymmetric, slit-like, prominent from volume loss; size of the ventricles, hydrocephalus
sinuses; paranasal sinuses, maxillary sinuses, ethmoid air cells; clear, well aerated, free of fluid; opacified, with mucosal thickening, with an air-fluid level; sinus disease
mastoids; mastoid air cells, middle ear cavities, mastoids; clear, well pneumatized, aerated; partially opacified, underpneumatized, fluid-filled; mastoid disease
vessels_brain; major intracranial flow voids, circle of Willis, basilar artery; patent, preserved, unremarkable; attenuated, dolichoectatic, irregular, occluded distally; vessels of the brain
liver; liver, hepatic parenchyma, liver parenchyma; normal in echotexture, homogeneous, of normal attenuation; nodular in contour, fatty, coarsened, enlarged, shrunken; liver texture
spleen; spleen, splenic parenchyma; normal in size, unremarkable, homogeneous; enlarged, lobulated, infarcted in its upper pole, surgically absent; spleen size
kidneys; kidneys, renal parenchyma, renal contours; symmetric in enhancement, normal in size, unremarkable; atrophic, scarred, echogenic, lobulated; kidneys
pancreas; pancreas, pancreatic parenchyma, visualized pancreas; unremarkable, normal in enhancement, without ductal dilatation; atrophic, calcified, fatty replaced, obscured by bowel gas; pancreas
adrenals; adrenal glands, adrenals, left adrenal gland; normal, unremarkable, not enlarged; thickened, nodular, hyperplastic; adrenal glands
bladder; urinary bladder, bladder, bladder lumen; well distended, unremarkable, smooth-walled; decompressed around a catheter, trabeculated, thick-walled, displaced; bladder
appendix; appendix, appendiceal lumen; normal, air-filled, not dilated; dilated, hyperemic, not visualized, surgically absent; appendix
portal; main portal vein, portal venous system, hepatic vasculature; patent with hepatopetal flow, patent, widely patent; occluded, with reversed flow, attenuated, thrombosed; flow in the portal vein
cbd; common bile duct, extrahepatic duct, common duct; normal in caliber, not dilated, measuring four millimeters; prominent, measuring eleven millimeters, obscured distally; bile duct
bowel_gas; bowel gas pattern, gas pattern, intestinal gas; nonobstructive, unremarkable, normal; nonspecific, gasless, disordered; bowel gas
pelvis_bones; bony pelvis, sacroiliac joints, femoral heads; intact, well seated, symmetric; sclerotic, eroded, remodeled; pelvic bones
alignment; vertebral alignment, cervical alignment, spinal alignment; maintained, preserved, anatomic; straightened, with grade one anterolisthesis, with exaggerated lordosis; alignment of the spine
marrow; marrow signal, bone marrow, vertebral marrow signal; normal, preserved, unremarkable; heterogeneous, replaced, edematous at the endplates; bone marrow
soft_neck; prevertebral soft tissues, paraspinal soft tissues, neck soft tissues; unremarkable, not thickened, normal; thickened, edematous, emphysematous; soft tissues of the neck
femoral_flow; common femoral waveforms, femoral venous flow, augmentation of flow; symmetric, phasic, normal; blunted, monophasic, asymmetric; flow in the femoral veins
vertebral_flow; vertebral arteries, vertebral artery flow; antegrade, patent, normal in direction; retrograde, absent on the right, damped; vertebral artery flow
mineralization; bone mineralization, osseous mineralization; normal, preserved, maintained; diffusely decreased, patchy, reduced; bone density
hardware; hip prosthesis, orthopedic hardware, fixation plate; intact, well seated, without loosening; fractured, loosened, backing out; orthopedic implant
"""

_DEVICES = """
ett; endotracheal tube, ET tube, tip of the endotracheal tube; four centimeters above the carina, in standard position, at the level of the clavicles, in satisfactory position; in the right main bronchus, one centimeter above the carina, too high at the thoracic inlet, low lying; breathing tube
ng; nasogastric tube, enteric tube, orogastric tube; in the stomach, coursing below the diaphragm, in the gastric fundus; coiled in the esophagus, looped in the hypopharynx, withdrawn above the gastroesophageal junction; feeding tube, NG tube
central_line; internal jugular catheter, subclavian line, central venous catheter; in the lower superior vena cava, at the cavoatrial junction, in the mid superior vena cava; in the right atrium, directed up the jugular vein, in the azygos vein; central line
picc; PICC line, peripherally inserted catheter, PICC; in the distal superior vena cava, at the superior cavoatrial junction; in the axillary vein, curled in the brachiocephalic vein, in the contralateral subclavian vein; PICC
pacer; pacemaker lead, dual-chamber device, defibrillator lead; in the right atrium and right ventricle, in unchanged position, intact and appropriately placed; fractured near the generator, retracted into the atrium, displaced; pacemaker
chest_tube; chest tube, pigtail catheter, thoracostomy tube; in unchanged position, directed to the apex, at the posterior base; kinked, withdrawn with a side hole outside, in the fissure; chest tube
swan; Swan-Ganz catheter, pulmonary artery catheter; in the right main pulmonary artery, in the main pulmonary artery, in the interlobar artery; too distal, coiled in the ventricle, in the hepatic vein; PA catheter
"""

_EXAMS = """
cxr; CHEST (PORTABLE AP), CHEST (PA & LAT), CHEST PORT. LINE PLACEMENT, CHEST (SINGLE VIEW), CHEST (PRE-OP PA & LAT); tech_film; chest, thorax, lungs and pleura; effusion pneumothorax consolidation edema atelectasis nodule rib_fracture free_air heart aorta mediastinum diaphragm bones_chest ett ng central_line picc pacer chest_tube swan; C11
ct_head; CT HEAD W/O CONTRAST, CT HEAD W/ & W/O CONTRAST, CT EMERGENCY HEAD W/O CONTRAST; tech_ct; head, brain, skull and contents; hemorrhage subdural infarct shift mass_brain skull_fracture small_vessel ventricles sinuses mastoids vessels_brain; CTHD
cta_chest; CTA CHEST W&W/O C&RECONS, CT CHEST W/CONTRAST, CT CHEST W/O CONTRAST; tech_ct; chest, thorax, pulmonary arteries; clot effusion consolidation atelectasis nodule hilar_nodes pericardial rib_fracture pneumothorax heart aorta adrenals; CTCH
ct_abd; CT ABDOMEN W/CONTRAST, CT PELVIS W/CONTRAST, CT ABD & PELVIS W/O CONTRAST, CT ABDOMEN W/O CONTRAST; tech_ct; abdomen, abdomen and pelvis, lower chest through symphysis; ascites obstruction abscess bowel_wall diverticula panc_inflammation liver_lesion stone hydro renal_cyst free_air spleen kidneys pancreas adrenals bladder appendix aneurysm; CTAP
us_abd; LIVER OR GALLBLADDER US, ABDOMEN U.S. (COMPLETE STUDY), DUPLEX DOP ABD/PEL LIMITED; tech_us; right upper quadrant, abdomen, liver and biliary tree; gallstones_i gb_wall duct liver_lesion ascites hydro liver spleen portal cbd pancreas; USAB
mri_head; MR HEAD W/O CONTRAST, MR HEAD W & W/O CONTRAST, MRA BRAIN W/O CONTRAST; tech_mri; brain, head, intracranial contents; infarct hemorrhage mass_brain small_vessel aneurysm subdural shift ventricles sinuses vessels_brain mastoids; MRHD
us_leg; BILAT LOWER EXT VEINS, UNILAT LOWER EXT VEINS LEFT, UNILAT LOWER EXT VEINS RIGHT; tech_us; lower extremity veins, deep veins of the leg, groin to calf; dvt_i baker soft_swelling femoral_flow; USLE
us_renal; RENAL U.S., RENAL U.S. PORT, RENAL TRANSPLANT U.S.; tech_us; kidneys, kidneys and bladder, retroperitoneum; hydro stone renal_cyst ascites kidneys bladder; USRE
bone; HIP UNILAT MIN 2 VIEWS, KNEE (AP LAT & OBLIQUE), WRIST(3 + VIEWS), ANKLE (AP MORTISE & LAT), SHOULDER 2-3 VIEWS; tech_film; painful joint, extremity, injured limb; fracture dislocation arthritis joint_effusion foreign_body soft_swelling mineralization hardware; BONE
abdomen; ABDOMEN (SUPINE & ERECT), PORTABLE ABDOMEN, ABDOMEN (SUPINE ONLY); tech_film; abdomen, abdomen and pelvis, diaphragm to symphysis; obstruction free_air stool foreign_body bowel_gas pelvis_bones ng; ABDM
carotid; CAROTID SERIES COMPLETE, CAROTID DOPPLER ULTRASOUND; tech_us; carotid arteries, neck vessels, both carotid systems; stenosis_c vertebral_flow soft_neck aneurysm; CARO
spine; MR L-SPINE W/O CONTRAST, MR CERVICAL SPINE, CT C-SPINE W/O CONTRAST, T-SPINE; tech_mri; spine, vertebral column, spinal canal; disc canal cord compression alignment marrow soft_neck; SPIN
"""


def _items(field: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in field.split(","))


def _rows(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split(";")] for line in table.strip().splitlines()]


def _topics() -> dict[str, Topic]:
    topics = {}
    for key, names, degrees, sites, causes, asked in _rows(_FINDINGS):
        fields = map(_items, (names, asked, degrees, sites, causes))
        topics[key] = Topic(key, "finding", *fields)
    for kind, table in (("organ", _ORGANS), ("device", _DEVICES)):
        for key, names, good, bad, asked in _rows(table):
            topics[key] = Topic(
                key, kind, _items(names), _items(asked), (), _items(good), _items(bad)
            )
    return topics


TOPICS = _topics()
EXAMS = {
    key: Exam(
        key,
        _items(titles),
        technique,
        _items(regions),
        tuple(TOPICS[topic] for topic in topics.split()),
        code,
    )
    for key, titles, technique, regions, topics, code in _rows(_EXAMS)
}
# How often each examination is made, out of 100.
EXAM_SHARES = dict(
    cxr=52, ct_head=11, cta_chest=6, ct_abd=9, us_abd=4, mri_head=4, us_leg=3, us_renal=2, bone=4,
    abdomen=3, carotid=1, spine=1,
)  # fmt: skip
EXAM_WHEEL = tuple(key for key, share in EXAM_SHARES.items() for _ in range(share))
