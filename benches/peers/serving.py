#!/usr/bin/env python3
"""Compares the server of botops with those of MLflow and BentoML: the same training data, the same load, in turn.

    cargo build --release
    python3 benches/peers/serving.py --botops target/release/botops --train TRAIN.csv --test TEST.csv [--only mlflow]

The peers come from PyPI: mlflow==3.6.0 with fastapi==0.121.0, bentoml==1.4.40 and scikit-learn==1.9.1, in the environment that runs this. Their
model is a pipeline of TfidfVectorizer (words and pairs of words) and LinearSVC. `wrk` sends the utterances of TEST.csv, one a
request, over 32 connections on the same cores. Each server runs in turn, three times. Processor time is that of all processes
of the server, user and system.
"""

import argparse
import csv
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
ROUNDS = 3
SERVICE = """
import bentoml, pickle

@bentoml.service(workers=1)
class Intents:
    def __init__(self):
        self.model = pickle.load(open({model!r}, "rb"))

    @bentoml.api
    def classify(self, text: str) -> str:
        return str(self.model.predict([text])[0])
"""


def rows(path):
    with open(path, newline="") as file:
        found = list(csv.reader(file))[1:]
    return [row[0] for row in found], [row[1] for row in found]


def train(path, folder):
    import pickle

    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import LinearSVC

    texts, intents = rows(path)
    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LinearSVC())
    model.fit(texts, intents)
    with open(folder / "model.pkl", "wb") as file:
        pickle.dump(model, file)
    return model


def free_port():
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return it.getsockname()[1]


def family(leader):
    """Returns the numbers of a process and of all that descend from it, as /proc writes them."""
    stats = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stats[int(entry.name)] = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
    members, grew = {leader}, True
    while grew:
        more = {pid for pid, stat in stats.items() if int(stat[1]) in members} - members
        members, grew = members | more, bool(more)
    return [stats[pid] for pid in members if pid in stats]


def cpu(leader):
    return sum(int(stat[11]) + int(stat[12]) for stat in family(leader)) / TICKS


def memory(leader):
    return sum(int(stat[21]) for stat in family(leader)) * os.sysconf("SC_PAGE_SIZE") / 1e6


class Server:
    """A running server that answers `body(text)` at `path`."""

    def __init__(self, command, port, path, body, cwd, env=None):
        self.url, self.path, self.body = f"http://127.0.0.1:{port}", path, body
        log = open(Path(cwd) / "server.log", "ab")
        # MLflow calls `uvicorn` by its name.
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.process = subprocess.Popen(command, cwd=cwd, env={**os.environ, "PATH": path, **(env or {})}, stdout=log,
                                        stderr=log)
        deadline = time.monotonic() + 120
        while not self.answers():
            if time.monotonic() > deadline or self.process.poll() is not None:
                self.stop()
                sys.exit(f"{command[0]} does not answer; see {cwd}/server.log")
            time.sleep(0.2)

    def answers(self):
        request = urllib.request.Request(self.url + self.path, json.dumps(self.body("where is my card")).encode(),
                                         {"content-type": "application/json"})
        try:
            return urllib.request.urlopen(request, timeout=5).status == 200
        except OSError:
            return False

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def botops(binary, train_file, folder):
    subprocess.run([binary, "-q", "train", train_file, "-o", folder / "b.botops", "--force"], check=True, cwd=folder,
                   stdout=subprocess.DEVNULL)
    port = free_port()
    command = [binary, "serve", folder / "b.botops", "--listen", f"127.0.0.1:{port}"]
    return Server(command, port, "/v1/predict", lambda text: {"text": text}, folder)


def mlflow(model, folder):
    import mlflow as package

    place = folder / "mlflow"
    if not place.exists():
        package.sklearn.save_model(model, place)
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", place, "-p", str(port), "--env-manager", "local"]
    return Server(command, port, "/invocations", lambda text: {"inputs": [text]}, folder)


def bentoml(folder):
    (folder / "service.py").write_text(SERVICE.format(model=str(folder / "model.pkl")))
    port = free_port()
    command = [sys.executable, "-m", "bentoml", "serve", "service:Intents", "--port", str(port)]
    return Server(command, port, "/classify", lambda text: {"text": text}, folder, {"BENTOML_DO_NOT_TRACK": "true"})


def load(server, texts, folder, seconds):
    bodies = folder / "bodies.txt"
    bodies.write_text("\n".join(json.dumps(server.body(text)) for text in texts))
    script = folder / "load.lua"
    script.write_text(f"""
local bodies, i = {{}}, 0
for line in io.lines("{bodies}") do bodies[#bodies + 1] = line end
wrk.method, wrk.headers["content-type"] = "POST", "application/json"
function request() i = i % #bodies + 1; return wrk.format(nil, "{server.path}", nil, bodies[i]) end
function done(summary, latency)
  io.write(string.format("%d %d %d %.2f %.2f\\n", summary.requests, summary.errors.status + summary.errors.timeout,
    summary.duration, latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
""")
    before = cpu(server.process.pid)
    done = subprocess.run(["wrk", "-t2", "-c32", f"-d{seconds}s", "-s", script, server.url], check=True,
                          capture_output=True, text=True)
    used = cpu(server.process.pid) - before
    line = re.search(r"^(\d+) (\d+) (\d+) (\S+) (\S+)$", done.stdout, re.M)
    requests, failed, duration = (int(line[i]) for i in (1, 2, 3))
    return {"per_second": requests / duration * 1e6, "cpu_ms": 1000 * used / requests, "failed": failed,
            "p50_ms": float(line[4]), "p99_ms": float(line[5]), "megabytes": memory(server.process.pid)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--botops", required=True, type=Path)
    parser.add_argument("--train", required=True, type=Path)
    parser.add_argument("--test", required=True, type=Path)
    parser.add_argument("--only", nargs="*", choices=["mlflow", "bentoml"], default=["mlflow", "bentoml"])
    parser.add_argument("--seconds", type=int, default=6)
    args = parser.parse_args()
    texts, _ = rows(args.test)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = train(args.train, folder)
        starts = {"botops": lambda: botops(args.botops.resolve(), args.train.resolve(), folder)}
        starts |= {"mlflow": lambda: mlflow(model, folder), "bentoml": lambda: bentoml(folder)}
        results = {}
        for _ in range(ROUNDS):
            for peer in ["botops", *args.only]:
                server = starts[peer]()
                try:
                    load(server, texts, folder, 1)
                    result = load(server, texts, folder, args.seconds)
                finally:
                    server.stop()
                print(json.dumps({"server": peer, **{key: round(value, 4) for key, value in result.items()}}), flush=True)
                results.setdefault(peer, []).append(result)
    for peer in args.only:
        pairs = list(zip(results[peer], results["botops"]))
        cpus = sorted(theirs["cpu_ms"] / ours["cpu_ms"] for theirs, ours in pairs)
        rates = sorted(ours["per_second"] / theirs["per_second"] for theirs, ours in pairs)
        middle = len(pairs) // 2
        print(f"{peer}: {rates[middle]:.0f} x the requests a second, 1/{cpus[middle]:.0f} of the processor time a request")


if __name__ == "__main__":
    main()
