//! The golden vectors of a bundle, computed on this CPU and compared with what the bundle states.

use super::error::BundleError;
use super::folder::Bundle;
use super::manifest::Golden;
use lineside_engine::{Model, Session, kernel_names};
use std::sync::Arc;

/// An expected output of a golden vector beside what a kernel set computes.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct GoldenResult {
    /// The bundle's name.
    pub bundle: String,
    /// The file of the expected output.
    pub golden: String,
    /// The kernel set.
    pub kernel: &'static str,
    /// Largest difference from the expected output, in LSB; `None` where type or shape differ.
    pub difference: Option<f64>,
    /// The largest difference that is allowed, in LSB.
    pub tolerance: u32,
    /// Whether the difference is allowed.
    pub agrees: bool,
}

/// Computes all golden vectors of a bundle with one kernel set; a result for each expected output.
///
/// # Errors
/// [`BundleError::Bad`] where the model or a vector cannot be used.
pub fn golden_results(bundle: &Bundle, kernel: &str) -> Result<Vec<GoldenResult>, BundleError> {
    let model = bundle.model()?;
    let vectors = bundle.manifest().golden.iter().map(|golden| compute(bundle, &model, golden, Some(kernel)));
    Ok(vectors.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// Computes all golden vectors with the kernel set that runs the bundle here. A bundle without golden vectors passes.
///
/// # Errors
/// [`BundleError::Bad`] where a vector differs: which one, with which kernels, which kernel sets compute it right, and what to do.
pub fn self_test(bundle: &Bundle) -> Result<Vec<GoldenResult>, BundleError> {
    let model = bundle.model()?;
    let mut all = Vec::new();
    for golden in &bundle.manifest().golden {
        let results = compute(bundle, &model, golden, None)?;
        if let Some(wrong) = results.iter().find(|result| !result.agrees) {
            let is_right = |kernel: &&str| {
                let results = compute(bundle, &model, golden, Some(kernel));
                results.is_ok_and(|results| results.iter().all(|result| result.agrees))
            };
            let others = kernel_names().into_iter().filter(|kernel| *kernel != wrong.kernel);
            let right: Vec<&str> = others.filter(is_right).collect();
            return Err(bundle.blame(&wrong.golden, explain(wrong, &right)));
        }
        all.extend(results);
    }
    Ok(all)
}

/// Computes a golden vector, with the kernel set that the model was loaded for where none is named.
fn compute(
    bundle: &Bundle,
    model: &Model,
    golden: &Golden,
    kernel: Option<&str>,
) -> Result<Vec<GoldenResult>, BundleError> {
    let manifest = bundle.manifest();
    let (input, expected) = bundle.golden(golden)?;
    let blame = |e| bundle.blame(&manifest.model, e);
    let (model, shapes) = (model.clone(), [input.shape().to_vec()]);
    let plan = kernel.map_or_else(|| model.clone().plan(&shapes), |kernel| model.clone().plan_with(&shapes, kernel));
    let plan = plan.map_err(blame)?;
    let kernel = plan.kernel();
    let mut session = Session::new(Arc::new(plan)).map_err(blame)?;
    session.set_input(0, input).map_err(|e| bundle.blame(&golden.input, e))?;
    session.run().map_err(blame)?;
    let outputs = session.outputs();
    if outputs.len() != expected.len() {
        let (stated, given) = (expected.len(), outputs.len());
        let problem = format!("{} has {stated} outputs stated, the model gives {given}", golden.input);
        return Err(bundle.blame("bundle.toml", problem));
    }
    let compared = golden.output.files().iter().zip(&expected).zip(outputs).map(|((file, expected), output)| {
        let difference = output.largest_difference(expected);
        GoldenResult {
            bundle: manifest.name.clone(),
            golden: file.clone(),
            kernel,
            difference,
            tolerance: golden.tolerance,
            agrees: difference.is_some_and(|difference| difference <= f64::from(golden.tolerance)),
        }
    });
    Ok(compared.collect())
}

/// What is wrong, and what to do: where other kernels compute it right, it is this CPU, else the bundle. `right`: the best first.
fn explain(wrong: &GoldenResult, right: &[&str]) -> String {
    let kernel = wrong.kernel;
    let how = match wrong.difference {
        Some(lsb) => format!("is {lsb} LSB away (allowed: {})", wrong.tolerance),
        None => "is of another type or shape".into(),
    };
    let Some(last) = right.last() else {
        return format!(
            "self-test: what the model gives here {how} with the kernels {kernel} and with every other kernel set of this CPU: \
             model and golden vectors do not belong together; use another version of the bundle"
        );
    };
    // The last is the reference: the simplest code, the fewest instructions that may be broken.
    format!(
        "self-test: what the model gives here {how} with the kernels {kernel}, but is right with {}: this CPU or its memory \
         computes wrongly; replace the board, or set LINESIDE_KERNEL={last} to inspect without them until then, more slowly",
        right.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn demo() -> Bundle {
        Bundle::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("models/inspect-demo")).unwrap()
    }

    #[test]
    fn a_shipped_bundle_passes_with_every_kernel_set() {
        let passed = self_test(&demo()).unwrap();
        assert_eq!((passed.len(), passed[0].bundle.as_str()), (8, "inspect-demo"));
        for kernel in kernel_names() {
            let results = golden_results(&demo(), kernel).unwrap();
            assert!(results.len() == 8 && results.iter().all(|result| result.agrees && result.kernel == kernel));
        }
    }

    #[test]
    fn a_difference_names_the_kernels_and_those_that_are_right() {
        let wrong = |difference| GoldenResult {
            bundle: "parts".into(),
            golden: "golden/0.npy".into(),
            kernel: "avx2",
            difference,
            tolerance: 1,
            agrees: false,
        };
        let text = explain(&wrong(Some(3.0)), &["sse4", "scalar"]);
        assert!(
            text.contains("is 3 LSB away (allowed: 1) with the kernels avx2, but is right with sse4, scalar"),
            "{text}"
        );
        assert!(text.contains("LINESIDE_KERNEL=scalar"), "{text}");
        let text = explain(&wrong(None), &[]);
        assert!(text.contains("is of another type or shape with the kernels avx2 and with every other"), "{text}");
        assert!(!text.contains("LINESIDE_KERNEL"), "{text}");
    }
}
