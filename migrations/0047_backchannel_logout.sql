-- A logout that a client is to be told of (OpenID Connect Back-Channel Logout). Written before the session ends, delivered
-- afterwards, at least once; the token is made for each attempt, because it lives two minutes.
create table oidc.backchannel_logout (
  logout_id        text primary key,
  client_id        text not null,
  customer_id      text not null,
  -- The session's name towards this client, and no other's.
  sid              text,
  created_at       timestamptz not null,
  attempts         integer not null,
  next_attempt_at  timestamptz,
  delivered_at     timestamptz,
  dead_at          timestamptz,
  last_error       text,
  constraint logout_id_is_prefixed check (logout_id ~ '^lgo_[0-9a-f]{32}$'),
  constraint logout_is_waiting_delivered_or_dead check ((next_attempt_at is null) = (delivered_at is not null or dead_at is not null)),
  constraint logout_is_not_both_delivered_and_dead check (delivered_at is null or dead_at is null)
);
create index backchannel_logout_waiting on oidc.backchannel_logout (next_attempt_at) where next_attempt_at is not null;
create index backchannel_logout_age on oidc.backchannel_logout (created_at);

grant select, insert on oidc.backchannel_logout to bankside_auth_server;
grant update (attempts, next_attempt_at, delivered_at, dead_at, last_error) on oidc.backchannel_logout to bankside_auth_server;
grant select (logout_id, created_at), delete on oidc.backchannel_logout to bankside_worker;
