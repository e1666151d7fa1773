//! The function that `#[cached]` stands on.
//!
//! Reads its signature and refuses what can't be cached whatever the settings say. Must not: know the
//! settings.

use crate::{generics, mention};
use proc_macro2::TokenStream;
use quote::ToTokens as _;
use std::collections::BTreeSet;
use syn::ext::IdentExt as _;
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned as _;
use syn::{
    Attribute, FnArg, GenericParam, Ident, Pat, PatType, Receiver, ReceiverKind, ReturnType,
    Safety, Signature, Token, Type, Visibility,
};

/// A function, its signature read.
pub(crate) struct Function {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) sig: Signature,
    /// With its braces; never looked into.
    pub(crate) body: TokenStream,
    pub(crate) receiver: Option<Held>,
    pub(crate) args: Vec<Argument>,
    pub(crate) returns: Type,
}

pub(crate) struct Argument {
    pub(crate) ident: Ident,
    pub(crate) ty: Type,
    pub(crate) held: Held,
}

/// How a load comes to own an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// It is owned: it moves.
    Moved,
    /// `&T`: as `T::to_owned`, lent again.
    Copied,
    /// Something else that borrows, such as `Option<&T>`: by the support room's `Borrowing`.
    Kept,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let vis = input.parse()?;
        let sig: Signature = input.parse()?;
        if input.peek(Token![;]) {
            let message = "#[cached] needs a body; in a trait there is no place for its companions";
            return Err(syn::Error::new(sig.ident.span(), message));
        }
        refuse(&sig)?;
        let receiver = sig.receiver().map(receiver).transpose()?;
        let args = sig.inputs.iter().filter_map(|input| match input {
            FnArg::Receiver(_) => None,
            FnArg::Typed(typed) => Some(argument(typed)),
        });
        Ok(Function {
            attrs,
            vis,
            receiver,
            args: args.collect::<syn::Result<_>>()?,
            returns: returns(&sig)?,
            sig,
            body: input.parse()?,
        })
    }
}

impl Function {
    /// Const parameters: they may stand in a key like arguments.
    pub(crate) fn constants(&self) -> impl Iterator<Item = &Ident> {
        self.sig
            .generics
            .params
            .iter()
            .filter_map(|param| match param {
                GenericParam::Const(constant) => Some(&constant.ident),
                GenericParam::Type(_) | GenericParam::Lifetime(_) => None,
            })
    }

    /// A name that a companion's begins with: `r#move` has `move_key`.
    pub(crate) fn companion(&self, suffix: &str) -> Ident {
        let name = self.sig.ident.unraw();
        Ident::new(&format!("{name}_{suffix}"), self.sig.ident.span())
    }

    /// Whether the code speaks of `Self`.
    pub(crate) fn says_self(&self) -> bool {
        let tokens = [self.sig.to_token_stream(), self.body.clone()];
        mention::names(tokens.into_iter().collect()).contains("Self")
    }
}

fn refuse(sig: &Signature) -> syn::Result<()> {
    if sig.asyncness.is_none() {
        let message = "#[cached] needs an `async fn`: a load may have to wait";
        return Err(syn::Error::new(sig.fn_token.span, message));
    }
    if let Safety::Unsafe(token) = &sig.safety {
        return Err(syn::Error::new(
            token.span,
            "#[cached] can't call an `unsafe fn` on its own",
        ));
    }
    unkeyed_type_parameter(sig)
}

/// `fn get<T: Decode>(url: &str) -> T`: two types, one key.
fn unkeyed_type_parameter(sig: &Signature) -> syn::Result<()> {
    let taken: TokenStream = sig.inputs.iter().map(|i| i.to_token_stream()).collect();
    let taken: BTreeSet<_> = generics::narrowed(&sig.generics, taken)
        .params
        .iter()
        .map(generics::name)
        .collect();
    for param in sig.generics.type_params() {
        if !taken.contains(&param.ident.to_string()) {
            let message = format!(
                "`{0}` decides what is returned but is in no argument, so entries of different \
                 `{0}` would share a key; cache a function of one type that calls this one",
                param.ident
            );
            return Err(syn::Error::new(param.ident.span(), message));
        }
    }
    Ok(())
}

fn receiver(receiver: &Receiver) -> syn::Result<Held> {
    let exclusive = || {
        let message = "#[cached] can't lend `&mut self` to a load that may outlive the caller; \
                       take `&self` or `self`";
        syn::Error::new(receiver.self_token.span, message)
    };
    match &receiver.kind {
        ReceiverKind::Value => Ok(Held::Moved),
        ReceiverKind::Reference(_, _, None) => Ok(Held::Copied),
        ReceiverKind::Reference(_, _, Some(_)) => Err(exclusive()),
        ReceiverKind::Typed(_, ty) => match held(ty) {
            Ok(held) => Ok(held),
            Err(_) => Err(exclusive()),
        },
        _ => Err(syn::Error::new(
            receiver.span(),
            "#[cached] doesn't know this kind of `self`",
        )),
    }
}

fn argument(typed: &PatType) -> syn::Result<Argument> {
    let ident = match &*typed.pat {
        Pat::Ident(pat) if pat.by_ref.is_none() && pat.subpat.is_none() => pat.ident.clone(),
        other => {
            let message = "#[cached] passes arguments on by name: give this one a name and take \
                           it apart in the body";
            return Err(syn::Error::new(other.span(), message));
        }
    };
    Ok(Argument {
        ident,
        ty: (*typed.ty).clone(),
        held: held(&typed.ty)?,
    })
}

fn held(ty: &Type) -> syn::Result<Held> {
    match ty {
        Type::Reference(reference) if reference.mutability.is_some() => {
            let message = "#[cached] can't lend a `&mut` to a load that may outlive the caller; \
                           take a shared handle";
            Err(syn::Error::new(ty.span(), message))
        }
        Type::Reference(_) => Ok(Held::Copied),
        other if mention::borrows(other.to_token_stream()) => Ok(Held::Kept),
        _ => Ok(Held::Moved),
    }
}

fn returns(sig: &Signature) -> syn::Result<Type> {
    let ReturnType::Type(_, ty) = &sig.output else {
        let message = "#[cached] needs a return value: there is nothing to cache";
        return Err(syn::Error::new(sig.ident.span(), message));
    };
    if matches!(**ty, Type::ImplTrait(_)) {
        let message = "#[cached] needs a named return type: what is stored must be read back";
        return Err(syn::Error::new(ty.span(), message));
    }
    if mention::borrows(ty.to_token_stream()) {
        let message = "#[cached] needs an owned return type: a cached value outlives what a load \
                       borrowed";
        return Err(syn::Error::new(ty.span(), message));
    }
    Ok((**ty).clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use quote::quote;

    fn parsed(tokens: TokenStream) -> Result<Function, String> {
        syn::parse2(tokens).map_err(|e| e.to_string())
    }

    #[test]
    fn arguments_are_held_by_what_they_borrow() {
        let function = parsed(quote! {
            async fn f<'a, D: Db>(
                &self, db: &D, name: &'a str, mut n: u64, tag: Option<&str>,
                call: impl Fn(&str) -> bool, owner: Cow<'static, str>,
            ) -> u64 { n }
        })
        .expect("valid");
        use Held::{Copied, Kept, Moved};
        let held: Vec<_> = function.args.iter().map(|a| a.held).collect();
        assert_eq!(held, [Copied, Copied, Moved, Kept, Moved, Moved]);
        assert_eq!(function.receiver, Some(Copied));
    }

    #[test]
    fn receivers_are_held_like_arguments() {
        let receiver = |receiver: TokenStream| {
            parsed(quote!(async fn f(#receiver) -> u8 { 0 })).map(|f| f.receiver)
        };
        assert_eq!(receiver(quote!(self)), Ok(Some(Held::Moved)));
        assert_eq!(receiver(quote!(self: Arc<Self>)), Ok(Some(Held::Moved)));
        assert_eq!(receiver(quote!(self: &Arc<Self>)), Ok(Some(Held::Copied)));
        assert_eq!(receiver(quote!()), Ok(None));
        for exclusive in [quote!(&mut self), quote!(self: &mut Self)] {
            let why = receiver(exclusive).expect_err("refused");
            assert!(why.contains("can't lend `&mut self`"), "{why}");
        }
    }

    #[test]
    fn companions_are_named_after_it() {
        let function = parsed(quote!(
            async fn r#move(a: u8) -> u8 {
                a
            }
        ))
        .expect("valid");
        assert_eq!(function.companion("key"), "move_key");
    }

    #[test]
    fn what_cannot_be_cached_is_refused() {
        for (tokens, part) in [
            (
                quote!(
                    fn f() -> u8 {
                        0
                    }
                ),
                "needs an `async fn`",
            ),
            (
                quote!(
                    async unsafe fn f() -> u8 {
                        0
                    }
                ),
                "unsafe",
            ),
            (
                quote!(
                    async fn f() -> u8;
                ),
                "needs a body",
            ),
            (
                quote!(
                    async fn f() {}
                ),
                "needs a return value",
            ),
            (
                quote!(
                    async fn f() -> impl Copy {
                        0
                    }
                ),
                "named return type",
            ),
            (
                quote!(
                    async fn f(a: &str) -> &str {
                        a
                    }
                ),
                "owned return type",
            ),
            (
                quote!(
                    async fn f(a: &mut u8) -> u8 {
                        *a
                    }
                ),
                "can't lend a `&mut`",
            ),
            (
                quote!(
                    async fn f(Path(a): Path<u8>) -> u8 {
                        a
                    }
                ),
                "give this one a name",
            ),
            (
                quote!(
                    async fn f<T: Decode>(a: u8) -> T {
                        go(a)
                    }
                ),
                "`T` decides what is returned",
            ),
        ] {
            let why = parsed(tokens.clone()).err().unwrap_or_default();
            assert!(why.contains(part), "{tokens}: {why}");
        }
    }
}
