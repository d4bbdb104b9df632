//! The part of `--help` below the options: examples, variables, exit codes. The man pages have it too.

pub(crate) const PROGRAM: &str = "\
First steps:
  export OPENCLAW_GATEWAY_URL=ws://gateway:18789
  export OPENCLAW_GATEWAY_TOKEN=...       the gateway's gateway.auth.token
  openclaw-adapter connect                waits, and names the command that approves this device
  openclaw-adapter run 'What is new?'     asks an agent
  openclaw-adapter doctor                 says what is wrong, and the one thing to do next

Exit codes:
   0  done
   2  usage or configuration, a missing token for one
  10  pairing was not approved in time
  11  token or password refused
  12  refused for another reason: signature, protocol, scope, origin, upgrade
  13  gateway not reachable in time
  14  identity or state directory unusable
  15  call refused by the gateway, or a run that did not end well
  16  connection lost during a call; nobody knows what became of a run
 130  ended by SIGINT (Ctrl-C) before it was done
 143  ended by SIGTERM before it was done

Environment:
  OPENCLAW_GATEWAY_URL                the gateway's address; ws://127.0.0.1:18789 without it
  OPENCLAW_GATEWAY_TOKEN              the gateway's token
  OPENCLAW_GATEWAY_TOKEN_FILE         a file with it, instead; read again when it is refused
  OPENCLAW_GATEWAY_PASSWORD           for a gateway in password mode, instead
  OPENCLAW_ADAPTER_STATE_DIR          where the device identity and its tokens are kept
  OPENCLAW_ADAPTER_DEVICE_IDENTITY    the identity itself, where no file can be kept
  OPENCLAW_ADAPTER_DISPLAY_NAME       the backend's name in openclaw devices list
  OPENCLAW_ADAPTER_SCOPES             the scopes to ask for; without it, those that the backend has
  OPENCLAW_GATEWAY_TLS_FINGERPRINT    the SHA-256 of the one certificate to trust
  OPENCLAW_ALLOW_INSECURE_PRIVATE_WS  1 allows plain ws:// where the way is private
  RUST_LOG                            what is logged on stderr, such as openclaw_adapter=debug
  NO_COLOR                            no colour and no symbols, also on a terminal";

pub(crate) const CONNECT: &str = "\
Examples:
  openclaw-adapter connect --wait 5m      wait five minutes for the gateway and the approval
  openclaw-adapter connect --wait 0       try once
  openclaw-adapter connect --hold --json  stay connected, one JSON object per state

Exit codes: 0 ready; with --hold also when a signal ends it after it was ready. 10 not approved,
11 token refused, 12 refused otherwise, 13 not reachable, 14 identity, 130 or 143 a signal before.
More, and the environment: openclaw-adapter --help";

pub(crate) const DOCTOR: &str = "\
Examples:
  openclaw-adapter doctor
  openclaw-adapter doctor --method agent                    do the scopes allow runs?
  openclaw-adapter doctor --operator                        why do the devices commands not work?
  docker logs openclaw 2>&1 | openclaw-adapter doctor --symptoms -
  openclaw-adapter doctor --json | tail -1                  the verdict alone

Exit codes: 0 all is well, or there are only warnings; otherwise those of connect.
More, and the environment: openclaw-adapter --help";

pub(crate) const CALL: &str = "\
Examples:
  openclaw-adapter call health
  openclaw-adapter call sessions.list '{\"limit\":5}'
  echo '{\"limit\":5}' | openclaw-adapter call sessions.list - --json --timeout 10s

Exit codes: 0 answered, 15 refused by the gateway, 16 the connection was lost or the time is over,
130 or 143 a signal; those of connect if it did not get that far.
More, and the environment: openclaw-adapter --help";

pub(crate) const RUN: &str = "\
Examples:
  openclaw-adapter run 'What is new?'
  openclaw-adapter run 'Sum up the last invoice' --session-key billing --timeout 2m
  openclaw-adapter run /status --chat
  openclaw-adapter run 'Once only' --run-id order-4711 --json

Exit codes: 0 answered, 15 the run failed or was refused, 16 nobody knows what became of it,
130 or 143 stopped by a signal; those of connect if it did not get that far.
More, and the environment: openclaw-adapter --help";

pub(crate) const EVENTS: &str = "\
Examples:
  openclaw-adapter events
  openclaw-adapter events --event chat --event cron
  openclaw-adapter events --json | jq -c 'select(.event)'

Exit codes: 0 ended by a signal, once it was connected; 130 or 143 a signal before that; otherwise
those of connect.
More, and the environment: openclaw-adapter --help";

pub(crate) const IDENTITY: &str = "\
Examples:
  openclaw-adapter identity show
  (umask 077; openclaw-adapter identity export > backend-device.json)
  openclaw-adapter identity import backend-device.json --state-dir /var/lib/backend/openclaw

Exit codes: 0 done, 2 the file cannot be read, 14 there is no identity, or none that can be used.
More, and the environment: openclaw-adapter --help";

pub(crate) const DEVICES: &str = "\
Examples, on the gateway's host:
  openclaw-adapter devices list
  openclaw-adapter devices approve eee439f6-1f0e-4a5c-9d36-0b1f8a7c2d11
  openclaw-adapter devices list --json | jq -r '.pending[].requestId'

Exit codes: 0 done, 10 this operator is not approved itself, 15 refused by the gateway, a wrong
request id for one; otherwise those of connect.
More, and the environment: openclaw-adapter --help";

pub(crate) const COMPLETIONS: &str = "\
Examples:
  openclaw-adapter completions bash > ~/.local/share/bash-completion/completions/openclaw-adapter
  openclaw-adapter completions zsh > ~/.zfunc/_openclaw-adapter      with ~/.zfunc in fpath
  openclaw-adapter completions fish > ~/.config/fish/completions/openclaw-adapter.fish";

pub(crate) const MAN: &str = "\
Examples:
  openclaw-adapter man | man -l -
  openclaw-adapter man --dir ~/.local/share/man/man1";
