#!/usr/bin/env python3
"""Checks one file with the rules of benches/validation.rs, by pandera on polars and by Great Expectations.

    cargo bench --bench validation -- keep DIR
    python3 benches/peers/validation.py DIR/records-1000000.csv [--only pandera|great_expectations]

The peers come from PyPI: pandera[polars]==0.35.0 and great-expectations==1.24.1, in the environment that runs this.
Each job is one process, from reading the file to printing the counts. Processor time (user + system) and peak memory are
compared. The counts differ for duplicates: botops reports every duplicate after the first.
"""

import argparse
import json
import resource
import subprocess
import sys

INTENTS = ["account_help", "order_status", "return_request", "technical_support", "billing_question",
           "product_information", "complaint", "oos"]
EMAIL = r"[\w.+-]+@[\w-]+\.[\w.]+"
ID = r"^[a-z]{2}-[0-9]{8}$"


def pandera(path):
    import pandera.polars as pa
    import polars as pl

    frame = pl.read_csv(path, schema_overrides={"created_at": pl.String})
    frame = frame.with_columns(day=pl.col("created_at").str.to_date("%Y-%m-%d", strict=False))
    text = [
        pa.Check.str_length(3, 500),
        pa.Check(lambda d: d.lazyframe.select(~pl.col(d.key).str.contains("<[a-z]+>")), name="markup"),
        pa.Check(lambda d: d.lazyframe.select(~pl.col(d.key).str.contains(EMAIL)), name="email"),
    ]
    first, last = pl.date(2020, 1, 1), pl.date(2026, 12, 31)
    between = pa.Check(lambda d: d.lazyframe.select(pl.col(d.key).is_between(first, last)), name="range")
    schema = pa.DataFrameSchema({
        "id": pa.Column(str, pa.Check.str_matches(ID), unique=True),
        "text": pa.Column(str, text),
        "intent": pa.Column(str, pa.Check.isin(INTENTS)),
        "lang": pa.Column(str, pa.Check.isin(["en", "fr"])),
        "day": pa.Column(pl.Date, between),
    })
    counts = {}
    try:
        schema.validate(frame, lazy=True)
    except pa.errors.SchemaErrors as errors:
        cases = errors.failure_cases
        for row in cases.group_by("column", "check").len().iter_rows():
            counts[f"{row[0]}: {row[1]}"] = row[2]
    rare = frame.group_by("intent").len().filter(pl.col("len") < 100)
    counts["rare intents"] = rare.height
    return counts


def great_expectations(path):
    import great_expectations as gx
    import pandas as pd

    frame = pd.read_csv(path, keep_default_na=True)
    context = gx.get_context(mode="ephemeral")
    batch = (context.data_sources.add_pandas("p").add_dataframe_asset("a")
             .add_batch_definition_whole_dataframe("b").get_batch({"dataframe": frame}))
    e = gx.expectations
    suite = gx.ExpectationSuite(name="s", expectations=[
        *[e.ExpectColumnValuesToNotBeNull(column=c) for c in ["id", "text", "intent", "lang", "created_at"]],
        e.ExpectColumnValuesToBeUnique(column="id"),
        e.ExpectColumnValuesToMatchRegex(column="id", regex=ID),
        e.ExpectColumnValueLengthsToBeBetween(column="text", min_value=3, max_value=500),
        e.ExpectColumnValuesToNotMatchRegex(column="text", regex="<[a-z]+>"),
        e.ExpectColumnValuesToNotMatchRegex(column="text", regex=EMAIL),
        e.ExpectColumnValuesToBeInSet(column="intent", value_set=INTENTS),
        e.ExpectColumnValuesToBeInSet(column="lang", value_set=["en", "fr"]),
        e.ExpectColumnValuesToMatchStrftimeFormat(column="created_at", strftime_format="%Y-%m-%d"),
        e.ExpectTableRowCountToBeBetween(min_value=1000),
    ])
    result = batch.validate(suite)
    return {
        f"{r.expectation_config.kwargs.get('column')}: {r.expectation_config.type}":
            r.result.get("unexpected_count", 0)
        for r in result.results if not r.success
    }


JOBS = {"pandera": pandera, "great_expectations": great_expectations}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--only", choices=JOBS, action="append")
    parser.add_argument("--job", choices=JOBS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.job:
        print(json.dumps(JOBS[arguments.job](arguments.data)))
        usage = resource.getrusage(resource.RUSAGE_SELF)
        print(json.dumps({"cpu": usage.ru_utime + usage.ru_stime, "mb": usage.ru_maxrss / 1024}))
        return
    for job in arguments.only or JOBS:
        command = [sys.executable, __file__, arguments.data, "--job", job]
        run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        *_, counts, usage = run.stdout.strip().splitlines()
        usage = json.loads(usage)
        print(f"{job}: {usage['cpu']:.2f} s of CPU, {usage['mb']:.0f} MB: {counts}")


if __name__ == "__main__":
    main()
