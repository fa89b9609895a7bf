//! What of an ONNX node needs a length that is only known in a run. The graph's own ops are judged by [`crate::graph::Graph::count`];
//! here is what is gone once a model is imported: shapes as numbers.

use super::expression::{Expression, Lazy};
use super::{Binding, Imported, Importer};
use crate::graph::{Counted, ValueId};
use std::collections::HashSet;
use std::rc::Rc;

/// Why a shape is refused.
pub const UNKNOWN_SHAPE: &str = "what it gives would be known only then";

impl Importer<'_> {
    /// The counted axis of what is held; of an expression see [`Importer::settled`].
    pub fn counted(&self, held: &Binding) -> Option<Counted> {
        match held {
            Binding::Value(id) => self.graph.values[*id].counted,
            Binding::Constant(_) | Binding::Lazy(_) => None,
        }
    }

    /// What is held; an expression of counted values as a value, which has a counted axis.
    pub fn settled(&mut self, held: Binding) -> Imported<Binding> {
        match &held {
            Binding::Lazy(lazy) if self.has_counted_source(lazy) => Ok(Binding::Value(self.floats_of(lazy)?)),
            _ => Ok(held),
        }
    }

    /// Refuses a node that needs the length of a counted axis.
    pub fn refuse_counted(&self, held: &Binding, why: &str) -> Imported<()> {
        let counted = match held {
            Binding::Lazy(lazy) => self.has_counted_source(lazy),
            _ => self.counted(held).is_some(),
        };
        if counted {
            return Err(format!("only a bound of an axis of its input is known before a run, and {why}").into());
        }
        Ok(())
    }

    fn has_counted_source(&self, lazy: &Rc<Lazy>) -> bool {
        // Each expression once, however often it is an operand.
        let mut seen: HashSet<*const Lazy> = HashSet::new();
        let mut waiting = vec![lazy];
        let counted = |id: ValueId| self.graph.values[id].counted.is_some();
        while let Some(lazy) = waiting.pop() {
            if !seen.insert(Rc::as_ptr(lazy)) {
                continue;
            }
            match &lazy.expression {
                Expression::Dequantized(id, _) | Expression::Accumulated { input: id, .. } if counted(*id) => {
                    return true;
                }
                expression => waiting.extend(expression.operands()),
            }
        }
        false
    }
}
