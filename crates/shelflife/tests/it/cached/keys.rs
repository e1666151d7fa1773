//! Keys: no two argument lists, and no two functions, share an entry.

use shelflife::{Cache, KeyPart, cached};

mod one {
    #[shelflife::cached]
    pub(super) async fn find(id: u64, name: &str) -> u32 {
        let _ = (id, name);
        1
    }
}

mod two {
    #[shelflife::cached]
    pub(super) async fn find(id: u64, name: &str) -> u32 {
        let _ = (id, name);
        2
    }
}

#[test]
fn without_a_key_a_function_is_named_by_its_path_and_arguments() {
    let home = module_path!();
    assert_eq!(
        one::find_key(1, "a").as_str(),
        format!("{home}::one::find(1:a)")
    );
    assert_eq!(
        two::find_key(1, "a").as_str(),
        format!("{home}::two::find(1:a)")
    );
}

#[cached(namespace = "books", skip(cache), cache = cache)]
async fn books(cache: &Cache, author: &str, page: Option<u32>) -> String {
    format!("{author} {page:?}")
}

#[cached(namespace = "app", key = "books:{author}", cache = cache)]
async fn of_author(cache: &Cache, author: &str, _page: u32) -> String {
    author.to_owned()
}

#[test]
fn a_namespace_comes_first() {
    assert_eq!(books_key("a", Some(2)).as_str(), "books:books(a:2)");
    assert_eq!(of_author_key("a").as_str(), "app:books:a");
}

#[test]
fn arguments_with_colons_and_missing_ones_do_not_collide() {
    let keys = [
        books_key("a:1", None),
        books_key("a", Some(1)),
        books_key("a", None),
        books_key("None", None),
        books_key("", None),
        books_key("a)", None),
    ];
    for (i, one) in keys.iter().enumerate() {
        for other in &keys[i + 1..] {
            assert_ne!(one, other);
        }
    }
}

struct Person {
    name: String,
    tags: Vec<String>,
}

impl Person {
    fn initial(&self) -> char {
        self.name.chars().next().unwrap_or('?')
    }
}

#[cached(key = "{person.name.to_lowercase()}:{person.initial()}:{person.tags[0]}:{{x}}{n}")]
async fn of_person(person: std::sync::Arc<Person>, n: i64) -> u32 {
    let _ = (person, n);
    0
}

#[test]
fn placeholders_are_fields_and_method_calls() {
    let person = Person {
        name: "Ada".to_owned(),
        tags: vec!["x:y".to_owned()],
    };
    assert_eq!(
        of_person_key(person.into(), -7).as_str(),
        "ada:A:x%3Ay:%7Bx%7D-7"
    );
}

#[cached(key = "{N}:{part}")]
async fn generic<P: KeyPart + Send + 'static, const N: usize>(part: P) -> usize {
    drop(part);
    N
}

#[cached]
async fn all<const N: usize>() -> usize {
    N
}

#[tokio::test]
async fn const_parameters_are_part_of_the_key() {
    assert_eq!(generic_key::<_, 3>("a").as_str(), "3:a");
    assert!(all_key::<4>().as_str().ends_with("::all(4)"));
    assert_eq!(generic_uncached::<_, 3>(0_u8).await, 3);
}

#[cached(key = "{r#type}:{self_}")]
async fn r#match(r#type: &str, self_: bool) -> u32 {
    let _ = (r#type, self_);
    0
}

#[test]
fn raw_names_are_names() {
    assert_eq!(match_key("a", true).as_str(), "a:true");
}

#[tokio::test]
async fn the_cache_named_by_an_argument_is_asked() {
    let (one, other) = (Cache::memory(), Cache::memory());
    books(&one, "a", None).await;
    assert_eq!(books_peek(&one, "a", None).await.as_deref(), Some("a None"));
    assert_eq!(books_peek(&other, "a", None).await, None);
}
