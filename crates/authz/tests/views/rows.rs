//! Single rows: what they hold, and where they do not answer.
