//! What an unsafe request makes invalid, before its response is returned.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use shelflife_http::{QueryRule, invalidates, url_key};

use super::answer::through;
use super::body::CacheBody;
use super::facts::Facts;
use super::key::{tag_of_group, tag_of_url};
use super::layer::Config;
use crate::invalidation::Invalidation;
use crate::key::Tag;

/// An unsafe request under way. What becomes of it is not known until its response is there: dropped before, or failed,
/// it may have been carried out all the same, so its URL is invalidated.
pub(crate) struct Unsafe {
    config: Arc<Config>,
    facts: Facts,
    under_way: bool,
}

impl Unsafe {
    pub(crate) fn begin(config: Arc<Config>, facts: Facts) -> Self {
        Self {
            config,
            facts,
            under_way: true,
        }
    }

    /// Waits for the service, then for the invalidations that its response asks for. Who reads after the response has
    /// been seen, reads nothing older.
    pub(crate) async fn before_return<B, E>(
        mut self,
        answering: impl Future<Output = Result<Response<B>, E>>,
        said: Option<HeaderValue>,
    ) -> Result<Response<CacheBody<B>>, E> {
        let response = answering.await?;
        self.answered(response.status(), response.headers()).await;
        Ok(through(response, said))
    }

    /// The service has answered: carries out the invalidations that this asks for, before anybody sees the answer.
    pub(crate) async fn answered(&mut self, status: StatusCode, headers: &HeaderMap) {
        self.under_way = false;
        let what = self.named_by(status, headers);
        if !what.is_empty()
            && let Err(error) = self.config.cache.invalidate(what).await
        {
            // It is tried again while the process lives. The response tells of the request, which succeeded.
            let uri = &self.facts.uri;
            tracing::warn!(%error, %uri, "an unsafe request's invalidation is not confirmed");
        }
    }

    fn named_by(&self, status: StatusCode, headers: &HeaderMap) -> Invalidation {
        let named = invalidates(self.facts.request(), status, headers);
        let urls = named.urls.iter().map(|url| self.url_tag(url));
        let groups = named.groups.iter().map(|group| tag_of_group(group));
        Invalidation::new().tags(urls.chain(groups))
    }

    /// The tag of a URL as the rule for it writes the URL.
    fn url_tag(&self, url: &str) -> Tag {
        let config = &self.config;
        let path = url.find('/').map_or("/", |at| &url[at..]);
        let path = path.split_once('?').map_or(path, |(path, _)| path);
        let query = config
            .rules
            .find(&Method::GET, path)
            .map_or(&config.query, |rule| rule.query_rule());
        tag_of_url(&query.apply(url))
    }
}

impl Drop for Unsafe {
    fn drop(&mut self) {
        if !self.under_way {
            return;
        }
        let url = url_key(self.facts.request(), &QueryRule::default());
        let what = Invalidation::new().tag(self.url_tag(&url));
        self.config.cache.engine.invalidate_unattended(what);
    }
}
