//! The checks one by one, as they pass, and the verdict.

use anyhow::Result;
use std::io::Write;
use std::time::Instant;

/// What was checked so far.
pub struct Report {
    begun: Instant,
    passed: usize,
    failed: Vec<String>,
    /// Only checks with one of these words in their names.
    only: Option<Vec<String>>,
}

impl Report {
    pub fn new() -> Report {
        let only = std::env::var("LINESIDE_VM_CHECKS").ok();
        assert!(only.is_none() || std::env::var_os("LINESIDE_REQUIRE_ALL").is_none(), "all checks, or some?");
        let only = only.map(|words| words.split(',').map(String::from).collect());
        Report { begun: Instant::now(), passed: 0, failed: Vec::new(), only }
    }

    /// Makes a check that was asked for.
    pub fn check(&mut self, name: &str, check: impl FnOnce() -> Result<String>) {
        match &self.only {
            Some(words) if !words.iter().any(|word| name.contains(word.as_str())) => {}
            _ => self.always(name, check),
        }
    }

    /// Makes a check and tells how it went: the check gives what it measured. One that fails does not keep the others from
    /// being made.
    pub fn always(&mut self, name: &str, check: impl FnOnce() -> Result<String>) {
        let begun = Instant::now();
        let result = check();
        let seconds = begun.elapsed().as_secs_f64();
        match result {
            Ok(measured) => {
                self.passed += 1;
                say(&format!("ok      {seconds:6.1} s  {name}: {measured}"));
            }
            Err(error) => {
                say(&format!("FAILED  {seconds:6.1} s  {name}: {error:#}"));
                self.failed.push(name.to_string());
            }
        }
    }

    /// The last line, and the end of the test.
    pub fn verdict(self) {
        let Report { begun, passed, failed, .. } = self;
        let seconds = begun.elapsed().as_secs_f64();
        say(&format!("emulated board: {passed} checks passed, {} failed, in {seconds:.0} s", failed.len()));
        assert!(failed.is_empty(), "failed: {}", failed.join("; "));
    }
}

/// A line that is seen at once, also where the test's output is held back until its end.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
