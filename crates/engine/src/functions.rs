//! The names of a model's own functions, which tract's form of the message leaves out: what is left of a model then calls them as if
//! they were operators.

use prost::bytes::{Buf, BufMut};
use prost::encoding::wire_type::WireType;
use prost::encoding::{DecodeContext, message, skip_field, string};
use prost::{DecodeError, Message};
use tract_onnx::pb::ModelProto;

/// The field of a ModelProto that holds them.
const FUNCTIONS: u32 = 25;
/// The fields of a FunctionProto that are read.
const NAME: u32 = 1;
const DOMAIN: u32 = 10;

/// An ONNX file as it is decoded.
#[derive(Debug, Default)]
pub struct ModelFile {
    /// All but the functions.
    pub model: ModelProto,
    /// These, by their names.
    pub functions: Vec<FunctionName>,
}

/// What a function is called.
#[derive(Debug, Default)]
pub struct FunctionName {
    pub domain: String,
    pub name: String,
}

impl Message for ModelFile {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        self.model.encode_raw(buf);
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        match tag {
            FUNCTIONS => message::merge_repeated(wire_type, &mut self.functions, buf, ctx),
            _ => self.model.merge_field(tag, wire_type, buf, ctx),
        }
    }

    fn encoded_len(&self) -> usize {
        self.model.encoded_len()
    }

    fn clear(&mut self) {
        *self = ModelFile::default();
    }
}

impl Message for FunctionName {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        string::encode(NAME, &self.name, buf);
        string::encode(DOMAIN, &self.domain, buf);
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        match tag {
            NAME => string::merge(wire_type, &mut self.name, buf, ctx),
            DOMAIN => string::merge(wire_type, &mut self.domain, buf, ctx),
            _ => skip_field(wire_type, tag, buf, ctx),
        }
    }

    fn encoded_len(&self) -> usize {
        string::encoded_len(NAME, &self.name) + string::encoded_len(DOMAIN, &self.domain)
    }

    fn clear(&mut self) {
        *self = FunctionName::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A model of one node, with a function of the given domain and name.
    fn file(domain: &str, name: &str) -> Vec<u8> {
        let mut bytes = crate::import::sound_model().encode_to_vec();
        message::encode(FUNCTIONS, &FunctionName { domain: domain.into(), name: name.into() }, &mut bytes);
        bytes
    }

    #[test]
    fn functions_in_the_place_of_known_operators_are_refused() {
        for (domain, name) in [("", "Conv"), ("ai.onnx", "Twice"), ("com.microsoft", "Gelu")] {
            let error = crate::Model::parse(&file(domain, name)).err().unwrap().to_string();
            assert!(error.contains(&format!("function {name}")) && error.contains("inline_local_functions"), "{error}");
        }
        // Of another domain, those that are called are found where they are.
        assert!(crate::Model::parse(&file("pkg.of.mine", "Conv")).unwrap().plan(&[]).is_ok());
    }
}
