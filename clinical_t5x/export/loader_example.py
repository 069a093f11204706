"""Loads the exported model in this folder and runs it. Needs jax; text needs sentencepiece too.

python load_example.py --check                     compares with the answers kept in the export
python load_example.py "some text" ["more text"]   predicts
python load_example.py --ids "5 17 9 1"            the same with token ids
python load_example.py --score "text" "target"     the log-likelihood of a target, in nats
"""

import argparse
import json
import math
from pathlib import Path

import jax
import numpy as np
from jax import export

FOLDER = Path(__file__).resolve().parent
MANIFEST = json.loads((FOLDER / "manifest.json").read_text())


def load_parameters():
    """The parameters as a nested dict of arrays, mapped from the file, not copied."""
    path = FOLDER / MANIFEST["parameters"]["file"]
    with path.open("rb") as file:
        header_size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(header_size))
    data = np.memmap(path, np.uint8, mode="r", offset=8 + header_size)
    dtypes = {"F32": np.float32, "BF16": jax.numpy.bfloat16, "F16": np.float16}
    params = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        array = data[begin:end].view(dtypes[entry["dtype"]]).reshape(entry["shape"])
        *folders, last = name.split("/")
        inner = params
        for folder in folders:
            inner = inner.setdefault(folder, {})
        inner[last] = array
    return params


def load_program(name):
    """The exported function `predict` or `score`, compiled for this machine at its first call."""
    serialized = (FOLDER / MANIFEST["programs"][name]["file"]).read_bytes()
    return jax.jit(export.deserialize(bytearray(serialized)).call)


def encode(text):
    """Token ids of a text, with the end-of-sequence id."""
    vocabulary = MANIFEST["vocabulary"]
    if vocabulary["kind"] == "bytes":
        ids = [byte + 3 for byte in text.encode()]
    else:
        ids = _sentencepiece().encode(text)
    return [*ids, vocabulary["eos_id"]]


def decode(ids):
    """The text of token ids up to the end-of-sequence id; sentinels read <extra_id_0>, ..."""
    vocabulary = MANIFEST["vocabulary"]
    ids = [int(token) for token in ids]
    if vocabulary["eos_id"] in ids:
        ids = ids[: ids.index(vocabulary["eos_id"])]
    sentinels = {token: i for i, token in enumerate(vocabulary["sentinel_ids"])}
    parts, run = [], []
    for token in [*ids, None]:
        if token is None or token in sentinels:
            parts.append(_decode_plain(run))
            parts.append("" if token is None else f"<extra_id_{sentinels[token]}>")
            run = []
        elif token != vocabulary["pad_id"] and token < vocabulary["vocab_size"]:
            run.append(token)
    return "".join(parts)


def _decode_plain(ids):
    if MANIFEST["vocabulary"]["kind"] == "bytes":
        return bytes(token - 3 for token in ids if 3 <= token < 259).decode(errors="replace")
    return _sentencepiece().decode(ids)


def _sentencepiece():
    try:
        import sentencepiece
    except ImportError:
        raise SystemExit("text needs the package sentencepiece; token ids (--ids) do not") from None
    file = FOLDER / MANIFEST["vocabulary"]["file"]
    return sentencepiece.SentencePieceProcessor(model_file=str(file))


def rows_of(sequences, length):
    """Pad sequences of token ids to one array [rows, length], as many rows as a batch has."""
    batch = MANIFEST["inputs"]["batch"]
    count = len(sequences) if batch is None else math.ceil(len(sequences) / batch) * batch
    rows = np.zeros((count, length), np.int32)
    rows[:, 0] = MANIFEST["vocabulary"]["eos_id"]  # a row that only fills the batch
    for row, ids in zip(rows, sequences):  # noqa: B905
        if len(ids) > length:
            raise SystemExit(f"{len(ids)} tokens do not fit into {length}")
        row[:] = 0
        row[: len(ids)] = ids
    return rows


def run(name, params, inputs, targets):
    """Call a program on any number of rows: a batch at a time where its size is fixed."""
    program = load_program(name)
    step = MANIFEST["inputs"]["batch"] or len(inputs)
    parts = [
        jax.device_get(program(params, inputs[start : start + step], targets[start : start + step]))
        for start in range(0, len(inputs), step)
    ]
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def check():
    """Compare with the answers of the exporting process; prints a line of JSON."""
    kept = np.load(FOLDER / "self_check.npz")
    params = load_parameters()
    inputs, targets = kept["inputs"], kept["targets"]
    found = {name: run(name, params, inputs, targets) for name in MANIFEST["programs"]}
    equal = np.all(found["predict"]["tokens"] == kept["predict_tokens"], axis=-1)
    pairs = [(found[name]["scores"], kept[f"{name}_scores"]) for name in found]
    largest = max(
        float(np.max(np.abs(ours - theirs) / np.maximum(np.abs(theirs), 1.0)))
        for ours, theirs in pairs
    )
    summary = {
        "rows": len(inputs),
        "equal_tokens": int(equal.sum()),
        "largest_difference": largest,
        "dtypes": [*MANIFEST["parameters"]["dtypes"], MANIFEST["config"]["dtype"]],
        "platform": jax.default_backend(),
        "jax": jax.__version__,
    }
    print(json.dumps(summary))
    return summary


def main():
    """Answer the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("texts", nargs="*")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--ids", action="store_true", help="the texts are token ids")
    parser.add_argument("--predict", action="store_true")
    parser.add_argument("--score", action="store_true", help="texts are: input target input ...")
    given = parser.parse_args()
    given.score = given.score or (MANIFEST["default_program"] == "score" and not given.predict)
    if given.check:
        check()
        return
    if not given.texts or (given.score and len(given.texts) % 2):
        parser.error("give a text, or pairs of input and target with --score, or --check")
    sequences = [
        [int(token) for token in text.split()] if given.ids else encode(text)
        for text in given.texts
    ]
    params = load_parameters()
    input_length = MANIFEST["inputs"]["inputs"][1]
    target_length = MANIFEST["inputs"]["targets"][1]
    if given.score:
        inputs = rows_of(sequences[::2], input_length)
        targets = rows_of(sequences[1::2], target_length)
        for score in run("score", params, inputs, targets)["scores"][: len(sequences) // 2]:
            print(f"{score:.6f}")
        return
    inputs = rows_of(sequences, input_length)
    found = run("predict", params, inputs, np.zeros((len(inputs), target_length), np.int32))
    for tokens, score in zip(found["tokens"][: len(sequences)], found["scores"]):  # noqa: B905
        # a text may hold line breaks, which JSON writes as \n
        shown = " ".join(map(str, tokens)) if given.ids else json.dumps(decode(tokens))
        print(f"{score:.6f}\t{shown}")


if __name__ == "__main__":
    main()
