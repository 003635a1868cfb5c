//! What fields are for, in our own words: those every object has. `kubectl explain` shows them.

/// Fields of every object.
const OBJECT: [(&str, &str); 3] = [
    (
        "apiVersion",
        "APIVersion defines the group and version whose schema this object follows.",
    ),
    ("kind", "Kind says what this object is. It never changes."),
    (
        "metadata",
        "Standard object's metadata: what it is called, where it is, to whom it belongs.",
    ),
];

/// Fields of the metadata.
const METADATA: [(&str, &str); 14] = [
    (
        "annotations",
        "Notes for tools, kept with the object and never selected by.",
    ),
    (
        "creationTimestamp",
        "CreationTimestamp is a timestamp the server sets when the object is stored first.",
    ),
    (
        "deletionGracePeriodSeconds",
        "Seconds the object has to end after its deletion was asked for. Set by the server.",
    ),
    (
        "deletionTimestamp",
        "When the object will be gone, once its deletion was asked for. Set by the server.",
    ),
    (
        "finalizers",
        "Who must agree before the object is removed; each takes its own entry away.",
    ),
    (
        "generateName",
        "Beginning of a name the server completes, for objects without a name.",
    ),
    (
        "generation",
        "Counts the changes of what is wanted. Set by the server.",
    ),
    (
        "labels",
        "Words that group objects; selectors choose by them.",
    ),
    (
        "managedFields",
        "Which manager set which field, and when. Kept by the server.",
    ),
    (
        "name",
        "Unique among objects of this kind in the namespace. It never changes.",
    ),
    (
        "namespace",
        "The space the name is unique in. It never changes.",
    ),
    (
        "ownerReferences",
        "Objects this one belongs to; it is collected when all of them are gone.",
    ),
    (
        "resourceVersion",
        "Changes with every change of the object; sent back, it prevents lost updates.",
    ),
    ("uid", "Unique in time and space. Set by the server."),
];

/// What a field every object has is for.
pub(super) fn of_object(field: &str) -> Option<&'static str> {
    find(&OBJECT, field)
}

/// What a field of the metadata is for.
pub(super) fn of_metadata(field: &str) -> Option<&'static str> {
    find(&METADATA, field)
}

fn find(words: &[(&str, &'static str)], field: &str) -> Option<&'static str> {
    let found = words.iter().find(|(name, _)| *name == field)?;
    Some(found.1)
}
