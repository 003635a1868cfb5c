//! Findings and diagnostics: what is wrong, where in the source, and what to do next.
