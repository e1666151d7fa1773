//! `#[cached]`: the attribute that puts an async function behind the cache.
//!
//! ```text
//!   #[cached(...)] async fn …
//!        │ attr       what was written, each setting with its span
//!        │ function   what it was written on: arguments, receiver, return type
//!        ▼
//!      model          both joined and checked: key, tags, policy, what each placeholder names
//!        ▼
//!      expand         the function, its companions; each body is one call into the support room
//! ```
//!
//! Must not: emit behaviour. What a cached function does is written in `shelflife`'s support room
//! (`cached.rs`); here it is only decided with what it is called.

mod attr;
mod expand;
mod function;
mod generics;
mod mention;
mod model;
mod period;
mod template;

use proc_macro::TokenStream;

/// Caches what an async function or method returns.
///
/// ```
/// use shelflife::{Cache, cached};
/// # use shelflife::Error as ApiError;
/// # #[derive(Clone, serde::Serialize, serde::Deserialize)]
/// # struct User { id: u64 }
/// # #[derive(Clone)]
/// # struct Db;
/// # impl Db { async fn load(&self, id: u64) -> Result<User, ApiError> { Ok(User { id }) } }
///
/// #[cached(ttl = "5m", stale = "1h", key = "user:{id}", tags = ["users"])]
/// async fn user(db: &Db, id: u64) -> Result<User, ApiError> {
///     db.load(id).await
/// }
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// # let db = Db;
/// Cache::memory().install();
/// let first = user(&db, 42).await?;   // loads
/// let again = user(&db, 42).await?;   // answers from the cache
/// user_invalidate(42).await?;         // the next call loads again
/// assert!(user_peek(42).await.is_none());
/// # Ok::<_, ApiError>(()) }).unwrap();
/// ```
///
/// # Settings
///
/// | setting | meaning |
/// |---|---|
/// | `key = "user:{id}"` | the entry's name. A placeholder is an argument, `self` or a const parameter, with fields and method calls: `{user.id}`, `{name.to_lowercase()}`, `{self.tenant}`. `{{` and `}}` are braces. Two placeholders need a `:` between them |
/// | `namespace = "users"` | with `key`: its first level. Without: the key is `users:user(42)`, function and arguments |
/// | `skip(db, token)` | without `key` every argument is part of the key; these are not |
/// | `tags = ["user:{id}", "users"]` | names to invalidate by; placeholders as in `key` |
/// | `cache = expr` | a `Cache`, or an `Arc` or `Option` of one: an argument, a field of `self`. Default: the one given to `Cache::install` |
/// | `condition = expr` | a `bool` of the arguments; when false the function runs uncached and nothing is stored |
/// | `ttl`, `stale`, `negative_ttl`, `soft_timeout`, `hard_timeout`, `lease` | a duration: `"5m"`, `"1h30m"`, `"300ms"`, whole seconds (`300`), or an expression that yields a `Duration` |
/// | `early = 1.0`, `jitter = 0.1` | early refresh (XFetch's beta), and the share by which a ttl varies |
/// | `codec = expr`, `schema = 2` | how the value is written, and the version of its shape |
/// | `stale_on_error = true` | serve what is stored when the load fails |
/// | `cache_err = "10s"` | keep an `Err` too, for so long. What is stored is then the whole `Result`, so the error must be serde-serializable |
/// | `associated` | for a function of an `impl` block that takes no `self` |
///
/// Without `key` and `namespace` a function's key is `module::path::user(42)`; two functions of one name inside other functions' bodies share a module path and need a `key`. A method's type is
/// unknown to the attribute, so a method needs `key` or `namespace`; `self` is part of a key only where
/// a placeholder says so.
///
/// # What it returns
///
/// A `Result` (under any alias) caches only `Ok`, and its error must be `Clone + From<shelflife::Error>`,
/// so that every caller of a shared load can be told that it failed, timed out or panicked. Any other
/// type is a value and is cached as such, an `Option`'s `None` too (`negative_ttl` bounds it); a panic of
/// its load is a panic of its callers.
///
/// # Arguments
///
/// A load may outlive the caller that began it, so it owns what it needs: `&str`, `&[T]` and `&T` are
/// kept as `String`, `Vec<T>` and `T: Clone`, and `&self` needs `Self: Clone`. Owned arguments move.
///
/// # Companions
///
/// Of the same visibility, made beside `user`:
///
/// | | takes | |
/// |---|---|---|
/// | `user_key` | what the key mentions | the entry's key |
/// | `user_invalidate` | what key and cache mention | drops the entry |
/// | `user_peek` | what key and cache mention | what is stored, as `user` would return it; never loads |
/// | `user_refresh` | all arguments | loads now and stores |
/// | `user_uncached` | all arguments | the function as written |
///
/// # Limits
///
/// Not for functions in traits or in `impl Trait for …` blocks, where companions have no place, nor
/// for type parameters that only the return type mentions: two of them would share a key.
#[proc_macro_attribute]
pub fn cached(attr: TokenStream, item: TokenStream) -> TokenStream {
    cached_tokens(attr.into(), item.into())
        .unwrap_or_else(|error| error.into_compile_error())
        .into()
}

fn cached_tokens(
    attr: proc_macro2::TokenStream,
    item: proc_macro2::TokenStream,
) -> syn::Result<proc_macro2::TokenStream> {
    let function = syn::parse2(item)?;
    let attr = syn::parse2(attr)?;
    Ok(expand::expand(&model::Model::new(attr, function)?))
}
