//! Which rights a user needs, and how what the server says of them is read.

use super::*;

#[test]
fn rights_are_read_command_by_command_and_kind_by_kind() {
    let names = crate::redis::names::Names::of("shop");
    let checks = Checks::of(&names, &Place::default());
    let commands = checks.commands();
    let all: String = commands.iter().map(|_| 'y').collect();
    let none: String = commands.iter().map(|_| 'n').collect();
    let said = |may: &dyn Fn(&[&str]) -> bool| -> String {
        commands
            .iter()
            .map(|c| if may(c) { 'y' } else { 'n' })
            .collect()
    };
    let everything = checks.read(&all).unwrap();
    assert!(everything.missing.is_empty() && everything.unreachable.is_empty());
    assert!(everything.reaches_others && everything.dangerous.contains(&"flushall"));
    let nothing = checks.read(&none).unwrap();
    assert_eq!(nothing.missing, nothing.needed);
    assert_eq!(nothing.unreachable, checks.patterns);
    let no_set = checks.read(&said(&|c| c[0] != "SET")).unwrap();
    assert_eq!((no_set.missing, no_set.unreachable.len()), (vec!["set"], 0));
    let no_tags = checks
        .read(&said(&|c| !c.iter().any(|word| word.contains(":t:"))))
        .unwrap();
    assert_eq!(no_tags.unreachable, ["~sl1:{shop}:t:*"]);
    assert!(no_tags.missing.is_empty());
    assert!(checks.read("yyy").is_none() && checks.read("").is_none());
    // Redis 7.0 knows no CLIENT SETINFO.
    let older = checks.read(&format!("?{}", &all[1..])).unwrap();
    assert!(!older.needed.contains(&"client|setinfo") && older.missing.is_empty());
}

#[test]
fn what_is_needed_is_what_the_acl_file_gives() {
    let file = include_str!("../../../../../../deploy/redis/users.acl");
    let line = file
        .lines()
        .find(|line| line.starts_with("user shelflife "))
        .unwrap();
    let granted: BTreeSet<_> = line
        .split_whitespace()
        .filter_map(|word| word.trim_start_matches("@cluster@").strip_prefix('+'))
        .collect();
    let node = Place {
        of_a_cluster: true,
        ..Place::default()
    };
    let checks = Checks::of(&crate::redis::names::Names::of("shop"), &node);
    let all: String = checks.commands().iter().map(|_| 'y').collect();
    let rights = checks.read(&all).unwrap();
    let needed: BTreeSet<_> = rights.needed.into_iter().collect();
    assert_eq!(needed, granted);
    for pattern in &checks.patterns {
        assert!(
            line.contains(&pattern.replace("shop", "@namespace@")),
            "{pattern}"
        );
    }
}

#[test]
fn another_database_needs_a_right_of_its_own() {
    let place = Place {
        db: 2,
        ..Place::default()
    };
    let checks = Checks::of(&crate::redis::names::Names::of("shop"), &place);
    let may = |words: &Vec<&str>| if words[0] == "SELECT" { 'n' } else { 'y' };
    let said: String = checks.commands().iter().map(may).collect();
    let rights = checks.read(&said).unwrap();
    assert_eq!(rights.missing, ["select"]);
}
