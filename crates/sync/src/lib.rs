//! GitOps decisions without I/O: compare, plan by phase and wave, health.
