"""The command `prompt` on made-up examples: python command.py PREMISES SYNTHETIC ARGUMENT...

Only the reading of a data home is replaced, which would take TensorFlow.
"""

import sys

from clinical_t5x import console, prompt
from clinical_t5x.baselines.finetuning import reading
from tests.baselines.prompting import material

if __name__ == "__main__":
    premises, synthetic, *arguments = sys.argv[1:]
    benchmark = material.mednli(int(premises), synthetic=synthetic == "synthetic")
    reading.read_benchmark = lambda *given, **named: benchmark
    console.run_command(prompt.main, arguments)
