//! Whose operator a node is, and in which version: the same name stands for another operator in another domain, so that no node may
//! be taken by its name alone.

use tract_onnx::pb::ModelProto;

/// Operators of `com.microsoft` that are known here. QLinearConv of that domain is not: its pictures have their channels last.
const CONTRIBUTED: [&str; 23] = [
    "BiasGelu",
    "DequantizeLinear",
    "DynamicQuantizeLSTM",
    "DynamicQuantizeMatMul",
    "FastGelu",
    "FusedMatMul",
    "Gelu",
    "MatMulIntegerToFloat",
    "MatMulNBits",
    "QGemm",
    "QLinearAdd",
    "QLinearAveragePool",
    "QLinearConcat",
    "QLinearGlobalAveragePool",
    "QLinearLeakyRelu",
    "QLinearMul",
    "QLinearSigmoid",
    "QLinearSoftmax",
    "QuantizeLinear",
    "QuickGelu",
    "SkipLayerNormalization",
    "SkipSimplifiedLayerNormalization",
    "TransposeMatMul",
];

/// The oldest opset that is understood: before it, operands of sums and products broadcast by attributes, and pools and
/// normalizations state otherwise what they do.
const OLDEST: i64 = 7;

/// The newest opset whose operators have been compared with ONNX's own tests (docs/operators.md).
const NEWEST: i64 = 28;

/// Whether a domain is that of ONNX's own operators.
pub fn is_standard(domain: &str) -> bool {
    domain.is_empty() || domain == "ai.onnx"
}

/// Refuses what would be computed as the operator of that name in another domain. Whether an operator of a known domain can be run is
/// found where it is imported.
///
/// # Errors
/// A line with the operator and its domain.
pub fn check_operator(domain: &str, operator: &str) -> Result<(), String> {
    if is_standard(domain) || (domain == "com.microsoft" && CONTRIBUTED.contains(&operator)) {
        return Ok(());
    }
    Err(format!(
        "operator {operator} of domain {domain} is none that is run here: these are ONNX's own and some of com.microsoft \
         (docs/operators.md); a function of the model itself has to be inlined first (onnx.inliner.inline_local_functions)"
    ))
}

/// The version of ONNX's own operators in a model.
pub fn opset(model: &ModelProto) -> Result<i64, String> {
    let stated = model.opset_import.iter().find(|set| is_standard(&set.domain));
    let Some(opset) = stated.map(|set| set.version) else {
        // Versions came with the IR's third; whoever states those of other domains alone uses no operator of this one.
        return if model.opset_import.is_empty() {
            Err("it states no version of its operators (opset)".into())
        } else {
            Ok(NEWEST)
        };
    };
    if opset < OLDEST {
        return Err(format!(
            "opset {opset} is older than {OLDEST}, the oldest that is understood: export the model with opset 13 or later, or \
             convert it (onnx.version_converter.convert_version)"
        ));
    }
    if opset > NEWEST {
        // Planned again for each shape, a model is told of once.
        static ONCE: std::sync::Once = std::sync::Once::new();
        ONCE.call_once(|| {
            log::warn!(
                "opset {opset} is newer than {NEWEST}, the newest that is known here: what has changed since is computed as it was"
            );
        });
    }
    Ok(opset)
}

#[cfg(test)]
mod tests {
    use super::super::hostile::between;
    use super::super::tests::{floats, graph, model, node, refused, with_graph};
    use crate::Model;
    use tract_onnx::pb::tensor_proto::DataType;
    use tract_onnx::pb::{GraphProto, NodeProto};

    fn of(domain: &str, node: NodeProto) -> NodeProto {
        NodeProto { domain: domain.into(), ..node }
    }

    #[test]
    fn operators_of_other_domains_are_not_taken_for_those_of_that_name() {
        let foreign = [
            ("my.ops", "Relu"),
            ("torch.nn.modules.activation", "Softmax"),
            ("org.openvinotoolkit", "Swish"),
            ("com.microsoft", "Relu"),
            ("com.microsoft", "Attention"),
            ("com.microsoft.nchwc", "GlobalAveragePool"),
            ("ai.onnx.ml", "Identity"),
            ("pkg", "QuantizeLinear"),
            ("pkg", "Shape"),
            ("pkg", "Constant"),
        ];
        for (domain, op) in foreign {
            let parts = [&format!("node {op} of output \"z\""), &format!("operator {op} of domain {domain} is none")];
            refused(between(of(domain, node(op, &["yf"], "z")), Vec::new()), &parts.map(String::as_str));
            // Of constants alone, and of one branch.
            refused(
                between(of(domain, node(op, &["c"], "z")), vec![floats("c", &[1], &[1.0])]),
                &parts.map(String::as_str),
            );
            let branch = || GraphProto {
                node: vec![of(domain, node(op, &["yf"], "z"))],
                output: vec![super::super::tests::input("z", DataType::Undefined, &[])],
                ..Default::default()
            };
            let choice =
                with_graph(with_graph(node("If", &["c"], "chosen"), "then_branch", branch()), "else_branch", branch());
            let truth = super::super::tests::bytes("c", &[], DataType::Bool, &[1]);
            refused(between(choice, vec![truth]), &parts.map(String::as_str));
        }
        for (domain, op) in
            [("", "Relu"), ("ai.onnx", "Relu"), ("com.microsoft", "Gelu"), ("com.microsoft", "QuickGelu")]
        {
            assert!(
                Model::from_proto(between(of(domain, node(op, &["yf"], "z")), Vec::new())).plan(&[]).is_ok(),
                "{op}"
            );
        }
    }

    #[test]
    fn a_foreign_operator_does_not_quantize() {
        let mut model = model();
        graph(&mut model).node[3].domain = "pkg".into();
        let floats = Model::from_proto(model).in_floats().unwrap();
        let error = floats.plan(&[]).err().unwrap().to_string();
        assert!(error.contains("operator QuantizeLinear of domain pkg"), "{error}");
    }

    #[test]
    fn opsets_that_are_not_understood() {
        let with = |version: i64| {
            let mut model = model();
            model.opset_import[0].version = version;
            model
        };
        for old in [-1, 0, 1, 6] {
            refused(with(old), &[&format!("opset {old} is older than 7"), "onnx.version_converter"]);
        }
        for known in [13, 28, 99] {
            assert!(Model::from_proto(with(known)).plan(&[]).is_ok(), "{known}");
        }
        let mut none = model();
        none.opset_import.clear();
        refused(none, &["states no version of its operators"]);
    }
}
