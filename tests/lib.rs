//! Holds the end-to-end tests in `tests/`; nothing here is for use by others.
