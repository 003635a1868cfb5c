//! Why a page could not be shown, as a page: what happened, and what to do next.
//!
//! The text never carries what the API said; that goes to the log.

use axum::Extension;
use axum::response::{Html, IntoResponse, Redirect, Response};
use http::StatusCode;

use crate::page::{self, ErrorPage, Shell};

/// Why a page could not be shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// Nobody is logged in.
    #[error("nobody is logged in")]
    LoggedOut,
    /// Another Host than ours.
    #[error("host is not ours")]
    Host,
    /// A form of another site.
    #[error("origin is not ours")]
    Origin,
    /// There is no such page or object.
    #[error("not found")]
    NotFound,
    /// The API refuses it to this person.
    #[error("forbidden")]
    Forbidden,
    /// Too many pages are being followed at once.
    #[error("too many streams")]
    Busy,
    /// The API could not be reached, or answered something else.
    #[error("cannot read from the API")]
    Api(#[source] Box<kube::Error>),
    /// A template failed.
    #[error("cannot render the page")]
    Render(#[from] askama::Error),
}

impl From<kube::Error> for Refusal {
    fn from(error: kube::Error) -> Self {
        match &error {
            kube::Error::Api(status) if status.code == 404 => Self::NotFound,
            kube::Error::Api(status) if status.code == 403 => Self::Forbidden,
            _ => Self::Api(Box::new(error)),
        }
    }
}

impl Refusal {
    /// Code, heading, what happened, what to do.
    fn words(&self) -> (StatusCode, &'static str, &'static str, &'static str) {
        match self {
            Self::Host => (
                StatusCode::MISDIRECTED_REQUEST,
                "Cette adresse n’est pas celle de la console",
                "La demande porte un autre nom d’hôte que celui de la console.",
                "Ouvrez l’adresse que pilotis status affiche.",
            ),
            Self::Origin => (
                StatusCode::FORBIDDEN,
                "Ce formulaire ne vient pas de la console",
                "Une action n’est acceptée que depuis une page de la console elle-même.",
                "Revenez à la console et refaites l’action depuis sa page.",
            ),
            Self::LoggedOut | Self::NotFound => (
                StatusCode::NOT_FOUND,
                "Page introuvable",
                "L’adresse ne désigne ni une page, ni un objet du cluster.",
                "Vérifiez l’adresse, ou cherchez l’objet depuis la liste des applications.",
            ),
            Self::Forbidden => (
                StatusCode::FORBIDDEN,
                "Vos droits ne permettent pas de lire cette page",
                "La page est lue en votre nom, et le cluster a refusé la lecture.",
                "Demandez à un administrateur du projet d’ajouter votre compte à ses membres.",
            ),
            Self::Busy => (
                StatusCode::SERVICE_UNAVAILABLE,
                "Trop de pages sont suivies en direct",
                "La limite de pages suivies en même temps est atteinte.",
                "Rechargez la page quand vous voulez la voir à jour.",
            ),
            Self::Api(_) | Self::Render(_) => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "La page n’a pas pu être préparée",
                "L’API du cluster n’a pas répondu comme attendu\u{202f}; le journal dit quoi.",
                "Rechargez la page. Si rien ne change, lancez pilotis status sur la machine.",
            ),
        }
    }
}

/// Left in a response by a refusal; [`Words::page`] makes the page of it, for whoever looks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Words {
    code: StatusCode,
    heading: &'static str,
    cause: &'static str,
    next: &'static str,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        if matches!(self, Self::LoggedOut) {
            return Redirect::to("/connexion").into_response();
        }
        let (code, heading, cause, next) = self.words();
        if code.is_server_error() {
            let source = std::error::Error::source(&self).map(ToString::to_string);
            tracing::warn!(error = %self, source, "a page could not be shown");
        }
        let words = Words {
            code,
            heading,
            cause,
            next,
        };
        (code, Extension(words)).into_response()
    }
}

impl Words {
    /// The page, with the navigation of the person who looks if somebody does.
    pub(crate) fn page(self, user: Option<String>) -> Response {
        let Self {
            code,
            heading,
            cause,
            next,
        } = self;
        let shell = Shell {
            title: heading.to_owned(),
            user,
            ..Shell::default()
        };
        let page = ErrorPage {
            shell,
            code: code.as_u16(),
            heading,
            cause,
            next,
        };
        match page::render(&page) {
            Ok(html) => (code, Html(html)).into_response(),
            Err(_) => (code, heading).into_response(),
        }
    }
}
