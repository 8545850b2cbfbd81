//! Access patterns.
