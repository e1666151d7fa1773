//! Keys, tags and values as somebody who means harm would choose them.

use axum::http::StatusCode;
use shelflife::{Cache, Key};

use crate::asking::{get, in_query, local, on_both_stores, post};

const NAMES: [&str; 12] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' OR 1=1 --",
    "line\r\nbreak: injected",
    "nul\0byte",
    "100%",
    "%25%00%zz",
    "*",
    "users:*",
    "{tag}[a]?\\",
    "\u{202e}desrever \u{1f4a3}",
    "ключ:значение",
];

on_both_stores! {
    async fn every_key_is_found_under_the_name_that_is_shown(cache: &Cache) {
        let app = local(cache);
        for name in NAMES {
            cache.entry(name).tag(name).set(name.to_owned()).await.unwrap();
        }
        let listed = get(&app, "api/keys?limit=1000").await.json();
        let listed: Vec<_> = listed["keys"].as_array().unwrap().iter().map(|key| key.as_str().unwrap().to_owned()).collect();
        assert_eq!(listed.len(), NAMES.len(), "{listed:?}");
        for name in NAMES {
            let canonical = Key::from(name);
            assert!(listed.iter().any(|key| key == canonical.as_str()), "{name:?}");
            let answer = get(&app, &format!("api/entry?key={}", in_query(canonical.as_str()))).await;
            assert_eq!(answer.field("content-type"), "application/json", "{name:?}");
            let entry = answer.json();
            assert_eq!(entry["state"], "fresh", "{name:?}: {entry}");
            assert_eq!(entry["excerpt"], name, "the value, as it is");
        }
    }

    async fn every_name_is_invalidated_as_it_is_shown_and_nothing_else(cache: &Cache) {
        let app = local(cache);
        for name in NAMES {
            for name in NAMES {
                cache.entry(name).tag(name).set(name.to_owned()).await.unwrap();
            }
            let shown = Key::from(name).as_str().to_owned();
            for field in ["keys", "tags"] {
                let would = post(&app, "api/invalidate", serde_json::json!({ field: [shown], "dry_run": true })).await.json();
                assert_eq!(would["entries"], 1, "{field} {name:?}: {would}");
            }
            let done = post(&app, "api/invalidate", serde_json::json!({ "tags": [shown] })).await;
            assert_eq!(done.status, StatusCode::OK, "{done:?}");
            for other in NAMES {
                assert_eq!(cache.exists(other).await, other != name, "{name:?} {other:?}");
            }
        }
    }

    async fn a_name_with_a_percent_is_meant_as_it_is_typed_and_as_it_is_listed(cache: &Cache) {
        let app = local(cache);
        let (typed, listed) = ("docs/a%20b", Key::from("docs/a%20b").as_str().to_owned());
        for field in ["keys", "tags"] {
            for text in [typed, &listed] {
                cache.entry(typed).tag(typed).set("typed".to_owned()).await.unwrap();
                let entry = get(&app, &format!("api/entry?key={}", in_query(text))).await.json();
                assert_eq!((&entry["key"], &entry["excerpt"]), (&listed.as_str().into(), &"typed".into()), "{text}");
                let would = post(&app, "api/invalidate", serde_json::json!({ field: [text], "dry_run": true })).await.json();
                assert_eq!(would["entries"], 1, "{field} {text}: {would}");
                let done = post(&app, "api/invalidate", serde_json::json!({ field: [text] })).await;
                assert_eq!(done.status, StatusCode::OK, "{done:?}");
                assert!(!cache.exists(typed).await, "{field} {text}");
            }
        }
        // Where the same text is listed for another one, that one is shown, and both are hit.
        cache.set("docs/a b", "listed".to_owned()).await.unwrap();
        cache.set(typed, "typed".to_owned()).await.unwrap();
        let entry = get(&app, &format!("api/entry?key={}", in_query(typed))).await.json();
        assert_eq!(entry["excerpt"], "listed");
        let would = post(&app, "api/invalidate", serde_json::json!({ "keys": [typed], "dry_run": true })).await.json();
        assert_eq!(would["entries"], 2, "{would}");
        post(&app, "api/invalidate", serde_json::json!({ "keys": [typed] })).await;
        assert!(!cache.exists("docs/a b").await && !cache.exists(typed).await);
    }
}
