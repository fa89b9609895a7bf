//! `[[task]]`: several tasks on one frame, in the order of the file.

use super::{Config, Violation};
use serde::Deserialize;
use toml::Spanned;

/// The most tasks on a frame.
const MOST: usize = 16;

/// `[[task]]`: a bundle that judges frames, all of them or those of which an earlier task says something.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct TaskConfig {
    /// Its name in records.
    pub name: Spanned<String>,
    /// A bundle's name or folder.
    pub bundle: Spanned<String>,
    /// The name of an earlier task; absent: it runs on every frame.
    pub after: Option<Spanned<String>>,
    /// What that task must say for this one to run: names of classes or parts, `ok`, `defect`, `unknown`; absent: anything.
    pub when: Option<Spanned<Vec<String>>>,
    /// Replaces the bundle's threshold, 0..1.
    pub threshold: Option<Spanned<f64>>,
    /// How many of 1000 normal frames may raise an alarm; sets the threshold.
    pub false_alarms: Option<Spanned<f64>>,
}

impl TaskConfig {
    /// The threshold that replaces the bundle's, where there is one.
    pub fn wanted_threshold(&self) -> Option<f64> {
        let rate = self.false_alarms.as_ref().map(|rate| 1.0 - rate.get_ref() / 1000.0);
        self.threshold.as_ref().map(|threshold| *threshold.get_ref()).or(rate)
    }
}

impl Config {
    /// What is wrong with the tasks, if anything.
    pub(super) fn task_problem(&self) -> Option<Violation> {
        let first = self.task.first()?;
        let anomaly = &self.anomaly;
        let shorts = [
            // Where it is not set it lies nowhere in the file.
            Some(("bundle", anomaly.bundle.span())).filter(|(_, span)| !span.is_empty()),
            anomaly.threshold.as_ref().map(|value| ("threshold", value.span())),
            anomaly.false_alarms.as_ref().map(|value| ("false_alarms", value.span())),
            anomaly.region.as_ref().map(|value| ("region", value.span())),
            anomaly.ignore.as_ref().map(|value| ("ignore", value.span())),
        ];
        if let Some((key, span)) = shorts.into_iter().flatten().next() {
            let line = self.origin.line_of(first.name.span().start);
            return Some((
                span.start,
                format!(
                    "anomaly.{key}: [anomaly] is the short form of one task, and line {line} has a [[task]]: state it there, or \
                     remove the tasks"
                ),
            ));
        }
        if let Some(smaller) = &self.heat.smaller {
            let at = smaller.width.span().start;
            return Some((at, "[heat.smaller] has one bundle for all of a frame: it does not go with [[task]]".into()));
        }
        if let Some(beyond) = self.task.get(MOST) {
            return Some((beyond.name.span().start, format!("a line has at most {MOST} tasks, this is one more")));
        }
        self.task.iter().enumerate().find_map(|(at, task)| self.problem_of(at, task))
    }

    fn problem_of(&self, at: usize, task: &TaskConfig) -> Option<Violation> {
        let name = task.name.get_ref();
        let is_word = |c: char| c.is_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || name.len() > 64 || !name.chars().all(is_word) {
            let problem = format!("task.name \"{name}\": letters, digits, - _ and . are wanted, 64 at most");
            return Some((task.name.span().start, problem));
        }
        let place = |name: &str| self.task.iter().position(|task| task.name.get_ref() == name);
        if place(name).is_some_and(|earlier| earlier < at) {
            let line = self.origin.line_of(self.task[place(name)?].name.span().start);
            return Some((
                task.name.span().start,
                format!("task.name \"{name}\": the task on line {line} has this name"),
            ));
        }
        if let Some(after) = &task.after {
            let problem = match place(after.get_ref()) {
                Some(before) if before < at => None,
                Some(before) if before == at => Some("it cannot run after itself: remove the key".into()),
                Some(before) if self.depends(before, at) => Some(format!(
                    "\"{}\" itself runs after \"{name}\": such a circle has no beginning, remove one of the two",
                    after.get_ref()
                )),
                Some(_) => Some(format!("\"{}\" comes later in the file: move it before this one", after.get_ref())),
                None => Some(format!("there is no task \"{}\"", after.get_ref())),
            };
            if let Some(problem) = problem {
                return Some((after.span().start, format!("task.after: {problem}")));
            }
        } else if let Some(when) = &task.when {
            return Some((when.span().start, "task.when: which task must say so? Name it by task.after".into()));
        }
        if let Some(when) = task.when.as_ref().filter(|when| when.get_ref().is_empty()) {
            return Some((
                when.span().start,
                "task.when: no word, so it would never run: name one, or remove it".into(),
            ));
        }
        let (threshold, rate) = (task.threshold.as_ref(), task.false_alarms.as_ref());
        threshold
            .and_then(|value| super::check_range(value, "task.threshold", 0.0, 1.0))
            .or_else(|| rate.and_then(|value| super::check_range(value, "task.false_alarms", 0.01, 500.0)))
            .or_else(|| {
                let both = threshold.and(rate)?;
                Some((both.span().start, "task.threshold is set, too: each determines the other".into()))
            })
    }

    /// Whether a task runs after another one, directly or by others.
    fn depends(&self, task: usize, on: usize) -> bool {
        let mut at = task;
        // As many steps as there are tasks: beyond that it goes in a circle without `on`.
        for _ in 0..self.task.len() {
            let Some(after) = self.task[at].after.as_ref().map(Spanned::get_ref) else { return false };
            match self.task.iter().position(|task| task.name.get_ref() == after) {
                Some(next) if next == on => return true,
                Some(next) => at = next,
                None => return false,
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn parse(text: &str) -> Result<Config, String> {
        let text = format!("[source.pattern]\n{text}\n");
        Config::parse(&text, Path::new("line.toml")).map_err(|error| error.to_string())
    }

    #[test]
    fn tasks_run_in_the_order_of_the_file() {
        let config = parse(
            "[[task]]\nname = \"type\"\nbundle = \"types\"\n[[task]]\nname = \"cap\"\nbundle = \"caps\"\nafter = \"type\"\n\
             when = [\"cap\"]\nfalse_alarms = 10",
        )
        .unwrap();
        assert_eq!(config.task.len(), 2);
        assert_eq!(config.task[1].wanted_threshold(), Some(0.99));
        assert!(parse("").unwrap().task.is_empty());
    }

    #[test]
    fn each_mistake_is_named_with_its_line() {
        let two = |first: &str, second: &str| {
            format!("[[task]]\nname = \"a\"\nbundle = \"x\"\n{first}\n[[task]]\nname = \"b\"\nbundle = \"y\"\n{second}")
        };
        for (text, expected) in [
            (two("", "").replace("\"b\"", "\"a\""), "line.toml:7: task.name \"a\": the task on line 3 has this name"),
            (
                two("after = \"b\"", "after = \"a\""),
                "line.toml:5: task.after: \"b\" itself runs after \"a\": such a circle",
            ),
            (two("after = \"b\"", ""), "\"b\" comes later in the file"),
            (two("after = \"a\"", ""), "cannot run after itself"),
            (two("after = \"c\"", ""), "there is no task \"c\""),
            (two("", "when = [\"ok\"]"), "line.toml:9: task.when: which task must say so?"),
            (two("", "after = \"a\"\nwhen = []"), "it would never run"),
            (two("", "threshold = 2"), "task.threshold"),
            (two("", "threshold = 0.5\nfalse_alarms = 1"), "each determines the other"),
            (two("", "colour = 1"), "unknown field `colour`"),
            (two("", "").replace("\"b\"", "\"b c\""), "letters, digits"),
            (
                two("", "") + "\n[anomaly]\nbundle = \"x\"",
                "anomaly.bundle: [anomaly] is the short form of one task, and line 3",
            ),
        ] {
            let message = parse(&text).unwrap_err();
            assert!(message.contains(expected), "{text}: {message}");
        }
        assert!(parse(&(two("", "") + "\n[anomaly]\nskip_similar = 2")).is_ok());
    }
}
