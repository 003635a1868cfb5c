//! The rule engine: a rule, an object, a verdict.
