//! 2xxx: data.

use super::Entry;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        code: "BOT-2101",
        title: "a column is not there",
        explanation: "The file has no column for the text, or none for the intent where one is needed. Columns are recognised by name (`text`, `utterance`, `message`, `query`; `intent`, `label`, `category`) or named with `--text-column` and `--intent-column`. The first line of a CSV file has to name the columns.",
    },
    Entry {
        code: "BOT-2102",
        title: "a data file is empty",
        explanation: "The file holds nothing, or a header and no record. Check what should have written it.",
    },
    Entry {
        code: "BOT-2103",
        title: "a data file is binary",
        explanation: "The file is no text. A spreadsheet, an archive or a database has to be exported as CSV (UTF-8), JSONL or Parquet first.",
    },
    Entry {
        code: "BOT-2104",
        title: "a data file is not UTF-8",
        explanation: "A byte at the place shown cannot be UTF-8. Files saved by a spreadsheet are often Windows-1252 or UTF-16: convert them with `iconv`, or export them as `CSV UTF-8`.",
    },
    Entry {
        code: "BOT-2105",
        title: "a record has another number of fields than the header",
        explanation: "Usually a text holds the separator and is not quoted, or a quote is not closed. Nothing is guessed: quote the text, or remove the record.",
    },
    Entry {
        code: "BOT-2106",
        title: "a quote is never closed",
        explanation: "A field starts with a quote at the place shown, and the quote is not closed, or only in the middle of a later record, so that everything between became one text. Close it, or double the quotes that belong to the text.",
    },
    Entry {
        code: "BOT-2107",
        title: "a JSON record cannot be used",
        explanation: "Each line of JSONL holds one JSON object with the text and the intent as texts. A file that is one list of such objects is named `.json`, or read with `--input-format json`.",
    },
    Entry {
        code: "BOT-2108",
        title: "a Parquet file cannot be read",
        explanation: "The file is cut off or damaged, or its text and intent columns have no form as text. Write it again with columns of plain strings, or export it as CSV.",
    },
    Entry {
        code: "BOT-2109",
        title: "two columns have the same name",
        explanation: "It is not clear which of them is meant. Rename or remove one.",
    },
    Entry {
        code: "BOT-2110",
        title: "too few intents",
        explanation: "A classifier needs at least two intents. Check the intent column, or add records of another intent.",
    },
    Entry {
        code: "BOT-2111",
        title: "a text is empty",
        explanation: "The record has no text, or only white space. It is set aside: there is nothing to learn from it.",
    },
    Entry {
        code: "BOT-2112",
        title: "an intent is missing",
        explanation: "The file has an intent column, and this record has nothing in it. It is set aside: label it, or leave it out.",
    },
    Entry {
        code: "BOT-2113",
        title: "an intent is not expected",
        explanation: "The expectations name the intents there are, and this one is not among them. It is often a typing error, and the help names the nearest; else add it to `intents`.",
    },
    Entry {
        code: "BOT-2114",
        title: "a language is not expected",
        explanation: "The expectations name the languages there are, and this one is not among them. Correct it, or add it to `languages`.",
    },
    Entry {
        code: "BOT-2115",
        title: "a text is too short",
        explanation: "The text has fewer characters than `text.min_chars`. A fragment teaches the model little and blurs the borders between intents.",
    },
    Entry {
        code: "BOT-2116",
        title: "a text is too long",
        explanation: "The text has more characters than `text.max_chars`. Most such texts are several records that an unclosed quote or a broken export joined.",
    },
    Entry {
        code: "BOT-2117",
        title: "characters were lost to a damaged encoding",
        explanation: "The text holds the replacement character (U+FFFD): an earlier conversion met bytes it did not understand and threw them away. Only the original can restore them, so the record is set aside.",
    },
    Entry {
        code: "BOT-2118",
        title: "a text was read in the wrong encoding",
        explanation: "Sequences such as `Ã©` for `é` or `â€™` for an apostrophe arise when UTF-8 is read as Windows-1252. The model would learn words that no customer writes. Export the data again as UTF-8, or let `botops data repair` propose what they must have been.",
    },
    Entry {
        code: "BOT-2119",
        title: "a text holds characters that cannot be seen",
        explanation: "Control characters, zero-width spaces, soft hyphens or marks that turn the direction of writing come with text copied from web pages. They make equal words different. Remove them.",
    },
    Entry {
        code: "BOT-2120",
        title: "a text is there twice",
        explanation: "The same text with the same intent was there before. Duplicates count twice in training, and in evaluation when they fall on both sides of a split. Keep one.",
    },
    Entry {
        code: "BOT-2121",
        title: "a text is there twice but for case and spaces",
        explanation: "The same text with the same intent was there before, written in other case, with other spaces or another apostrophe. To the model they are the same. Keep one.",
    },
    Entry {
        code: "BOT-2122",
        title: "one text has two intents",
        explanation: "The same text (case and spaces aside) is labelled with different intents. The model cannot get both right, and its probabilities suffer. Decide for one. `severity: {BOT-2122: error}` sets such records aside.",
    },
    Entry {
        code: "BOT-2123",
        title: "an intent has too few examples",
        explanation: "Fewer accepted records than `min_examples_per_intent` have this intent, so it is learned poorly and measured hardly at all. Add examples, or merge it with a neighbor.",
    },
    Entry {
        code: "BOT-2124",
        title: "a training text is also in the test data",
        explanation: "What was learned from cannot be a test: the result looks better than it is. Remove the record from the training data.",
    },
    Entry {
        code: "BOT-2125",
        title: "a training text is also in the test data but for case and spaces",
        explanation: "To the model it is the same text, and what was learned from cannot be a test. Remove the record from the training data.",
    },
    Entry {
        code: "BOT-2126",
        title: "an entity is not where it is said to be",
        explanation: "The characters from `start` to `end` are not the entity's value. Offsets count Unicode characters from 0, and the end is not included; tools that count bytes or UTF-16 units go wrong after an accent or an emoji.",
    },
    Entry {
        code: "BOT-2127",
        title: "intents differ only in how they are written",
        explanation: "Two intents are the same but for case, spaces, `-` and `_`. They are learned as different intents, which is rarely meant.",
    },
    Entry {
        code: "BOT-2128",
        title: "an entities cell cannot be read",
        explanation: "The cell holds a JSON list of spans, `[{\"entity\":\"date\",\"value\":\"31/10\",\"start\":3,\"end\":8}]`, or nothing.",
    },
    Entry {
        code: "BOT-2130",
        title: "a test share is not between 0 and 1",
        explanation: "A split puts a share of the records aside for the test. With 0 or 1 one side would be empty; 0.2 is usual.",
    },
    Entry {
        code: "BOT-2131",
        title: "an intent has too few records to split",
        explanation: "Each intent needs one text at least on either side of a split, and texts that are the same but for case and spaces stay together. Add records of this intent, or remove it.",
    },
    Entry {
        code: "BOT-2133",
        title: "a record of traffic cannot be used",
        explanation: "Each line of recorded traffic is a JSON object with the texts `at` (a time such as `2026-10-26T00:06:44Z`), `conversation_id` and `text`, and `truth` where the intent was learned later.",
    },
    Entry {
        code: "BOT-2160",
        title: "a packed file unpacks to more than is allowed",
        explanation: "A gzip or zstd file of a few bytes can unpack to more than the memory or the disk holds, by accident or on purpose. So a file may unpack to 200 times its own size (from 64 MiB on) and to 16 GiB, and no further. For a file that is what it should be, `--max-unpacked 64GiB` allows that size, whatever the ratio.",
    },
    Entry {
        code: "BOT-2161",
        title: "a packed file is damaged",
        explanation: "The gzip or zstd file is cut off, or some of its bytes are not what was written. Nothing that follows can be trusted, so nothing of it is used. Copy or write it again.",
    },
    Entry {
        code: "BOT-2162",
        title: "files that are read as one have different columns",
        explanation: "A pattern such as `data/*.csv` names several files, and the columns for text, intent, language and entities have to have the same names in all of them. Rename them, or name a pattern that leaves the odd file out.",
    },
    Entry {
        code: "BOT-2163",
        title: "a record is too long",
        explanation: "A record may have 64 MiB. Beyond that a quote was most likely left open, so that the rest of the file became one text, or the file is no data of this kind.",
    },
    Entry {
        code: "BOT-2164",
        title: "training data of Rasa cannot be read",
        explanation: "The file is not YAML, or not of the form that Rasa reads: a list `nlu` whose items begin with `intent`, `synonym`, `lookup` or `regex`, with `examples` below, each on a line of its own behind `- `. The line shown is where it begins to be something else.",
    },
    Entry {
        code: "BOT-2165",
        title: "an annotation of an entity cannot be read",
        explanation: "An entity is written `[Paris](city)` or `[NYC]{\"entity\": \"city\", \"value\": \"New York\", \"role\": \"from\"}`. What stands in braces is JSON, and has the texts `entity`, `value`, `role` and `group` and no others. Nothing is guessed, because a model would learn the brackets as words.",
    },
    Entry {
        code: "BOT-2166",
        title: "something is not carried over",
        explanation: "The format that is written has no place for what stands at the place shown: a column without a role, a synonym, a lookup, a pattern, metadata, a language. The records are complete without it; keep the file it stands in. Synonyms, lookups and patterns go to a file of their own with `--terms FILE.yml`.",
    },
    Entry {
        code: "BOT-2167",
        title: "a record cannot be written in this format",
        explanation: "Training data of Rasa has no example without an intent or a text, and no form for entities that overlap or for a text whose brackets would be read as an annotation. Such a record is left out, counted, and named; correct it, or write another format.",
    },
    Entry {
        code: "BOT-2180",
        title: "a lock of a split does not fit",
        explanation: "The lock remembers which record is on which side, so that none ever moves. It was made for other shares, another seed or another group column than asked for now, cannot be read, or was changed by another run meanwhile. Ask for the same again, restore it from version control, or name another file.",
    },
    Entry {
        code: "BOT-2181",
        title: "a new record is near to both sides of a split",
        explanation: "A near duplicate of a training record that is also near to a test record cannot go to either without leaking into the other, and what is locked does not move. It is left out of both, and listed.",
    },
    Entry {
        code: "BOT-2182",
        title: "a split has nothing to divide",
        explanation: "Records that are near duplicates of one another, or share a value of the group column, stay on one side. Here that ties all of them together: the column has the same value everywhere, or a common text links all of its groups.",
    },
    Entry {
        code: "BOT-2183",
        title: "an intent is missing on a side of a split",
        explanation: "What is locked does not move, and there are no new records of this intent that could go to the side where it is missing: its records there were removed, or all there are say nearly the same. It is not measured until there are.",
    },
    Entry {
        code: "BOT-2190",
        title: "a record is likely mislabelled",
        explanation: "A model that saw neither the record nor a near duplicate of it finds another intent likelier than the given one, and is as sure of it as it is of that intent's own records (confident learning). `botops data label-issues` ranks such records, with the nearest ones that argue for the other intent. Read them from the top, and label them again or leave them: some are hard, not wrong.",
    },
    Entry {
        code: "BOT-2191",
        title: "two intents overlap",
        explanation: "A model that never saw the records takes at least 5 % of the records of the two for the other, by the lower end of the 95 % interval. Either people label them by different rules, or their examples do not tell them apart. Write down what tells them apart and label by it, add examples of both, or merge them.",
    },
    Entry {
        code: "BOT-2192",
        title: "a text is nearly there twice",
        explanation: "Another record of the intent shares most of its sequences of three letters (Jaccard index). It adds little to what is learned, and leaks when the two fall on both sides of a split that does not keep them together.",
    },
    Entry {
        code: "BOT-2193",
        title: "a text is nearly there under another intent",
        explanation: "A record with another intent shares most of its sequences of three letters (Jaccard index). One word may make the difference, and then both are right and valuable; if it does not, the model cannot get both right. Read the two side by side.",
    },
    Entry {
        code: "BOT-2194",
        title: "a text is nearly there in another file",
        explanation: "A record of another file shares most of its sequences of three letters (Jaccard index). If one file trains and the other tests, the test looks better than it is.",
    },
    Entry {
        code: "BOT-2195",
        title: "a record is far from all others of its intent",
        explanation: "The mean cosine to the three nearest records of its intent is more than 3.5 robust standard deviations (by the median absolute deviation) below what is usual there. It may be mislabelled, in another language, cut off, or simply the only one of its kind: then more like it would help.",
    },
    Entry {
        code: "BOT-2196",
        title: "a text may say nothing",
        explanation: "Most of it is one letter repeated, a run over the keyboard, sequences of letters that no other record has, or it has neither letters nor digits. A model learns from it what it should not. A rare language or a list of names can look the same: read it first.",
    },
    Entry {
        code: "BOT-2197",
        title: "a label does not belong to its text",
        explanation: "`botops data suggest` gives each utterance an id made from its text, and the two no longer fit: rows were shifted, the text was edited, or the id was lost. The label may be that of another row, so it is not taken. Put text and id back as they were suggested.",
    },
    Entry {
        code: "BOT-2198",
        title: "an utterance is not labelled yet",
        explanation: "The column `intent` is empty in this row. Nothing is lost: fill it in and merge again; what was added before is not added twice.",
    },
    Entry {
        code: "BOT-2199",
        title: "no utterance is left to label",
        explanation: "All records of the traffic are labelled, empty, or in the training data already. Name traffic that the model has not learned from; of recorded traffic whose truth is known, `--intent-column truth` says which is labelled.",
    },
    Entry {
        code: "BOT-2200",
        title: "a column that a rule is about is not there",
        explanation: "A rule of the expectations names a column that the file does not have. The help names the nearest one: names are compared letter by letter. What the rule says was not checked.",
    },
    Entry {
        code: "BOT-2201",
        title: "a value is missing",
        explanation: "The rule says `required: true`, and the cell is empty, white space only, null or absent. Fill it in, or leave the record out.",
    },
    Entry {
        code: "BOT-2202",
        title: "a value is of another type",
        explanation: "The cell cannot be read as the `type` of the rule: integer, number, boolean, date or datetime. A day is written `2026-11-20`, a time `2026-11-20T10:15:00Z`, a number with a point.",
    },
    Entry {
        code: "BOT-2203",
        title: "a value is there twice",
        explanation: "The rule says `unique: true` or `unique_together`, and an earlier record has the same value. All but the first of each are found; empty cells are like no other. Values are compared by 128 bits of their SHA-256, sorted, and put on disk (`TMPDIR`) when there are more than half a million.",
    },
    Entry {
        code: "BOT-2204",
        title: "a value is not in the set",
        explanation: "The rule says which values there are (`in`) or are not to be (`not_in`). It is often a typing error, and the help names the nearest; else change the rule.",
    },
    Entry {
        code: "BOT-2205",
        title: "a value is out of range",
        explanation: "The value is less than `min` or greater than `max` of the rule; both bounds belong to the range. Numbers, days and times are compared, times in UTC.",
    },
    Entry {
        code: "BOT-2206",
        title: "a value is too short or too long",
        explanation: "The value has fewer characters (code points) than `min_chars` of the rule, or more than `max_chars`.",
    },
    Entry {
        code: "BOT-2207",
        title: "a value breaks a pattern",
        explanation: "The regular expression `matches` of the rule is not found in the value, or `not_matches` is. It may be found anywhere in the value: `^` and `$` make it the whole.",
    },
    Entry {
        code: "BOT-2208",
        title: "data are not fresh",
        explanation: "The newest time of the column is older than `fresh_within` allows. Usually what should have written the file did not run.",
    },
    Entry {
        code: "BOT-2209",
        title: "there are too few or too many records",
        explanation: "The file has fewer records than `rows.min` of the expectations, or more than `rows.max`. It may have been cut off, or be another file.",
    },
    Entry {
        code: "BOT-2210",
        title: "a value has too few records",
        explanation: "Fewer records than `min_per_value` of the rule have this value. A class with few examples is learned poorly and measured hardly at all.",
    },
    Entry {
        code: "BOT-2211",
        title: "values are out of balance",
        explanation: "The most frequent value of the column has more than `max_imbalance` times as many records as the rarest. A model learns to say the frequent one.",
    },
    Entry {
        code: "BOT-2212",
        title: "a comparison between columns does not hold",
        explanation: "The rule compares two cells of each record, such as `shipped_at >= ordered_at`, as numbers or as times. Records in which one of them is empty are left out.",
    },
    Entry {
        code: "BOT-2213",
        title: "a value refers to nothing",
        explanation: "The rule says that each value is in a column of another file, and this one is not there. Correct it, or add it to that file.",
    },
    Entry {
        code: "BOT-2214",
        title: "a text is not in the language it is declared to be",
        explanation: "The text reads as English and is declared French, or the other way round. Words, elisions, accents and endings vote; texts that do not tell, and other languages, are never found. Short texts with borrowed words can mislead it, so it is a warning.",
    },
    Entry {
        code: "BOT-2215",
        title: "a letter and its mark are written apart",
        explanation: "The text holds letters and combining marks where one character is both (`e` and U+0301 for `é`). Copies from PDF files and some systems are so. Training folds the two forms into one; other tools take them for different words.",
    },
    Entry {
        code: "BOT-2216",
        title: "a text holds personal data",
        explanation: "An e-mail address, a telephone number, an account (IBAN, its check sum right), a card (Luhn) or a French social security number is in the text. What is shown of it is redacted. A model can learn it by heart: replace it by a placeholder before training.",
    },
    Entry {
        code: "BOT-2217",
        title: "a baseline cannot be used",
        explanation: "The file given with `--baseline` is not one that `botops validate --write-baseline` wrote, or is damaged, or was written by a newer program. Write it again.",
    },
    Entry {
        code: "BOT-2218",
        title: "a data file changed while it was read",
        explanation: "Some records are read twice: once to check, once to show them or to set them aside. The second time they were not the same. Nothing was written; wait until the file is complete.",
    },
    Entry {
        code: "BOT-2219",
        title: "a file that may have been edited is there already",
        explanation: "Expectations (`botops data infer`), a patch (`botops data repair --patch`) and suggestions to label (`botops data suggest`) are corrected by hand, so they are not written over once they are there; a patch or suggestions that would be the same again pass. Name another file and compare the two, or say `--force`. Records that are set aside go over a quarantine of an earlier run, and over nothing else: name another file, or move away what is there.",
    },
    Entry {
        code: "BOT-2220",
        title: "data cannot be repaired where they are",
        explanation: "`botops data repair` looks at one file of text that is a table (CSV, TSV, JSONL, JSON, packed or not): it finds records again by their numbers, and writes all else byte for byte. What comes through a pipe, a pattern of several files, a snapshot, Parquet and training data of Rasa have to become such a file first: `botops data pull` or `botops data import`.",
    },
    Entry {
        code: "BOT-2221",
        title: "a patch or a quarantine cannot be used",
        explanation: "Columns are missing, or a line says something that cannot be understood: a record that is no number, an action other than `change` and `remove`, an `apply` other than `yes` and `no`, or a list of entities that is no JSON; or no record would be left. Nothing was written. The lines are named.",
    },
    Entry {
        code: "BOT-2222",
        title: "a patch does not fit the data",
        explanation: "A line is about a record or a column that is not there, or that is not what it was when the patch was made: the data were changed since, or the patch is of other data. All lines are checked before any is applied, and nothing was written. Propose again, for the data as they are now.",
    },
    Entry {
        code: "BOT-2223",
        title: "two lines are about one cell or one record",
        explanation: "Two lines that are to be applied change the same cell, remove the same record, or a quarantine lists a record twice. Which of them is meant nobody can tell: write `no` under `apply` of all but one, or delete the others.",
    },
    Entry {
        code: "BOT-2224",
        title: "a quarantine does not fit the data",
        explanation: "A record of the quarantine is not in the data, or is not what it was when it was set aside. Records are merged back into the very file that was validated: name that, or validate again and correct what is set aside now.",
    },
    Entry {
        code: "BOT-2225",
        title: "a redacted cell was edited in two ways at once",
        explanation: "Personal data are not shown in a patch or a quarantine: marks such as `[email]` stand for them, and what they stand for is put back. Here some of the marks were kept and others not, so it cannot be told which is which. Keep all of them in their order, or write other words in the place of all.",
    },
    Entry {
        code: "BOT-2226",
        title: "white space stands before or after a text",
        explanation: "It says nothing, and some tools take the text for another. `botops data repair` proposes to take it off; the offsets of entities move with it.",
    },
    Entry {
        code: "BOT-2227",
        title: "a repeat would be removed, and nothing it repeats would be left",
        explanation: "A line of the patch removes a record because another says the same. With the lines that are not to be applied, or that are edited, no other record says so any more, and its text would be lost. Write `no` under `apply` of the removal, or apply the line that makes the two alike.",
    },
];
