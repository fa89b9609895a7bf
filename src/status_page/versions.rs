//! `/bundle`: the versions of the line's bundle. A threshold that is set here is a new version in the bundle's home, which is judged beside
//! the active one or takes its place on trial, and is confirmed or taken back, as any other. Then the line reloads.

use super::access::PageRole;
use super::connection::{ANSWER_TIMEOUT, Connection};
use super::control::{Control, VERSION};
use super::line_controls::{LineBundle, NewRole};
use super::page::PageState;
use super::posted::{PostedBody, parse_json};
use super::request::HttpRequest;
use super::response::{JSON, answer, refuse};
use super::teaching::has_scores;
use crate::bundle::{BundleError, Confirmed, Home, Moment, StoreError, VersionFacts};
use crate::escape;
use crate::telemetry::Record;
use crate::threads::lower_priority;
use serde::Deserialize;
use serde_json::{Value, json};
use std::io;
use std::path::Path;

/// The longest body, in bytes.
const BODY_LIMIT: u64 = 1024;
/// A request to change the versions whose body is to be read.
pub struct VersionRequest {
    body: PostedBody,
    role: PageRole,
}

/// What is asked for; `of`: the active version that whoever asks has seen.
#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
enum VersionCommand {
    Threshold { of: String, threshold: f64, role: NewRole },
    Confirm { of: String },
    Rollback { of: String },
    EndShadow { of: String },
}

impl VersionRequest {
    /// The request of a client who has the right to, whose body has begun.
    ///
    /// # Errors
    /// The status and the reason to answer with.
    pub fn accept(request: &HttpRequest, role: PageRole, begun: &[u8]) -> Result<VersionRequest, (u16, String)> {
        Ok(VersionRequest { body: PostedBody::accept_json(request, begun, BODY_LIMIT)?, role })
    }
}

impl VersionCommand {
    fn of(&self) -> &str {
        let (VersionCommand::Threshold { of, .. }
        | VersionCommand::Confirm { of }
        | VersionCommand::Rollback { of }
        | VersionCommand::EndShadow { of }) = self;
        of
    }

    fn word(&self) -> &'static str {
        match self {
            VersionCommand::Threshold { .. } => "threshold",
            VersionCommand::Confirm { .. } => "confirm",
            VersionCommand::Rollback { .. } => "rollback",
            VersionCommand::EndShadow { .. } => "end_shadow",
        }
    }
}

/// The home of the line's bundle.
///
/// # Errors
/// The status and the reason to answer with, where it has none.
pub fn home_of(bundle: &LineBundle) -> Result<Home, (u16, String)> {
    let place = bundle.place.as_deref().map_err(|problem| (409, problem.clone()))?;
    Home::open(place).map_err(|error| (500, error.to_string()))?.ok_or_else(|| (409, outside(place)))
}

/// What to do with a bundle that has no home.
pub fn outside(place: &Path) -> String {
    let place = place.display();
    format!(
        "{place} is no home of installed versions: install it (lineside bundle install {place}), name it by its name in the configuration, and reload"
    )
}

/// Answers which versions there are, and what the client may do.
pub fn serve_versions(page: &PageState, role: PageRole, connection: &mut Connection) -> io::Result<()> {
    connection.write_all(&match versions(page, role) {
        Ok(state) => answer(200, JSON, "", escape::json(&state.to_string()).as_bytes()),
        Err(error) => refuse(500, &escape::one_line(&error.to_string())),
    })
}

fn versions(page: &PageState, role: PageRole) -> Result<Value, BundleError> {
    let line = &page.line.bundle;
    let mut state = json!({
        "program": VERSION,
        "started": page.facts.started,
        "may_change": page.control.is_some() && role == PageRole::Teach,
        "problem": Value::Null, "home": Value::Null, "active": Value::Null, "previous": Value::Null, "shadow": Value::Null,
        "confirmed": Value::Null, "trial_left_s": Value::Null, "reverted": Value::Null, "same_scores": [],
    });
    let place = match &line.place {
        Ok(place) => place,
        Err(problem) => {
            state["problem"] = problem.as_str().into();
            return Ok(state);
        }
    };
    let Some(home) = Home::open(place)? else {
        let facts = VersionFacts::read(place)?;
        state["problem"] = outside(place).into();
        state["active"] = describe("", &facts);
        state["same_scores"] = facts.same_scores.into();
        return Ok(state);
    };
    let known = home.state();
    let active = home.facts(&known.active)?;
    let mut same_scores = active.same_scores.clone();
    let others = [("previous", &known.previous), ("shadow", &known.shadow), ("retired", &known.retired)];
    for (role, version) in others.into_iter().filter_map(|(role, version)| Some((role, version.as_ref()?))) {
        // One that cannot be read is not shown: it can be neither confirmed nor gone back to.
        let Ok(facts) = home.facts(version) else { continue };
        let scores_as_active = facts.scores_as(&active);
        if role != "retired" {
            state[role] = describe(version, &facts);
            state[role]["scores_as_active"] = scores_as_active.into();
        }
        if scores_as_active {
            same_scores.extend(facts.same_scores);
        }
    }
    same_scores.sort();
    same_scores.dedup();
    let fixed = if active.threshold.is_none() { Some(NOT_TAUGHT) } else { line.fixed.or(line.unsigned) };
    state["problem"] = fixed.into();
    state["home"] = home.name().into();
    state["active"] = describe(&known.active, &active);
    for role in ["active", "previous", "shadow"] {
        if let Some(version) = state[role]["id"].as_str() {
            state[role]["has_scores"] = has_scores(&home, version).into();
        }
    }
    state["confirmed"] = known.confirmed.into();
    state["trial_left_s"] = known.trial.as_ref().map(|trial| trial.left_s(&Moment::now())).into();
    state["reverted"] = known.reverted.as_deref().into();
    state["same_scores"] = same_scores.into();
    Ok(state)
}

const NOT_TAUGHT: &str = "only a bundle that lineside teach made has a threshold that can be set here";

fn describe(id: &str, facts: &VersionFacts) -> Value {
    json!({
        "id": id, "name": facts.name, "version": facts.version, "fingerprint": facts.fingerprint, "threshold": facts.threshold,
    })
}

/// Reads a request to change the versions, does so, has the line take it, and answers which there are now.
pub fn serve_version(page: &PageState, request: VersionRequest, connection: &mut Connection) -> io::Result<()> {
    let Some(control) = &page.control else { return connection.write_all(&refuse(404, "control is off")) };
    let Some(_alone) = control.begin_change() else { return connection.write_all(&Control::busy()) };
    // Whole files are read, hashed and written: behind inspection, where the board allows it.
    let _ = lower_priority();
    let VersionRequest { body, role } = request;
    let Some(body) = body.read(connection)? else { return Ok(()) };
    let outcome = change(page, control, &body, role, &connection.peer());
    connection.set_timeout(ANSWER_TIMEOUT);
    match outcome {
        Ok(()) => serve_versions(page, role, connection),
        Err((status, problem)) => connection.write_all(&refuse(status, &escape::one_line(&problem))),
    }
}

fn change(page: &PageState, control: &Control, body: &[u8], role: PageRole, from: &str) -> Result<(), (u16, String)> {
    let command: VersionCommand = parse_json(body)?;
    let home = home_of(&page.line.bundle)?;
    if home.state().active != command.of() {
        return Err((409, "another version is the active one by now: look again".into()));
    }
    // The line reads its configuration again to take it: with a mistake in that, the page would show what does not judge.
    (page.line.check)()
        .map_err(|problem| (409, format!("nothing was changed: the line could not take it now: {problem}")))?;
    let (store, name) = (home.store(), home.name());
    let record = control.record("bundle_command").with("role", role.word()).with("from", from);
    let record = record.with("command", command.word()).with("bundle", name.as_str());
    let refused = |error| status_of(&error);
    let (record, home, is_new_run) = match command {
        VersionCommand::Threshold { of, threshold, role } => {
            if let Some(problem) = page.line.bundle.fixed.or(page.line.bundle.unsigned) {
                return Err((409, problem.into()));
            }
            if !(0.0..=1.0).contains(&threshold) {
                return Err((422, format!("threshold must lie in 0..1, found {threshold}")));
            }
            control.require_room(home.folder(), home.version_bytes(&of)).map_err(|problem| (507, problem))?;
            let before = home.facts(&of).ok().and_then(|facts| facts.threshold);
            let home = store.set_threshold(&name, &of, threshold, role.begin()).map_err(refused)?;
            (record.with("as", role.word()).with("threshold", threshold).with_known("before", before), home, true)
        }
        VersionCommand::Confirm { .. } => {
            let (home, confirmed) = store.confirm(&name).map_err(refused)?;
            if confirmed == Confirmed::Already {
                return Err((409, format!("{name}: there is nothing to confirm")));
            }
            (record, home, confirmed == Confirmed::Shadow)
        }
        VersionCommand::Rollback { .. } => (record, store.go_back(&name, None).map_err(refused)?, true),
        VersionCommand::EndShadow { .. } => (record, store.end_shadow(&name).map_err(refused)?, true),
    };
    control.persist(with_versions(record, &home));
    if is_new_run {
        (page.line.reload)();
    }
    Ok(())
}

/// A record with what is active and what is judged beside it now.
fn with_versions(record: Record, home: &Home) -> Record {
    let state = home.state();
    record.with("active", state.active.as_str()).with_known("shadow", state.shadow.as_deref())
}

fn status_of(error: &StoreError) -> (u16, String) {
    let status = match error {
        StoreError::Refused(_) | StoreError::Name(_) => 409,
        StoreError::Disk { error, .. } if crate::sink::is_full(error) => 507,
        StoreError::Disk { .. } | StoreError::Bundle(_) => 500,
    };
    (status, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_understood_or_refused() {
        let parse = |text: &str| serde_json::from_str::<VersionCommand>(text).map(|command| command.word()).ok();
        assert_eq!(parse(r#"{"do":"threshold","of":"ab","threshold":0.5,"role":"shadow"}"#), Some("threshold"));
        assert_eq!(parse(r#"{"do":"end_shadow","of":"ab"}"#), Some("end_shadow"));
        for text in [
            "{}",
            r#"{"do":"confirm"}"#,
            r#"{"do":"install","of":"ab"}"#,
            r#"{"do":"confirm","of":"ab","more":1}"#,
            r#"{"do":"threshold","of":"ab","threshold":"0.5","role":"shadow"}"#,
            r#"{"do":"threshold","of":"ab","threshold":0.5,"role":"previous"}"#,
            r#"{"do":"threshold","of":"ab","threshold":0.5}"#,
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
