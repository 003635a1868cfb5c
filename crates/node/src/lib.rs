//! The node: pods become processes, services become addresses, host names become routes.
