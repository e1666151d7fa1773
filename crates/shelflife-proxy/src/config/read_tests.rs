//! Files that are read, and what is said of those that are not.

use super::*;
use crate::config::ConfigError;

const EXAMPLE: &str = include_str!("../../proxy.example.toml");
const MANUAL: &str = include_str!("../../../../docs/proxy.md");

fn wrong(text: &str) -> String {
    read("proxy.toml", text).map_or_else(|error| error.to_string(), |_| "no error".to_owned())
}

#[test]
fn an_error_names_the_place_the_key_and_what_is_valid() {
    for (text, parts) in [
        (
            "listen = \"127.0.0.1:80\"\nlisten_on = 1",
            [
                "proxy.toml:2:1: ",
                "unknown field `listen_on`",
                "`upstream`",
            ],
        ),
        (
            "[clients]\n\nidel = \"1s\"",
            ["proxy.toml:3:1: ", "unknown field `idel`", "`idle`"],
        ),
        (
            "[clients]\nidle = \"fast\"",
            ["proxy.toml:2:8: ", "fast", "300ms"],
        ),
        (
            "[clients]\nidle = \"0s\"",
            ["proxy.toml:2:8: ", "no time at all", "30s"],
        ),
        (
            "[clients]\nhead_size = \"1kb\"",
            ["proxy.toml:2:13: ", "not a size", "64KiB"],
        ),
        (
            "[clients]\nfields = 0",
            ["proxy.toml:2:10: ", "at least 1", ""],
        ),
        (
            "[clients]\nfields = 257",
            ["proxy.toml:2:10: ", "at most 256", ""],
        ),
        (
            "[[rule]]\npath = \"/a\"\n[[rule]]\npath = \"/a/{\"",
            ["proxy.toml:1:", "rule \"/a/{\"", "{name}"],
        ),
        (
            "[[rule]]\nttl = \"1m\"\nvary_by = [\"host:x\"]",
            ["proxy.toml:1:", "host:x", "header:NAME"],
        ),
        (
            "[cache]\nheuristic = 2.0",
            ["proxy.toml:2:13: ", "fraction", "1.0"],
        ),
        (
            "[upstream]\nurl = \"ftp://a\"",
            [
                "proxy.toml:2:7: ",
                "neither http nor https",
                "http://host:port",
            ],
        ),
        (
            "[upstream]\nhost = \"a b\"",
            ["proxy.toml:2:8: ", "a b", "preserve"],
        ),
        (
            "[forward]\ntrust = [\"10.0.0.0/99\"]",
            ["proxy.toml:2:", "10.0.0.0/99", "10.0.0.0/8"],
        ),
        (
            "[forward]\nvia = \"a b\"",
            ["proxy.toml:2:7: ", "Via", "letters"],
        ),
        (
            "[admin]\nlisten = \"127.0.0.1:1\"\ntoken = \"short\"",
            ["proxy.toml:3:9: ", "token", "16"],
        ),
        (
            "[admin]\nlisten = \"127.0.0.1:1\"",
            ["proxy.toml:1:1: ", "missing field `token`", ""],
        ),
        ("listen = [", ["proxy.toml:1:", "", ""]),
        (
            "listen = 80",
            ["proxy.toml:1:10: ", "a text or a list of texts", ""],
        ),
    ] {
        let message = wrong(text);
        for part in parts {
            assert!(
                message.contains(part),
                "{text:?}: {message:?} lacks {part:?}"
            );
        }
    }
}

#[test]
fn what_has_to_be_there_is_asked_for() {
    let check = |text: &str| read("x", text).and_then(|config| config.check());
    let missing = |key, example| Err(ConfigError::missing(key, example));
    assert_eq!(
        check(""),
        missing("listen", "an address, as \"127.0.0.1:8080\"")
    );
    let url = "the API's URL, as \"http://127.0.0.1:9000\"";
    assert_eq!(
        check("listen = \"127.0.0.1:80\""),
        missing("upstream.url", url)
    );
    let same = "listen = \"127.0.0.1:80\"\nupstream.url = \"http://a\"\n\
                admin = { listen = \"127.0.0.1:80\", token = \"0123456789abcdef\" }";
    assert!(
        check(same)
            .unwrap_err()
            .to_string()
            .contains("admin.listen")
    );
    let figures = same.replace(
        "{ listen = \"127.0.0.1:80\"",
        "{ listen = \"127.0.0.1:81\", metrics = \"127.0.0.1:80\"",
    );
    let told = check(&figures).unwrap_err().to_string();
    assert!(told.contains("admin.metrics"), "{told}");
}

/// The example, with the keys that are commented out.
fn complete() -> String {
    let uncommented = |line: &str| match line.strip_prefix("#: ") {
        Some(line) => line.to_owned(),
        None => line.to_owned(),
    };
    EXAMPLE
        .lines()
        .map(uncommented)
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn the_example_shows_the_defaults() {
    let example = read("proxy.example.toml", EXAMPLE).unwrap();
    let listen = ["127.0.0.1:8080".parse().unwrap()];
    let defaults = Config::default()
        .with_listen(listen)
        .with_upstream("http://127.0.0.1:9000");
    assert_eq!(example, defaults.unwrap());
    example.check().unwrap();
}

#[test]
fn the_example_and_the_manual_have_every_key() {
    let complete = complete();
    read("proxy.example.toml", &complete).unwrap();
    // serde tells which fields a section has when it meets one that it does not have.
    let fields = |section: &str| {
        let message = wrong(&format!("{section}\nno_such_field = 1"));
        let names: Vec<String> = message
            .split('`')
            .skip(3)
            .step_by(2)
            .map(str::to_owned)
            .collect();
        assert!(!names.is_empty(), "{section}: {message}");
        names
    };
    for section in fields("") {
        assert!(
            MANUAL.contains(&format!("`{section}`"))
                || MANUAL.contains(&format!("`[{section}]`"))
                || MANUAL.contains(&format!("`[[{section}]]`")),
            "docs/proxy.md lacks {section}"
        );
        let head = [format!("[[{section}]]"), format!("[{section}]")];
        let Some(head) = head.iter().find(|head| complete.contains(head.as_str())) else {
            assert!(
                complete.contains(&format!("{section} = ")),
                "proxy.example.toml lacks {section}"
            );
            continue;
        };
        for field in fields(head) {
            let (_, part) = complete.split_once(head.as_str()).unwrap();
            // An array of sections goes on to the end of the file.
            let part = match head.starts_with("[[") {
                true => part,
                false => part.split("\n[").next().unwrap(),
            };
            assert!(
                part.contains(&format!("\n{field} = ")),
                "{head} of proxy.example.toml lacks {field}"
            );
            assert!(
                MANUAL.contains(&format!("`{field}`")),
                "docs/proxy.md lacks {field} of {head}"
            );
        }
    }
}
