//! The shapes of a region, as text and as runs of pixels.

use lineside_picture::Rect;
use std::fmt;
use std::str::FromStr;

/// The greatest coordinate, in pixels: products of two fit by far.
const MAX_COORDINATE: u32 = 1_000_000;
/// How a shape is written.
const SYNTAX: &str =
    "a rectangle is x,y,width,height and a polygon x,y x,y x,y …, in whole pixels from the upper left corner";

/// A shape in a frame, in pixels. It is written `x,y,width,height` or `x,y x,y x,y …`.
///
/// Coordinates are those of the corners between pixels: `10,10,20,20` and `10,10 30,10 30,30 10,30` are the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegionShape {
    /// A rectangle.
    Rectangle(Rect),
    /// A polygon by its corners; where its lines cross, what is enclosed an even number of times is outside.
    Polygon(Vec<(u32, u32)>),
}

impl RegionShape {
    /// The smallest rectangle around it.
    pub(super) fn bounds(&self) -> Rect {
        match self {
            RegionShape::Rectangle(rect) => *rect,
            RegionShape::Polygon(corners) => {
                let ends = |of: fn(&(u32, u32)) -> u32| {
                    let values = || corners.iter().map(of);
                    (values().min().unwrap_or(0) as usize, values().max().unwrap_or(0) as usize)
                };
                let ((left, right), (top, bottom)) = (ends(|corner| corner.0), ends(|corner| corner.1));
                Rect { x: left, y: top, width: right - left, height: bottom - top }
            }
        }
    }

    /// The pixels of a row whose centres lie inside, as pairs of the first and the one after the last; `crossings` is scratch.
    pub(super) fn runs(&self, y: usize, crossings: &mut Vec<usize>) -> impl Iterator<Item = (usize, usize)> {
        crossings.clear();
        match self {
            RegionShape::Rectangle(rect) if (rect.y..rect.bottom()).contains(&y) => {
                crossings.extend([rect.x, rect.right()]);
            }
            RegionShape::Rectangle(_) => {}
            RegionShape::Polygon(corners) => {
                let nexts = corners.iter().skip(1).chain(corners.first());
                crossings.extend(corners.iter().zip(nexts).filter_map(|(a, b)| crossing(*a, *b, y)));
                crossings.sort_unstable();
            }
        }
        crossings.chunks_exact(2).map(|pair| (pair[0], pair[1])).filter(|(start, end)| start < end)
    }

    fn is_empty(&self) -> bool {
        let (bounds, mut crossings) = (self.bounds(), Vec::new());
        (bounds.y..bounds.bottom()).all(|y| self.runs(y, &mut crossings).next().is_none())
    }
}

/// The first pixel of row `y` whose centre is at or right of the line from `a` to `b`; `None` where the line does not cross the
/// row's middle. In integers: the middle lies between corners, so no corner is met.
fn crossing(a: (u32, u32), b: (u32, u32), y: usize) -> Option<usize> {
    let (top, bottom) = if a.1 < b.1 { (a, b) } else { (b, a) };
    if !(top.1 as usize..bottom.1 as usize).contains(&y) {
        return None;
    }
    let [x0, y0, x1, y1, y] = [top.0, top.1, bottom.0, bottom.1, y as u32].map(i64::from);
    // It is crossed at x = doubled / (2 · height); the centre of pixel i is at i + 1/2.
    let height = y1 - y0;
    let doubled = 2 * x0 * height + (2 * y + 1 - 2 * y0) * (x1 - x0);
    usize::try_from((doubled - height + 2 * height - 1).div_euclid(2 * height)).ok()
}

impl FromStr for RegionShape {
    type Err = String;

    /// # Errors
    /// In one line: what is wrong, and how a shape is written.
    fn from_str(text: &str) -> Result<RegionShape, String> {
        // "1, 2, 3, 4" is as good as "1,2,3,4".
        let joined = text.split(',').map(str::trim).collect::<Vec<&str>>().join(",");
        let number = |text: &str| match text.parse::<u32>() {
            Ok(number) if number <= MAX_COORDINATE => Ok(number),
            Ok(_) => Err(format!("{text} is too far outside of any frame")),
            Err(_) => Err(format!("\"{text}\" is no whole number of pixels: {SYNTAX}")),
        };
        let groups = joined.split_whitespace().map(|group| group.split(',').map(number).collect());
        let groups = groups.collect::<Result<Vec<Vec<u32>>, String>>()?;
        let shape = match &groups[..] {
            [group] => match group[..] {
                [x, y, width, height] => {
                    let [x, y, width, height] = [x, y, width, height].map(|number| number as usize);
                    RegionShape::Rectangle(Rect { x, y, width, height })
                }
                _ => return Err(format!("{} numbers: {SYNTAX}", group.len())),
            },
            groups => {
                let corner = |group: &Vec<u32>| match group[..] {
                    [x, y] => Ok((x, y)),
                    _ => Err(format!("a corner of {} numbers: {SYNTAX}", group.len())),
                };
                let corners = groups.iter().map(corner).collect::<Result<Vec<(u32, u32)>, String>>()?;
                if corners.len() < 3 {
                    return Err(format!("{} corners, at least 3 are needed: {SYNTAX}", corners.len()));
                }
                RegionShape::Polygon(corners)
            }
        };
        if shape.is_empty() { Err("is empty: it holds no pixel".into()) } else { Ok(shape) }
    }
}

impl fmt::Display for RegionShape {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RegionShape::Rectangle(Rect { x, y, width, height }) => write!(out, "{x},{y},{width},{height}"),
            RegionShape::Polygon(corners) => corners.iter().enumerate().try_for_each(|(at, (x, y))| {
                let gap = if at > 0 { " " } else { "" };
                write!(out, "{gap}{x},{y}")
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The pixels of a grid of 12 x 8, row by row.
    fn drawn(shape: &str) -> String {
        let shape: RegionShape = shape.parse().unwrap();
        let mut rows = String::new();
        for y in 0..8 {
            let runs: Vec<(usize, usize)> = shape.runs(y, &mut Vec::new()).collect();
            let mark = |x: usize| if runs.iter().any(|(start, end)| (*start..*end).contains(&x)) { '#' } else { '.' };
            rows.extend((0..12).map(mark).chain(['\n']));
        }
        rows
    }

    #[test]
    fn pixels_whose_centres_are_inside_belong_to_a_shape() {
        assert_eq!(drawn("2,1,3,2"), drawn("2,1 5,1 5,3 2,3"));
        assert_eq!(drawn("2,1,3,2"), drawn(" 2 , 1,3,\t2 "));
        assert_eq!(
            drawn("1,1 9,1 1,7"),
            "............\n.#######....\n.######.....\n.#####......\n.###........\n.##.........\n.#..........\n............\n"
        );
        // A bow tie, whose signed area is 0. A centre on a left edge is inside, one on a right edge is not.
        assert_eq!(
            drawn("0,0 8,8 8,0 0,8"),
            ".......#....\n#.....##....\n##...###....\n###.####....\n###.####....\n##...###....\n#.....##....\n.......#....\n"
        );
    }

    #[test]
    fn what_is_written_is_read_again() {
        for text in ["160,120,320,240", "150,130 170,110 470,110 490,370"] {
            assert_eq!(text.parse::<RegionShape>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn each_mistake_is_named() {
        for (text, expected) in [
            ("", "0 corners, at least 3 are needed: a rectangle is"),
            ("1,2,3", "3 numbers: a rectangle is x,y,width,height and a polygon"),
            ("1,2", "2 numbers: a rectangle is"),
            ("1,2,3,4,5", "5 numbers: a rectangle is"),
            ("1,2 3,4", "2 corners, at least 3 are needed"),
            ("1,2 3,4 5", "a corner of 1 numbers"),
            ("1,2,3,4 5,6,7,8", "a corner of 4 numbers"),
            ("-5,0,40,40", "\"-5\" is no whole number of pixels"),
            ("1.5,0,40,40", "\"1.5\" is no whole number of pixels"),
            ("a,b,c,d", "\"a\" is no whole number of pixels"),
            ("1,,2,3", "\"\" is no whole number"),
            ("99999999,0,40,40", "99999999 is too far outside"),
            ("99999999999999999999,0,40,40", "is no whole number"),
            ("5,5,0,40", "is empty"),
            ("5,5,40,0", "is empty"),
            ("0,0 10,10 20,20", "is empty"),
            ("7,7 7,7 7,7", "is empty"),
        ] {
            let error = text.parse::<RegionShape>().unwrap_err();
            assert!(error.contains(expected), "{text:?}: {error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }

    proptest! {
        /// Against the definition: a ray from the centre to the left crosses the lines an odd number of times.
        #[test]
        fn polygons_agree_with_the_definition(corners in prop::collection::vec((0u32..13, 0u32..9), 3..7)) {
            let shape = RegionShape::Polygon(corners.clone());
            let mut crossings = Vec::new();
            for y in 0..8usize {
                let runs: Vec<(usize, usize)> = shape.runs(y, &mut crossings).collect();
                for x in 0..12usize {
                    let (centre_x, centre_y) = (x as f64 + 0.5, y as f64 + 0.5);
                    let lines = corners.iter().zip(corners.iter().cycle().skip(1));
                    let left = lines.filter(|&(a, b)| {
                        let [ax, ay, bx, by] = [a.0, a.1, b.0, b.1].map(f64::from);
                        let crosses = (ay > centre_y) != (by > centre_y);
                        // Multiplied out, so that it is exact.
                        let side = (centre_x - ax) * (by - ay) - (centre_y - ay) * (bx - ax);
                        crosses && (if by > ay { side >= 0.0 } else { side <= 0.0 })
                    });
                    let expected = left.count() % 2 == 1;
                    let found = runs.iter().any(|(start, end)| (*start..*end).contains(&x));
                    prop_assert_eq!(found, expected, "{},{} of {:?}", x, y, &corners);
                }
            }
        }

        #[test]
        fn no_text_is_too_odd(text in "[-0-9, .a]{0,24}") {
            if let Ok(shape) = text.parse::<RegionShape>() {
                prop_assert_eq!(shape.to_string().parse::<RegionShape>().unwrap(), shape);
            }
        }
    }
}
