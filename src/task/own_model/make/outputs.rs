//! Which output of a network serves a task: by its shape, and by the names that exporters give.

use super::error::MakeError;
use crate::bundle::ClassValues;
use lineside_engine::{ElementKind, Outline, TensorInfo};

/// Names of the output with the frame's score, as anomalib and others call it.
const SCORES: [&str; 5] = ["pred_score", "pred_scores", "anomaly_score", "image_score", "score"];
/// Names of the output with the map.
const MAPS: [&str; 5] = ["anomaly_map", "anomaly_maps", "heatmap", "map", "output"];
/// The fewest values of a vector that tells parts apart.
const FEWEST_VALUES: usize = 8;

/// Where an anomaly network says what: names of outputs.
#[derive(Debug, Clone, PartialEq)]
pub struct AnomalyOutputs {
    /// The frame's value.
    pub score: Option<String>,
    /// The map.
    pub map: Option<String>,
}

/// The output with a value for each of so many classes; `named` where the user says which.
///
/// # Errors
/// [`MakeError::Unfit`] where there is none, [`MakeError::Unstated`] where there are several.
pub fn class_output(outputs: &[TensorInfo], classes: usize, named: Option<&str>) -> Result<String, MakeError> {
    let holds = |output: &TensorInfo| output.len() == classes;
    if let Some(name) = named {
        let output = find(outputs, name)?;
        return if holds(output) {
            Ok(name.into())
        } else {
            Err(MakeError::Unstated(format!(
                "{classes} labels, but its output \"{name}\" has {} values: one label for each, in their order",
                output.len()
            )))
        };
    }
    let found: Vec<&TensorInfo> = outputs.iter().filter(|output| holds(output)).collect();
    match found.as_slice() {
        [only] => Ok(only.name.clone()),
        [] => Err(MakeError::Unstated(format!(
            "{classes} labels, but no output has as many values: there is {}; one label for each value, in their order",
            listed(outputs)
        ))),
        [..] => Err(MakeError::Unstated(format!(
            "several outputs have {classes} values: state --output as one of {}",
            listed(found.into_iter())
        ))),
    }
}

/// What an output of classes holds, as far as the graph says it: a softmax gives probabilities.
///
/// # Errors
/// [`MakeError::Unfit`] where its values are shares that are independent of each other.
pub fn class_values(outline: &Outline, output: &str) -> Result<Option<ClassValues>, MakeError> {
    const PASSED: [&str; 9] = [
        "Identity",
        "Cast",
        "Reshape",
        "Flatten",
        "Squeeze",
        "Unsqueeze",
        "Transpose",
        "QuantizeLinear",
        "DequantizeLinear",
    ];
    let mut tensor = output;
    for _ in 0..PASSED.len() {
        let Some(node) = outline.maker(tensor) else { break };
        match (node.op.as_str(), node.inputs.first()) {
            ("Softmax", _) => return Ok(Some(ClassValues::Probabilities)),
            ("LogSoftmax" | "Gemm" | "MatMul" | "Conv", _) => return Ok(Some(ClassValues::Logits)),
            ("Sigmoid" | "HardSigmoid", _) => {
                return Err(MakeError::Unfit(format!(
                    "its output \"{output}\" comes from a {}: each class for itself, where a frame has one class; export it with a softmax, \
                     or without (--values logits)",
                    node.op
                )));
            }
            (op, Some(from)) if PASSED.contains(&op) => tensor = from,
            _ => break,
        }
    }
    Ok(None)
}

/// The outputs of an anomaly network; `score` and `map` where the user says which.
///
/// # Errors
/// [`MakeError::Unstated`] where neither is found.
pub fn anomaly_outputs(
    outputs: &[TensorInfo],
    score: Option<&str>,
    map: Option<&str>,
) -> Result<AnomalyOutputs, MakeError> {
    for name in score.iter().chain(&map) {
        find(outputs, name)?;
    }
    let by_name = |names: &[&str], fits: &dyn Fn(&TensorInfo) -> bool| {
        let mut found =
            names.iter().filter_map(|name| outputs.iter().find(|output| output.name == *name && fits(output)));
        found.next().map(|output| output.name.clone())
    };
    // The only one of its shape needs no name.
    let only =
        |fits: &dyn Fn(&TensorInfo) -> bool| match outputs.iter().filter(|output| fits(output)).collect::<Vec<_>>()[..]
        {
            [only] => Some(only.name.clone()),
            _ => None,
        };
    let pick = |stated: Option<&str>, names: &[&str], fits: &dyn Fn(&TensorInfo) -> bool| {
        stated.map(String::from).or_else(|| by_name(names, fits)).or_else(|| only(fits))
    };
    let found = AnomalyOutputs { score: pick(score, &SCORES, &is_score), map: pick(map, &MAPS, &is_map) };
    if found.score.is_none() && found.map.is_none() {
        return Err(MakeError::Unstated(format!(
            "no output is a score (one value) or a map (rows and columns) by its shape and name: there is {}; state --score or --map",
            listed(outputs)
        )));
    }
    Ok(found)
}

/// The output of the input's shape.
///
/// # Errors
/// [`MakeError::Unfit`] where there is none, [`MakeError::Unstated`] where there are several.
pub fn picture_output(outputs: &[TensorInfo], input: &[usize], named: Option<&str>) -> Result<String, MakeError> {
    let found: Vec<&TensorInfo> = match named {
        Some(name) => vec![find(outputs, name)?],
        None => outputs.iter().filter(|output| output.shape == input).collect(),
    };
    match found.as_slice() {
        [only] if only.shape == input => Ok(only.name.clone()),
        [only] => Err(MakeError::Unfit(format!(
            "its output \"{}\" is {:?}: a picture of the input's shape {input:?} is needed",
            only.name, only.shape
        ))),
        [] => Err(MakeError::Unfit(format!(
            "no output has the input's shape {input:?}: there is {}; a network that gives the picture back is needed",
            listed(outputs)
        ))),
        [..] => Err(MakeError::Unstated(format!(
            "several outputs have the input's shape: state --output as one of {}",
            listed(found.into_iter())
        ))),
    }
}

/// The output with a vector.
///
/// # Errors
/// [`MakeError::Unstated`] where there is none, or several.
pub fn vector_output(outputs: &[TensorInfo], named: Option<&str>) -> Result<String, MakeError> {
    if let Some(name) = named {
        return find(outputs, name).map(|output| output.name.clone());
    }
    let is_vector = |output: &&TensorInfo| {
        let long = output.shape.iter().filter(|axis| **axis != 1).count();
        output.kind == ElementKind::F32 && long == 1 && output.len() >= FEWEST_VALUES
    };
    let found: Vec<&TensorInfo> = outputs.iter().filter(is_vector).collect();
    match found.as_slice() {
        [only] => Ok(only.name.clone()),
        [] => Err(MakeError::Unstated(format!(
            "no output is a vector of {FEWEST_VALUES} or more values: there is {}; state --output, or export the network without its last layer",
            listed(outputs)
        ))),
        [..] => Err(MakeError::Unstated(format!(
            "several outputs are vectors: state --output as one of {}",
            listed(found.into_iter())
        ))),
    }
}

fn is_score(output: &TensorInfo) -> bool {
    output.kind == ElementKind::F32 && output.len() == 1
}

fn is_map(output: &TensorInfo) -> bool {
    let [before @ .., rows, columns] = output.shape.as_slice() else { return false };
    output.kind == ElementKind::F32 && *rows > 1 && *columns > 1 && before.iter().all(|axis| *axis == 1)
}

fn find<'a>(outputs: &'a [TensorInfo], name: &str) -> Result<&'a TensorInfo, MakeError> {
    let found = outputs.iter().find(|output| output.name == name);
    found.ok_or_else(|| MakeError::Unstated(format!("it has no output \"{name}\": there is {}", listed(outputs))))
}

/// Outputs by name, type and shape.
pub fn listed<'a>(outputs: impl IntoIterator<Item = &'a TensorInfo>) -> String {
    let list: Vec<String> = outputs.into_iter().map(|output| format!("\"{}\" {output}", output.name)).collect();
    list.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outputs(list: &[(&str, &[usize])]) -> Vec<TensorInfo> {
        list.iter()
            .map(|(name, shape)| {
                let (name, shape) = ((*name).into(), shape.to_vec());
                TensorInfo { name, kind: ElementKind::F32, shape, counted_axis: None }
            })
            .collect()
    }

    #[test]
    fn classes_are_found_by_their_number() {
        let several = outputs(&[("features", &[1, 1280]), ("logits", &[1, 10]), ("head", &[1, 10, 1, 1])]);
        assert_eq!(class_output(&several[..2], 10, None).unwrap(), "logits");
        assert_eq!(class_output(&several, 10, Some("head")).unwrap(), "head");
        for (classes, named, part) in [
            (
                3,
                None,
                "3 labels, but no output has as many values: there is \"features\" f32 [1, 1280], \"logits\" f32 [1, 10]",
            ),
            (10, None, "several outputs have 10 values: state --output as one of \"logits\""),
            (3, Some("logits"), "3 labels, but its output \"logits\" has 10 values"),
            (10, Some("lgits"), "no output \"lgits\""),
        ] {
            let problem = class_output(&several, classes, named).unwrap_err().to_string();
            assert!(problem.contains(part), "{problem}");
        }
    }

    #[test]
    fn anomalib_s_names_are_known() {
        let exported =
            outputs(&[("pred_score", &[1]), ("anomaly_map", &[1, 1, 64, 64]), ("pred_mask", &[1, 1, 64, 64])]);
        let found = anomaly_outputs(&exported, None, None).unwrap();
        assert_eq!((found.score.as_deref(), found.map.as_deref()), (Some("pred_score"), Some("anomaly_map")));
        // An old export: the map alone.
        let old = anomaly_outputs(&outputs(&[("output", &[1, 1, 64, 64])]), None, None).unwrap();
        assert_eq!((old.score, old.map.as_deref()), (None, Some("output")));
        let other = anomaly_outputs(&outputs(&[("y", &[1, 1]), ("z", &[32, 32])]), None, None).unwrap();
        assert_eq!((other.score.as_deref(), other.map.as_deref()), (Some("y"), Some("z")));
        let none = anomaly_outputs(&outputs(&[("a", &[1, 10])]), None, None).unwrap_err().to_string();
        assert!(none.contains("state --score or --map"), "{none}");
        assert!(anomaly_outputs(&exported, Some("x"), None).is_err());
    }

    #[test]
    fn pictures_and_vectors_are_found_by_their_shape() {
        let shape = [1, 3, 32, 32];
        let two = outputs(&[("picture", &shape), ("code", &[1, 64, 1, 1])]);
        assert_eq!(picture_output(&two, &shape, None).unwrap(), "picture");
        assert!(picture_output(&two, &shape, Some("code")).unwrap_err().to_string().contains("the input's shape"));
        assert!(picture_output(&two[1..], &shape, None).unwrap_err().to_string().contains("gives the picture back"));
        assert_eq!(vector_output(&two, None).unwrap(), "code");
        assert!(vector_output(&two[..1], None).unwrap_err().to_string().contains("state --output"));
    }
}
