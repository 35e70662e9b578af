//! What a user of the library or the program sees, one file a subject.
#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod serving;
