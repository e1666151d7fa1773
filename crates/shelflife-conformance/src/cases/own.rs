//! What the public collection does not ask: origins that are odd or broken, fields of one connection, URLs that
//! only look alike, conditions and ranges in more of their forms.

mod alike;
mod framing;
mod heads;
mod reuse;

use crate::case::Group;

pub(super) fn group() -> Group {
    let mut cases = framing::cases();
    cases.extend(heads::cases());
    cases.extend(alike::cases());
    cases.extend(reuse::cases());
    Group {
        name: "our own",
        about: "Odd and broken origins, fields of one connection, URLs that only look alike.",
        rule: "RFC 9112; RFC 9111 §3.1, §3.3; RFC 9110 §13, §14",
        cases: cases.into_iter().map(crate::case::Case::own).collect(),
    }
}
