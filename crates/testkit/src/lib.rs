//! Test support: real peers, temporary worlds, polling with a deadline. Never shipped.
