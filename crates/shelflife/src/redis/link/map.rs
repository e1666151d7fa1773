//! The map of a cluster: which node has which slots, by what a node tells. Pure.
//!
//! Specification: <https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/>.

/// How many slots there are.
pub(super) const SLOTS: u16 = 16_384;

/// The slot of a key: of what stands between its first `{` and the next `}`, if that is something; else of all of it.
pub(super) fn slot_of(key: &str) -> u16 {
    let key = key.as_bytes();
    let tag = || {
        let open = key.iter().position(|&b| b == b'{')?;
        let inner = &key[open + 1..];
        let close = inner.iter().position(|&b| b == b'}')?;
        (close > 0).then(|| &inner[..close])
    };
    crc16(tag().unwrap_or(key)) % SLOTS
}

/// CRC-16/XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, &byte| {
        (crc << 8) ^ TABLE[usize::from((crc >> 8) ^ u16::from(byte))]
    })
}

const TABLE: [u16; 256] = {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let mut crc = (at as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 == 0 {
                crc << 1
            } else {
                (crc << 1) ^ 0x1021
            };
            bit += 1;
        }
        table[at] = crc;
        at += 1;
    }
    table
};

/// A node as one of them knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    /// Host and port.
    pub(super) place: (String, u16),
    /// The same by its IP, or by its name, where it has one: redirections may tell it so.
    pub(super) also: Option<(String, u16)>,
    /// Whether it is a primary that lives, as far as is known.
    pub(super) is_primary: bool,
    /// From and to, both included.
    pub(super) slots: Vec<(u16, u16)>,
    /// Of a primary that has none now, those that it had last.
    pub(super) had: Vec<(u16, u16)>,
    /// Whether it has told that a slot of its own comes or goes.
    pub(super) is_moving: bool,
    /// Its configuration's epoch: who knows of a later one knows better.
    pub(super) epoch: u64,
}

/// Of `CLUSTER NODES` every node that can be reached: `asked` is the host that told, which may not know its own
/// name. What can't be read is left out.
pub(super) fn parse(text: &str, asked: &str, by_name: bool) -> Vec<Known> {
    text.lines()
        .filter_map(|line| node(line, asked, by_name))
        .collect()
}

/// `<id> <ip:port@bus[,name]> <flags> <primary> <ping> <pong> <epoch> <link> <slot> …`
fn node(line: &str, asked: &str, by_name: bool) -> Option<Known> {
    let mut words = line.split_ascii_whitespace().skip(1);
    let (address, flags) = (words.next()?, words.next()?);
    let (address, names) = address.split_once(',').unwrap_or((address, ""));
    let (host, port) = address.split('@').next()?.rsplit_once(':')?;
    let port: u16 = port.parse().ok()?;
    let name = names.split(',').next().filter(|name| !name.is_empty());
    let ip = match host {
        "" | "?" => asked,
        host => host.trim_start_matches('[').trim_end_matches(']'),
    };
    let name = name.map(|name| if name == "?" { asked } else { name });
    let (host, also) = match name {
        None => (ip, None),
        Some(name) if by_name => (name, Some(ip)),
        Some(name) => (ip, Some(name)),
    };
    let also = also.map(|also| (also.to_owned(), port));
    let has = |flag: &str| flags.split(',').any(|f| f == flag);
    if has("handshake") {
        return None;
    }
    // Somebody else is where it was. What slots it has are its own all the same: nobody else has been given them.
    let is_nowhere = has("noaddr") || port == 0;
    let epoch = words
        .nth(3)
        .and_then(|epoch| epoch.parse().ok())
        .unwrap_or(0);
    let (mut own, mut is_moving) = (Vec::new(), false);
    for slot in words.skip(1) {
        if slot.starts_with('[') {
            is_moving = true;
            continue;
        }
        let (from, to) = slot.split_once('-').unwrap_or((slot, slot));
        let (from, to) = (from.parse().ok()?, to.parse().ok()?);
        if from <= to && to < SLOTS {
            own.push((from, to));
        }
    }
    if is_nowhere && own.is_empty() {
        return None;
    }
    Some(Known {
        place: (host.to_owned(), port),
        also,
        is_primary: has("master") && !has("fail") && !is_nowhere,
        slots: own,
        had: Vec::new(),
        is_moving,
        epoch,
    })
}

/// How many slots somebody has, be it one that has failed.
pub(super) fn given_out(told: &[Known]) -> usize {
    let all = told.iter().flat_map(|known| &known.slots);
    all.map(|&(from, to)| usize::from(to - from) + 1).sum()
}

pub(super) fn epoch(told: &[Known]) -> u64 {
    told.iter().map(|known| known.epoch).max().unwrap_or(0)
}

/// Whether it is told who has what: a node that is in no cluster knows of itself alone.
pub(super) fn has_slots(told: &[Known]) -> bool {
    told.iter()
        .any(|known| known.is_primary && !known.slots.is_empty())
}

/// Keeps which slots a primary had that has none now: for a while one may still be told of as a primary that has been
/// replaced.
pub(super) fn remember_slots(before: &[Known], now: &mut [Known]) {
    let without = |known: &&mut Known| known.is_primary && known.slots.is_empty();
    for known in now.iter_mut().filter(without) {
        let last = before.iter().find(|last| last.place == known.place);
        known.had = last.map_or_else(Vec::new, |last| match last.slots.is_empty() {
            true => last.had.clone(),
            false => last.slots.clone(),
        });
    }
}

/// Whether a primary lives no more as one, and another has the slots that it has, or had last.
pub(super) fn someone_took_over(before: &[Known], now: &[Known]) -> bool {
    let lives = |known: &Known| {
        now.iter()
            .any(|other| other.is_primary && other.place == known.place)
    };
    let overlaps = |a: &[(u16, u16)], b: &[(u16, u16)]| {
        a.iter().any(|(from, to)| {
            b.iter()
                .any(|(other_from, other_to)| from <= other_to && other_from <= to)
        })
    };
    before.iter().filter(|known| !lives(known)).any(|lost| {
        let mut primaries = now.iter().filter(|known| known.is_primary);
        primaries
            .any(|known| overlaps(&known.slots, &lost.slots) || overlaps(&known.slots, &lost.had))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        // The specification's own example, and what `CLUSTER KEYSLOT` says.
        assert_eq!(crc16(b"123456789"), 0x31C3);
        assert_eq!(slot_of("foo"), 12_182);
        assert_eq!(slot_of("sl1:{shop}:clock"), slot_of("sl1:{shop}:t:users:*"));
        assert_eq!(
            slot_of("{user1000}.following"),
            slot_of("{user1000}.followers")
        );
        assert_eq!(slot_of("foo{}{bar}"), crc16(b"foo{}{bar}") % SLOTS);
        assert_eq!(slot_of("foo{{bar}}zap"), slot_of("{bar"));
        assert_eq!(slot_of("foo{bar}{zap}"), slot_of("bar"));
    }

    #[test]
    fn nodes_are_read_as_they_are_told() {
        let text = "\
07c37dfeb235213a872192d90877d0cd55635b91 127.0.0.1:30004@31004,n4.example slave e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca 0 1426238317239 4 connected
67ed2db8d677e59ec4a4cefb06858cf2a1a89fa1 127.0.0.1:30002@31002 master - 0 1426238316232 2 connected 5461-10922
e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca :30001@31001 myself,master - 0 0 1 connected 0-5459 5460 [93->-292f8b365bb7edb5e285caf0b7e6ddc7265d2f4f]
a7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca 127.0.0.1:30009@31001 master,fail - 0 0 1 connected
b7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca :0@0 master,noaddr - 0 0 1 disconnected
c7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca :0@0 master,noaddr - 0 0 1 disconnected 10923-16383
nonsense
";
        let all = parse(text, "asked", true);
        let short: Vec<_> = all
            .iter()
            .map(|n| {
                (
                    n.place.0.as_str(),
                    n.place.1,
                    n.is_primary,
                    n.slots.clone(),
                    n.is_moving,
                )
            })
            .collect();
        assert_eq!(
            short,
            [
                ("n4.example", 30_004, false, vec![], false),
                ("127.0.0.1", 30_002, true, vec![(5461, 10_922)], false),
                ("asked", 30_001, true, vec![(0, 5459), (5460, 5460)], true),
                ("127.0.0.1", 30_009, false, vec![], false),
                ("asked", 0, false, vec![(10_923, 16_383)], false),
            ]
        );
        assert_eq!(all[1].epoch, 2);
        assert_eq!(all[0].also, Some(("127.0.0.1".to_owned(), 30_004)));
        assert_eq!(all[1].also, None);
        let by_ip = &parse(text, "asked", false)[0];
        let also = Some(("n4.example".to_owned(), 30_004));
        assert_eq!((&*by_ip.place.0, &by_ip.also), ("127.0.0.1", &also));
        for broken in [
            "",
            "a",
            "a b c",
            "a x:1 master - 0 0 1 connected 5-x",
            "a x:1 m - 0 0 1 c 9-99999",
        ] {
            assert!(
                parse(broken, "h", true).iter().all(|n| n.slots.is_empty()),
                "{broken}"
            );
        }
    }

    fn known(port: u16, is_primary: bool, slots: &[(u16, u16)]) -> Known {
        Known {
            place: ("h".to_owned(), port),
            is_primary,
            also: None,
            slots: slots.to_vec(),
            had: Vec::new(),
            is_moving: false,
            epoch: 1,
        }
    }

    #[test]
    fn a_primary_is_followed_by_another_only_when_it_lives_no_more() {
        let before = [known(1, true, &[(0, 99)]), known(2, true, &[(100, 199)])];
        let migrated = [known(1, true, &[]), known(2, true, &[(0, 199)])];
        assert!(
            !someone_took_over(&before, &migrated),
            "a slot that moved loses nothing"
        );
        let down = [known(1, false, &[(0, 99)]), known(2, true, &[(100, 199)])];
        assert!(
            !someone_took_over(&before, &down),
            "nobody has its slots yet"
        );
        let promoted = [
            known(1, false, &[]),
            known(2, true, &[(100, 199)]),
            known(3, true, &[(0, 99)]),
        ];
        assert!(someone_took_over(&down, &promoted));
        assert!(someone_took_over(&before, &promoted));
        assert!(
            someone_took_over(&before, &promoted[1..]),
            "it has been forgotten"
        );
        assert!(!someone_took_over(&[], &promoted), "the first look");
    }

    #[test]
    fn a_takeover_counts_once_though_the_old_primary_passes_for_one_for_a_while() {
        let told = [
            vec![known(1, true, &[(0, 99)]), known(3, false, &[])],
            vec![known(1, true, &[]), known(3, true, &[(0, 99)])],
            vec![known(1, true, &[]), known(3, true, &[(0, 99)])],
            vec![known(1, false, &[]), known(3, true, &[(0, 99)])],
            vec![known(1, false, &[]), known(3, true, &[(0, 99)])],
        ];
        let (mut before, mut counted) = (Vec::new(), Vec::new());
        for mut now in told {
            remember_slots(&before, &mut now);
            counted.push(someone_took_over(&before, &now));
            before = now;
        }
        assert_eq!(counted, [false, false, false, true, false]);
    }
}
