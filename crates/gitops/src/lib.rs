//! Applications: Git is pulled, rendered, compared, applied, and drift is undone.
