//! The contract of the store, on a store in memory and on a folder.
