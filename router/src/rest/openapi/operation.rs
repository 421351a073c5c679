//! What is told of one call: its name, what it takes and what it answers. The
//! parameters in the path and in the query string follow from the rest.

use utoipa::ToSchema;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{OperationBuilder, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{ContentBuilder, HttpMethod, Ref, RefOr, Required};

pub(crate) use super::shape::Parts;
use super::shape::{
    self, Shape, add, any_of, at_least, flag, like, list, number, object, only, shaped, text, word,
};
use crate::rest::call::{Effect, LeftOut};
use crate::rest::ids::JsonId;

/// What calls are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tag {
    Collections,
    Points,
    Search,
    Indexes,
    Aliases,
    Service,
}

impl Tag {
    pub(super) const ALL: [Self; 6] = [
        Self::Collections,
        Self::Points,
        Self::Search,
        Self::Indexes,
        Self::Aliases,
        Self::Service,
    ];

    fn name(self) -> String {
        format!("{self:?}")
    }

    pub(super) fn described(self) -> utoipa::openapi::Tag {
        let about = match self {
            Self::Collections => "Collections: made, described and deleted",
            Self::Points => "Points: put in, changed, read and counted",
            Self::Search => "Searches of every kind",
            Self::Indexes => "Payload indexes",
            Self::Aliases => "Other names of collections",
            Self::Service => "The process itself",
        };
        let tag = TagBuilder::new().name(self.name());
        tag.description(Some(about)).build()
    }
}

/// Gives a schema, and adds those that it names.
type Tell = fn(&mut Parts) -> Shape;

/// One call.
#[derive(Clone)]
pub(crate) struct Operation {
    id: &'static str,
    tag: Tag,
    summary: &'static str,
    takes: Option<Tell>,
    answers: Answer,
    explains: Option<Tell>,
    may_be_partial: bool,
    params: Vec<Param>,
}

#[derive(Clone)]
enum Answer {
    /// A result in the envelope.
    Enveloped(Tell),
    /// JSON without an envelope.
    Json(Tell),
    /// A text, and whether the same comes with 503 when things are not well.
    Text { may_be_unwell: bool },
}

/// A parameter in the query string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Param {
    Timeout,
    Wait,
    Ordering,
    Consistency,
    Partial,
    Explain,
}

/// A type by its name.
pub(crate) fn a<T: ToSchema>(parts: &mut Parts) -> Shape {
    add::<T>(parts);
    shape::named::<T>()
}

/// A list of a type.
pub(crate) fn many<T: ToSchema>(parts: &mut Parts) -> Shape {
    list(a::<T>(parts))
}

/// Whether it was done.
pub(crate) fn yes(_: &mut Parts) -> Shape {
    flag()
}

impl Operation {
    /// A call that takes nothing. The name is Qdrant's where it has the call.
    pub(crate) fn new(tag: Tag, id: &'static str, summary: &'static str) -> Self {
        Self {
            id,
            tag,
            summary,
            takes: None,
            answers: Answer::Text {
                may_be_unwell: false,
            },
            explains: None,
            // Every search asks all shards.
            may_be_partial: tag == Tag::Search,
            params: Vec::new(),
        }
    }

    /// It takes such a body.
    pub(crate) fn takes(mut self, body: Tell) -> Self {
        self.takes = Some(body);
        self
    }

    /// It answers such a result.
    pub(crate) fn answers(mut self, result: Tell) -> Self {
        self.answers = Answer::Enveloped(result);
        self
    }

    /// It answers so, without an envelope.
    pub(crate) fn answers_bare(mut self, body: Tell) -> Self {
        self.answers = Answer::Json(body);
        self
    }

    /// It answers a text, with 503 when things are not well.
    pub(crate) fn may_be_unwell(mut self) -> Self {
        self.answers = Answer::Text {
            may_be_unwell: true,
        };
        self
    }

    /// Asked for it, it answers beside the result how it came about.
    pub(crate) fn explains(mut self, explained: Tell) -> Self {
        self.explains = Some(explained);
        self
    }

    /// It asks all shards, and can answer without some of them.
    pub(crate) fn may_be_partial(mut self) -> Self {
        self.may_be_partial = true;
        self
    }

    /// The parameters that mean something to a call of the dialect.
    pub(super) fn with_params(mut self, effect: Effect) -> Self {
        self.params.push(Param::Timeout);
        match (self.tag, effect) {
            (Tag::Points | Tag::Search, Effect::Reads) => self.params.push(Param::Consistency),
            (Tag::Points | Tag::Indexes, Effect::Writes) => {
                self.params.extend([Param::Wait, Param::Ordering]);
            }
            _ => {}
        }
        if self.may_be_partial {
            self.params.push(Param::Partial);
        }
        if self.explains.is_some() {
            self.params.push(Param::Explain);
        }
        self
    }

    /// The call as the document has it, at its path.
    pub(super) fn item(&self, method: HttpMethod, path: &str, parts: &mut Parts) -> PathItem {
        let of_path = variables(path).map(|name| of_path(name, parts));
        let of_path: Vec<Parameter> = of_path.collect();
        let of_query = self.params.iter().map(|param| param.told(parts));
        let params: Vec<Parameter> = of_path.into_iter().chain(of_query).collect();
        let mut operation = OperationBuilder::new()
            .operation_id(Some(self.id))
            .tag(self.tag.name())
            .summary(Some(self.summary))
            .parameters(Some(params));
        if let Some(takes) = self.takes {
            let content = ContentBuilder::new().schema(Some(takes(parts))).build();
            let body = RequestBodyBuilder::new().content(JSON, content);
            let body = body.required(Some(Required::True)).build();
            operation = operation.request_body(Some(body));
        }
        let operation = match self.answers {
            Answer::Enveloped(result) => {
                let body = self.envelope(result(parts), parts);
                let refused = || RefOr::<Response>::Ref(Ref::from_response_name(FAILED));
                operation
                    .response("200", answer("Done", JSON, body))
                    .response("4XX", refused())
                    .response("5XX", refused())
            }
            Answer::Json(body) => operation.response("200", answer("Done", JSON, body(parts))),
            Answer::Text { may_be_unwell } => {
                let well = operation.response("200", answer("Well", TEXT, text()));
                if may_be_unwell {
                    well.response("503", answer("Not well", TEXT, text()))
                } else {
                    well
                }
            }
        };
        PathItem::new(method, operation)
    }

    fn envelope(&self, result: Shape, parts: &mut Parts) -> Shape {
        let needs = [
            ("result", result),
            ("status", a::<Good>(parts)),
            ("time", number()),
        ];
        let mut beside = Vec::new();
        if let Some(explained) = self.explains {
            beside.push(("explain", explained(parts)));
        }
        if self.may_be_partial {
            beside.push(("partial", a::<LeftOut>(parts)));
        }
        object(&needs, &beside).into()
    }
}

const JSON: &str = "application/json";
const TEXT: &str = "text/plain";

fn answer(description: &str, kind: &str, body: Shape) -> Response {
    let content = ContentBuilder::new().schema(Some(body)).build();
    let answer = ResponseBuilder::new().description(description);
    answer.content(kind, content).build()
}

/// The name of the answer to what cannot be done.
pub(super) const FAILED: &str = "Failed";

/// The `status` of what was done.
enum Good {}

shaped!(Good as "ResponseStatus" => word(["ok"]));

/// The envelope of what was not.
enum Failure {}

shaped!(Failure as "ErrorResponse" => only(
    &[
        ("status", only(&[("error", text())], &[])),
        ("time", number()),
    ],
    &[],
));

enum Ordering {}

shaped!(Ordering as "WriteOrdering" => word(["weak", "medium", "strong"]));

enum Consistency {}

shaped!(Consistency as "ReadConsistency" => any_of([
    at_least(1),
    word(["strong", "eventual", "majority", "quorum", "all"]),
    like("^bounded:[1-9][0-9]*ms$"),
]));

/// That answer: its envelope is the same whatever went wrong.
pub(super) fn failed(parts: &mut Parts) -> Response {
    let body = a::<Failure>(parts);
    let soon = HeaderBuilder::new()
        .schema(at_least(0))
        .description(Some("Seconds to wait, with 429 and 503"))
        .build();
    let content = ContentBuilder::new().schema(Some(body)).build();
    ResponseBuilder::new()
        .description("It was not done; `error` names the field or the object, and says what to do")
        .content(JSON, content)
        .header("Retry-After", soon)
        .build()
}

/// The names of a path's variables.
fn variables(path: &str) -> impl Iterator<Item = &str> {
    let pieces = path.split('/');
    pieces.filter_map(|piece| piece.strip_prefix('{')?.strip_suffix('}'))
}

fn of_path(name: &str, parts: &mut Parts) -> Parameter {
    let (about, shape) = match name {
        "id" => ("The point", a::<JsonId>(parts)),
        "field_name" => ("The path of the field", text()),
        _ => ("The collection, by its name or an alias", text()),
    };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some(about))
        .schema(Some(shape))
        .build()
}

impl Param {
    fn told(self, parts: &mut Parts) -> Parameter {
        let (name, about, shape) = match self {
            Self::Timeout => (
                "timeout",
                "Seconds after which the call is given up; more than an hour is an hour",
                at_least(1),
            ),
            Self::Wait => (
                "wait",
                "What `status` says. Either way, what is answered is durable and visible",
                flag(),
            ),
            Self::Ordering => (
                "ordering",
                "Accepted: every write is in order",
                a::<Ordering>(parts),
            ),
            Self::Consistency => (
                "consistency",
                "How fresh the answer is. `strong`, which nothing said, `majority`, `quorum`, `all` and a number \
                 above 1 mean: it has every write that was acknowledged before; `bounded:Nms`: every write that was \
                 acknowledged N milliseconds before; `eventual` and 1: what one replica has",
                a::<Consistency>(parts),
            ),
            Self::Partial => (
                "partial",
                "Goes without shards that do not answer, and names them beside the result",
                flag(),
            ),
            Self::Explain => (
                "explain",
                "Answers beside the result which way each shard took, and why",
                flag(),
            ),
        };
        ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Query)
            .required(Required::False)
            .description(Some(about))
            .schema(Some(shape))
            .build()
    }
}
