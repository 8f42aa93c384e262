-- What oidc-provider stores, a narrow table per model. Handles (codes, tokens, request URIs, cookies) are stored as SHA-256.
create table oidc.session (
  id_hash     bytea primary key,
  uid         text not null,
  payload     text not null,
  expires_at  timestamptz not null,
  constraint session_uid_is_unique unique (uid)
);
create table oidc.interaction (
  id_hash     bytea primary key,
  payload     text not null,
  expires_at  timestamptz not null
);
create table oidc.pushed_authorization_request (
  id_hash      bytea primary key,
  payload      text not null,
  consumed_at  timestamptz,
  expires_at   timestamptz not null
);
create table oidc.authorization_code (
  id_hash      bytea primary key,
  grant_id     text not null,
  payload      text not null,
  consumed_at  timestamptz,
  expires_at   timestamptz not null
);
create index authorization_code_of_grant on oidc.authorization_code (grant_id);
create table oidc.refresh_token (
  id_hash      bytea primary key,
  grant_id     text not null,
  payload      text not null,
  consumed_at  timestamptz,
  expires_at   timestamptz not null
);
create index refresh_token_of_grant on oidc.refresh_token (grant_id);
-- The resource API reads the standing of a grant, never its payload.
create table oidc.grant (
  grant_id     text primary key,
  client_id    text not null,
  customer_id  text not null,
  payload      text not null,
  created_at   timestamptz not null,
  revoked_at   timestamptz,
  expires_at   timestamptz not null
);
-- Assertion and proof identifiers that were used. Both servers insert; the primary key decides between two that race.
create table oidc.used_identifier (
  id_hash     bytea not null,
  expires_at  timestamptz not null,
  constraint identifier_is_used_once primary key (id_hash)
);
create index used_identifier_expiry on oidc.used_identifier (expires_at);

-- One journey of a customer through the pages: how far it is, and the number of the page that may be answered next.
create table oidc.journey (
  journey_hash  bytea primary key,
  page_number   integer not null,
  state         jsonb not null,
  expires_at    timestamptz not null
);
