//! What a person is told who has sent the form: a page without scripts, in the language of the form, and of the same length
//! whatever it says.

use std::sync::LazyLock;

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use marram_crypto::digest::Digest;

use super::{
    Problem,
    texts::{Language, Texts, source},
};
use crate::http::problem::RETRY_AFTER_S;

/// Length of every answer in bytes, in every language: padded with spaces, so that a watcher does not learn which it was.
pub const LEN: usize = 8192;

const STYLE: &str = include_str!("answer.css");

static POLICY: LazyLock<Option<HeaderValue>> = LazyLock::new(|| {
    let hash = BASE64_STANDARD.encode(Digest::of(STYLE.as_bytes()).as_bytes());
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; img-src data:; form-action 'none'; base-uri 'none'; \
         frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    );
    HeaderValue::try_from(policy).ok()
});

/// What became of a report, its receipt if it was taken, and in which language that is told.
pub(in crate::http) struct Answer {
    texts: &'static Texts,
    outcome: Result<String, Problem>,
}

impl Answer {
    pub(super) const fn new(Language(texts): Language, outcome: Result<String, Problem>) -> Self {
        Self { texts, outcome }
    }

    const fn status(&self) -> StatusCode {
        match &self.outcome {
            Ok(_) => StatusCode::CREATED,
            Err(problem) => problem.status(),
        }
    }

    fn html(&self) -> String {
        let Texts {
            language, direction, ..
        } = self.texts;
        let name = self.outcome.as_ref().map_or_else(Problem::name, |_| "received");
        let (title, said) = self.said(self.texts);
        let (more, note) = (self.more(), self.note());
        let mut html = format!(
            "<!doctype html>\n<html lang=\"{language}\" dir=\"{direction}\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"robots\" content=\"noindex\">\n\
             <title>{title}</title>\n<link rel=\"icon\" href=\"data:,\">\n<style>{STYLE}</style>\n</head>\n\
             <body>\n<main id=\"{name}\">\n<h1>{title}</h1>\n{said}{more}{note}</main>\n</body>\n</html>\n"
        );
        html.extend(std::iter::repeat_n(' ', LEN.saturating_sub(html.len())));
        html
    }

    /// A title, and paragraphs, in one language. Nothing in them comes from the request.
    fn said(&self, Texts { received, refused, .. }: &'static Texts) -> (&'static str, String) {
        let Err(problem) = &self.outcome else {
            let said = format!(
                "<p>{}</p>\n<p><strong>{}</strong></p>\n<p>{}</p>\n<p>{}</p>\n",
                received.taken, received.delete, received.words, received.again
            );
            return (&received.title, said);
        };
        let refusal = refused.by(problem);
        let said = format!(
            "<p>{}</p>\n<p>{}</p>\n<p>{}</p>\n",
            refusal.what, refused.nothing_stored, refusal.next
        );
        let said = match problem {
            Problem::TooLarge { limit } => said.replace("{limit}", &limit.to_string()),
            Problem::Busy => said.replace("{seconds}", RETRY_AFTER_S),
            _ => said,
        };
        (&refusal.title, said)
    }

    /// The receipt, or the way back.
    fn more(&self) -> String {
        let Texts { received, refused, .. } = self.texts;
        match &self.outcome {
            Ok(receipt) => format!(
                "<details><summary>{}</summary><p>{}</p><pre dir=\"ltr\">{receipt}</pre></details>\n",
                received.promise, received.proof
            ),
            Err(_) => format!("<p><a href=\"/\">{}</a></p>\n", refused.back),
        }
    }

    /// That nobody has read the translation yet, with the English text, which then counts.
    fn note(&self) -> String {
        if self.texts.reviewed {
            return String::new();
        }
        let (title, said) = self.said(source());
        format!(
            "<hr>\n<p>{}</p>\n<details lang=\"en\" dir=\"ltr\"><summary>English</summary><h2>{title}</h2>\n{said}</details>\n",
            self.texts.not_reviewed
        )
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = (self.status(), Body::from(self.html())).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        );
        if let Some(policy) = POLICY.clone() {
            headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        }
        if self.outcome.is_err_and(|problem| problem.is_passing()) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_S));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        form::FormError,
        http::{StoreProblem, drop::texts},
    };

    #[test]
    fn every_answer_has_one_length_whatever_it_says_in_whichever_language() {
        let receipt = "x".repeat(marram_crypto::receipt::LEN);
        let outcomes = [
            Ok(receipt),
            Err(Problem::Form(FormError::Empty)),
            Err(Problem::NotABucket {
                smallest: 1,
                limit: u64::MAX,
            }),
            Err(Problem::TooLarge { limit: u64::MAX }),
            Err(Problem::TooSlow),
            Err(Problem::Busy),
            Err(Problem::NoOpenManifest),
            Err(Problem::MethodNotAllowed),
            Err(Problem::Store(StoreProblem::Full)),
        ];
        for texts in texts::all() {
            for outcome in outcomes.clone() {
                let html = Answer::new(Language(texts), outcome).html();
                assert_eq!(html.len(), LEN, "{html}");
                assert!(html.contains("</html>") && !html.contains("<script"));
                assert!(!html.replace(STYLE, "").contains(['{', '}']), "{html}");
                assert_eq!(html.contains(&texts.not_reviewed), !texts.reviewed);
            }
        }
    }
}
