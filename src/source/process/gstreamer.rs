//! The command for a pipeline of GStreamer.

use super::command::ProcessCommand;

/// A pipeline, as `gst-launch-1.0` takes it, up to its last element that has pictures. What it delivers is converted to 4:2:2, whose
/// rows have no gaps in GStreamer whatever their length, and scaled to `size`.
pub fn gstreamer(pipeline: &str, size: (u32, u32)) -> ProcessCommand {
    gst_launch(split(pipeline), size)
}

pub(super) fn gst_launch(mut pipeline: Vec<String>, (width, height): (u32, u32)) -> ProcessCommand {
    while pipeline.last().is_some_and(|word| word == "!") {
        pipeline.pop();
    }
    let format = format!("video/x-raw,format=YUY2,width={width},height={height}");
    let own = ["!", "videoconvert", "!", "videoscale", "!", &format, "!", "fdsink", "fd=1"];
    let arguments = ["-q".to_string()].into_iter().chain(pipeline).chain(own.map(String::from)).collect();
    ProcessCommand { program: "gst-launch-1.0".into(), arguments, ..ProcessCommand::default() }
}

/// Words between white space, as a shell would pass them; what stands in quotes stays together, without them.
fn split(pipeline: &str) -> Vec<String> {
    let (mut words, mut word, mut quote, mut has_word) = (Vec::new(), String::new(), None, false);
    for c in pipeline.chars() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('"' | '\'', None) => {
                quote = Some(c);
                has_word = true;
            }
            (c, None) if c.is_whitespace() => {
                if std::mem::take(&mut has_word) {
                    words.push(std::mem::take(&mut word));
                }
            }
            (c, _) => {
                word.push(c);
                has_word = true;
            }
        }
    }
    if has_word {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_a_pipeline_is_added_to_it() {
        let expected = "gst-launch-1.0 -q aravissrc camera-name=Basler '!' video/x-bayer,format=rggb '!' bayer2rgb '!' videoconvert '!' \
                        videoscale '!' video/x-raw,format=YUY2,width=800,height=600 '!' fdsink fd=1";
        for pipeline in [
            "aravissrc camera-name=Basler ! video/x-bayer,format=rggb ! bayer2rgb",
            " aravissrc\n  camera-name=Basler ! video/x-bayer,format=rggb\n ! bayer2rgb ! \n",
        ] {
            assert_eq!(gstreamer(pipeline, (800, 600)).to_string(), expected);
        }
    }

    #[test]
    fn quotes_keep_words_together() {
        let words = split("filesrc location=\"my file.mkv\" ! 'video/x-raw, format=I420' ! a=\"\" \"it's\"");
        assert_eq!(words, ["filesrc", "location=my file.mkv", "!", "video/x-raw, format=I420", "!", "a=", "it's"]);
        assert_eq!(split("  "), [""; 0]);
    }
}
