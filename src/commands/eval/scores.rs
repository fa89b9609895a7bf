//! `--scores`: what was found of each picture, for programs.

use super::scored::Scored;
use crate::commands::outputs::write_output;
use anyhow::Context;
use std::path::Path;

/// Writes a line of JSON for each picture: `file`, `normal` (whether it is one), `kind` of defect where that is known, `score`, `severity`,
/// `defect` (the verdict), and `found`: `false` where the part was looked for and not found, which is a defect at each threshold.
pub(super) fn write(path: &Path, normal: &[Scored], defect: &[Scored]) -> anyhow::Result<()> {
    let written = write_output(path, |out| {
        let rows = normal.iter().map(|row| (true, row)).chain(defect.iter().map(|row| (false, row)));
        for (is_normal, row) in rows {
            let line = serde_json::json!({
                "file": row.file.display().to_string(), "normal": is_normal, "kind": row.kind, "score": row.score,
                "severity": row.severity, "defect": row.defect, "found": !row.unfound,
            });
            writeln!(out, "{line}")?;
        }
        Ok(())
    });
    written.with_context(|| format!("{}: cannot write the scores", path.display()))
}
