//! The life of a commit: from a push, through every gate, to a promotion.
