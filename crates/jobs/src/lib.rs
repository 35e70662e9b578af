//! Background jobs: entries of a log that any server may work on.
