//! Projects and environments become namespaces, roles, quotas and AppProjects.
