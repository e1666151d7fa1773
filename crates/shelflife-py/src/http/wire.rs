//! Between ASGI's messages and HTTP's types.

use std::fmt::Write as _;

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};
use shelflife::tower::by_hand;

use super::Head;

/// The head of the request of an `http` scope. `None` for one that HTTP does not know: it is not for a cache.
pub(super) fn parts_of(scope: &Bound<'_, PyDict>) -> PyResult<Option<Parts>> {
    let py = scope.py();
    let Some(method) = scope.get_item(intern!(py, "method"))? else {
        return Ok(None);
    };
    let method = Method::from_bytes(method.cast::<PyString>()?.to_str()?.as_bytes());
    let (Some(target), Ok(method)) = (target(scope)?, method) else {
        return Ok(None);
    };
    let Some(fields) = scope.get_item(intern!(py, "headers"))? else {
        return Ok(None);
    };
    let mut headers = HeaderMap::new();
    for field in fields.try_iter()? {
        let (name, value) = pair(&field?)?;
        match read_field(&name, &value) {
            Some((name, value)) => headers.append(name, value),
            // What HTTP can't read tells nobody apart that it could; but a request that changes something has to be known for one.
            None if !method.is_safe() => continue,
            None => return Ok(None),
        };
    }
    let (mut parts, ()) = Request::new(()).into_parts();
    if let Some(scheme) = scope.get_item(intern!(py, "scheme"))?
        && let scheme = scheme.cast::<PyString>()?.to_str()?
        && scheme != "http"
        && let Ok(scheme) = scheme.parse()
    {
        by_hand::by_scheme(&mut parts, scheme);
    }
    parts.method = method;
    parts.uri = target;
    parts.headers = headers;
    Ok(Some(parts))
}

/// Path and query as they came, or, of a server that doesn't tell, as they would have.
fn target(scope: &Bound<'_, PyDict>) -> PyResult<Option<Uri>> {
    let py = scope.py();
    let mut target = Vec::with_capacity(64);
    let path = scope.get_item(intern!(py, "path"))?;
    let path = match &path {
        Some(path) => path.cast::<PyString>()?.to_str()?,
        None => "",
    };
    let raw = scope.get_item(intern!(py, "raw_path"))?;
    let raw = raw.as_ref().and_then(|raw| raw.cast::<PyBytes>().ok());
    match raw.map(|raw| raw.as_bytes()) {
        Some(raw) if is_quoted_of(raw, path) => target.extend_from_slice(raw),
        // Not told, or rewritten since: the application goes by the path.
        _ => {
            let mut quoted = String::with_capacity(path.len());
            for byte in path.bytes() {
                match byte {
                    b'%'
                    | b'?'
                    | b'#'
                    | b'"'
                    | b'<'
                    | b'>'
                    | b'\\'
                    | b'^'
                    | b'`'
                    | b'{'
                    | b'|'
                    | b'}'
                    | 0..=32
                    | 127.. => {
                        let _ = write!(quoted, "%{byte:02X}");
                    }
                    _ => quoted.push(char::from(byte)),
                }
            }
            target.extend_from_slice(quoted.as_bytes());
        }
    }
    if let Some(query) = scope.get_item(intern!(py, "query_string"))? {
        let query = query.cast::<PyBytes>()?.as_bytes();
        if !query.is_empty() {
            target.push(b'?');
            target.extend_from_slice(query);
        }
    }
    Ok(Uri::from_maybe_shared(bytes::Bytes::from(target)).ok())
}

/// Whether bytes of a URL stand for a path.
fn is_quoted_of(raw: &[u8], path: &str) -> bool {
    if raw == path.as_bytes() {
        return true;
    }
    let (mut path, mut raw) = (path.bytes(), raw.iter().copied());
    while let Some(byte) = raw.next() {
        let byte = match byte {
            b'%' => {
                let digits = [raw.next(), raw.next()];
                let mut digits = digits
                    .into_iter()
                    .map(|digit| char::from(digit?).to_digit(16));
                match (digits.next().flatten(), digits.next().flatten()) {
                    (Some(high), Some(low)) => u8::try_from(high << 4 | low).unwrap_or_default(),
                    _ => return false,
                }
            }
            byte => byte,
        };
        if path.next() != Some(byte) {
            return false;
        }
    }
    path.next().is_none()
}

/// Any two things together: a specification says "iterable", and applications believe it.
pub(super) fn pair<'py>(
    field: &Bound<'py, PyAny>,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    if let Ok(pair) = field.extract() {
        return Ok(pair);
    }
    let mut of = field.try_iter()?;
    match (of.next(), of.next(), of.next()) {
        (Some(name), Some(value), None) => Ok((name?, value?)),
        _ => Err(PyValueError::new_err(format!(
            "not a header field, which has a name and a value: {field:?}"
        ))),
    }
}

fn read_field(
    name: &Bound<'_, PyAny>,
    value: &Bound<'_, PyAny>,
) -> Option<(HeaderName, HeaderValue)> {
    // `bytes` almost always; the specification says "byte strings", and some send others.
    let name = name.extract::<std::borrow::Cow<'_, [u8]>>().ok()?;
    let value = value.extract::<std::borrow::Cow<'_, [u8]>>().ok()?;
    Some((
        HeaderName::from_bytes(&name).ok()?,
        HeaderValue::from_bytes(&value).ok()?,
    ))
}

/// The head of a response, as `http.response.start` has it.
///
/// # Errors
///
/// ValueError for what is no head: a server would not send it either.
pub(super) fn head(status: u16, fields: &Bound<'_, PyAny>) -> PyResult<Head> {
    let status = StatusCode::from_u16(status)
        .map_err(|_| PyValueError::new_err(format!("{status} is no HTTP status")))?;
    let mut headers = HeaderMap::new();
    for field in fields.try_iter()? {
        let (name, value) = pair(&field?)?;
        let (name, value) = read_field(&name, &value).ok_or_else(|| {
            PyValueError::new_err(format!("not a header field of HTTP: {name:?}, {value:?}"))
        })?;
        headers.append(name, value);
    }
    Ok((status, headers))
}

/// `http.response.start` of what is stored. Without `Date`: a server of ASGI writes its own, and how old the answer is stands in
/// `Age`.
pub(super) fn start_of_stored<'py>(
    py: Python<'py>,
    status: StatusCode,
    mut headers: HeaderMap,
) -> PyResult<Bound<'py, PyDict>> {
    headers.remove(http::header::DATE);
    start(py, status, &headers)
}

/// `http.response.start`.
pub(super) fn start<'py>(
    py: Python<'py>,
    status: StatusCode,
    headers: &HeaderMap,
) -> PyResult<Bound<'py, PyDict>> {
    let start = PyDict::new(py);
    start.set_item(intern!(py, "type"), intern!(py, "http.response.start"))?;
    start.set_item(intern!(py, "status"), status.as_u16())?;
    start.set_item(intern!(py, "headers"), fields(py, headers)?)?;
    Ok(start)
}

/// Fields, in ASGI's form.
pub(super) fn fields<'py>(py: Python<'py>, headers: &HeaderMap) -> PyResult<Bound<'py, PyList>> {
    PyList::new(
        py,
        headers.iter().map(|(name, value)| {
            (
                PyBytes::new(py, name.as_str().as_bytes()),
                PyBytes::new(py, value.as_bytes()),
            )
        }),
    )
}
