//! The ten pillars of the rail: the eight gates, then what the cluster does with the result.

use pilotis_kinds::pilotis::GateName;

/// One pillar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// A gate of the chain.
    Gate(GateName),
    /// The cluster pulls the new version.
    Sync,
    /// Users receive it.
    Running,
}

impl Door {
    /// All, in order.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let gates = GateName::ALL.into_iter().map(Self::Gate);
        gates.chain([Self::Sync, Self::Running])
    }

    /// The door `?porte=` names.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::all().find(|door| door.id() == name)
    }

    /// Its name in addresses and ids.
    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::Gate(gate) => gate.as_str(),
            Self::Sync => "sync",
            Self::Running => "running",
        }
    }

    /// Its name on the rail.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Gate(gate) => label(gate),
            Self::Sync => "Synchro",
            Self::Running => "En service",
        }
    }

    /// The stage that begins with it.
    pub(crate) fn stage(self) -> Option<&'static str> {
        match self {
            Self::Gate(GateName::Mirror) => Some("Source"),
            Self::Gate(GateName::Build) => Some("Fabrique"),
            Self::Gate(GateName::Sign) => Some("Confiance"),
            Self::Gate(GateName::Promote) => Some("Cluster"),
            _ => None,
        }
    }

    /// Title of its panel: what it is for.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Gate(GateName::Mirror) => "Miroir : le commit est dans la copie de la plateforme",
            Self::Gate(GateName::Inspect) => "Inspection : règles du code, secrets, dépendances",
            Self::Gate(GateName::Build) => "Construction : l’image refaite par la plateforme",
            Self::Gate(GateName::Test) => "Tests : l’étape de test de l’image",
            Self::Gate(GateName::Verify) => {
                "Vérification : l’image et le chart, jugés comme en prod"
            }
            Self::Gate(GateName::Sign) => "Signature : l’image et ses preuves sont scellées",
            Self::Gate(GateName::Publish) => "Publication : l’image entre au registre",
            Self::Gate(GateName::Promote) => "Promotion : la zone reçoit la nouvelle version",
            Self::Sync => "Synchronisation : le cluster tire la nouvelle version",
            Self::Running => "En service : ce que reçoivent vos usagers",
        }
    }
}

/// A gate's name.
pub(crate) fn label(gate: GateName) -> &'static str {
    match gate {
        GateName::Mirror => "Miroir",
        GateName::Inspect => "Inspection",
        GateName::Build => "Construction",
        GateName::Test => "Tests",
        GateName::Verify => "Vérification",
        GateName::Sign => "Signature",
        GateName::Publish => "Publication",
        GateName::Promote => "Promotion",
    }
}

/// Where a delivery stops or stands: `à la vérification`.
pub(crate) fn place(gate: GateName) -> &'static str {
    match gate {
        GateName::Mirror => "au miroir",
        GateName::Inspect => "à l’inspection",
        GateName::Build => "à la construction",
        GateName::Test => "aux tests",
        GateName::Verify => "à la vérification",
        GateName::Sign => "à la signature",
        GateName::Publish => "à la publication",
        GateName::Promote => "à la promotion",
    }
}
