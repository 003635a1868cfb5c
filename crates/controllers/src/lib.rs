//! The controllers of the embedded cluster: what the API stores becomes what runs.
