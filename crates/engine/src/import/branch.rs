//! `If` whose condition is known at load: the nodes of the branch that is taken are imported in its place.

use super::onnx::Attributes;
use super::{Binding, Handled, Imported, Importer, describe, in_order};
use crate::tract::constant;
use std::sync::Arc;
use tract_onnx::pb::NodeProto;

impl<'a> Importer<'a> {
    pub(super) fn branch(&mut self, node: &'a NodeProto) -> Imported<Handled> {
        let Some(condition) = self.known(node, 0)? else {
            return Err("which branch is taken depends on the values of an input, and plans are fixed".into());
        };
        let taken = super::onnx::raw_bytes(&condition)?.first().is_some_and(|&byte| byte != 0);
        let name = if taken { "then_branch" } else { "else_branch" };
        let branch = node.attribute(name).and_then(|attribute| attribute.g.as_ref());
        let branch = branch.ok_or_else(|| format!("its {name} is missing"))?;
        for tensor in &branch.initializer {
            let read = constant(tensor).map_err(|problem| format!("initializer \"{}\": {problem}", tensor.name))?;
            self.held.insert(&tensor.name, Binding::Constant(Arc::new(read)));
        }
        let known = self.held.keys().chain(self.large.keys()).copied().collect();
        for inner in in_order(&branch.node, known)? {
            self.checked_node(inner).map_err(|refused| refused.within(&describe(inner)))?;
        }
        for (index, output) in branch.output.iter().enumerate() {
            let held = self.get(&output.name)?;
            self.give(node, index, held);
        }
        Ok(Handled::Yes)
    }
}
