//! tests/end-to-end
