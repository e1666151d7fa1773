//! Receivers and arguments: what a load takes along.

use std::borrow::Cow;
use std::sync::Arc;

use shelflife::{Cache, KeyPart, cached};

use super::Source;

impl Source {
    /// Under a tenant's own name.
    #[cached(key = "{self.tenant}:{id}", cache = self.cache)]
    async fn of_tenant(&self, id: u64) -> u32 {
        u32::try_from(id).unwrap() * 100 + self.load()
    }

    #[cached(key = "shared:{self.tenant}", cache = self.cache)]
    async fn shared(self: Arc<Self>) -> u32 {
        self.load()
    }

    #[cached(key = "owned:{self.tenant}", cache = self.cache)]
    async fn owned(self) -> u32 {
        self.load()
    }

    #[cached(associated, namespace = "sources", cache = cache)]
    async fn made(cache: &Cache, tenant: &str) -> String {
        format!("{tenant} of {}", Self::new().tenant)
    }
}

#[tokio::test]
async fn methods_are_cached_with_what_the_key_says_of_self() {
    let acme = Source::new();
    let other = Source {
        tenant: "other",
        ..acme.clone()
    };
    assert_eq!(acme.of_tenant(1).await, 101);
    assert_eq!(acme.of_tenant(1).await, 101);
    assert_eq!(other.of_tenant(1).await, 102);
    assert_eq!(acme.of_tenant_key(1).as_str(), "acme:1");
    acme.of_tenant_invalidate(1).await.unwrap();
    assert_eq!(acme.of_tenant_peek(1).await, None);
    assert_eq!(other.of_tenant_peek(1).await, Some(102));
}

#[tokio::test]
async fn owned_receivers_and_functions_without_one_are_cached_too() {
    let source = Source::new();
    let shared = Arc::new(source.clone());
    assert_eq!(shared.clone().shared().await, 1);
    assert_eq!(shared.shared().await, 1);
    assert_eq!(source.clone().owned().await, 2);
    assert_eq!(source.clone().owned().await, 2);
    assert_eq!(Source::made(&source.cache, "x").await, "x of acme");
    assert_eq!(
        Source::made_peek(&source.cache, "x").await.as_deref(),
        Some("x of acme")
    );
}

/// Every way to borrow, in one signature.
#[cached(key = "{name}:{list.len()}:{maybe}:{cow}:{many.len()}:{part}", cache = source.cache)]
#[expect(clippy::too_many_arguments, reason = "one of each kind")]
async fn borrowed<P: KeyPart + Clone + Send + Sync + 'static>(
    source: &Source,
    name: &str,
    list: &[u8],
    maybe: Option<&str>,
    cow: Cow<'_, str>,
    many: Vec<&str>,
    part: &P,
    mut count: u32,
) -> String {
    count += source.load();
    let mut parts = vec![name, maybe.unwrap_or("-"), &cow];
    parts.extend(many);
    format!("{} {list:?} {count}", parts.join(" "))
}

#[tokio::test]
async fn borrowed_arguments_are_copied_for_the_load() {
    let source = Source::new();
    for _ in 0..2 {
        let name = String::from("n");
        let cow = Cow::Owned(String::from("c"));
        let answer = borrowed(
            &source,
            &name,
            &[1, 2],
            Some("m"),
            cow,
            vec!["x", "y"],
            &7_u8,
            10,
        )
        .await;
        assert_eq!(answer, "n m c x y [1, 2] 11");
    }
}
