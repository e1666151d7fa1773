//! Answers whose end is odd: cut short, in bad chunks, of two lengths, or followed by more than was announced.

use crate::case::Case;
use crate::step::Step;

const FRESH: &str = "Cache-Control: max-age=3600\r\n";

pub(super) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = UNTRUSTED.iter().map(untrusted).collect();
    cases.extend(whole());
    cases.push(both_framings());
    cases.extend(excess());
    cases.extend(not_repeated());
    cases
}

/// Lines of the head and bytes after it that nobody can take for a whole answer.
struct Untrusted {
    id: &'static str,
    says: &'static str,
    lines: &'static str,
    rest: &'static str,
}

const CHUNKED: &str = "Cache-Control: max-age=3600\r\nTransfer-Encoding: chunked\r\n";

// RFC 9111 §3.3: an incomplete answer is not a whole one. RFC 9112 §6.3, §8: it must not look like one downstream.
const UNTRUSTED: &[Untrusted] = &[
    Untrusted {
        id: "own-cut-length",
        says: "an answer shorter than its length is neither passed on as whole nor stored",
        lines: "Cache-Control: max-age=3600\r\nContent-Length: 100\r\n",
        rest: "only a part",
    },
    Untrusted {
        id: "own-cut-chunks",
        says: "an answer without its last chunk is neither passed on as whole nor stored",
        lines: CHUNKED,
        rest: "5\r\nhello\r\n",
    },
    Untrusted {
        id: "own-cut-chunk",
        says: "an answer that ends inside a chunk is neither passed on as whole nor stored",
        lines: CHUNKED,
        rest: "5\r\nhello\r\n8\r\nwor",
    },
    Untrusted {
        id: "own-bad-chunk-size",
        says: "an answer with a chunk size that is no number is not stored",
        lines: CHUNKED,
        rest: "5\r\nhello\r\nxyz\r\nworld\r\n0\r\n\r\n",
    },
    Untrusted {
        id: "own-huge-chunk-size",
        says: "an answer with a chunk size beyond all numbers is not stored",
        lines: CHUNKED,
        rest: "5\r\nhello\r\nffffffffffffffff5\r\nworld\r\n0\r\n\r\n",
    },
    Untrusted {
        id: "own-bad-chunk-end",
        says: "an answer with a chunk longer than its size is not stored",
        lines: CHUNKED,
        rest: "5\r\nhello, world\r\n0\r\n\r\n",
    },
    Untrusted {
        id: "own-two-lengths",
        says: "an answer of two lengths is refused",
        lines: "Cache-Control: max-age=3600\r\nContent-Length: 5\r\nContent-Length: 12\r\n",
        rest: "hello, world",
    },
    Untrusted {
        id: "own-two-lengths-listed",
        says: "an answer of two lengths in one line is refused",
        lines: "Cache-Control: max-age=3600\r\nContent-Length: 5, 12\r\n",
        rest: "hello, world",
    },
    Untrusted {
        id: "own-length-no-number",
        says: "an answer with a length that is no number is refused",
        lines: "Cache-Control: max-age=3600\r\nContent-Length: 5x\r\n",
        rest: "hello",
    },
    Untrusted {
        id: "own-length-signed",
        says: "an answer with a signed length is refused",
        lines: "Cache-Control: max-age=3600\r\nContent-Length: +5\r\n",
        rest: "hello",
    },
];

fn untrusted(row: &Untrusted) -> Case {
    let first = Step::get().raw_then_close(row.lines, row.rest);
    Case::required(row.id, row.says).steps([first.refused(), Step::get().by_origin()])
}

fn whole() -> Vec<Case> {
    let case = |id: &str, says: &str, lines: &'static str, rest: &'static str| {
        let first = Step::get().raw_then_close(lines, rest);
        let again = Step::get().by_store().wants_body("hello, world");
        Case::optional(id, says).steps([first.wants_body("hello, world"), again])
    };
    vec![
        case(
            "own-chunks",
            "an answer in chunks is stored",
            CHUNKED,
            "5\r\nhello\r\n7\r\n, world\r\n0\r\n\r\n",
        ),
        case(
            "own-chunk-extension",
            "an answer with extensions of its chunks is stored without them",
            CHUNKED,
            "5;a=b\r\nhello\r\n7;c\r\n, world\r\n0;d=\"e\"\r\n\r\n",
        ),
        case(
            "own-trailers",
            "an answer with trailers is stored",
            CHUNKED,
            "c\r\nhello, world\r\n0\r\nA-Trailer: 1\r\n\r\n",
        ),
        case(
            "own-until-close",
            "an answer that ends with the connection is passed on, and reused",
            FRESH,
            "hello, world",
        ),
    ]
}

/// RFC 9112 §6.3: the chunks count, or the answer is refused; never the length.
fn both_framings() -> Case {
    let lines = "Cache-Control: no-store\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n";
    let first = Step::get().raw_then_close(lines, "c\r\nhello, world\r\n0\r\n\r\n");
    Case::required(
        "own-both-framings",
        "of chunks and a length, the chunks count, or the answer is refused",
    )
    .steps([
        first.wants_body("hello, world").may_be_refused(),
        Step::get().by_origin(),
    ])
}

const FORGED: &str =
    "HTTP/1.1 200 OK\r\nCache-Control: max-age=3600\r\nContent-Length: 6\r\n\r\nforged";

/// The connection stays open: whoever uses it again reads the rest as the answer to another request.
fn excess() -> Vec<Case> {
    let after = |id: &str, says: &str, first: Step| {
        let other = |tail| Step::get().tail(tail).by_origin();
        Case::required(id, says).steps([first, other("/one"), other("/two"), other("/three")])
    };
    let long = concat!(
        "hello",
        "HTTP/1.1 200 OK\r\nCache-Control: max-age=3600\r\nContent-Length: 6\r\n\r\nforged"
    );
    vec![
        after(
            "own-excess-after-length",
            "what follows the announced length is not the answer to another request",
            Step::get()
                .raw("Cache-Control: no-store\r\nContent-Length: 5\r\n", long)
                .wants_body("hello"),
        ),
        after(
            "own-excess-after-204",
            "what follows a 204 is not the answer to another request",
            Step::get()
                .status(204, "No Content")
                .raw("Cache-Control: no-store\r\n", FORGED),
        ),
        after(
            "own-excess-after-head",
            "what follows the answer to a HEAD is not the answer to another request",
            Step::asks("HEAD").raw("Cache-Control: no-store\r\nContent-Length: 5\r\n", FORGED),
        ),
    ]
}

/// An origin that closes the connection may have seen the request.
fn not_repeated() -> Vec<Case> {
    let closing = |step: Step| step.silent().any_status().any_body().may_be_refused();
    let post = closing(Step::asks("POST").with_body("abc"));
    vec![
        Case::required(
            "own-post-once",
            "a POST is not sent again when the origin closes the connection",
        )
        .steps([post, Step::get().by_origin()]),
        Case::check(
            "own-get-once",
            "a GET is not sent again when the origin closes the connection",
        )
        .steps([closing(Step::get()), Step::get().by_origin()]),
    ]
}
