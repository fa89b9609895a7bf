//! Constants that become operands of the graph: one copy of those with the same bytes, however many nodes read them, and counted.

use super::{Imported, Importer};
use crate::ElementKind;
use crate::graph::{Op, ValueId};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// A constant of the graph.
struct Operand {
    bytes: Arc<[u8]>,
    id: ValueId,
}

/// What was copied, by a hash of its bytes.
#[derive(Default)]
pub struct Copies {
    values: HashMap<u64, Vec<Operand>>,
    tables: HashMap<u64, Vec<Arc<Vec<u8>>>>,
}

fn hash_of(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

impl Importer<'_> {
    /// The value of a constant: the one that is there already where its bytes, kind and shape are the same.
    pub(super) fn constant_value(
        &mut self,
        name: &str,
        bytes: Arc<[u8]>,
        kind: ElementKind,
        shape: &[usize],
    ) -> Imported<ValueId> {
        let hash = hash_of(&bytes);
        let same = |known: &&Operand| {
            let value = &self.graph.values[known.id];
            value.kind == kind && value.shape == shape && known.bytes == bytes
        };
        if let Some(known) = self.copies.values.get(&hash).and_then(|known| known.iter().find(same)) {
            return Ok(known.id);
        }
        self.add_computed_bytes(bytes.len() as u64)?;
        let id = self.push(name, Op::Constant(Arc::clone(&bytes)), &[], kind, shape)?;
        self.copies.values.entry(hash).or_default().push(Operand { bytes, id });
        Ok(id)
    }

    /// The bytes of a table whose rows are gathered.
    pub(super) fn table(&mut self, bytes: &[u8]) -> Imported<Arc<Vec<u8>>> {
        let hash = hash_of(bytes);
        let known = self.copies.tables.get(&hash).and_then(|known| known.iter().find(|table| ***table == *bytes));
        if let Some(table) = known {
            return Ok(Arc::clone(table));
        }
        self.add_computed_bytes(bytes.len() as u64)?;
        let table = Arc::new(bytes.to_vec());
        self.copies.tables.entry(hash).or_default().push(Arc::clone(&table));
        Ok(table)
    }
}
