"""The jobs of the peers for learning.py: one job per process, with its accuracy as JSON on standard output."""

import json
import sys
from pathlib import Path


def read(path):
    import pandas

    table = pandas.read_csv(path)
    label = next(name for name in ("label", "category", "intent") if name in table.columns)
    return table["text"].tolist(), table[label].tolist()


def vectoriser():
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_union

    return make_union(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True),
    )


def pipeline(head):
    from sklearn.pipeline import make_pipeline

    return make_pipeline(vectoriser(), head)


def report(truth, predicted):
    from sklearn.metrics import accuracy_score, classification_report, confusion_matrix

    classification_report(truth, predicted, zero_division=0)
    confusion_matrix(truth, predicted)
    return accuracy_score(truth, predicted)


def linear_svc(train, test, _):
    from sklearn.svm import LinearSVC

    model = pipeline(LinearSVC()).fit(*train)
    return report(test[1], model.predict(test[0]))


def logistic_regression(train, test, _):
    from sklearn.linear_model import LogisticRegression

    model = pipeline(LogisticRegression(max_iter=1000)).fit(*train)
    return report(test[1], model.predict(test[0]))


def cross_validated_logistic_regression(train, _, __):
    import numpy
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict

    texts, labels = train
    proba = cross_val_predict(
        pipeline(LogisticRegression(max_iter=1000)), texts, labels, cv=5, method="predict_proba"
    )
    return report(labels, numpy.unique(labels)[proba.argmax(axis=1)])


def random_forest(train, test, _):
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(TfidfVectorizer(), RandomForestClassifier(300, n_jobs=2, random_state=0)).fit(*train)
    return report(test[1], model.predict(test[0]))


def fasttext(train, test, _):
    import tempfile

    import fasttext

    with tempfile.NamedTemporaryFile("w", suffix=".txt") as lines:
        for text, label in zip(*train):
            lines.write(f"__label__{label.replace(' ', '_')} {' '.join(text.lower().split())}\n")
        lines.flush()
        model = fasttext.train_supervised(lines.name, epoch=30, dim=64, minn=3, maxn=5, lr=0.5, thread=1, verbose=0)
    predicted = [model.f.predict(" ".join(text.lower().split()) + "\n", 1, 0.0, "strict")[0][1] for text in test[0]]
    return report([f"__label__{label.replace(' ', '_')}" for label in test[1]], predicted)


def embed_logistic_regression(train, test, encoder):
    from sentence_transformers import SentenceTransformer
    from sklearn.linear_model import LogisticRegression

    model = SentenceTransformer(encoder, device="cpu")
    head = LogisticRegression(C=30, max_iter=1000).fit(model.encode(train[0], batch_size=64), train[1])
    return report(test[1], head.predict(model.encode(test[0], batch_size=64)))


def fine_tuning(train, test, encoder):
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, get_linear_schedule_with_warmup

    torch.manual_seed(17)
    names = sorted(set(train[1]))
    index = {name: i for i, name in enumerate(names)}
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    model = AutoModelForSequenceClassification.from_pretrained(encoder, num_labels=len(names))
    for parameter in model.base_model.embeddings.parameters():
        parameter.requires_grad = False
    size, epochs = 32, 2
    order = sorted(range(len(train[0])), key=lambda i: len(train[0][i]))
    batches = [order[i : i + size] for i in range(0, len(order), size)]
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4, weight_decay=0.01)
    schedule = get_linear_schedule_with_warmup(optimizer, len(batches) * epochs // 10, len(batches) * epochs)
    for _ in range(epochs):
        model.train()
        for b in torch.randperm(len(batches)).tolist():
            rows = batches[b]
            inputs = tokenizer(
                [train[0][i] for i in rows], padding=True, truncation=True, max_length=64, return_tensors="pt"
            )
            loss = model(**inputs, labels=torch.tensor([index[train[1][i]] for i in rows])).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
    model.eval()
    predicted = []
    with torch.no_grad():
        for i in range(0, len(test[0]), 64):
            inputs = tokenizer(test[0][i : i + 64], padding=True, truncation=True, max_length=64, return_tensors="pt")
            predicted += [names[k] for k in model(**inputs).logits.argmax(1).tolist()]
    return report(test[1], predicted)


IMPORTS = {
    "fasttext": ["fasttext", "pandas", "sklearn.metrics"],
    "embed_logistic_regression": ["sentence_transformers", "sklearn.linear_model", "pandas"],
    "fine_tuning": ["torch", "transformers", "pandas", "sklearn.metrics"],
}


def main():
    job, folder, encoder = sys.argv[1:4]
    if "--import-only" in sys.argv:
        for name in IMPORTS.get(job, ["sklearn.svm", "sklearn.ensemble", "sklearn.model_selection", "pandas"]):
            __import__(name)
        return
    train, test = (read(Path(folder) / name) for name in ("train.csv", "test.csv"))
    print(json.dumps({"accuracy": float(globals()[job](train, test, encoder))}))


if __name__ == "__main__":
    main()
