//! axum: a handler's word on its response as a part of it.

use std::convert::Infallible;

use axum::response::{IntoResponseParts, ResponseParts};

use super::Store;

/// ```
/// use axum::{Json, response::IntoResponse};
/// use shelflife::tower::Store;
///
/// async fn answer() -> impl IntoResponse {
///     (Store::ttl("5m").tag("answers"), Json(42))
/// }
/// ```
impl IntoResponseParts for Store {
    type Error = Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Infallible> {
        parts.extensions_mut().insert(self);
        Ok(parts)
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;

    use super::*;

    #[test]
    fn a_handler_returns_it_beside_its_body() {
        let store = Store::ttl("5m").tag("answers");
        let response = (store.clone(), "42").into_response();
        assert_eq!(response.extensions().get::<Store>(), Some(&store));
    }
}
