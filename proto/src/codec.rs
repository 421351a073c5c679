//! How messages become bytes and back: prost's way, but for what clients send,
//! which is looked at before it is decoded, and answered as their mistake where
//! it is none of the messages of the service.

use std::marker::PhantomData;

use bytes::Buf;
use prost::{Message, Name};
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder};
use tonic_prost::ProstEncoder;

use crate::weight::Request;

/// The codec of all services.
#[derive(Debug, Clone)]
pub struct BoundedCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for BoundedCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for BoundedCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Name + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = BoundedDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::default()
    }

    fn decoder(&mut self) -> Self::Decoder {
        BoundedDecoder {
            request: Request::named(&U::full_name()),
            decoded: PhantomData,
        }
    }
}

/// Decodes what is within the bounds of [`weight`](crate::weight).
#[derive(Debug, Clone)]
pub struct BoundedDecoder<U> {
    /// If it is what clients send.
    request: Option<Request>,
    decoded: PhantomData<U>,
}

impl<U: Message + Name + Default> Decoder for BoundedDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buf: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        let mut message = buf.copy_to_bytes(buf.remaining());
        if let Some(request) = self.request {
            let checked = request.check(&message);
            checked.map_err(|e| Status::invalid_argument(e.to_string()))?;
        }
        let decoded = U::decode(&mut message);
        decoded.map(Some).map_err(|e| {
            let name = U::full_name();
            let text = format!("the message is no {name} ({e})");
            if self.request.is_some() {
                Status::invalid_argument(
                    text + ": send one that is made from the service's .proto files",
                )
            } else {
                Status::internal(text)
            }
        })
    }
}
