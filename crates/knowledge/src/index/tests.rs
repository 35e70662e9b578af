//! Tests of building, writing and reading.
