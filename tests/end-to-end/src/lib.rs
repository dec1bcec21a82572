//! Stories told through the HTTP surface, races and faults: everything is in `tests/`.
