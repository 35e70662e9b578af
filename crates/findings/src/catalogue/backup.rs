//! 51xx: backups.

use super::entry::Entry;
use crate::fault_kind::FaultKind;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        code: "BOT-5100",
        kind: Some(FaultKind::Gate),
        title: "a backup is damaged",
        explanation: "A header, a chunk or a file of the backup is missing, cannot be read, or does not match its digest. The message names it. Nothing of this backup is restored. `botops backup verify` lists every problem and the files that it concerns; use an earlier backup, and make a new one soon.",
    },
    Entry {
        code: "BOT-5101",
        kind: Some(FaultKind::Policy),
        title: "a backup of a newer format",
        explanation: "A newer botops wrote the backup. Nothing was changed. Install that version, or a newer one, and run the command again.",
    },
    Entry {
        code: "BOT-5102",
        kind: Some(FaultKind::Usage),
        title: "no such backup",
        explanation: "The store of backups has no complete backup of this name, or none at all. A backup that was interrupted has no header and does not count. `botops backup list` shows the complete ones.",
    },
    Entry {
        code: "BOT-5103",
        kind: Some(FaultKind::Usage),
        title: "the key does not open the backup",
        explanation: "The backup is encrypted, and no identity was given, or none that belongs to a recipient of the backup. Name the file with `--identity-file`, or set BOTOPS_BACKUP_IDENTITY. Without an identity nothing can be read: keep one outside the systems that the backup is for.",
    },
    Entry {
        code: "BOT-5104",
        kind: Some(FaultKind::Usage),
        title: "a key of backups cannot be read",
        explanation: "A recipient is a line that begins with `age1`, an identity one that begins with `AGE-SECRET-KEY-1`. Lines that begin with `#` are comments. `age-keygen` makes both. The message names the file and the line and contains no part of a key.",
    },
    Entry {
        code: "BOT-5105",
        kind: Some(FaultKind::Conflict),
        title: "the store changes too fast for a backup",
        explanation: "Objects were removed again and again between their listing and their reading, for example by a compaction and a garbage collection. Nothing was stored. Run the command again.",
    },
    Entry {
        code: "BOT-5106",
        kind: Some(FaultKind::Gate),
        title: "the store that was backed up is damaged",
        explanation: "Blobs of the live store do not match their digests. The backup is complete except for them, and the message names them. Run `botops registry verify`, restore the blobs from an earlier backup or from the files of the models, then make a new backup.",
    },
    Entry {
        code: "BOT-5107",
        kind: Some(FaultKind::Conflict),
        title: "another command works on the backups",
        explanation: "A backup is being made while old ones are to be removed, or the other way round. Nothing was removed, and a backup that was interrupted here does not exist. Run the command again when the other one has ended. A mark that a killed command left counts for 30 minutes.",
    },
    Entry {
        code: "BOT-5108",
        kind: Some(FaultKind::Usage),
        title: "no backup covers this time",
        explanation: "A restore to a point in time needs a backup that was made at that time or later. The message names the newest one. Restore it as it is, or name an earlier time.",
    },
    Entry {
        code: "BOT-5109",
        kind: Some(FaultKind::Gate),
        title: "the restored copy does not pass the drill",
        explanation: "The newest backup was restored to a scratch folder, and something in it is missing or damaged: a log, a blob, a model that does not open, a count that differs. The findings name each. The drill is recorded as failed. Make a new backup, and find out why this one is damaged.",
    },
    Entry {
        code: "BOT-5110",
        kind: Some(FaultKind::Conflict),
        title: "the target of a restore is not empty",
        explanation: "A restore never overwrites or mixes. The place that was named holds objects, turns or other files. Restore to an empty place, check it, and then name it in botops.yaml.",
    },
    Entry {
        code: "BOT-5111",
        kind: Some(FaultKind::Policy),
        title: "the erasures made after the backup are not known",
        explanation: "What was erased after the backup must not come back. So a restore reads the log of erasures in the live store, or where `--erasures` says, and erases the same again. It cannot be read, or it is older than that of the backup. If it is lost, `--without-newer-erasures` restores all the same; erase again by hand what was asked for since.",
    },
    Entry {
        code: "BOT-5112",
        kind: Some(FaultKind::Usage),
        title: "conversations that a backup does not cover",
        explanation: "Turns in memory end with the process. Turns in Redis are backed up by the snapshots of Redis. A backup of botops covers SQLite and PostgreSQL.",
    },
    Entry {
        code: "BOT-5113",
        kind: Some(FaultKind::Policy),
        title: "a store that is being restored",
        explanation: "The store has a mark of a restore that is under way or was interrupted. It is not complete, so that no server serves from it. Run the same restore again to finish it, or remove the store and begin anew.",
    },
    Entry {
        code: "BOT-5114",
        kind: Some(FaultKind::Usage),
        title: "a retention that keeps nothing",
        explanation: "At least one backup must be kept: give `--keep-daily`, `--keep-weekly` or `--keep-monthly` a number above 0. The newest backup is always kept.",
    },
    Entry {
        code: "BOT-5115",
        kind: Some(FaultKind::Conflict),
        title: "another registry than that of the newest backup",
        explanation: "The registry is empty, has no identity, or has another one than the newest backup: a disk that is not mounted, a lost registry, or another workspace. Nothing was stored, so that the removal of old backups does not prefer a backup of nothing. Bring the registry back or restore it. If it was restored or made anew on purpose, say so once: `--new-registry`.",
    },
    Entry {
        code: "BOT-5116",
        kind: Some(FaultKind::Usage),
        title: "a backup without encryption after an encrypted one",
        explanation: "The newest backup is encrypted, and no recipient was given. Nothing was stored. Name the recipients with `--recipients-file`, or set BOTOPS_BACKUP_RECIPIENTS. If the backup is meant to be readable without a key, say so: `--unencrypted`.",
    },
];
