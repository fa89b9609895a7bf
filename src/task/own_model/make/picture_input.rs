//! What a network takes: the order of its axes, its size, its channels, its elements.

use super::error::MakeError;
use crate::bundle::AxisOrder;
use lineside_engine::{ElementKind, StatedInput};

/// The input of a network that takes one picture.
#[derive(Debug, Clone, PartialEq)]
pub struct PictureInput {
    /// Its name.
    pub name: String,
    /// Bytes or 32-bit floats.
    pub kind: ElementKind,
    /// The order of its axes.
    pub order: AxisOrder,
    /// 1 or 3.
    pub channels: usize,
    /// Width and height in pixels; `None` where the network leaves them open.
    pub size: Option<(usize, usize)>,
}

impl PictureInput {
    /// Of a network's inputs, as the file states them. The channels stand where there is a 1 or a 3; `order` decides where that is open.
    ///
    /// # Errors
    /// [`MakeError::Unfit`] where the network takes something else, [`MakeError::Unstated`] where only the user can know.
    pub fn of(inputs: &[StatedInput], order: Option<AxisOrder>) -> Result<PictureInput, MakeError> {
        let [input] = inputs else {
            let names: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
            let problem = format!("takes {} inputs ({}): a frame is one picture", inputs.len(), names.join(", "));
            return Err(MakeError::Unfit(problem));
        };
        let name = &input.name;
        if !matches!(input.kind, ElementKind::U8 | ElementKind::F32) {
            return Err(MakeError::Unfit(format!(
                "its input \"{name}\" is {}: pictures come as bytes (u8) or f32; export it with such an input",
                input.kind
            )));
        }
        let &[batch, a, b, c] = input.shape.as_slice() else {
            let axes = input.shape.len();
            return Err(MakeError::Unfit(format!(
                "its input \"{name}\" has {axes} axes: a picture has 4 (batch, channels, rows, columns, or with the channels last)"
            )));
        };
        if let Some(batch) = batch.filter(|batch| *batch != 1) {
            return Err(MakeError::Unfit(format!(
                "its input \"{name}\" takes {batch} pictures at once: export it with a batch of 1, or with an open one"
            )));
        }
        let holds = |axis: Option<usize>| matches!(axis, Some(1 | 3));
        let order = match (order, holds(a), holds(c)) {
            (Some(order), ..) => order,
            (None, true, _) => AxisOrder::Nchw,
            (None, false, true) => AxisOrder::Nhwc,
            (None, false, false) => {
                return Err(MakeError::Unstated(format!(
                    "its input \"{name}\" does not say where its channels are: state --order nchw or nhwc"
                )));
            }
        };
        let (channels, height, width) = if order == AxisOrder::Nchw { (a, b, c) } else { (c, a, b) };
        let channels = channels.unwrap_or(3);
        if !matches!(channels, 1 | 3) {
            return Err(MakeError::Unfit(format!(
                "its input \"{name}\" has {channels} channels: a frame has 1 (luma) or 3"
            )));
        }
        Ok(PictureInput { name: name.clone(), kind: input.kind, order, channels, size: width.zip(height) })
    }

    /// Width and height: its own, or those that are stated where it leaves them open.
    ///
    /// # Errors
    /// [`MakeError::Unstated`] where neither says, or both and differently.
    pub fn sized(&self, stated: Option<(usize, usize)>) -> Result<(usize, usize), MakeError> {
        match (self.size, stated) {
            (Some((width, height)), Some(stated)) if stated != (width, height) => Err(MakeError::Unstated(format!(
                "--size {}x{}: the model takes {width}x{height} and nothing else",
                stated.0, stated.1
            ))),
            (Some(size), _) | (None, Some(size)) => Ok(size),
            (None, None) => Err(MakeError::Unstated(format!(
                "its input \"{}\" leaves width and height open: state --size WIDTHxHEIGHT, as it was trained with",
                self.name
            ))),
        }
    }

    /// The shape of one picture of this size.
    pub fn shape(&self, (width, height): (usize, usize)) -> Vec<usize> {
        match self.order {
            AxisOrder::Nchw => vec![1, self.channels, height, width],
            AxisOrder::Nhwc => vec![1, height, width, self.channels],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: ElementKind, shape: &[usize]) -> Result<PictureInput, String> {
        let shape = shape.iter().map(|&dim| Some(dim).filter(|dim| *dim > 0)).collect();
        PictureInput::of(&[StatedInput { name: "x".into(), kind, shape }], None).map_err(|error| error.to_string())
    }

    #[test]
    fn channels_stand_where_1_or_3_does() {
        let planes = of(ElementKind::F32, &[0, 3, 224, 192]).unwrap();
        assert_eq!((planes.order, planes.channels, planes.size), (AxisOrder::Nchw, 3, Some((192, 224))));
        assert_eq!(planes.shape((192, 224)), [1, 3, 224, 192]);
        let pixels = of(ElementKind::U8, &[1, 96, 128, 1]).unwrap();
        assert_eq!((pixels.order, pixels.channels, pixels.size), (AxisOrder::Nhwc, 1, Some((128, 96))));
        let open = of(ElementKind::F32, &[1, 3, 0, 0]).unwrap();
        assert!(open.sized(None).unwrap_err().to_string().contains("state --size WIDTHxHEIGHT"));
        assert_eq!(open.sized(Some((64, 32))).unwrap(), (64, 32));
        assert!(planes.sized(Some((64, 32))).unwrap_err().to_string().contains("takes 192x224 and nothing else"));
    }

    #[test]
    fn what_is_no_picture_is_refused_with_what_to_do() {
        for (kind, shape, part) in [
            (ElementKind::F16, &[1, 3, 8, 8][..], "is f16: pictures come as bytes (u8) or f32"),
            (ElementKind::F32, &[1, 16000], "has 2 axes"),
            (ElementKind::F32, &[8, 3, 8, 8], "takes 8 pictures at once"),
            (ElementKind::F32, &[1, 0, 0, 0], "state --order"),
            (ElementKind::F32, &[1, 7, 8, 9], "state --order"),
        ] {
            let problem = of(kind, shape).unwrap_err();
            assert!(problem.contains(part), "{problem}");
        }
        let none = PictureInput::of(&[], None).unwrap_err().to_string();
        assert!(none.contains("takes 0 inputs"), "{none}");
    }
}
