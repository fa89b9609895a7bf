//! `lineside bundle list`: what this board has.

use super::policy::{Policy, PolicyArguments};
use crate::bundle::{self, Bundle, Home, Moment, Signer};
use crate::escape::one_line;
use anyhow::Context;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub(super) const EXAMPLES: &str = "\
Examples:
  lineside bundle list
  lineside bundle list --json";

#[derive(clap::Args)]
pub struct ListArguments {
    /// List this folder of bundles instead of all that are found by name
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    #[command(flatten)]
    policy: PolicyArguments,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// A version of a bundle; or what is wrong with it.
#[derive(Default, serde::Serialize)]
struct Row {
    /// By which a configuration names it.
    name: String,
    /// `active`, `previous`, `shadow` or `retired` of an installed bundle; null of a plain folder.
    role: Option<&'static str>,
    /// Of an active version.
    confirmed: Option<bool>,
    /// How long the line may still go back from it by itself.
    trial_left_s: Option<u64>,
    /// Why the line went back to it by itself.
    reverted: Option<String>,
    version: Option<String>,
    fingerprint: Option<String>,
    folder: PathBuf,
    #[serde(flatten)]
    signer: Option<Signer>,
    measured: BTreeMap<String, toml::Value>,
    /// What is wrong with it.
    problem: Option<String>,
}

pub fn run(arguments: &ListArguments) -> anyhow::Result<ExitCode> {
    let policy = arguments.policy.read()?;
    let folders = match &arguments.store {
        None => bundle::all(),
        Some(store) => {
            // Without a folder there is nothing to list, which is not the same as a store without bundles.
            std::fs::read_dir(store).with_context(|| store.display().to_string())?;
            bundle::all_in(store)
        }
    };
    let rows: Vec<Row> = folders.iter().flat_map(|folder| rows(folder, &policy)).collect();
    if arguments.json {
        crate::commands::print_json(&rows)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut out = crate::commands::stdout();
    if rows.is_empty() {
        let place =
            arguments.store.as_ref().map_or("on this machine".into(), |store| format!("in {}", store.display()));
        writeln!(out, "no bundle {}", one_line(&place))?;
    }
    for row in &rows {
        writeln!(out, "{}", line(row))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The versions of a home, or the bundle of a folder.
fn rows(folder: &Path, policy: &Policy) -> Vec<Row> {
    let name = folder.file_name().map(|name| name.display().to_string()).unwrap_or_default();
    let home = match Home::open(folder) {
        Ok(Some(home)) => home,
        Ok(None) => return vec![row(&name, folder, Bundle::open(folder), policy)],
        Err(error) => return vec![row(&name, folder, Err(error), policy)],
    };
    let state = home.state();
    let roles = [
        ("active", Some(&state.active)),
        ("previous", state.previous.as_ref()),
        ("shadow", state.shadow.as_ref()),
        ("retired", state.retired.as_ref()),
    ];
    let versions = roles.into_iter().filter_map(|(role, version)| Some((role, version?)));
    versions
        .map(|(role, version)| {
            let is_active = role == "active";
            let left = state.trial.as_ref().map(|trial| trial.left_s(&Moment::now()));
            Row {
                role: Some(role),
                confirmed: is_active.then_some(state.confirmed),
                trial_left_s: left.filter(|_| is_active),
                reverted: state.reverted.clone().filter(|_| is_active),
                ..row(&name, folder, home.version(version), policy)
            }
        })
        .collect()
}

fn row(name: &str, folder: &Path, bundle: Result<Bundle, bundle::BundleError>, policy: &Policy) -> Row {
    let signed = bundle.map_err(anyhow::Error::from).and_then(|bundle| Ok((policy.signer(&bundle)?, bundle)));
    let row = Row { name: name.into(), folder: folder.into(), ..Row::default() };
    match signed {
        Ok((signer, bundle)) => Row {
            version: Some(bundle.manifest().version.clone()),
            fingerprint: Some(bundle.fingerprint().into()),
            folder: bundle.folder().into(),
            signer: Some(signer),
            measured: bundle.manifest().measured.clone(),
            ..row
        },
        Err(error) => Row { problem: Some(format!("{error:#}")), ..row },
    }
}

fn line(row: &Row) -> String {
    let mut words =
        vec![format!("{:<20} {:<16}", one_line(&row.name), one_line(row.version.as_deref().unwrap_or("?")))];
    words.extend(row.role.map(String::from));
    match (row.confirmed, row.trial_left_s) {
        (Some(true), _) => words.push("confirmed".into()),
        (Some(false), Some(left)) if left > 0 => words.push(format!("on trial for {}", hours(left))),
        (Some(false), _) => words.push("not confirmed".into()),
        (None, _) => {}
    }
    words.extend(row.reverted.as_ref().map(|why| format!("went back to it by itself: {}", one_line(why))));
    words.extend(row.signer.as_ref().map(|signer| one_line(&signer.to_string()).into_owned()));
    words.extend(row.problem.as_ref().map(|problem| format!("cannot be used: {}", one_line(problem))));
    let [title, rest @ ..] = &words[..] else { return String::new() };
    format!("{title} {}", rest.join(", "))
}

/// `23 h 5 min`.
fn hours(seconds: u64) -> String {
    format!("{} h {} min", seconds / 3600, seconds % 3600 / 60)
}
