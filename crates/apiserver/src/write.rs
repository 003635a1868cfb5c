//! Creating and changing objects: the order of steps every write goes through.
//!
//! Decode, default, mutate by admission, record field owners, let the kind's strategy set what only
//! the server sets, validate, ask validating admission, store. A change without a revision from
//! the client is repeated on the newest state when somebody else was faster; the object is only
//! stored if something really changed.

use std::sync::Arc;

use pilotis_store::{Entry, Expect, WriteError};
use serde_json::{Value, json};

use crate::admission::{self, Operation};
use crate::body;
use crate::commit;
use crate::context::{Context, key};
use crate::convert;
use crate::failure::{Failure, Outcome};
use crate::kind::Kind;
use crate::meta;
use crate::owners;
use crate::read;
use crate::respond::Answer;
use crate::strategy;
use crate::validation;

/// Attempts at a change that keeps losing against others.
const ATTEMPTS_MAX: u32 = 16;
/// Attempts at finding a free generated name.
const NAME_ATTEMPTS_MAX: u32 = 8;

/// A proposed state of an object.
pub(crate) struct Proposal {
    pub(crate) object: Value,
    /// `managedFields` already say who owns what (server-side apply).
    pub(crate) owned: bool,
}

/// What became of a change.
pub(crate) struct Changed {
    pub(crate) entry: Entry,
}

/// A write of one object of one kind.
pub(crate) struct Writing<'a> {
    pub(crate) context: &'a Context,
    pub(crate) kind: &'a Arc<Kind>,
    pub(crate) namespace: String,
    /// Empty for the object itself.
    pub(crate) subresource: String,
    pub(crate) dry_run: bool,
    pub(crate) manager: String,
}

/// Makes a proposal from the current state.
pub(crate) type Propose<'a> = dyn Fn(&Value) -> Outcome<Proposal> + Send + Sync + 'a;

impl<'a> Writing<'a> {
    pub(crate) fn new(context: &'a Context, kind: &'a Arc<Kind>) -> Outcome<Self> {
        Ok(Self {
            context,
            kind,
            namespace: context.info.namespace.clone(),
            subresource: context.info.subresource.clone(),
            dry_run: context.query.dry_run()?,
            manager: context.field_manager(),
        })
    }

    /// Stores a new object.
    pub(crate) async fn create(&self, proposal: Proposal) -> Outcome<Entry> {
        let generated = meta::name(&proposal.object).is_empty();
        let mut attempt = 0;
        loop {
            let again = Proposal {
                object: proposal.object.clone(),
                owned: proposal.owned,
            };
            attempt += 1;
            match self.create_once(again).await {
                Err(failure)
                    if generated
                        && failure.reason == "AlreadyExists"
                        && attempt < NAME_ATTEMPTS_MAX => {}
                outcome => return outcome,
            }
        }
    }

    async fn create_once(&self, proposal: Proposal) -> Outcome<Entry> {
        let Proposal { mut object, owned } = proposal;
        let (context, kind) = (self.context, self.kind);
        self.settle_names(&mut object)?;
        context.note_created(meta::name(&object));
        if !meta::text(&object, "resourceVersion").is_empty() {
            return Err(Failure::bad_request(
                "resourceVersion should not be set on objects to be created",
            ));
        }
        meta::metadata_mut(&mut object).remove("uid");
        validation::default(kind, &mut object);
        let request = admission::Request {
            context,
            kind,
            operation: Operation::Create,
            namespace: &self.namespace,
            name: "",
            subresource: &self.subresource,
            old: None,
            dry_run: self.dry_run,
        };
        admission::mutate(&request, &mut object).await?;
        if !owned {
            object = owners::track(kind, None, object, &self.manager, "");
        }
        strategy::prepare_create(kind, &mut object);
        self.settle_definition(&mut object);
        let reserved = context
            .api
            .allocator
            .assign(&context.api.store, kind, None, &mut object)?;
        validation::create(kind, &object)?;
        admission::validate(&request, Some(&object)).await?;
        let counted = context.api.quotas.reserve(&request, &object)?;
        commit::check_size(&object)?;
        let name = meta::name(&object).to_owned();
        let key = key(kind, &self.namespace, &name);
        if self.dry_run {
            if context.api.store.latest(&key).is_some() {
                return Err(Failure::already_exists(kind, &name));
            }
            return Ok(commit::pretend(kind, key, 0, object));
        }
        let written = commit::put(&context.api.store, kind, key, Expect::Absent, object).await;
        drop((reserved, counted));
        written.map_err(|e| commit::failure(&e, kind, &name))
    }

    /// Definitions get the status that makes their kinds served.
    fn settle_definition(&self, object: &mut Value) {
        if self
            .kind
            .is("apiextensions.k8s.io", "customresourcedefinitions")
        {
            crate::crd::definition::settle(&self.context.kinds, object);
        }
    }

    /// Checks and fills in the namespace and the name.
    fn settle_names(&self, object: &mut Value) -> Outcome<()> {
        let kind = self.kind;
        let given = meta::text(object, "namespace").to_owned();
        let metadata = meta::metadata_mut(object);
        if kind.namespaced {
            if !given.is_empty() && given != self.namespace {
                return Err(Failure::bad_request(
                    "the namespace of the provided object does not match the namespace sent on the \
                     request",
                ));
            }
            metadata.insert("namespace".into(), self.namespace.clone().into());
        } else {
            metadata.remove("namespace");
        }
        let name = metadata
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or("")
            .to_owned();
        let base = metadata
            .get("generateName")
            .and_then(Value::as_str)
            .unwrap_or("")
            .to_owned();
        if !name.is_empty() {
            return Ok(());
        }
        if base.is_empty() {
            let cause = crate::failure::Cause {
                reason: "FieldValueRequired",
                message: "Required value: name or generateName is required".into(),
                field: "metadata.name".into(),
            };
            return Err(Failure::invalid(kind, "", &[cause]));
        }
        metadata.insert("name".into(), meta::generate_name(&base).into());
        Ok(())
    }

    /// Changes an existing object; `propose` may be called several times.
    pub(crate) async fn update(&self, name: &str, propose: &Propose<'_>) -> Outcome<Changed> {
        let key = key(self.kind, &self.namespace, name);
        for _ in 0..ATTEMPTS_MAX {
            let Some(current) = self.context.api.store.latest(&key) else {
                return Err(Failure::not_found(self.kind, name));
            };
            match self.update_once(&current, propose).await? {
                Step::Done(entry) => {
                    return Ok(Changed { entry });
                }
                Step::Lost => {}
            }
        }
        Err(Failure::modified(self.kind, name))
    }

    async fn update_once(&self, current: &Entry, propose: &Propose<'_>) -> Outcome<Step> {
        let (context, kind, name) = (self.context, self.kind, current.key.name());
        let old = convert::served(kind, current)?;
        let Proposal {
            object: mut new,
            owned,
        } = propose(&old)?;
        self.check_preconditions(&old, &mut new, name)?;
        strategy::prepare_update(kind, &self.subresource, &old, &mut new);
        validation::default(kind, &mut new);
        let request = admission::Request {
            context,
            kind,
            operation: Operation::Update,
            namespace: &self.namespace,
            name,
            subresource: &self.subresource,
            old: Some(&old),
            dry_run: self.dry_run,
        };
        admission::mutate(&request, &mut new).await?;
        if !owned {
            new = owners::track(kind, Some(&old), new, &self.manager, &self.subresource);
        }
        strategy::prepare_update(kind, &self.subresource, &old, &mut new);
        self.settle_definition(&mut new);
        let reserved =
            context
                .api
                .allocator
                .assign(&context.api.store, kind, Some(&old), &mut new)?;
        if self.subresource.is_empty() || kind.custom.is_some() {
            validation::update(kind, &old, &new)?;
        }
        admission::validate(&request, Some(&new)).await?;
        context.api.quotas.reserve(&request, &new)?;
        owners::keep_times(&old, &mut new);
        new["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"].clone();
        if new == old {
            return Ok(Step::Done(current.clone()));
        }
        commit::check_size(&new)?;
        if self.dry_run {
            let pretended = commit::pretend(kind, current.key.clone(), current.revision, new);
            return Ok(Step::Done(pretended));
        }
        let written = self.store_or_remove(current, new).await;
        drop(reserved);
        match written {
            Ok(entry) => Ok(Step::Done(entry)),
            Err(WriteError::Conflict { .. }) => Ok(Step::Lost),
            Err(error) => Err(commit::failure(&error, kind, name)),
        }
    }

    /// The last finalizer of a deleted object is gone: so is the object.
    async fn store_or_remove(&self, current: &Entry, new: Value) -> Result<Entry, WriteError> {
        let store = &self.context.api.store;
        let key = current.key.clone();
        if crate::delete::is_finished(self.kind, &new) {
            return commit::remove(store, self.kind, key, current.revision, new).await;
        }
        commit::put(
            store,
            self.kind,
            key,
            Expect::Revision(current.revision),
            new,
        )
        .await
    }

    /// Checks name, uid and revision against the live object.
    fn check_preconditions(&self, old: &Value, new: &mut Value, name: &str) -> Outcome<()> {
        let kind = self.kind;
        let given = meta::name(new).to_owned();
        if given != name {
            return Err(Failure::bad_request(format!(
                "the name of the object ({given}) does not match the name on the URL ({name})"
            )));
        }
        if kind.namespaced {
            let namespace = meta::text(new, "namespace");
            if !namespace.is_empty() && namespace != self.namespace {
                return Err(Failure::bad_request(
                    "the namespace of the provided object does not match the namespace sent on \
                     the request",
                ));
            }
            meta::set(
                new,
                &["metadata", "namespace"],
                self.namespace.clone().into(),
            );
        }
        let (uid, live) = (meta::text(new, "uid"), meta::text(old, "uid"));
        if !uid.is_empty() && uid != live {
            let why = format!(
                "Precondition failed: UID in precondition: {uid}, UID in object meta: {live}"
            );
            return Err(Failure::conflict(kind, name, &why));
        }
        let revision = meta::text(new, "resourceVersion").to_owned();
        let live = meta::text(old, "resourceVersion");
        if !revision.is_empty() && revision != "0" && revision != live {
            return Err(Failure::modified(kind, name));
        }
        Ok(())
    }
}

enum Step {
    Done(Entry),
    Lost,
}

/// `POST` to a collection.
pub(crate) async fn create(context: &Context, kind: &Arc<Kind>, body: &[u8]) -> Outcome<Answer> {
    let object = body::object(context, kind, body)?;
    let writing = Writing::new(context, kind)?;
    let entry = writing
        .create(Proposal {
            object,
            owned: false,
        })
        .await?;
    read::show(context, kind, &entry, 201)
}

/// `PUT` of an object or its status.
pub(crate) async fn replace(context: &Context, kind: &Arc<Kind>, body: &[u8]) -> Outcome<Answer> {
    let sent = body::object(context, kind, body)?;
    let writing = Writing::new(context, kind)?;
    let unconditional = meta::text(&sent, "resourceVersion").is_empty();
    if unconditional && kind.custom.is_some() {
        let cause = crate::failure::Cause {
            reason: "FieldValueInvalid",
            message: "Invalid value: 0x0: must be specified for an update".into(),
            field: "metadata.resourceVersion".into(),
        };
        return Err(Failure::invalid(kind, &context.info.name, &[cause]));
    }
    let propose = |_: &Value| {
        Ok(Proposal {
            object: sent.clone(),
            owned: false,
        })
    };
    let changed = writing.update(&context.info.name, &propose).await?;
    read::show(context, kind, &changed.entry, 200)
}

/// A `Status` that says what was done to an object.
pub(crate) fn success(kind: &Kind, name: &str, uid: &str) -> Value {
    let mut details = json!({"name": name, "kind": kind.plural, "uid": uid});
    if !kind.group.is_empty() {
        details["group"] = kind.group.clone().into();
    }
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
        "details": details,
    })
}
