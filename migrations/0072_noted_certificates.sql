-- With which certificates clients have got tokens: so that somebody can tell them before one ends (CERT-15).
create table clients.certificate (
  client_id      text not null references clients.client,
  -- `x5t#S256`.
  thumbprint     text not null,
  serial_number  text not null,
  issuer         text not null,
  expires_at     timestamptz not null,
  first_seen_at  timestamptz not null,
  -- When the log last said that it ends soon.
  warned_at      timestamptz,
  constraint certificate_is_noted_once primary key (client_id, thumbprint),
  constraint certificate_issuer_is_short check (length(issuer) <= 1000)
);
create index certificate_expiry on clients.certificate (expires_at);
grant select, insert on clients.certificate to bankside_auth_server;
grant select, delete on clients.certificate to bankside_worker;
grant update (warned_at) on clients.certificate to bankside_worker;
