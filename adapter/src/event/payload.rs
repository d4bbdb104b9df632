//! Types of event payloads.

use serde::de::DeserializeOwned;

/// The payload of an event, with its name.
///
/// The crate implements it for what it wraps; implement it for what it does not:
///
/// ```
/// # use openclaw_adapter::{Client, Config, MemoryStore, Token};
/// # use openclaw_mock_gateway::MockGateway;
/// use openclaw_adapter::{EventFilter, EventItem, EventPayload};
/// use serde::Deserialize;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let gateway = MockGateway::start().await;
/// # let config = Config::builder()
/// #     .url(gateway.local_url())
/// #     .token(Token::new(gateway.token())?)
/// #     .store(MemoryStore::new())
/// #     .build()?;
/// # let client = Client::connect(config).await?;
/// /// The wake words of an agent.
/// #[derive(Deserialize)]
/// struct WakeWords {
///     triggers: Vec<String>,
/// }
///
/// impl EventPayload for WakeWords {
///     const NAME: &'static str = "voicewake.changed";
/// }
///
/// let mut events = client.events_where(EventFilter::named([WakeWords::NAME]));
/// # gateway.emit("voicewake.changed", &serde_json::json!({"triggers": ["claw"]}));
/// while let Some(item) = events.next().await {
///     if let EventItem::Event(event) = item {
///         let words: WakeWords = event.payload()?;
///         println!("wake words: {:?}", words.triggers);
/// #       break;
///     }
/// }
/// # Ok(())
/// # }
/// ```
pub trait EventPayload: DeserializeOwned {
    /// The name of the event on the wire.
    const NAME: &'static str;
}
