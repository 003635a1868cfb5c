//! The console: pages that answer before they list, complete without script.
