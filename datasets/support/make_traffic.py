#!/usr/bin/env python3
"""Write datasets/support/traffic.jsonl: two weeks of support conversations.

Reads holdout.csv (utterances that are in no training file), varies them, and
lays them out over 2026-10-26 to 2026-11-08 (UTC). Standard library only. The
result depends on holdout.csv and SEED alone: no clock, no platform randomness.

    python3 datasets/support/make_traffic.py           # write the file
    python3 datasets/support/make_traffic.py --check   # exit 1 if it differs
"""

import csv
import datetime
import json
import os
import sys
import unicodedata

HERE = os.path.dirname(os.path.abspath(__file__))
HOLDOUT = os.path.join(HERE, "holdout.csv")
TRAFFIC = os.path.join(HERE, "traffic.jsonl")

SEED = 20261026
START = datetime.datetime(2026, 10, 26)
CONVERSATIONS = {1: 1900, 2: 2100}
FRENCH_SHARE = {1: 0.38, 2: 0.50}
TRUTH_SHARE = 0.45
MULTI_SHARE = 0.15  # conversations with two or three messages
OOS = "oos"

MIX = {
    1: {
        "order_status": 0.28, "return_request": 0.14, "technical_support": 0.13,
        "billing_question": 0.12, "product_information": 0.12, "account_help": 0.10,
        "complaint": 0.05, OOS: 0.06,
    },
    2: {
        "order_status": 0.16, "return_request": 0.08, "technical_support": 0.22,
        "billing_question": 0.17, "product_information": 0.09, "account_help": 0.06,
        "complaint": 0.11, OOS: 0.11,
    },
}
# Week 2: the share of an intent's messages that comes from the week-2 lines.
NEW_SHARE = {
    "technical_support": 0.70, "billing_question": 0.70, "complaint": 0.72,
    "product_information": 0.55, OOS: 0.50,
}
RELATED = {
    "account_help": ["technical_support", "billing_question"],
    "order_status": ["complaint", "return_request"],
    "return_request": ["order_status", "billing_question"],
    "technical_support": ["return_request", "complaint"],
    "billing_question": ["complaint", "account_help"],
    "product_information": ["order_status", "billing_question"],
    "complaint": ["order_status", "return_request"],
    OOS: ["product_information"],
}
DAY_WEIGHT = [1.20, 1.08, 1.02, 1.00, 0.98, 0.78, 0.62]  # Monday first
HOUR_WEIGHT = [
    0.5, 0.3, 0.2, 0.15, 0.2, 0.5, 1.2, 2.6, 4.6, 5.8, 6.4, 6.0,
    5.2, 5.4, 5.8, 5.9, 5.7, 5.6, 5.4, 5.0, 4.2, 3.0, 1.8, 0.9,
]

GREETING = {
    "en": ["Hi, ", "Hello, ", "hey ", "Hello!\n", "Good morning, ", "Good evening, ", "Hi there, ",
           "hi team, ", "Dear support, ", "hello again, ", "Hiya, ", "Morning! ", "Excuse me, ",
           "quick question: ", "So, ", "Hey guys, "],
    "fr": ["Bonjour, ", "bonjour ", "Bonsoir, ", "Bonjour,\n", "slt, ", "Salut, ", "Bjr ", "Re bonjour, ",
           "Madame, Monsieur, ", "Coucou, ", "Bonjour à vous, ", "Rebonjour, ", "hello, ",
           "Petite question : ", "Excusez-moi, ", "Bonjour l'équipe, "],
}
CLOSING = {
    "en": [" Thanks!", " thanks", " thx", " Thank you.", " Many thanks in advance.", " Cheers", " ty",
           " Please help.", " Kind regards", " Best, Jo", " Thanks a lot", " pls", " asap please",
           " Have a nice day"],
    "fr": [" Merci !", " merci", " mrc", " Merci d'avance.", " Cordialement", " svp", " Bonne journée",
           " Merci beaucoup", " Bien à vous", " Merci de votre aide.", " stp", " Bien cordialement, Léo",
           " au plus vite svp", " Bonne soirée"],
}
FILLER = {
    "en": [" Sorry for any typos, I'm on my phone.", " I looked in the FAQ but found nothing on this.",
           " I can be reached in the afternoon.", " It's the first time I write to you.",
           " Let me know if you need anything else from me.", " My wife said I should simply ask.",
           " I don't know if this is the right place to ask.", " I've already asked a friend, who doesn't know either.",
           " No rush, but today would be nice.", " I hope that's clear.",
           " Tell me if I should write somewhere else.", " I'm writing on behalf of my mother."],
    "fr": [" Désolé pour les fautes, j'écris du téléphone.", " J'ai cherché dans la FAQ sans rien trouver là-dessus.",
           " Je suis joignable l'après-midi.", " C'est la première fois que je vous écris.",
           " Dites-moi s'il vous manque quelque chose.", " Mon mari m'a dit de demander directement.",
           " Je ne sais pas si c'est le bon endroit pour demander.", " Un ami n'a pas su me répondre non plus.",
           " Ce n'est pas pressé, mais aujourd'hui ce serait bien.", " J'espère être clair.",
           " Dites-moi si je dois écrire ailleurs.", " J'écris pour ma mère."],
}
EMOJI = ["🙂", "🙏", "😅", "😕", "😤", "🤔", "👍", "😬", "😢", "👀"]
ROWS = {
    "en": ["qwertyuiop", "asdfghjkl", "zxcvbnm"],
    "fr": ["azertyuiop", "qsdfghjklm", "wxcvbn"],
}


class Random:
    """splitmix64: the same numbers on every machine and Python version."""

    def __init__(self, seed):
        self.state = seed & 0xFFFFFFFFFFFFFFFF

    def bits(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
        return z ^ (z >> 31)

    def below(self, n):
        return self.bits() % n

    def unit(self):
        return (self.bits() >> 11) / 9007199254740992.0

    def chance(self, p):
        return self.unit() < p

    def pick(self, items):
        return items[self.below(len(items))]

    def weighted(self, pairs):
        pairs = list(pairs)
        x = self.unit() * sum(w for _, w in pairs)
        for item, w in pairs:
            x -= w
            if x < 0:
                return item
        return pairs[-1][0]


def read_holdout():
    pool = {}
    with open(HOLDOUT, encoding="utf-8", newline="") as f:
        for row in csv.DictReader(f):
            entities = json.loads(row["entities"]) if row["entities"] else []
            key = (int(row["week"]), row["lang"], row["intent"])
            pool.setdefault(key, []).append((row["text"], entities))
    return pool


class Deck:
    """Deals every utterance of a pool before it repeats one."""

    def __init__(self, rng, pool):
        self.rng, self.pool, self.left = rng, pool, {}

    def deal(self, key):
        left = self.left.get(key)
        if not left:
            left = list(self.pool[key])
            for i in range(len(left) - 1, 0, -1):
                j = self.rng.below(i + 1)
                left[i], left[j] = left[j], left[i]
            self.left[key] = left
        return left.pop()


def fresh(rng, entity, value):
    """A new value for order numbers and amounts; other entities stay."""
    if entity not in ("order_number", "amount") or not any(c.isdigit() for c in value):
        return value
    out, first = [], True
    for c in value:
        if c.isdigit():
            out.append(str(1 + rng.below(9)) if first else str(rng.below(10)))
            first = False
        else:
            out.append(c)
    return "".join(out)


def neighbour(rng, c, lang):
    for row in ROWS[lang]:
        i = row.find(c)
        if i >= 0:
            return rng.pick([row[j] for j in (i - 1, i + 1) if 0 <= j < len(row)])
    return c


def typo(rng, text, lang):
    spots = [
        i for i in range(1, len(text) - 1)
        if text[i - 1].isalpha() and text[i].isalpha() and text[i + 1].isalpha()
    ]
    if not spots:
        return text
    i = rng.pick(spots)
    kind = rng.below(4)
    if kind == 0:
        return text[:i] + text[i + 1] + text[i] + text[i + 2:]
    if kind == 1:
        return text[:i] + text[i + 1:]
    if kind == 2:
        return text[:i] + text[i] + text[i:]
    return text[:i] + neighbour(rng, text[i], lang) + text[i + 1:]


def no_accents(text):
    out = []
    for c in text:
        d = unicodedata.normalize("NFD", c)
        out.append(d[0] if len(d) > 1 and d[0].isascii() else c)
    return "".join(out).replace("œ", "oe")


def vary(rng, text, entities, lang, week):
    # Entity values stay whole; everything between them may change.
    parts, at = [], 0
    for e in entities:
        parts.append([text[at:e["start"]], False])
        parts.append([fresh(rng, e["entity"], e["value"]), True])
        at = e["end"]
    parts.append([text[at:], False])

    def change(f):
        for p in parts:
            if not p[1]:
                p[0] = f(p[0])

    r = rng.unit()
    if r < 0.20:
        change(str.lower)
    elif r < 0.235:
        change(str.upper)
    elif r < 0.30:
        parts[0][0] = parts[0][0][:1].lower() + parts[0][0][1:]
    elif r < 0.36:
        parts[0][0] = parts[0][0][:1].upper() + parts[0][0][1:]
    if lang == "fr" and rng.chance(0.25):
        change(no_accents)
    if rng.chance(0.12):
        change(lambda s: s.replace("'", rng.pick(["", "’"])))
    typos = rng.weighted([(0, 0.50), (1, 0.33), (2, 0.13), (3, 0.04)])
    for _ in range(typos):
        free = [p for p in parts if not p[1] and len(p[0]) > 6]
        if free:
            p = rng.pick(free)
            p[0] = typo(rng, p[0], lang)
    out = "".join(p[0] for p in parts)

    r = rng.unit()
    if r < 0.18:
        out = out.rstrip(".!?… ") or out
    elif r < 0.24:
        out = out.rstrip(". ") + rng.pick(["!!", " !", "...", "??" if "?" in out else "!!!", " …"])
    elif r < 0.28:
        out = out.replace(",", "")
    longer = 1.0 if week == 1 else 1.5
    if rng.chance(0.06 * longer):
        out += rng.pick(FILLER[lang]) if out[-1:] in ".!?" else "." + rng.pick(FILLER[lang])
    if rng.chance(0.22 * longer) and not out.lower().startswith(("hi", "hello", "hey", "bonj", "bonso", "sal", "good")):
        greeting = rng.pick(GREETING[lang])
        if greeting.endswith(", ") and out[1:2].islower() and rng.chance(0.7):
            out = out[0].lower() + out[1:]
        out = greeting + out
    if rng.chance(0.18 * longer):
        out += rng.pick(CLOSING[lang])
    if rng.chance(0.06):
        out += " " + rng.pick(EMOJI)
    return out.strip()


def choose_source(rng, week, intent):
    if week == 2 and intent in NEW_SHARE and rng.chance(NEW_SHARE[intent]):
        return 2
    return 1


def make():
    rng = Random(SEED)
    deck = Deck(rng, read_holdout())
    seen, ids, messages = set(), set(), []
    last = 14 * 86400 - 1
    slots = [
        ((d % 7, h), DAY_WEIGHT[d % 7] * HOUR_WEIGHT[h]) for d in range(7) for h in range(24)
    ]
    for week in (1, 2):
        for _ in range(CONVERSATIONS[week]):
            day, hour = rng.weighted(slots)
            at = ((week - 1) * 7 + day) * 86400 + hour * 3600 + rng.below(3600)
            lang = "fr" if rng.chance(FRENCH_SHARE[week]) else "en"
            intent = rng.weighted(MIX[week].items())
            count = 1
            if rng.chance(MULTI_SHARE):
                count = 3 if rng.chance(0.25) else 2
            has_truth = rng.chance(TRUTH_SHARE)
            cid = "c-%08x" % (rng.bits() & 0xFFFFFFFF)
            while cid in ids:
                cid = "c-%08x" % (rng.bits() & 0xFFFFFFFF)
            ids.add(cid)
            for n in range(count):
                label = intent
                if n > 0:
                    if rng.chance(0.35):
                        label = rng.pick(RELATED[intent])
                    at = min(at + 20 + rng.below(400), last)
                source, entities = deck.deal((choose_source(rng, week, label), lang, label))
                text = vary(rng, source, entities, lang, week)
                for _ in range(5):
                    if text not in seen:
                        break
                    text = vary(rng, source, entities, lang, week)
                seen.add(text)
                messages.append((at, len(messages), cid, text, label if has_truth else None))

    messages.sort(key=lambda m: (m[0], m[1]))
    # One message a second at most, so that `at` rises strictly.
    times = [m[0] for m in messages]
    for i in range(1, len(times)):
        times[i] = max(times[i], times[i - 1] + 1)
    limit = last
    for i in range(len(times) - 1, -1, -1):
        times[i] = min(times[i], limit)
        limit = times[i] - 1

    lines = []
    for at, (_, _, cid, text, truth) in zip(times, messages):
        stamp = (START + datetime.timedelta(seconds=at)).strftime("%Y-%m-%dT%H:%M:%SZ")
        record = {"at": stamp, "conversation_id": cid, "text": text}
        if truth is not None:
            record["truth"] = truth
        lines.append(json.dumps(record, ensure_ascii=False))
    return "\n".join(lines) + "\n"


def main(argv):
    if argv not in ([], ["--check"]):
        sys.stderr.write("usage: make_traffic.py [--check]\n")
        return 2
    data = make().encode("utf-8")
    if argv:
        try:
            with open(TRAFFIC, "rb") as f:
                same = f.read() == data
        except FileNotFoundError:
            same = False
        if not same:
            sys.stderr.write("traffic.jsonl is not what make_traffic.py writes\n")
        return 0 if same else 1
    with open(TRAFFIC, "wb") as f:
        f.write(data)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
