//! Records of verdicts. `docs/field-log.md` describes each field; a test compares the two.

use super::{hundredths, thousandths};
use crate::bundle::sha256;
use crate::pipeline::{Report, ShadowVerdict};
use crate::sink::part::PartOutcome;
use crate::status_page::JudgeTimes;
use crate::task::anomaly::Region;
use crate::task::{Recognition, TaskAnswer};
use crate::telemetry::{Record, Telemetry, Value};
use std::time::Duration;

/// What is said of a picture that was posted: the keys of an event, whatever the verdict is. It is no frame of the line and is not
/// recorded.
pub fn on_request(telemetry: &Telemetry, report: &Report, times: &JudgeTimes) -> Record {
    let verdict = &report.verdict;
    let ms = |time: Duration| hundredths(time.as_secs_f64() * 1e3);
    with_verdict(telemetry.info("judged").at(report.wall), report)
        .with("defect", verdict.defect)
        .with("regions", areas(&verdict.regions))
        .with("width", report.frame.width())
        .with("height", report.frame.height())
        .with("latency_ms", ms(report.latency))
        .with("wait_ms", ms(times.wait))
        .with("decode_ms", ms(times.decode))
        .with("judge_ms", ms(times.judge))
        .with_known("cause", verdict.cause())
}

/// A frame that is not normal; `files` are the names of its pictures, or nothing where there is none.
pub fn event(telemetry: &Telemetry, report: &Report, files: Vec<(&'static str, String)>) -> Record {
    let verdict = &report.verdict;
    judged(telemetry, "event", report)
        .with("regions", areas(&verdict.regions))
        .with("latency_ms", hundredths(report.latency.as_secs_f64() * 1e3))
        .with_known("cause", verdict.cause())
        .with("files", Value::Group(files))
}

/// A normal frame that is kept.
pub fn kept_normal(telemetry: &Telemetry, report: &Report, original: String) -> Record {
    judged(telemetry, "normal", report).with("files", Value::Group(vec![("original", original)]))
}

/// A frame of which the shadow says something else than the active version.
pub fn shadow(telemetry: &Telemetry, report: &Report, shadow: &ShadowVerdict, original: String) -> Record {
    judged(telemetry, "shadow", report)
        .with("defect", report.verdict.defect)
        .with_known("task", shadow.task.as_deref())
        .with("shadow_bundle", &*shadow.bundle)
        .with("shadow_score", shadow.score)
        .with("shadow_severity", thousandths(shadow.severity))
        .with("shadow_threshold", shadow.threshold)
        .with("shadow_defect", shadow.defect)
        .with("files", Value::Group(vec![("original", original)]))
}

/// A verdict, with what `lineside replay` needs to repeat it.
fn judged(telemetry: &Telemetry, kind: &'static str, report: &Report) -> Record {
    with_verdict(telemetry.info(kind).at(report.wall).with("id", telemetry.event_id()), report)
}

/// Left, top, width and height of each region.
fn areas(regions: &[Region]) -> Value {
    let area = |region: &Region| [region.area.x, region.area.y, region.area.width, region.area.height];
    Value::Areas(regions.iter().map(area).collect())
}

/// A record with a verdict.
fn with_verdict(record: Record, report: &Report) -> Record {
    let verdict = &report.verdict;
    let recognition = verdict.recognition.as_ref();
    record
        .with("frame", report.name.as_str())
        .with("score", verdict.score)
        .with("severity", thousandths(verdict.severity))
        .with("threshold", verdict.threshold)
        .with_known("similar", report.similar.then_some(true))
        .with_known("class", recognition.map(Recognition::word))
        .with_known("classes", recognition.map(Recognition::to_string))
        .with_known("tasks", answers(&report.answers))
        .with_known("product", report.product.as_deref())
        .with("bundle", &*report.bundle)
        .with("pixels_sha256", sha256(report.frame.data()))
        .with("verdict_sha256", verdict.fingerprint())
        .with_known("part", report.part.map(|part| part.id))
        .with_known("result", report.part.map(|part| part.result.word()))
        .with_known("reason", report.part.and_then(reason))
}

/// Why a part has no result although its frame was judged.
fn reason(part: PartOutcome) -> Option<&'static str> {
    part.reason.map(|reason| reason.word())
}

/// What each task says, where there are several: `type: cap 0.980 ok 0.04; surface: defect 1.42`.
fn answers(answers: &[TaskAnswer]) -> Option<String> {
    let texts: Vec<String> = answers.iter().map(TaskAnswer::to_string).collect();
    (!texts.is_empty()).then(|| texts.join("; "))
}
