//! Why a request was refused before anybody was asked.

use http::StatusCode;

/// A request that is not answered but refused. The connection ends with it: what follows on it cannot be
/// trusted to be a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A line ended with LF alone, or had a CR that ended none.
    BareLineEnd,
    /// The request line is not one.
    RequestLine,
    /// Not HTTP/1.0 or 1.1.
    Version,
    /// A field line is malformed: space before the colon, folded, or a byte that no field may have.
    FieldLine,
    /// More fields than allowed.
    TooManyFields,
    /// The head is longer than allowed.
    HeadTooLarge,
    /// The target is longer than allowed.
    TargetTooLong,
    /// The target is malformed, or has user information or a fragment.
    Target,
    /// No Host, several, or a malformed one.
    Host,
    /// Content-Length that is not one number.
    ContentLength,
    /// Content-Length and Transfer-Encoding.
    BothLengths,
    /// Transfer-Encoding that does not end with chunked, or in HTTP/1.0.
    TransferEncoding,
    /// A transfer coding other than chunked.
    Coding,
    /// An expectation that is not 100-continue.
    Expectation,
    /// The body's chunks are malformed.
    Chunk,
    /// The head did not come in time.
    HeadTimeout,
}

impl Refusal {
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Refusal::BareLineEnd
            | Refusal::RequestLine
            | Refusal::FieldLine
            | Refusal::Target
            | Refusal::Host
            | Refusal::ContentLength
            | Refusal::BothLengths
            | Refusal::TransferEncoding
            | Refusal::Chunk => StatusCode::BAD_REQUEST,
            Refusal::TooManyFields | Refusal::HeadTooLarge => {
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
            }
            Refusal::TargetTooLong => StatusCode::URI_TOO_LONG,
            Refusal::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Refusal::Coding => StatusCode::NOT_IMPLEMENTED,
            Refusal::Expectation => StatusCode::EXPECTATION_FAILED,
            Refusal::HeadTimeout => StatusCode::REQUEST_TIMEOUT,
        }
    }

    /// A sentence for the client.
    pub(crate) fn detail(self) -> &'static str {
        match self {
            Refusal::BareLineEnd => "a line does not end with CR LF",
            Refusal::RequestLine => "the request line is malformed",
            Refusal::Version => "the version is not HTTP/1.0 or HTTP/1.1",
            Refusal::FieldLine => "a header field is malformed",
            Refusal::TooManyFields => "there are too many header fields",
            Refusal::HeadTooLarge => "the header section is too large",
            Refusal::TargetTooLong => "the request target is too long",
            Refusal::Target => "the request target is malformed",
            Refusal::Host => "the Host field is missing, repeated or malformed",
            Refusal::ContentLength => "Content-Length is not a single number",
            Refusal::BothLengths => "the request has both Content-Length and Transfer-Encoding",
            Refusal::TransferEncoding => "Transfer-Encoding is malformed",
            Refusal::Coding => "the only transfer coding understood is chunked",
            Refusal::Expectation => "the only expectation understood is 100-continue",
            Refusal::Chunk => "the chunked body is malformed",
            Refusal::HeadTimeout => "the header section did not come in time",
        }
    }
}
