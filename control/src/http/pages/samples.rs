//! Sample data for tests: every page with usual, with empty and with hostile content.
