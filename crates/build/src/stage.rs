//! One stage: from its base, instruction by instruction, to layers and a configuration.

use std::path::{Path, PathBuf};

use pilotis_dockerfile::{Base as From, Copy, Ignore, Instruction, Kind, Run, Variables};
use pilotis_oci::{Descriptor, History, Image, Manifest, media};
use pilotis_report::Diagnostic;

use crate::build::{Base, Bases, Request, date, fresh, short};
use crate::config::{self, Said};
use crate::copy::{self, Failure, Origin, Target};
use crate::layout::Layout;
use crate::root::Root;
use crate::snapshot::Snapshot;
use crate::users::{self, User};
use crate::{Error, archive, layer, step};

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What all stages share.
pub(crate) struct Build<'a> {
    pub(crate) request: &'a Request<'a>,
    pub(crate) layout: &'a Layout,
    pub(crate) architecture: &'static str,
    pub(crate) ignore: Ignore,
    pub(crate) context: Root,
    pub(crate) bases: &'a mut dyn Bases,
    pub(crate) progress: &'a mut dyn FnMut(&str),
    pub(crate) fetched: Vec<Base>,
    /// Every stage, in order.
    pub(crate) plan: &'a [pilotis_dockerfile::Stage],
    /// Finished stages, in the plan's order.
    pub(crate) done: Vec<Stage>,
}

impl Build<'_> {
    /// Whether the stage at `index` is the last that needs the files of the one it starts from, and
    /// needs them for nothing else: then it goes on in the same tree.
    fn takes_over(&self, base: usize, index: usize) -> bool {
        let later = self.plan.iter().skip(index + 1);
        let here = self.plan.get(index);
        !here.is_some_and(|stage| stage.reads(base))
            && !later
                .into_iter()
                .any(|stage| stage.sources().contains(&base))
    }

    /// A base image and its root, fetched once.
    fn fetch(&mut self, image: &str) -> Result<Descriptor, Error> {
        if let Some(found) = self.fetched.iter().find(|base| base.reference == image) {
            return Ok(found.manifest.clone());
        }
        let failed = |source| Error::Base {
            image: image.to_owned(),
            source,
        };
        let manifest = self.bases.fetch(image, self.layout).map_err(failed)?;
        (self.progress)(&format!(
            "base {image} is sha256:{}…",
            short(&manifest.digest)
        ));
        self.fetched.push(Base {
            reference: image.to_owned(),
            manifest: manifest.clone(),
        });
        Ok(manifest)
    }
}

/// A stage being built, or finished.
pub(crate) struct Stage {
    root: Root,
    image: Image,
    layers: Vec<Descriptor>,
    said: Said,
    epoch: i64,
    work: PathBuf,
}

/// Unpacks an image's layers into a fresh root.
fn unpack_image(layout: &Layout, manifest: &Manifest, root: &Path) -> Result<(), Error> {
    for layer in &manifest.layers {
        let path = layout.blob_path(&layer.digest);
        let file = std::fs::File::open(&path).map_err(Error::file("open", &path))?;
        let reader = archive::decompress(&layer.media_type, std::io::BufReader::new(file))?;
        archive::unpack(&Root::new(root), reader, archive::Rules::Layer)?;
    }
    Ok(())
}

impl Stage {
    pub(crate) fn start(
        build: &mut Build<'_>,
        index: usize,
        planned: &pilotis_dockerfile::Stage,
    ) -> Result<Self, Error> {
        let work = build.request.work.join(format!("stage-{index}"));
        let mut root = Root::new(&fresh(work.join("root"))?);
        let name = planned.name.as_deref().unwrap_or("");
        (build.progress)(format!("stage {index} {name}").trim_end());
        let (image, layers) = match &planned.base {
            From::Scratch => (Image::scratch(build.architecture), Vec::new()),
            From::Stage(base) => {
                let takes_over = build.takes_over(*base, index);
                let base = &build.done[*base];
                if takes_over {
                    root = base.root.clone();
                } else {
                    let manifest = Manifest::image(Descriptor::empty(), base.layers.clone());
                    unpack_image(build.layout, &manifest, root.path())?;
                }
                (base.image.clone(), base.layers.clone())
            }
            From::Image(image) => {
                let manifest = build.fetch(image)?;
                let (manifest, config) = build.layout.image(&manifest)?;
                unpack_image(build.layout, &manifest, root.path())?;
                (config, manifest.layers)
            }
        };
        let epoch = build.request.epoch;
        Ok(Self {
            root,
            image,
            layers,
            said: Said::default(),
            epoch,
            work,
        })
    }

    pub(crate) fn run(
        mut self,
        build: &mut Build<'_>,
        planned: &pilotis_dockerfile::Stage,
    ) -> Result<Self, Error> {
        let steps = planned
            .expand(&self.environment())
            .map_err(Error::Dockerfile)?;
        let count = steps.len();
        for (number, step) in steps.iter().enumerate() {
            (build.progress)(&format!(
                "[{}/{count}] {}",
                number + 1,
                step.instruction.source
            ));
            let done = self.instruction(build, planned, step);
            done.map_err(|failure| match failure {
                Failure::Machine(error) => error,
                Failure::Author(message) => {
                    let mut place = planned.position.clone();
                    place.line = step.instruction.span.line;
                    place.column = step.instruction.span.column;
                    Error::Dockerfile(vec![Diagnostic::error(message).at(place)])
                }
            })?;
        }
        Ok(self)
    }

    fn environment(&self) -> Variables {
        let pair = |entry: &String| {
            let (name, value) = entry.split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        };
        self.image.config.env.iter().filter_map(pair).collect()
    }

    fn instruction(
        &mut self,
        build: &mut Build<'_>,
        planned: &pilotis_dockerfile::Stage,
        step: &pilotis_dockerfile::Step,
    ) -> Result<(), Failure> {
        let instruction = &step.instruction;
        if config::apply(&mut self.image.config, &mut self.said, &instruction.kind)
            .map_err(Failure::Author)?
        {
            self.remember(instruction, true);
            return Ok(());
        }
        let before = Snapshot::take(&self.root)?;
        match &instruction.kind {
            Kind::Workdir(path) => self.workdir(path)?,
            Kind::Run(run) => self.command(build, run, &step.variables(), &instruction.source)?,
            Kind::Copy(copy) => {
                let from = self.origin(build, planned, copy)?;
                self.copy(build, copy, from.as_ref(), false)?;
            }
            Kind::Add(copy) => self.copy(build, copy, None, true)?,
            other => {
                return Err(Failure::Author(format!(
                    "{} is not supported",
                    other.keyword()
                )));
            }
        }
        self.keep(build, &before, instruction)
    }

    /// Makes a layer of what changed.
    fn keep(
        &mut self,
        build: &Build<'_>,
        before: &Snapshot,
        instruction: &Instruction,
    ) -> Result<(), Failure> {
        let changes = before.changes(&Snapshot::take(&self.root)?);
        if changes.is_empty() {
            self.remember(instruction, true);
            return Ok(());
        }
        let layer = layer::write(&self.root, &changes, self.epoch, build.layout)?;
        self.layers.push(layer.descriptor);
        self.image.rootfs.diff_ids.push(layer.diff_id);
        self.remember(instruction, false);
        Ok(())
    }

    fn remember(&mut self, instruction: &Instruction, empty_layer: bool) {
        self.image.history.push(History {
            created: Some(date(self.epoch)),
            created_by: Some(instruction.source.clone()),
            comment: None,
            empty_layer,
        });
    }

    fn working_dir(&self) -> String {
        let set = self
            .image
            .config
            .working_dir
            .clone()
            .filter(|path| !path.is_empty());
        set.unwrap_or_else(|| "/".to_owned())
    }

    fn user(&self) -> Result<User, Failure> {
        let text = self
            .image
            .config
            .user
            .clone()
            .filter(|user| !user.is_empty());
        let text = text.unwrap_or_else(|| "0".to_owned());
        let unknown = || Failure::Author(format!("user `{text}` is not in the image"));
        users::resolve(&self.root, &text).ok_or_else(unknown)
    }

    fn workdir(&mut self, path: &str) -> Result<(), Failure> {
        let joined = Path::new(&self.working_dir()).join(path);
        let joined = clean(&joined);
        let too_many = || Failure::Author(format!("`{path}` has too many links"));
        let outside = self.root.resolve(Path::new(&joined)).ok_or_else(too_many)?;
        let user = self.user()?;
        make_folder(&outside, &user)?;
        self.image.config.working_dir = Some(joined);
        Ok(())
    }

    fn command(
        &self,
        build: &Build<'_>,
        run: &Run,
        variables: &Variables,
        shown: &str,
    ) -> Result<(), Failure> {
        if let Some(mount) = run.mounts.iter().find(|mount| mount.kind != "cache") {
            let text = format!("RUN --mount=type={} is not supported yet", mount.kind);
            return Err(Failure::Author(text));
        }
        let config = &self.image.config;
        let words = match run.script() {
            None => config::words(config, &run.command),
            Some(script) => {
                let mut words = config.shell.clone().unwrap_or_else(config::default_shell);
                words.push(script);
                words
            }
        };
        let user = self.user()?;
        let mut step = step::step(self.root.path(), &user, words);
        step.working_dir = self.working_dir();
        step.env = environment(variables, &user, self.epoch);
        build.request.stepper.run(&step, &self.work, shown)?;
        Ok(())
    }

    /// The root of `--from`; `None` is the context.
    fn origin(
        &self,
        build: &mut Build<'_>,
        planned: &pilotis_dockerfile::Stage,
        copy: &Copy,
    ) -> Result<Option<Root>, Error> {
        let Some(from) = &copy.from else {
            return Ok(None);
        };
        if let Some(stage) = planned.link(from).and_then(|index| build.done.get(index)) {
            return Ok(Some(stage.root.clone()));
        }
        let manifest = build.fetch(from)?;
        let path = build
            .request
            .work
            .join(format!("image-{}", short(&manifest.digest)));
        if !path.exists() {
            let root = fresh(path.clone())?;
            unpack_image(build.layout, &build.layout.image(&manifest)?.0, &root)?;
        }
        Ok(Some(Root::new(&path)))
    }

    fn copy(
        &self,
        build: &Build<'_>,
        copy: &Copy,
        from: Option<&Root>,
        unpacks: bool,
    ) -> Result<(), Failure> {
        if copy.parents {
            return Err(Failure::Author(
                "COPY --parents is not supported".to_owned(),
            ));
        }
        let unknown = |text: &str| Failure::Author(format!("`{text}` is not in the image"));
        // The context's own owners mean nothing here.
        let owner = copy.chown.as_deref().or(from.is_none().then_some("0:0"));
        let owner = owner.map(|text| users::resolve(&self.root, text).ok_or_else(|| unknown(text)));
        let owner = owner.transpose()?;
        let mode = copy.chmod.as_deref().map(|text| {
            let octal = u32::from_str_radix(text, 8)
                .ok()
                .filter(|mode| *mode <= 0o7777);
            octal.ok_or_else(|| Failure::Author(format!("`{text}` is not an octal mode")))
        });
        let target = Target {
            root: &self.root,
            working_dir: &self.working_dir(),
            owner: owner.as_ref(),
            mode: mode.transpose()?,
            unpacks: unpacks && copy.unpack != Some(false),
            epoch: self.epoch,
        };
        let origin = match from {
            Some(root) => Origin { root, ignore: None },
            None => Origin {
                root: &build.context,
                ignore: Some(&build.ignore),
            },
        };
        copy::copy(&target, &origin, copy)
    }

    /// Writes configuration and manifest.
    pub(crate) fn publish(mut self, layout: &Layout) -> Result<(Descriptor, Image), Error> {
        self.image.created = Some(date(self.epoch));
        let config = layout.put(media::CONFIG, &self.image.to_bytes())?;
        let manifest = Manifest::image(config, self.layers);
        let manifest = layout.put(media::MANIFEST, &manifest.to_bytes())?;
        Ok((manifest, self.image))
    }
}

/// What a command sees: its variables, and the few that every program expects.
fn environment(variables: &Variables, user: &User, epoch: i64) -> Vec<(String, String)> {
    let mut env = vec![
        ("PATH".to_owned(), PATH.to_owned()),
        ("HOME".to_owned(), user.home.clone()),
        ("SOURCE_DATE_EPOCH".to_owned(), epoch.to_string()),
    ];
    for (name, value) in variables {
        env.retain(|(known, _)| known != name);
        env.push((name.clone(), value.clone()));
    }
    env
}

/// Makes a directory and those on its way, owned by a user.
fn make_folder(path: &Path, user: &User) -> Result<(), Error> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        make_folder(parent, user)?;
    }
    std::fs::create_dir(path).map_err(Error::file("create", path))?;
    archive::own(path, user.uid, user.gid)?;
    archive::set_mode(path, 0o755)
}

/// An absolute path without dots.
fn clean(path: &Path) -> String {
    let mut parts: Vec<String> = Vec::new();
    for component in path.components() {
        match component {
            std::path::Component::Normal(part) => parts.push(part.to_string_lossy().into_owned()),
            std::path::Component::ParentDir => {
                parts.pop();
            }
            _ => {}
        }
    }
    format!("/{}", parts.join("/"))
}
