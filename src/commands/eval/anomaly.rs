//! Evaluation of anomaly detection: by frame, and with masks by pixel.

use super::arguments::EvalArguments;
use super::batch::{Batch, JudgedPicture};
use super::scored::Scored;
use super::scores;
use super::sizes::SizeCounts;
use crate::bundle::Bundle;
use crate::commands::dataset::{DataSet, KnownDefect, Named, Purpose, masks};
use crate::commands::outputs::check_output;
use crate::commands::{percentile, print_json, report_error, sheet};
use crate::escape::one_line;
use crate::task::anomaly::{PixelMetrics, Verdict, auroc, bootstrap_interval, f1, recall_at};
use lineside_picture::Picture;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The false alarm rates for which the share of defects found is reported.
const SHARES: [f64; 3] = [0.01, 0.05, 0.1];

pub(super) fn run(bundle: &Bundle, normal: &Path, arguments: &EvalArguments) -> anyhow::Result<ExitCode> {
    let named = Named {
        normal: Some(normal),
        defects: arguments.defect.as_deref(),
        masks: arguments.masks.as_deref(),
        layout: arguments.layout,
    };
    let set = DataSet::read(&named, Purpose::Evaluate)?;
    for (output, ending) in [(&arguments.sheet, "png"), (&arguments.scores, "jsonl")] {
        let Some(output) = output else { continue };
        let defects = set.defects.iter().flat_map(|defect| std::iter::once(&defect.file).chain(&defect.masks));
        check_output(output, ending, set.normal.iter().chain(defects).map(PathBuf::as_path))?;
    }
    let mut batch = Batch::new(bundle, arguments, set.normal.len().max(set.defects.len()))?;
    batch.expect(set.normal.len() + set.defects.len());
    let threshold = batch.judge().0.threshold();
    let mut masks = set.has_masks.then(Masks::default);
    let mut broken: Vec<String> = set.broken.iter().map(|(file, _)| file.display().to_string()).collect();
    for (file, error) in &set.broken {
        report_error(&anyhow::anyhow!("{}: {error}", file.display()));
    }
    let unlabelled = |file: PathBuf| KnownDefect { file, kind: None, masks: Vec::new() };
    let normal = set.normal.into_iter().map(unlabelled).collect();
    let mut sizes = SizeCounts::new(bundle.manifest().anomaly.as_ref().and_then(|section| section.taught.as_ref()));
    let normal = scored(&mut batch, normal, &mut broken, |normal, size, verdict| {
        sizes.add(&normal.file, size);
        masks.as_mut().map_or(Ok(()), |masks| masks.add_normal(size, verdict))
    })?;
    let defect = scored(&mut batch, set.defects, &mut broken, |defect, size, verdict| {
        sizes.add(&defect.file, size);
        masks.as_mut().map_or(Ok(()), |masks| masks.add_defect(defect, size, verdict))
    })?;
    batch.finish();
    anyhow::ensure!(!normal.is_empty(), "no picture of a good part could be inspected");
    let pixels = masks.map(|masks| masks.pixels);
    let unmarked = pixels.as_ref().map_or(0, PixelMetrics::unmarked);
    let (pixel_auroc, pro) =
        (pixels.as_ref().and_then(PixelMetrics::auroc), pixels.as_ref().and_then(PixelMetrics::pro));
    let mut times: Vec<f64> = normal.iter().chain(&defect).map(|row| row.ms).collect();
    times.sort_by(f64::total_cmp);
    let p50 = percentile(&times, 0.5);
    let values = |rows: &[Scored], of: fn(&Scored) -> f64| rows.iter().map(of).collect::<Vec<f64>>();
    let both = |of: fn(&Scored) -> f64| (values(&normal, of), values(&defect, of));
    let (normal_scores, defect_scores) = both(|row| row.score);
    let (normal_severities, defect_severities) = both(|row| row.severity);
    let (normal_sums, defect_sums) = both(|row| row.sum);
    let (area, spread) = (auroc(&normal_sums, &defect_sums), bootstrap_interval(&normal_sums, &defect_sums, auroc));
    let some_f1 = |normal: &[f64], defect: &[f64]| (!defect.is_empty()).then(|| f1(normal, defect, threshold));
    let f1_interval = bootstrap_interval(&normal_scores, &defect_scores, some_f1);
    let f1 = f1(&normal_scores, &defect_scores, threshold);
    let found = SHARES.map(|share| recall_at(&normal_sums, &defect_sums, share));
    let kinds = by_kind(&defect)
        .into_iter()
        .map(|(kind, rows)| {
            let sums: Vec<f64> = rows.iter().map(|row| row.sum).collect();
            KindResult {
                kind: kind.to_string(),
                n: sums.len(),
                auroc: auroc(&normal_sums, &sums),
                auroc_interval: bootstrap_interval(&normal_sums, &sums, auroc),
                found: rows.iter().filter(|row| row.defect).count(),
            }
        })
        .collect::<Vec<KindResult>>();
    let false_alarms = ranked(normal.iter().filter(|row| row.defect));
    // The faintest first: those at the other end another threshold would find.
    let mut misses = ranked(defect.iter().filter(|row| !row.defect));
    misses.reverse();
    let unfound: Vec<&Scored> = normal.iter().chain(&defect).filter(|row| row.unfound).collect();
    let names = |rows: &[&Scored]| rows.iter().map(|row| row.file.display().to_string()).collect::<Vec<String>>();
    if let Some(path) = &arguments.sheet {
        let (judge, reader) = batch.judge();
        sheet::write(path, reader, judge, &closest(&normal, &defect))?;
    }
    if let Some(path) = &arguments.scores {
        scores::write(path, &normal, &defect)?;
    }
    if arguments.json {
        let found: BTreeMap<String, Option<f64>> =
            SHARES.iter().zip(found).map(|(share, found)| (share.to_string(), found)).collect();
        print_json(&serde_json::json!({
            "auroc": area, "auroc_interval": spread,
            "f1": (!defect.is_empty()).then_some(f1), "f1_interval": f1_interval, "threshold": threshold,
            "recall_at_false_alarms": found, "kinds": kinds, "pixel_auroc": pixel_auroc, "pro": pro,
            "n_unmarked": unmarked, "broken": broken, "other_size": sizes.other_size, "other_aspect": sizes.other_aspect,
            "found_at_threshold": share(defect.len() - misses.len(), defect.len()),
            "false_alarm_rate": share(false_alarms.len(), normal.len()),
            "n_normal": normal.len(), "n_defect": defect.len(), "p50_ms": p50,
            "false_alarms": names(&false_alarms), "misses": names(&misses), "unfound": names(&unfound),
            "scores": { "normal": normal_scores, "defect": defect_scores },
            "severities": { "normal": normal_severities, "defect": defect_severities },
        }))?;
        return super::complete(&broken);
    }
    let mut out = crate::commands::stdout();
    writeln!(out, "{} normal, {} with defects, threshold {threshold}", normal.len(), defect.len())?;
    if let Some(report) = sizes.report() {
        writeln!(out, "{report}")?;
    }
    let between =
        |interval: Option<[f64; 2]>| interval.map_or(String::new(), |[low, high]| format!(" ({low:.4} to {high:.4})"));
    if let Some(area) = area {
        writeln!(
            out,
            "AUROC {area:.4}{}   F1 {f1:.4}{}; 95 % intervals in brackets",
            between(spread),
            between(f1_interval)
        )?;
    }
    if let [Some(a), Some(b), Some(c)] = found.map(|found| found.map(|share| share * 100.0)) {
        writeln!(out, "defects found at 1, 5, 10 % false alarms: {a:.0}, {b:.0}, {c:.0} %")?;
    }
    if let (Some(area), Some(pro)) = (pixel_auroc, pro) {
        writeln!(out, "by pixel: AUROC {area:.4}   PRO {pro:.4}, to 30 % false positives")?;
    }
    if unmarked > 0 {
        let place = if batch.judge().0.region().is_some() { " in the region" } else { "" };
        writeln!(out, "not in the figures by pixel: {unmarked} whose masks mark nothing{place}")?;
    }
    for KindResult { kind, n, auroc, auroc_interval, found } in &kinds {
        let area = auroc.unwrap_or_default();
        let kind = one_line(kind);
        writeln!(out, "  {kind:<16} AUROC {area:.4}{}   {found} of {n} found", between(*auroc_interval))?;
    }
    writeln!(out, "{} false alarms, {} misses, {p50:.1} ms per picture (median)", false_alarms.len(), misses.len())?;
    if !unfound.is_empty() {
        writeln!(out, "the part was not found in {}; they count as found defects", unfound.len())?;
    }
    for (word, rows) in [("false alarm", &false_alarms), ("miss", &misses), ("not found", &unfound)] {
        for row in rows.iter() {
            let file = row.file.display().to_string();
            writeln!(out, "{word}  severity {:.2}  score {:.4}  {}", row.severity, row.score, one_line(&file))?;
        }
    }
    super::complete(&broken)
}

/// A part of a whole, where there is one.
fn share(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Pictures from each of the two sets on a sheet.
const ON_SHEET: usize = 12;

/// Pictures by how far they are from normal, the farthest first.
fn ranked<'a>(rows: impl Iterator<Item = &'a Scored>) -> Vec<&'a Scored> {
    let mut rows: Vec<&Scored> = rows.collect();
    rows.sort_by(|a, b| b.sum.total_cmp(&a.sum));
    rows
}

/// The most severe normal pictures, then the least severe defects: errors first.
fn closest<'a>(normal: &'a [Scored], defect: &'a [Scored]) -> Vec<(&'a Path, String)> {
    let picked = |rows: &'a [Scored], word: &str, highest: bool| {
        let mut rows = ranked(rows.iter());
        if !highest {
            rows.reverse();
        }
        let caption = |row: &Scored| {
            let name = row.file.file_name().unwrap_or_default().to_string_lossy();
            format!("{word} {:.2} {}", row.severity, name.chars().take(22).collect::<String>())
        };
        rows.into_iter().take(ON_SHEET).map(|row| (row.file.as_path(), caption(row))).collect::<Vec<_>>()
    };
    [picked(normal, "normal", true), picked(defect, "defect", false)].concat()
}

/// The result of one kind of defect against all normal pictures.
#[derive(serde::Serialize)]
struct KindResult {
    kind: String,
    n: usize,
    auroc: Option<f64>,
    auroc_interval: Option<[f64; 2]>,
    /// At the bundle's threshold.
    found: usize,
}

/// Pictures by kind; empty where there are no kinds.
fn by_kind(rows: &[Scored]) -> BTreeMap<&str, Vec<&Scored>> {
    let mut kinds: BTreeMap<&str, Vec<&Scored>> = BTreeMap::new();
    for row in rows {
        if let Some(kind) = &row.kind {
            kinds.entry(kind).or_default().push(row);
        }
    }
    kinds
}

/// Counts pixels against masks.
#[derive(Default)]
struct Masks {
    pixels: PixelMetrics,
    heat: Picture,
    mask: Picture,
    /// Of the frame: 255 where it is inspected.
    inspected: Picture,
}

impl Masks {
    fn add_normal(&mut self, size: (usize, usize), verdict: &Verdict) -> anyhow::Result<()> {
        verdict.heat_over(size, &mut self.heat)?;
        let inspected = inspected(verdict, &mut self.inspected);
        self.pixels.add_normal(&self.heat, inspected);
        Ok(())
    }

    fn add_defect(&mut self, defect: &KnownDefect, size: (usize, usize), verdict: &Verdict) -> anyhow::Result<()> {
        defect.require_mask()?;
        masks::read(&defect.masks, size, &mut self.mask)?;
        verdict.heat_over(size, &mut self.heat)?;
        let inspected = inspected(verdict, &mut self.inspected);
        Ok(self.pixels.add(&self.heat, &self.mask, inspected)?)
    }
}

/// The mask of what is inspected, where that is not all.
fn inspected<'a>(verdict: &Verdict, mask: &'a mut Picture) -> Option<&'a Picture> {
    verdict.inspected_mask(mask).then_some(mask)
}

/// Scores pictures. One that cannot be used is reported and added to `broken`. `visit` receives each picture, its size and its
/// verdict.
fn scored(
    batch: &mut Batch,
    pictures: Vec<KnownDefect>,
    broken: &mut Vec<String>,
    mut visit: impl FnMut(&KnownDefect, (usize, usize), &Verdict) -> anyhow::Result<()>,
) -> anyhow::Result<Vec<Scored>> {
    let mut rows = Vec::with_capacity(pictures.len());
    batch.run(
        pictures,
        |known| &known.file,
        broken,
        |known, judged| {
            let JudgedPicture { size, verdict, ms } = judged;
            visit(&known, size, &verdict)?;
            let unfound = verdict.is_unfound();
            let Verdict { score, severity, sum, defect, .. } = verdict;
            rows.push(Scored { file: known.file, kind: known.kind, score, severity, sum, defect, unfound, ms });
            Ok(())
        },
    )?;
    Ok(rows)
}
