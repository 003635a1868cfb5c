//! Admission webhooks: only signed images run, the same on every cluster.
