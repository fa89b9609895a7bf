//! Alpha bleeding: fully transparent pixels hold arbitrary colours, often black, that would become visible where opacity begins.
//! They get the colour of the visible pixels beside them.

use lineside_picture::Picture;

/// Fills every pixel of opacity 0 with the mean colour of the visible ones around it, from the edge of the visible area inwards,
/// `steps` pixels deep. Only the first `rows` rows are used; a pixel depends on others at most `steps` away.
pub(super) fn bleed(colours: &mut [Picture], opacity: &Picture, rows: usize, steps: usize, known: &mut Vec<u8>) {
    let width = opacity.width();
    let opacity = &opacity.data()[..rows * width];
    if !opacity.contains(&0) {
        return;
    }
    // The step in which a pixel became known, from 1 on; 0: not yet.
    known.clear();
    known.extend(opacity.iter().map(|opacity| u8::from(*opacity > 0)));
    for step in 2..=steps.min(usize::from(u8::MAX) - 1) + 1 {
        let mut changed = false;
        for y in 0..rows {
            for x in 0..width {
                let at = y * width + x;
                if known[at] > 0 {
                    continue;
                }
                let mut around = [0; 8];
                let mut count = 0;
                for down in y.saturating_sub(1)..(y + 2).min(rows) {
                    for across in x.saturating_sub(1)..(x + 2).min(width) {
                        let near = down * width + across;
                        if (1..step as u8).contains(&known[near]) {
                            around[count] = near;
                            count += 1;
                        }
                    }
                }
                if count == 0 {
                    continue;
                }
                for colour in &mut *colours {
                    let data = colour.data_mut();
                    let sum: usize = around[..count].iter().map(|near| usize::from(data[*near])).sum();
                    data[at] = ((2 * sum + count) / (2 * count)) as u8;
                }
                known[at] = step as u8;
                changed = true;
            }
        }
        if !changed {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lineside_picture::Layout;

    #[test]
    fn colour_spreads_by_the_number_of_steps() {
        let mut colour = [Picture::from_data(Layout::Grey, 6, 2, vec![50, 0, 0, 0, 0, 0, 61, 0, 0, 0, 0, 0]).unwrap()];
        let opacity = Picture::from_data(Layout::Grey, 6, 2, vec![1, 0, 0, 0, 0, 0, 255, 0, 0, 0, 0, 0]).unwrap();
        bleed(&mut colour, &opacity, 2, 3, &mut Vec::new());
        assert_eq!(colour[0].data(), [50, 56, 56, 56, 0, 0, 61, 56, 56, 56, 0, 0]);
    }

    #[test]
    fn visible_pixels_stay_and_without_any_nothing_changes() {
        let opaque = Picture::from_data(Layout::Grey, 3, 1, vec![9, 9, 9]).unwrap();
        let hidden = Picture::from_data(Layout::Grey, 3, 1, vec![0, 0, 0]).unwrap();
        for opacity in [opaque, hidden] {
            let mut colour = [Picture::from_data(Layout::Grey, 3, 1, vec![1, 2, 3]).unwrap()];
            bleed(&mut colour, &opacity, 1, 5, &mut Vec::new());
            assert_eq!(colour[0].data(), [1, 2, 3]);
        }
    }
}
