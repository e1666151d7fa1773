//! How a load comes to own what its function borrows.
//!
//! A load may outlive the caller that began it, so it can't borrow from it: the expansion copies what
//! is borrowed before the load begins, and lends the copies inside.
//!
//! Must not: know caches.

use std::borrow::{Borrow, Cow};

/// `&T`, for a load: `&str` as a `String`, `&[T]` as a `Vec`, any other `T` by `Clone`.
pub fn copied<T: ToOwned + ?Sized>(borrowed: &T) -> T::Owned {
    borrowed.to_owned()
}

/// `&self`, for a load.
pub fn copied_self<T>(this: &T) -> T
where
    Load: Owns<T>,
{
    Load::copied(this)
}

/// A load, as one that owns.
pub enum Load {}

/// What a load can own of a `&self`.
#[diagnostic::on_unimplemented(
    message = "a cached method can't borrow a `{T}`, which is not `Clone`",
    label = "borrowed here",
    note = "a load may outlive the caller that began it, so it owns a copy of `self`",
    note = "derive `Clone` for `{T}` (cheap when its fields are handles), or take `self: Arc<Self>`"
)]
pub trait Owns<T> {
    /// The copy.
    fn copied(this: &T) -> T;
}

#[diagnostic::do_not_recommend]
impl<T: Clone> Owns<T> for Load {
    fn copied(this: &T) -> T {
        this.clone()
    }
}

/// A type that borrows without being a reference, such as `Option<&str>`.
#[diagnostic::on_unimplemented(
    message = "a cached function can't take `{Self}`, which borrows",
    label = "borrows from the caller",
    note = "a load may outlive the caller that began it; `&T`, `Option<&T>`, `Vec<&T>` and `Cow<T>` are copied for it, anything else must be owned"
)]
pub trait Borrowing {
    /// The owned form; its `lend` gives the borrowing one back.
    type Kept: 'static;

    /// Copies what is borrowed.
    fn keep(self) -> Self::Kept;
}

/// An `Option<&T>`, owned.
pub struct KeptOption<T: ToOwned + ?Sized>(Option<T::Owned>);

impl<T: ToOwned<Owned: 'static> + ?Sized + 'static> Borrowing for Option<&T> {
    type Kept = KeptOption<T>;

    fn keep(self) -> KeptOption<T> {
        KeptOption(self.map(ToOwned::to_owned))
    }
}

impl<T: ToOwned + ?Sized> KeptOption<T> {
    /// As it was taken.
    pub fn lend(&self) -> Option<&T> {
        self.0.as_ref().map(Borrow::borrow)
    }
}

/// A `Vec<&T>`, owned.
pub struct KeptVec<T: ToOwned + ?Sized>(Vec<T::Owned>);

impl<T: ToOwned<Owned: 'static> + ?Sized + 'static> Borrowing for Vec<&T> {
    type Kept = KeptVec<T>;

    fn keep(self) -> KeptVec<T> {
        KeptVec(self.into_iter().map(ToOwned::to_owned).collect())
    }
}

impl<T: ToOwned + ?Sized> KeptVec<T> {
    /// As it was taken.
    pub fn lend(&self) -> Vec<&T> {
        self.0.iter().map(Borrow::borrow).collect()
    }
}

/// A `Cow<T>`, owned.
pub struct KeptCow<T: ToOwned + ?Sized>(T::Owned);

impl<T: ToOwned<Owned: 'static> + ?Sized + 'static> Borrowing for Cow<'_, T> {
    type Kept = KeptCow<T>;

    fn keep(self) -> KeptCow<T> {
        KeptCow(self.into_owned())
    }
}

impl<T: ToOwned + ?Sized> KeptCow<T> {
    /// As it was taken.
    pub fn lend(&self) -> Cow<'_, T> {
        Cow::Borrowed(self.0.borrow())
    }
}
