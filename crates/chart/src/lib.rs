//! Helm charts: load, merge values, render, with the origin of every line.
