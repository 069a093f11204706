"""Who patients are outside hospital."""

RELATIVES = tuple(
    [
        "daughter",
        "son",
        "wife",
        "husband",
        "sister",
        "brother",
        "mother",
        "niece",
        "nephew",
        "granddaughter",
        "grandson",
        "cousin",
        "partner",
        "neighbor",
        "father",
        "roommate",
    ]
)

OCCUPATIONS = tuple(
    """retired machinist|retired schoolteacher|former bus driver|bookkeeper|carpenter|nurse's aide
pastry baker|retired firefighter|librarian|truck driver|house painter|computer programmer|seamstress
dairy farmer|fisherman|electrician|high school coach|church organist|bartender|postal clerk|welder
hairdresser|accountant|retired police officer|restaurant cook|janitor|landscaper|bank teller|piano tuner
retired navy cook|graduate student|paralegal|real estate agent|shipyard worker|textile worker|plumber
crossing guard|dental assistant|taxi driver|warehouse supervisor|photographer|florist|violin maker
retired chemist|social studies teacher|roofer|waitress|security guard|insurance adjuster|upholsterer
sales clerk|retired judge|tugboat pilot|medical secretary|auto mechanic|newspaper editor|potter
toll collector|elevator repairman|beekeeper|retired surveyor|cabinet maker|day care worker|printer
""".strip()
    .replace("\n", "|")
    .split("|")
)

HOBBIES = tuple(
    """gardening|crossword puzzles|bingo|fishing|quilting|bird watching|woodworking|choir singing|chess
ballroom dancing|stamp collecting|baking|bowling|reading mysteries|watching baseball|hiking|knitting
model trains|playing cribbage|painting watercolors|swimming|restoring old cars|volunteering|cooking
playing the accordion|genealogy|golf|taking photographs|visiting casinos|cycling|pottery|camping
""".strip()
    .replace("\n", "|")
    .split("|")
)

LIVING = tuple(
    """lives alone in a walk-up apartment|lives with a spouse in a ranch house|lives in senior housing
lives with an adult child|lives in a nursing facility|lives in assisted living|lives on a small farm
stays with a cousin at present|is homeless and stays in shelters|lives in a two-family house
lives in a group home|lives in a trailer|shares a house with friends|lives in a condominium
lives in a third-floor flat without an elevator|lives with elderly parents|lives with a roommate
lives near the coast with a dog|lives in a rooming house|lives with four cats|lives in a convent
""".strip()
    .replace("\n", "|")
    .split("|")
)
