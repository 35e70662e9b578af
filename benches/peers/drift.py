#!/usr/bin/env python3
"""Compares two files of 100,000 records with Evidently: the columns of benches/drift.rs, with and without text.

    cargo bench --bench drift -- keep DIR
    python3 benches/peers/drift.py DIR/columns-reference.csv DIR/columns-current.csv
    python3 benches/peers/drift.py DIR/utterances-reference.csv DIR/utterances-current.csv --text

The peer comes from PyPI: evidently==0.7.23 with pandas<3, in the environment that runs this. The job is one process, from reading the
files to the result; imports are counted apart. Processor time (user + system) and peak memory are printed.
"""

import argparse
import resource
import time

COLUMNS = ["score", "confidence", "latency_ms"]
NAMES = ["channel", "is_test"]


def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("reference")
    arguments.add_argument("current")
    arguments.add_argument("--text", action="store_true", help="also compare the column `text`")
    options = arguments.parse_args()

    import pandas
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    imported, began = cpu(), time.monotonic()
    text = ["text"] if options.text else []
    names = NAMES + (["intent", "lang"] if options.text else [])
    definition = DataDefinition(
        numerical_columns=COLUMNS, categorical_columns=names, text_columns=text or None
    )
    sides = []
    for path in (options.reference, options.current):
        frame = pandas.read_csv(path)
        frame = frame[[*COLUMNS, *names, *text]].astype({name: str for name in names})
        sides.append(Dataset.from_pandas(frame, data_definition=definition))
    result = Report([DataDriftPreset()]).run(current_data=sides[1], reference_data=sides[0])
    metrics = result.dict()["metrics"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"evidently: {cpu() - imported:.2f} s of CPU ({imported:.2f} s of imports besides), "
        f"{time.monotonic() - began:.2f} s, {peak:.0f} MB: {len(metrics)} metrics"
    )
    for metric in metrics:
        print(f"  {metric.get('metric_name', metric.get('metric_id'))}: {metric['value']}")


if __name__ == "__main__":
    main()
