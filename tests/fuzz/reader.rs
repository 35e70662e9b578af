// The check of every reader of data on any bytes. The fuzz targets and the test `readers` include it.

use botops_datasets::{Limits, Presence, ReadOptions, read_bytes};

/// Reads `bytes` as a file called `name`, as a whole.
///
/// # Panics
/// When a reader panics, or a fault lacks a data code, the file, a message or a hint.
pub(crate) fn read(name: &str, bytes: &[u8]) {
    let options = ReadOptions {
        intent: Presence::Optional,
        // Limits memory, whatever size a few bytes claim.
        limits: Limits { max_unpacked_bytes: 8 << 20, max_ratio: 200, ratio_from_bytes: 1 << 20 },
        ..ReadOptions::default()
    };
    match read_bytes(bytes, name, &options) {
        Ok(data) => {
            assert!(!data.records.is_empty(), "a data set without a record");
            let mut last = (0, 0);
            for record in &data.records {
                let place = (record.record, record.line);
                assert!(place > last && place.1 >= last.1, "{place:?} comes after {last:?}");
                last = place;
            }
        }
        Err(fault) => {
            assert!(fault.code().starts_with("BOT-2"), "{fault:?}");
            assert_eq!(fault.place().file.as_deref(), Some(name), "{fault:?}");
            assert!(!fault.message().is_empty() && !fault.hints().is_empty(), "{fault:?}");
            assert!(fault.message().chars().count() < 2_000, "{fault:?}");
        }
    }
}
