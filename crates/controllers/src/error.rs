//! What goes wrong in a controller.

/// Why a controller could not finish.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API refused or could not be reached.
    #[error("request to the API failed")]
    Api(#[from] kube::Error),
    /// Objects of a namespace that is going away still exist.
    #[error("{0} objects remain")]
    Remaining(usize),
    /// A controller panicked while working on an object.
    #[error("controller panicked")]
    Panicked,
    /// A controller ended although nobody told it to.
    #[error("a controller ended by itself")]
    Ended,
}

impl Error {
    fn status(&self) -> Option<&kube::core::Status> {
        match self {
            Self::Api(kube::Error::Api(status)) => Some(status),
            _ => None,
        }
    }

    /// Somebody else wrote first, or what was asked for takes its time.
    pub(crate) fn is_expected(&self) -> bool {
        let is_conflict = self.status().is_some_and(|status| status.code == 409);
        is_conflict || matches!(self, Self::Remaining(_))
    }

    /// The namespace is going away, so nothing can be created in it.
    pub(crate) fn is_terminating(&self) -> bool {
        let causes = self.status().and_then(|status| status.details.as_ref());
        causes.is_some_and(|details| {
            let mut causes = details.causes.iter();
            causes.any(|cause| cause.reason == "NamespaceTerminating")
        })
    }

    /// The API's own words where it has any.
    pub(crate) fn words(&self) -> String {
        match self.status() {
            Some(status) => status.message.clone(),
            None => match self {
                Self::Api(cause) => cause.to_string(),
                other => other.to_string(),
            },
        }
    }

    pub(crate) fn is_not_found(error: &kube::Error) -> bool {
        matches!(error, kube::Error::Api(status) if status.code == 404)
    }

    pub(crate) fn already_exists(error: &kube::Error) -> bool {
        matches!(error, kube::Error::Api(status) if status.reason == "AlreadyExists")
    }
}
