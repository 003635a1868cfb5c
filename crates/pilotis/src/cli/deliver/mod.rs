//! `pilotis deliver`: what the console shows about commits, for a terminal.

mod text;

use std::io::{IsTerminal, Write};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use futures::StreamExt;
use jiff::Timestamp;
use kube::Api;
use kube::api::ListParams;
use kube::runtime::{WatchStreamExt, watcher};
use pilotis_kinds::pilotis::GateName;

use super::project::slug;
use super::{Form, Instance, Outcome};
use crate::client::{self, Delivery};

/// Objects asked for at once.
const PAGE: u32 = 500;
/// Time between two updates of the line that shows what is under way.
const TICK: Duration = Duration::from_millis(500);

/// Commands on deliveries.
#[derive(Debug, Subcommand)]
pub enum Deliver {
    /// List deliveries, newest first
    List(Select),
    /// Show one delivery, gate by gate
    Show(One),
    /// Follow one delivery until it is in production, past a gate, or blocked
    Watch(Watch),
    /// Print the patch that mends a blocked delivery
    Patch(Named),
}

/// Which deliveries.
#[derive(Debug, Clone, Args)]
pub struct Select {
    /// Project; all projects when absent
    #[arg(long, value_name = "PROJECT")]
    pub project: Option<String>,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = Form::Human)]
    pub output: Form,
    /// Instance.
    #[command(flatten)]
    pub instance: Instance,
}

/// One delivery.
#[derive(Debug, Clone, Args)]
pub struct Named {
    /// Name, as `deliver list` prints it
    pub name: String,
    /// Project
    #[arg(long, value_name = "PROJECT")]
    pub project: String,
    /// Instance.
    #[command(flatten)]
    pub instance: Instance,
}

/// One delivery to show.
#[derive(Debug, Clone, Args)]
pub struct One {
    /// Which.
    #[command(flatten)]
    pub named: Named,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = Form::Human)]
    pub output: Form,
}

/// One delivery to follow; it may not exist yet.
#[derive(Debug, Clone, Args)]
pub struct Watch {
    /// Which.
    #[command(flatten)]
    pub named: Named,
    /// Stop when this gate has passed or was skipped, instead of after the last one
    #[arg(long, value_name = "GATE", value_parser = gate)]
    pub until: Option<GateName>,
    /// Give up after this many seconds
    #[arg(long, default_value_t = 900)]
    pub timeout: u64,
    /// Form of the output; json prints the delivery on one line each time it changes
    #[arg(short, long, value_enum, default_value_t = Form::Human)]
    pub output: Form,
}

/// Runs a `deliver` command.
///
/// # Errors
/// When the API cannot be reached or the delivery does not exist.
pub async fn run(command: Deliver) -> Result<Outcome> {
    match command {
        Deliver::List(select) => list(select).await,
        Deliver::Show(one) => show(one).await,
        Deliver::Watch(watch) => follow(watch).await,
        Deliver::Patch(named) => patch(&named).await,
    }
}

async fn list(select: Select) -> Result<Outcome> {
    let namespace = select.project.as_deref().map(namespace_of).transpose()?;
    let client = client::connect(&select.instance).await?;
    let api = client::deliveries(&client, namespace.as_deref());
    let mut items = all(&api).await.with_context(|| match &select.project {
        Some(project) => format!("cannot list the deliveries of {project}"),
        None => "cannot list the deliveries of all projects; name one with --project".to_owned(),
    })?;
    items.sort_by_key(|d| std::cmp::Reverse(d.metadata.creation_timestamp.clone()));
    match select.output {
        Form::Json => println!("{}", serde_json::to_string_pretty(&items)?),
        Form::Human if items.is_empty() => {
            eprintln!("no delivery yet: push a commit to a repository's followed branch");
        }
        Form::Human => print!("{}", text::list(&items, Timestamp::now())),
    }
    Ok(Outcome::Done)
}

/// Every delivery, page after page.
async fn all(api: &Api<Delivery>) -> Result<Vec<Delivery>> {
    let mut parameters = ListParams::default().limit(PAGE);
    let mut items = Vec::new();
    loop {
        let page = api.list(&parameters).await?;
        items.extend(page.items);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => parameters = parameters.continue_token(&token),
            None => return Ok(items),
        }
    }
}

async fn show(one: One) -> Result<Outcome> {
    let delivery = read(&one.named).await?;
    match one.output {
        Form::Json => println!("{}", serde_json::to_string_pretty(&delivery)?),
        Form::Human => print!("{}", text::describe(&delivery, Timestamp::now())),
    }
    Ok(if text::blocked(&delivery).is_some() {
        Outcome::Findings
    } else {
        Outcome::Done
    })
}

async fn patch(named: &Named) -> Result<Outcome> {
    let delivery = read(named).await?;
    let blocked = text::blocked(&delivery).and_then(|(_, blocked)| blocked);
    let Some(patch) = blocked.and_then(|blocked| blocked.patch.as_deref()) else {
        eprintln!("error: {} has no patch to apply", named.name);
        eprintln!("hint: `pilotis deliver show` tells where it stands");
        return Ok(Outcome::Failure);
    };
    // For `git apply` as it is; for eyes without what could steer the terminal.
    if std::io::stdout().is_terminal() {
        println!("{}", text::plain_lines(patch.trim_end()));
    } else {
        println!("{}", patch.trim_end_matches('\n'));
    }
    Ok(Outcome::Done)
}

/// A gate by the name it is shown with.
fn gate(name: &str) -> Result<GateName> {
    let found = GateName::ALL.into_iter().find(|g| g.as_str() == name);
    found.with_context(|| {
        let names = GateName::ALL.map(GateName::as_str);
        format!("the gates are {}", names.join(", "))
    })
}

async fn read(named: &Named) -> Result<Delivery> {
    let namespace = namespace_of(&named.project)?;
    let client = client::connect(&named.instance).await?;
    let api = client::deliveries(&client, Some(&namespace));
    api.get(&named.name)
        .await
        .with_context(|| format!("cannot read delivery {} of {}", named.name, named.project))
}

async fn follow(watch: Watch) -> Result<Outcome> {
    let named = &watch.named;
    let namespace = namespace_of(&named.project)?;
    let client = client::connect(&named.instance).await?;
    let api = client::deliveries(&client, Some(&namespace));
    let config = watcher::Config::default().fields(&format!("metadata.name={}", named.name));
    let mut stream = std::pin::pin!(watcher::watcher(api, config).applied_objects());
    let mut teller = Teller::new(watch.output, watch.until);
    let work = async {
        loop {
            let event = tokio::select! {
                event = stream.next() => event,
                () = tokio::time::sleep(TICK) => {
                    teller.tick();
                    continue;
                }
            };
            match event {
                Some(Ok(delivery)) => {
                    if let Some(outcome) = teller.tell(delivery)? {
                        return Ok(outcome);
                    }
                }
                // The watcher asks again by itself.
                Some(Err(error)) => tracing::debug!(%error, "the watch is renewed"),
                None => bail!("the watch of {} ended", named.name),
            }
        }
    };
    let limit = Duration::from_secs(watch.timeout);
    match tokio::time::timeout(limit, work).await {
        Ok(outcome) => outcome,
        Err(_) => bail!("{} is not finished after {} s", named.name, watch.timeout),
    }
}

/// Tells each change once, and what is under way on a line that is written over, on a terminal.
struct Teller {
    output: Form,
    is_terminal: bool,
    until: Option<GateName>,
    last: Option<Delivery>,
}

impl Teller {
    fn new(output: Form, until: Option<GateName>) -> Self {
        let is_terminal = output == Form::Human && std::io::stderr().is_terminal();
        Self {
            output,
            is_terminal,
            until,
            last: None,
        }
    }

    /// Tells what is new; says how it ended once it has.
    fn tell(&mut self, delivery: Delivery) -> Result<Option<Outcome>> {
        self.clear();
        match self.output {
            Form::Json => println!("{}", serde_json::to_string(&delivery)?),
            Form::Human => {
                for line in text::progress(self.last.as_ref(), &delivery) {
                    println!("{line}");
                }
            }
        }
        let is_blocked = text::blocked(&delivery).is_some();
        let is_finished = is_blocked || text::is_finished(&delivery);
        if self.output == Form::Human && is_finished {
            print!("\n{}", text::verdict(&delivery));
        }
        let is_past = |gate| text::is_past(&delivery, gate);
        let ended = match is_blocked {
            true => Some(Outcome::Findings),
            false => (is_finished || self.until.is_some_and(is_past)).then_some(Outcome::Done),
        };
        std::io::stdout().flush()?;
        self.last = Some(delivery);
        self.tick();
        Ok(ended)
    }

    /// Writes the line of what is under way again.
    fn tick(&self) {
        let now = Timestamp::now();
        let line = self
            .last
            .as_ref()
            .and_then(|last| text::under_way(last, now));
        if let Some(line) = line.filter(|_| self.is_terminal) {
            eprint!("\r\x1b[K{line}");
        }
    }

    fn clear(&self) {
        if self.is_terminal {
            eprint!("\r\x1b[K");
        }
    }
}

fn namespace_of(project: &str) -> Result<String> {
    Ok(slug(project)?.namespace())
}
