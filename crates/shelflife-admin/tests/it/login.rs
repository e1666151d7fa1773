//! The form, and the cookie that it gives.

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use shelflife::Cache;
use shelflife_admin::{Access, router};

use crate::asking::{Answer, TOKEN, get, guarded, local, request, send};

async fn enter(app: &Router, form: &str, origin: &str) -> Answer {
    let request = request("POST", "login")
        .header("content-type", "application/x-www-form-urlencoded")
        .header("origin", origin);
    send(app, request.body(Body::from(form.to_owned())).unwrap()).await
}

const HERE: &str = "http://localhost:8081";

#[tokio::test]
async fn a_person_without_the_token_gets_the_form() {
    let app = guarded(&Cache::memory());
    let form = get(&app, "page").await;
    assert_eq!(form.status, StatusCode::UNAUTHORIZED);
    assert!(form.text.contains("type=\"password\"") && form.text.contains("action=\"login\""));
    // Whose style is there, without the token.
    assert_eq!(get(&app, "style.css").await.status, StatusCode::OK);
    assert!(
        !get(&local(&Cache::memory()), "page")
            .await
            .text
            .contains("type=\"password\"")
    );
}

#[tokio::test]
async fn the_form_gives_a_cookie_that_only_this_page_gets() {
    let app = guarded(&Cache::memory());
    let entered = enter(&app, &format!("token={TOKEN}"), HERE).await;
    assert_eq!(
        (entered.status, entered.field("location")),
        (StatusCode::SEE_OTHER, "page")
    );
    let cookie = entered.field("set-cookie").to_owned();
    assert!(
        cookie.contains("; HttpOnly") && cookie.contains("; SameSite=Strict"),
        "{cookie}"
    );
    // Without a path a browser takes that of the form: RFC 6265 §5.1.4. Without TLS it would not send a Secure one.
    assert!(
        !cookie.contains("Path") && !cookie.contains("Domain") && !cookie.contains("Secure"),
        "{cookie}"
    );
    assert!(!cookie.contains(TOKEN), "{cookie}");

    let pair = cookie.split(';').next().unwrap();
    let with =
        |method: &str, path: &str| request(method, path).header("cookie", format!("a=b; {pair}"));
    let page = send(&app, with("GET", "page").body(Body::empty()).unwrap()).await;
    assert!(page.status == StatusCode::OK && !page.text.contains("type=\"password\""));
    let now = send(&app, with("GET", "api/now").body(Body::empty()).unwrap()).await;
    assert_eq!(
        (now.status, &now.json()["token"]),
        (StatusCode::OK, &true.into())
    );

    // The cookie comes by itself, so a change needs the intent as well.
    let change = || with("POST", "api/invalidate");
    let body = || Body::from(r#"{"all":true}"#);
    assert_eq!(
        send(&app, change().body(body()).unwrap()).await.status,
        StatusCode::FORBIDDEN
    );
    let meant = change().header("shelflife-admin", "1");
    assert_eq!(
        send(&app, meant.body(body()).unwrap()).await.status,
        StatusCode::OK
    );
    // A wrong token is not made right by it.
    for wrong in ["Bearer what", "bearer", "Bearer "] {
        let both = with("GET", "api/now").header("authorization", wrong);
        let both = send(&app, both.body(Body::empty()).unwrap()).await;
        assert_eq!(both.status, StatusCode::UNAUTHORIZED, "{wrong:?}");
    }
    // What is for somebody else does not make it wrong.
    for other in ["Basic dTpw", "Negotiate YQ", "Bearers what", ""] {
        let both = with("GET", "api/now").header("authorization", other);
        let both = send(&app, both.body(Body::empty()).unwrap()).await;
        assert_eq!(both.status, StatusCode::OK, "{other:?}");
        let change = with("POST", "api/invalidate").header("authorization", other);
        let change = send(&app, change.body(body()).unwrap()).await;
        assert_eq!(change.status, StatusCode::FORBIDDEN, "{other:?}");
    }
    // A cookie that nobody gave counts as none, whatever its time.
    let (_, seal) = pair.split_once('.').unwrap();
    for forged in ["0", "00", &"0".repeat(64), seal] {
        let forged = format!("shelflife-admin=99999999999.{forged}");
        let asked = request("GET", "api/now").header("cookie", &forged);
        let answer = send(&app, asked.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{forged}");
    }
}

#[tokio::test]
async fn by_tls_the_cookie_stays_there() {
    let app = guarded(&Cache::memory());
    let entered = request("POST", "login").header("origin", "https://admin.example");
    let mut entered = entered.body(Body::from(format!("token={TOKEN}"))).unwrap();
    entered
        .headers_mut()
        .insert("host", "admin.example".parse().unwrap());
    let entered = send(&app, entered).await;
    assert!(
        entered.field("set-cookie").contains("; Secure"),
        "{entered:?}"
    );
}

#[tokio::test]
async fn a_wrong_token_gives_the_form_again_and_no_cookie() {
    let app = guarded(&Cache::memory());
    for form in [
        "token=wrong-0123456789",
        "token=",
        "",
        "token=%zz",
        "other=0123456789-token",
    ] {
        let again = enter(&app, form, HERE).await;
        assert_eq!(again.status, StatusCode::UNAUTHORIZED, "{form}");
        assert!(again.text.contains("role=\"alert\""), "{form}");
        assert!(!again.headers.contains_key("set-cookie"), "{form}");
    }
    let long = format!("token={}", "x".repeat(5000));
    assert_eq!(
        enter(&app, &long, HERE).await.status,
        StatusCode::PAYLOAD_TOO_LARGE
    );
}

#[tokio::test]
async fn a_form_of_another_site_is_refused() {
    let app = guarded(&Cache::memory());
    let form = format!("token={TOKEN}");
    for origin in ["http://evil.example", "null"] {
        let answer = enter(&app, &form, origin).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{origin}");
        assert!(!answer.headers.contains_key("set-cookie"));
    }
}

#[tokio::test]
async fn a_form_by_a_name_that_was_not_told_is_refused() {
    let access = Access::token(TOKEN).host("admin.example");
    let app = Router::new().nest_service("/_shelflife", router(&Cache::memory(), access).unwrap());
    for (host, expected) in [
        ("admin.example", StatusCode::SEE_OTHER),
        ("rebound.example", StatusCode::MISDIRECTED_REQUEST),
    ] {
        let request = Request::post("/_shelflife/login").header("host", host);
        let form = Body::from(format!("token={TOKEN}"));
        let answer = send(&app, request.body(form).unwrap()).await;
        assert_eq!(answer.status, expected, "{host}");
    }
}

#[tokio::test]
async fn who_leaves_loses_the_cookie() {
    let app = guarded(&Cache::memory());
    let entered = enter(&app, &format!("token={TOKEN}"), HERE).await;
    let pair = entered
        .field("set-cookie")
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    let leave = request("POST", "logout")
        .header("cookie", pair)
        .header("shelflife-admin", "1");
    let left = send(&app, leave.body(Body::empty()).unwrap()).await;
    assert_eq!(left.status, StatusCode::SEE_OTHER);
    assert!(left.field("set-cookie").contains("Max-Age=0"), "{left:?}");
}

#[tokio::test]
async fn where_no_token_is_asked_for_there_is_no_form() {
    let answer = enter(&local(&Cache::memory()), &format!("token={TOKEN}"), HERE).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
}
