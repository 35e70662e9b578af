//! Several servers of one environment, in one process.
