//! `anomaly.region` and `anomaly.ignore`: which part of the frame matters.

use super::{Config, ConfigError};
use crate::task::anomaly::{RegionError, RegionShape, RegionSpec};
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use std::fmt;
use toml::Spanned;

/// One shape, or a list of them.
struct Shapes(Vec<RegionShape>);

fn shape<E: Error>(text: &str) -> Result<RegionShape, E> {
    text.parse().map_err(|problem| E::custom(format!("\"{text}\": {problem}")))
}

/// Of `region = "160,120,320,240"`, or a list of such strings.
pub(super) fn shapes<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Spanned<Vec<RegionShape>>>, D::Error> {
    let shapes = Spanned::<Shapes>::deserialize(from)?;
    Ok(Some(Spanned::new(shapes.span(), shapes.into_inner().0)))
}

impl<'de> Deserialize<'de> for Shapes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Shapes, D::Error> {
        struct ShapesVisitor;
        impl<'de> Visitor<'de> for ShapesVisitor {
            type Value = Shapes;

            fn expecting(&self, out: &mut fmt::Formatter) -> fmt::Result {
                out.write_str("a shape such as \"160,120,320,240\", or a list of shapes")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Shapes, E> {
                Ok(Shapes(vec![shape(text)?]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Shapes, A::Error> {
                let mut shapes = Vec::new();
                while let Some(text) = list.next_element::<String>()? {
                    shapes.push(shape(&text)?);
                }
                if shapes.is_empty() {
                    Err(A::Error::custom("no shape: name one, or remove the key"))
                } else {
                    Ok(Shapes(shapes))
                }
            }
        }
        from.deserialize_any(ShapesVisitor)
    }
}

impl Config {
    /// The region that `[anomaly]` asks for; `None`: what the bundle was taught with.
    ///
    /// # Errors
    /// [`ConfigError`] where the mask cannot be read.
    pub fn region(&self) -> Result<Option<RegionSpec>, ConfigError> {
        let (shapes, ignore) = (&self.anomaly.region, &self.anomaly.ignore);
        if shapes.is_none() && ignore.is_none() {
            return Ok(None);
        }
        let shapes = shapes.as_ref().map_or(Vec::new(), |shapes| shapes.get_ref().clone());
        let spec = RegionSpec::read(shapes, ignore.as_ref().map(|path| path.get_ref().as_path()));
        spec.map(Some).map_err(|error| self.region_error(&error))
    }

    /// An error about the region, with the file and line where it is set.
    pub fn region_error(&self, error: &RegionError) -> ConfigError {
        let (region, ignore) = (&self.anomaly.region, &self.anomaly.ignore);
        match (region, ignore) {
            (_, Some(ignore)) if region.is_none() || matches!(error, RegionError::Mask { .. }) => {
                self.error_at(ignore, format!("anomaly.ignore: {error}"))
            }
            (Some(region), _) => self.error_at(region, format!("anomaly.region: {error}")),
            (None, _) => self.error_at(&Spanned::new(0..0, ()), format!("anomaly.region: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn parse(text: &str) -> Result<Config, String> {
        let text = format!("[source.pattern]\n[anomaly]\n{text}\n");
        Config::parse(&text, Path::new("line.toml")).map_err(|error| error.to_string())
    }

    #[test]
    fn one_shape_and_a_list_are_read() {
        assert_eq!(parse("").unwrap().region().unwrap(), None);
        let one = parse("region = \"160,120,320,240\"").unwrap().region().unwrap().unwrap();
        let listed = parse("region = [\n  \"160,120,320,240\",\n]").unwrap().region().unwrap().unwrap();
        assert_eq!((one.shapes.len(), one.ignored.is_none()), (1, true));
        assert_eq!(one, listed);
        let two = parse("region = [\"160,120,320,240\", \"0,0 50,0 0,50\"]").unwrap().region().unwrap().unwrap();
        assert_eq!(two.shapes[1].to_string(), "0,0 50,0 0,50");
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        for (text, expected) in [
            ("region = \"160,120\"", "line.toml:3: region: \"160,120\": 2 numbers: a rectangle is x,y,width,height"),
            ("region = [\"160,120,0,5\"]", "line.toml:3: region: \"160,120,0,5\": is empty"),
            ("region = []", "line.toml:3: region: no shape: name one"),
            ("region = 7", "line.toml:3: region: invalid type: integer `7`, expected a shape such as"),
            ("region = [7]", "invalid type: integer `7`"),
            ("ignore = 7", "line.toml:3: ignore: invalid type"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(expected) && error.lines().count() == 1, "{text}: {error}");
        }
        let error = parse("\nignore = \"no-such.png\"").unwrap().region().unwrap_err().to_string();
        assert!(error.starts_with("line.toml:4: anomaly.ignore: no-such.png: No such file"), "{error}");
    }
}
