"""Words and facts: phrase banks, problems, drugs, laboratory tests. No text of any real record."""

from clinical_t5x.synthetic import tags
from clinical_t5x.synthetic.grammar import Grammar
from clinical_t5x.synthetic.lexicon import phrases

SHARED = Grammar(phrases.RULES, functions=tags.FUNCTIONS)
