"""Helm, and the schemas of Kubernetes, for the tests: reads a question as JSON, and writes the answer as JSON.

lint      {"chart": PATH, "values": {NAME: YAML}}            -> {NAME: [MESSAGE]}
render    {"chart": PATH, "values": {NAME: YAML}}            -> {NAME: [DOCUMENT]}
parse     {"texts": {NAME: YAML}}                            -> {NAME: [DOCUMENT]}
validate  {"versions": [VERSION], "documents": [DOCUMENT]}   -> [[VERSION, KIND, NAME, MESSAGE]]
"""

import functools
import json
import sys

import yaml


def lint(question):
    import helm_python

    def messages(text):
        values = helm_python.values_from_yaml(text)
        report = helm_python.lint(question["chart"], values, strict=True, kube_version="v1.30.0")
        return [it["error"] for it in report["messages"] if it["severity"] >= 2] + report["errors"]

    return {name: messages(text) for name, text in question["values"].items()}


def render(question):
    import helm_python

    chart = helm_python.Chart.load(question["chart"])

    def documents(text):
        values = helm_python.values_from_yaml(text)
        files = chart.render(values, name="bots", namespace="chat")
        names = sorted(name for name in files if name.endswith(".yaml"))
        return [it for name in names for it in yaml.safe_load_all(files[name]) if it]

    return {name: documents(text) for name, text in question["values"].items()}


def parse(question):
    return {name: [it for it in yaml.safe_load_all(text) if it] for name, text in question["texts"].items()}


def validate(question):
    import kubernetes_validate
    from kubernetes_validate import utils

    # The definitions of a version are several megabytes, and are read for every document.
    utils.schema_contents = functools.lru_cache(maxsize=None)(utils.schema_contents)
    found = []
    for version in question["versions"]:
        for document in question["documents"]:
            try:
                used = kubernetes_validate.validate(document, version, strict=True)
                if used != version:
                    found.append([version, "", "", f"the schemas of {used} were used"])
            except kubernetes_validate.ValidationError as error:
                place = ".".join(str(it) for it in error.path)
                found.append([version, document["kind"], document["metadata"]["name"], f"{place}: {error.message}"])
            except kubernetes_validate.SchemaNotFoundError as error:
                found.append([version, document["kind"], document["metadata"]["name"], error.message])
    return found


if __name__ == "__main__":
    verbs = {"lint": lint, "render": render, "parse": parse, "validate": validate}
    json.dump(verbs[sys.argv[1]](json.load(sys.stdin)), sys.stdout)
