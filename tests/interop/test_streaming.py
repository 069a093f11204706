"""How much memory a conversion takes: about one tensor, whatever the size of the model."""

import gzip
import json
import shutil
import subprocess
import sys

import pytest

from clinical_t5x.interop import huggingface
from clinical_t5x.models.config import T5Config
from tests.interop import hf_models

# 82 million parameters, 330 MB; the largest tensor, the embedding, is 82 MB.
LARGE = {
    "vocab_size": 40_000, "d_model": 512, "d_kv": 64, "d_ff": 2_048, "num_heads": 8,
    "num_layers": 8, "num_decoder_layers": 8,
}  # fmt: skip
LARGEST_TENSOR = 40_000 * 512 * 4
MEASURE = """
import re, sys
from clinical_t5x.convert.__main__ import main
main(sys.argv[1:])
# Not getrusage: its peak begins with that of the process that started this one.
print("PEAK", 1024 * int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1]))
"""


def peak(*arguments):
    """Bytes of resident memory that the command took at most, in a process of its own."""
    command = [sys.executable, "-c", MEASURE, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout.rsplit("PEAK", 1)[1])


@pytest.fixture(scope="module")
def directories(tmp_path_factory):
    """The same model tiny and large, in several layouts."""
    home = tmp_path_factory.mktemp("models")
    small, large = hf_models.make_model("1.0"), hf_models.make_model("1.0", **LARGE)
    for layout in ("safetensors", "bin", "msgpack"):
        hf_models.write(home / f"small {layout}", small, layout)
        hf_models.write(home / f"large {layout}", large, layout)
    for size in ("small", "large"):
        packed = home / f"{size} bin.gz"
        shutil.copytree(home / f"{size} bin", packed)
        file = packed / "pytorch_model.bin"
        with gzip.open(f"{file}.gz", "wb", compresslevel=1) as out:
            out.write(file.read_bytes())
        file.unlink()
    return home


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["safetensors", "bin", "bin.gz", "msgpack"])
def test_one_tensor_at_a_time(directories, tmp_path, layout):
    settings = json.loads((directories / f"large {layout}" / "config.json").read_text())
    config: T5Config = huggingface.t5_config(settings)
    total = 4 * sum(map(_size, huggingface.hf_shapes(config).values()))
    assert total > 3 * LARGEST_TENSOR
    before = peak(directories / f"small {layout}", tmp_path / "small", "--to", "hf")
    taken = peak(directories / f"large {layout}", tmp_path / "large", "--to", "hf") - before
    print(f"{layout}: {taken / LARGEST_TENSOR:.2f} of the largest tensor")
    assert taken < 1.3 * LARGEST_TENSOR


def _size(shape):
    size = 1
    for dim in shape:
        size *= dim
    return size
