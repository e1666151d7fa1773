//! `shelflife warm`: what was asked for is stored afterwards, and the sum says what came of each.

use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Write};
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::time::{Duration, Instant};

use serde_json::Value;
use shelflife_testkit::Child;

use crate::http;
use crate::origin::{Origin, response};
use crate::scratch::Scratch;
use crate::shelflife::{Demo, run, shelflife, stderr};
use crate::until::until;

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
fn a_sitemap_that_came_over_a_network_opens_no_file() {
    let scratch = Scratch::new();
    let file = scratch.path("secret.xml");
    std::fs::write(&file, "<urlset><url><loc>/from-a-file</loc></url></urlset>").unwrap();
    let named = file.to_str().unwrap().to_owned();
    let index = move |place: &str| {
        format!("<sitemapindex><sitemap><loc>{place}</loc></sitemap></sitemapindex>")
    };
    let origin = Origin::start(move |asked| match asked.path {
        "/sitemap.xml" => response("200 OK", "", &index(&named)),
        _ => response("200 OK", "", "x"),
    });
    let warm = |sitemap: &str| run(&["warm", "--sitemap", sitemap, "--base", &origin.url()]);
    let refused = warm(&format!("{}/sitemap.xml", origin.url()));
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(
        stderr(&refused).contains("no http or https URL"),
        "{refused:?}"
    );
    assert_eq!(origin.asked("/from-a-file"), 0);
    // One of this machine may name others, as long as they are files.
    let local = scratch.path("index.xml");
    std::fs::write(&local, index(file.to_str().unwrap())).unwrap();
    let fine = warm(local.to_str().unwrap());
    assert!(fine.status.success(), "{fine:?}");
    assert_eq!(origin.asked("/from-a-file"), 1);
    std::fs::write(&local, index("/dev/zero")).unwrap();
    let endless = warm(local.to_str().unwrap());
    assert_eq!(endless.status.code(), Some(2), "{endless:?}");
    assert!(stderr(&endless).contains("no regular file"), "{endless:?}");
}

#[test]
fn content_is_counted_and_not_held() {
    const PIECE: usize = 1 << 20;
    const PIECES: usize = 128;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (all_but_one, comes) = mpsc::channel();
    let (go_on, may) = mpsc::channel::<()>();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let lines = BufReader::new(stream.try_clone().unwrap()).lines();
        assert!(lines.map_while(Result::ok).any(|line| line.is_empty()));
        let length = PIECE * PIECES;
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"
        )
        .unwrap();
        let piece = vec![b'x'; PIECE];
        for _ in 1..PIECES {
            stream.write_all(&piece).unwrap();
        }
        all_but_one.send(()).unwrap();
        may.recv().unwrap();
        stream.write_all(&piece).unwrap();
    });
    let mut child = Child::spawn(&mut shelflife(&["warm", "--base", &url, "--json"]));
    child.send_line("/large");
    child.close_stdin();
    comes.recv_timeout(LIMIT).unwrap();
    let held = held_kib(child.pid());
    go_on.send(()).unwrap();
    let sum: Value = serde_json::from_str(&child.expect_line("{", LIMIT)).unwrap();
    assert_eq!(sum["bytes"], PIECE * PIECES, "{sum}");
    assert!(child.wait(LIMIT).success());
    assert!(held < (64 << 10), "{held} KiB are held of 127 MiB");
}

/// Memory of a process that is no file's.
fn held_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let held = line.unwrap().trim().strip_suffix(" kB").unwrap();
    held.parse().unwrap()
}

#[test]
fn a_list_from_a_pipe_that_stays_open_can_be_interrupted() {
    let origin = Origin::start(|_| response("200 OK", STORABLE, "ok"));
    for signal in [Child::interrupt, Child::terminate] {
        let scratch = Scratch::new();
        let pipe = scratch.path("pipe");
        let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        let name = pipe.to_str().unwrap();
        let args = ["warm", name, "--base", &origin.url(), "--json"];
        let mut child = Child::spawn(&mut shelflife(&args));
        // Opened as soon as it is read, and it never ends.
        let mut writer = OpenOptions::new().write(true).open(&pipe).unwrap();
        writeln!(writer, "/1").unwrap();
        signal(&mut child);
        let sum: Value = serde_json::from_str(&child.expect_line("{", LIMIT)).unwrap();
        assert_eq!(sum["interrupted"], true, "{sum}");
        assert_eq!(child.wait(LIMIT).code(), Some(2));
        drop(writer);
    }
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
    // How many are asked for at this moment, and how many were at the most.
    let counts = Arc::new((Mutex::new((0_u32, 0_u32)), Condvar::new()));
    let of_origin = counts.clone();
    let origin = Origin::start(move |_| {
        let (counts, came) = &*of_origin;
        let mut held = counts.lock().unwrap();
        held.0 += 1;
        held.1 = held.1.max(held.0);
        came.notify_all();
        // The first ones wait for one another, however long a busy machine takes to send them.
        drop(came.wait_timeout_while(held, LIMIT, |(_, most)| *most < 3));
        // One more, if there were one, would come meanwhile.
        std::thread::sleep(Duration::from_millis(20));
        counts.lock().unwrap().0 -= 1;
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
    assert_eq!(counts.0.lock().unwrap().1, 3);
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
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let origin = Origin::start(move |asked| {
        // The second path is not answered before the test has interrupted, and seen what came of it.
        if asked.path == "/2" && asked.before == 0 {
            let _ = wait.lock().unwrap().recv_timeout(LIMIT);
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
    until("it asks for the second", || origin.asked("/2") > 0);
    child.interrupt();
    let line = child.expect_line("{", LIMIT);
    let sum_of: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        (&sum_of["asked"], &sum_of["interrupted"]),
        (&1.into(), &true.into()),
        "{sum_of}"
    );
    assert_eq!(child.wait(LIMIT).code(), Some(2));
    drop(go);
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
