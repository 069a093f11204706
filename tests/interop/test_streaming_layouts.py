"""Conversions between T5X's layouts and ours take memory for tensors under way, not for a model."""

import subprocess
import sys
import textwrap

import pytest

# 98 million parameters; the largest tensor has 8 MB.
MODEL_MEGABYTES = 376
SCRIPT = """
    import pathlib, re, sys
    import numpy as np
    from clinical_t5x.interop import t5x_names
    from clinical_t5x.interop.recognise import open_checkpoint
    from clinical_t5x.interop.native import write_native
    from clinical_t5x.interop.source import TensorInfo
    from clinical_t5x.interop.t5x_checkpoint import write_t5x
    from clinical_t5x.models.config import T5Config

    config = T5Config(
        4_096, emb_dim=512, mlp_dim=4_096, num_encoder_layers=7, num_decoder_layers=7
    )

    class Random:
        kind, path, step, config = "random", "random", 1, config
        infos = {k: TensorInfo(v, "float32") for k, v in t5x_names.t5x_shapes(config).items()}

        def read(self, name):
            return np.random.default_rng(len(name)).random(self.infos[name].shape, np.float32)

    def megabytes(field):
        status = pathlib.Path("/proc/self/status").read_text()
        return int(re.search(field + r":\\s*(\\d+)", status)[1]) / 1024

    source, target, layout = sys.argv[1:]
    before = megabytes("VmRSS")
    tensors = Random() if source == "random" else open_checkpoint(source)
    if layout in ("orbax", "legacy"):
        write_t5x(tensors, target, layout=layout)
    else:
        write_native(tensors, target, scan_layers=layout == "stacked")
    print(megabytes("VmHWM") - before)
"""


def taken_megabytes(*arguments):
    command = [sys.executable, "-c", textwrap.dedent(SCRIPT), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout)


@pytest.mark.slow
def test_a_conversion_does_not_hold_the_model(tmp_path):
    """Threads and indices take some 300 MB whatever the model; holding it would add its size."""
    way = ["random", "stacked", "orbax", "apart", "legacy", "stacked"]
    here = "random"
    for number, layout in enumerate(way[1:]):
        target = tmp_path / f"{number}_{layout}"
        taken = taken_megabytes(here, target, layout)
        print(f"{way[number]} to {layout}: {taken:.0f} MB for a model of {MODEL_MEGABYTES} MB")
        assert taken < 1.3 * MODEL_MEGABYTES
        here = target
