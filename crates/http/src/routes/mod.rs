//! One file a resource: read the request, call the domain, answer.

mod apikeys;
mod base;
mod blobs;
mod catalog;
pub(crate) mod health;
mod login;
mod manifests;
mod metrics;
mod page;
mod referrers;
mod small_body;
mod tags;
mod token;
mod uploads;

use http::Method;

use crate::error::WireError;
use crate::request::{Answer, Request};
use crate::router::{NoRoute, Route};

/// Finds the handler.
pub(crate) async fn dispatch(route: Result<Route, NoRoute>, request: Request<'_>) -> Answer {
    let route = match route {
        Ok(route) => route,
        Err(NoRoute::Tag(why)) if request.method == Method::PUT => return Err(WireError::tag_invalid(why)),
        Err(why) => return Err(why.into()),
    };
    if !route.allows(request.method) {
        return Err(WireError::method_not_allowed(route.methods()));
    }
    request.visit.admit(&route, request.method)?;
    match &route {
        Route::Base => base::get(request).await,
        Route::Catalog => catalog::get(request).await,
        Route::Manifest(name, reference) => match *request.method {
            Method::PUT => manifests::put(request, name, reference).await,
            Method::DELETE => manifests::delete(request, name, reference).await,
            _ => manifests::get(request, name, reference).await,
        },
        Route::Blob(name, digest) => match *request.method {
            Method::DELETE => blobs::delete(request, name, digest).await,
            Method::HEAD => blobs::head(request, name, digest).await,
            _ => blobs::get(request, name, digest).await,
        },
        Route::Uploads(name) => uploads::post(request, name).await,
        Route::Upload(name, upload) => match *request.method {
            Method::PATCH => uploads::patch(request, name, upload).await,
            Method::PUT => uploads::put(request, name, upload).await,
            Method::DELETE => uploads::delete(request, name, upload).await,
            _ => uploads::get(request, name, upload).await,
        },
        Route::Tags(name) => tags::get(request, name).await,
        Route::Referrers(name, digest) => referrers::get(request, name, digest).await,
        Route::Token => token::answer(request).await,
        Route::ApiKeys => apikeys::answer(request).await,
        Route::Login => login::depart(request).await,
        Route::Callback(provider) => login::arrive(request, provider).await,
        Route::Logout => login::leave(request).await,
        Route::Live | Route::Started => Ok(health::alive()),
        Route::Ready => Ok(health::ready(request.app).await),
        Route::Metrics => Ok(metrics::get(request.app)),
    }
}
