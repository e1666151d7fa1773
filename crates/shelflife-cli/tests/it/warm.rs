//! `shelflife warm`: what was asked for is stored afterwards, and the sum says what came of each.

use std::io::Write;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use shelflife_testkit::Child;

use crate::http;
use crate::origin::{Origin, response};
use crate::scratch::Scratch;
use crate::shelflife::{Demo, run, shelflife, stderr};

const LIMIT: Duration = Duration::from_secs(60);

/// A proxy before an API.
fn proxy(upstream: &str) -> (Child, String) {
    let args = ["proxy", "--listen", "127.0.0.1:0", "--upstream", upstream];
    let mut child = Child::spawn(&mut shelflife(&args));
    let line = child.expect_line("listening on ", LIMIT);
    let address = line.rsplit(' ').next().unwrap().to_owned();
    (child, address)
}

fn warm_lines(lines: &str, args: &[&str]) -> Output {
    let mut child = shelflife(&[&["warm"], args].concat())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(lines.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

fn sum(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

const STORABLE: &str = "Cache-Control: max-age=60\r\n";

#[test]
fn what_was_warmed_is_a_hit_afterwards() {
    let origin = Origin::start(|_| response("200 OK", STORABLE, "content"));
    let (_proxy, address) = proxy(&origin.url());
    let scratch = Scratch::new();
    let list = scratch.path("paths.txt");
    std::fs::write(
        &list,
        "/a\n# a comment\n\n/b?x=1\nhttp://elsewhere.example/c\n/a\n",
    )
    .unwrap();
    let args = [
        "warm",
        list.to_str().unwrap(),
        "--base",
        &format!("http://{address}"),
        "--json",
    ];
    let first = run(&args);
    assert!(first.status.success(), "{first:?}");
    let sum_of = sum(&first);
    assert_eq!(
        (
            &sum_of["asked"],
            &sum_of["served"]["miss"],
            &sum_of["stored"],
            &sum_of["skipped"]
        ),
        (&3.into(), &3.into(), &3.into(), &1.into()),
        "{sum_of}"
    );
    for path in ["/a", "/b?x=1", "/c"] {
        let answer = http::send(&address, "GET", path, "");
        assert!(answer.cache_status().contains("; hit"), "{answer:?}");
        assert_eq!(origin.asked(path), 1);
    }
    assert_eq!(sum(&run(&args))["served"]["hit"], 3);
}

#[test]
fn ids_become_urls_of_a_real_api() {
    let scratch = Scratch::new();
    let demo = Demo::start(&scratch.path("demo.sqlite"), &[]);
    let template = format!("http://{}/users/{{}}", demo.address);
    let output = warm_lines("1\n2\n3\n4711\n", &["--url", &template, "--json"]);
    assert_eq!(output.status.code(), Some(1), "one is unknown: {output:?}");
    let sum = sum(&output);
    assert_eq!(
        (&sum["ok"], &sum["failed"], &sum["served"]["miss"]),
        (&3.into(), &1.into(), &3.into()),
        "{sum}"
    );
    assert_eq!(sum["failures"][0]["url"], template.replace("{}", "4711"));
    assert_eq!(sum["failures"][0]["error"], "404 Not Found");
    assert_eq!(sum["retried"], 0, "what is not there will not come: {sum}");
    assert!(demo.get("/users/2").cache_status().contains("; hit"));
}

#[test]
fn a_sitemap_and_those_that_it_names_are_read_and_hosts_are_kept() {
    let origin = Origin::start(|asked| {
        let base = format!("http://{}", asked.host);
        match asked.path {
            "/sitemap.xml" => response(
                "200 OK",
                "",
                &format!(
                    "<sitemapindex><sitemap><loc>{base}/one.xml</loc></sitemap></sitemapindex>"
                ),
            ),
            "/one.xml" => response(
                "200 OK",
                "",
                "<urlset><url><loc>https://shop.example/a?b=1&amp;c=2</loc></url></urlset>",
            ),
            _ if asked.host == "shop.example" => response("200 OK", STORABLE, "x"),
            _ => response("404 Not Found", "", ""),
        }
    });
    let sitemap = format!("{}/sitemap.xml", origin.url());
    let args = [
        "warm",
        "--sitemap",
        &sitemap,
        "--base",
        &origin.url(),
        "--json",
    ];
    assert_eq!(
        run(&args).status.code(),
        Some(1),
        "another host than the site's"
    );
    let output = run(&[&args[..], &["--keep-host"]].concat());
    assert!(output.status.success(), "{output:?}");
    assert_eq!(origin.asked("/a?b=1&c=2"), 2);
    let bad = run(&[
        "warm",
        "--sitemap",
        &format!("{}/nothing", origin.url()),
        "--base",
        &origin.url(),
    ]);
    assert_eq!(bad.status.code(), Some(2));
    assert!(stderr(&bad).contains("404"), "{bad:?}");
}

#[test]
fn what_may_pass_is_tried_again_and_what_does_not_is_told() {
    let origin = Origin::start(|asked| match (asked.path, asked.before) {
        ("/busy", 0) => response("503 Service Unavailable", "Retry-After: 0\r\n", ""),
        ("/limited", 0 | 1) => response("429 Too Many Requests", "", ""),
        ("/broken", _) => "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort".to_owned(),
        ("/down", _) => response("500 Internal Server Error", "", ""),
        _ => response("200 OK", "", "ok"),
    });
    let base = origin.url();
    let args = ["--base", &base, "--json", "--retries", "2"];
    let output = warm_lines("/busy\n/limited\n/down\nrelative\n", &args);
    assert_eq!(output.status.code(), Some(1));
    let told = sum(&output);
    assert_eq!(
        (&told["ok"], &told["failed"]),
        (&2.into(), &2.into()),
        "{told}"
    );
    assert_eq!(
        (
            origin.asked("/busy"),
            origin.asked("/limited"),
            origin.asked("/down")
        ),
        (2, 3, 3)
    );
    assert_eq!(told["retried"], 1 + 2 + 2, "{told}");
    let errors = |told: &Value| -> Vec<String> {
        let failures = told["failures"].as_array().unwrap().iter();
        let errors = failures.map(|it| it["error"].as_str().unwrap().to_owned());
        errors.collect()
    };
    for part in ["500", "begins with neither / nor http"] {
        let errors = errors(&told);
        assert!(
            errors.iter().any(|error| error.contains(part)),
            "{part}: {errors:?}"
        );
    }
    assert_eq!(told["served"]["untold"], 2);
    let short = ["--timeout", "300ms", "--retries", "1"];
    let output = warm_lines("/broken\n", &[&args[..3], &short].concat());
    let told = sum(&output);
    assert_eq!((&told["failed"], &told["retried"]), (&1.into(), &1.into()));
    let error = &errors(&told)[0];
    assert!(error.contains("no whole answer within 300ms"), "{error}");
    let text = warm_lines("/a\n/down\n", &["--base", &base, "--retries", "0"]);
    let out = String::from_utf8(text.stdout.clone()).unwrap();
    assert!(
        out.contains("failed  /down: 500") && out.contains("asked   2 in"),
        "{out}"
    );
    let fine = warm_lines("/a\n", &["--base", &base]);
    assert!(
        stderr(&fine).contains("no cache on the way says anything"),
        "{fine:?}"
    );
}

#[test]
fn rate_and_concurrency_are_kept() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (in_it, at_most) = (now.clone(), most.clone());
    let origin = Origin::start(move |_| {
        let n = in_it.fetch_add(1, Ordering::SeqCst) + 1;
        at_most.fetch_max(n, Ordering::SeqCst);
        // As long as real work takes: others are to come meanwhile.
        std::thread::sleep(Duration::from_millis(20));
        in_it.fetch_sub(1, Ordering::SeqCst);
        response("200 OK", "", "ok")
    });
    let lines: String = (0..24).map(|n| format!("/{n}\n")).collect();
    let output = warm_lines(
        &lines,
        &[
            "--base",
            &origin.url(),
            "-c",
            "8",
            "--per-host",
            "3",
            "--json",
        ],
    );
    assert!(output.status.success(), "{output:?}");
    assert_eq!(most.load(Ordering::SeqCst), 3);
    let began = Instant::now();
    let output = warm_lines(&lines, &["--base", &origin.url(), "--rate", "40", "--json"]);
    assert!(output.status.success());
    assert!(
        began.elapsed() >= Duration::from_millis(550),
        "24 at 40 a second: {:?}",
        began.elapsed()
    );
}

#[test]
fn ctrl_c_ends_it_with_the_sum_and_it_goes_on_where_it_was() {
    let origin = Origin::start(|asked| {
        // The second path is not answered before the test has interrupted.
        if asked.path == "/2" && asked.before == 0 {
            std::thread::sleep(Duration::from_secs(30));
        }
        response("200 OK", STORABLE, "ok")
    });
    let scratch = Scratch::new();
    let done = scratch.path("done.txt");
    let args = [
        "warm",
        "--base",
        &origin.url(),
        "-c",
        "1",
        "--json",
        "--resume",
        done.to_str().unwrap(),
    ];
    let mut child = Child::spawn(&mut shelflife(&args));
    child.send_line("/1");
    child.send_line("/2");
    let began = Instant::now();
    while origin.asked("/2") == 0 {
        assert!(began.elapsed() < LIMIT, "never asked");
        std::thread::sleep(Duration::from_millis(10));
    }
    child.interrupt();
    let line = child.expect_line("{", LIMIT);
    let sum_of: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        (&sum_of["asked"], &sum_of["interrupted"]),
        (&1.into(), &true.into()),
        "{sum_of}"
    );
    assert_eq!(child.wait(LIMIT).code(), Some(2));
    let output = warm_lines("/1\n/2\n", &args[1..]);
    assert!(output.status.success(), "{output:?}");
    let sum_of = sum(&output);
    assert_eq!(
        (&sum_of["asked"], &sum_of["skipped"]),
        (&1.into(), &1.into()),
        "{sum_of}"
    );
    assert_eq!((origin.asked("/1"), origin.asked("/2")), (1, 2));
}

#[test]
fn what_is_missing_or_wrong_is_said() {
    for (args, part) in [
        (&["--url", "http://h/users"][..], "has no {}"),
        (&["--base", "nonsense"][..], "--base nonsense"),
        (
            &["/does/not/exist", "--base", "http://127.0.0.1:1"][..],
            "cannot open /does/not/exist",
        ),
        (
            &["-H", "nonsense", "--base", "http://127.0.0.1:1"][..],
            "is no field",
        ),
    ] {
        let output = warm_lines("", args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {output:?}");
        assert!(stderr(&output).contains(part), "{args:?}: {output:?}");
    }
}
