//! The page that asks a browser for the token.

use maud::{DOCTYPE, PreEscaped, html};

const STYLE: &str = "
:root{color-scheme:light dark}
body{font:18px/1.5 system-ui,sans-serif;margin:0;min-height:100vh;display:grid;place-content:center;padding:1rem}
input,button{font:inherit;padding:.7rem;width:100%;box-sizing:border-box;margin-top:.7rem}
";

/// HTML with a form that sends the token as a parameter of the page itself.
pub fn login_page() -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width,initial-scale=1";
                title { "Lineside" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                form action="./" method="get" {
                    label {
                        "Token of this line (status_page.token) "
                        input name="token" type="password" autocomplete="current-password" autofocus required;
                    }
                    button { "Open" }
                }
            }
        }
    }
    .into_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_sends_the_token() {
        let page = login_page();
        assert!(page.starts_with("<!DOCTYPE html><html lang=\"en\">"));
        assert!(
            page.contains("<form action=\"./\" method=\"get\">")
                && page.contains("<input name=\"token\" type=\"password\"")
        );
        // The style is not escaped.
        assert!(page.contains(":root{color-scheme:light dark}"));
    }
}
